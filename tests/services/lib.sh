# shellcheck shell=bash
# What every server needs: places, ports, processes, installs. Sourced by ctl; Linux only (it reads /proc).
SERVICES_DIR=${MILLRACE_SERVICES_DIR:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/millrace/services}
RUN_DIR=${MILLRACE_RUN_DIR:-$SERVICES_DIR/run}
TIMEOUT=${MILLRACE_SERVICES_TIMEOUT:-120}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { echo "services: $*" >&2; }
die() { say "$1. ${2:+Fix: $2.}"; exit 1; } # die <cause> [<fix>]
have() { local name; for name; do command -v "$name" >/dev/null || return 1; done; }
fresh_id() { head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | cut -c1-22; }

# --- ports ---------------------------------------------------------------------------------------------------------
# Ports come from below the range the kernel hands to outgoing connections, and stay reserved by a file while the run
# that took them exists: a stopped broker finds its port free when it is started again.
free_port() { # free_port <state dir>: reserves and prints a port
  local port file
  mkdir -p "$SERVICES_DIR/ports"
  exec 8>"$SERVICES_DIR/ports/.lock"
  flock 8
  for _ in {1..500}; do
    port=$((20000 + RANDOM % 12000)) file=$SERVICES_DIR/ports/$port
    if [ -e "$file" ] && [ -d "$(cat "$file")" ]; then continue; fi
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
    echo "$1" >"$file"
    exec 8>&-
    echo "$port"
    return
  done
  die "no free port between 20000 and 32000" "end old runs with 'tests/services/ctl stop all', or empty $SERVICES_DIR/ports"
}

owns_port() { # owns_port <pid> <port>: is it this very process that listens there?
  local inodes
  inodes=$(awk -v p="$(printf ':%04X' "$2")" '$4 == "0A" && substr($2, length($2) - 4) == p { print "socket:[" $10 "]" }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null)
  [ -n "$inodes" ] && find "/proc/$1/fd" -type l -printf '%l\n' 2>/dev/null | grep -qxF "$inodes"
}

http() { curl -sS --noproxy '*' --max-time 5 "$@"; }

# --- processes -----------------------------------------------------------------------------------------------------
# A pid file holds the pid and the start time of the process: a number the kernel gave to somebody else is not ours.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }
pid_of() { cut -d' ' -f1 "$RUN_DIR/$1/state/$2.pid"; } # pid_of <service> <instance>

alive() { # alive <service> <instance>
  local pid since
  { read -r pid since <"$RUN_DIR/$1/state/$2.pid"; } 2>/dev/null && [ -n "$since" ] && [ "$(start_time "$pid")" = "$since" ]
}

launch() { # launch <service> <instance> <command...>: its own session, no inherited locks, output to a log
  local service=$1 instance=$2 pid
  shift 2
  # A background job of a script is no group leader, so setsid does not fork and $! is the server itself.
  setsid "$@" </dev/null >>"$RUN_DIR/$service/$instance.log" 2>&1 8>&- 9>&- &
  pid=$!
  echo "$pid $(start_time "$pid")" >"$RUN_DIR/$service/state/$instance.pid"
}

end() { # end <service> <instance> <signal> [<seconds>]: signals, waits, and kills what outlives the deadline
  local i pid
  if alive "$1" "$2"; then
    pid=$(pid_of "$1" "$2")
    kill "-$3" "$pid" 2>/dev/null || true
    for ((i = 0; i < ${4:-20} * 20; i++)); do
      alive "$1" "$2" || break
      sleep 0.05
    done
    if alive "$1" "$2"; then
      say "$1 $2 did not end within ${4:-20} s of SIG$3; killing it"
      kill -KILL "$pid" 2>/dev/null || true
      while alive "$1" "$2"; do sleep 0.05; done
    fi
  fi
  rm -f "$RUN_DIR/$1/state/$2.pid"
}

await() { # await <service> <instance>: until <service>_ready, or the reason why not
  local deadline=$((SECONDS + TIMEOUT)) log=$RUN_DIR/$1/$2.log
  until "$1_ready" "$2" 2>/dev/null; do
    if ! alive "$1" "$2"; then
      tail -n 15 "$log" >&2
      die "$1 $2 ended while starting; its last lines are above" "read all of $log"
    fi
    if [ $SECONDS -ge $deadline ]; then
      tail -n 15 "$log" >&2
      die "$1 $2 was not ready within $TIMEOUT s; its last lines are above" "set MILLRACE_SERVICES_TIMEOUT higher, or read $log"
    fi
    sleep 0.1
  done
}

# --- users ---------------------------------------------------------------------------------------------------------
# PostgreSQL and MariaDB refuse to run as root. Their data cannot lie below root's home then, which others may not enter.
# shellcheck disable=SC2034
as_user() { # as_user <user>: sets AS, the prefix of commands that must not run as root
  AS=()
  if [ "$(id -u)" = 0 ]; then AS=(setpriv --reuid "$1" --regid "$(id -g "$1")" --clear-groups); fi
}

private_data() { # private_data <service> <user>: makes $RUN_DIR/<service>/data, owned by the user
  local data=$RUN_DIR/$1/data
  if [ "$(id -u)" != 0 ]; then mkdir -p "$data" && return; fi
  ln -s "$(mktemp -d /var/tmp/millrace-XXXXXX)" "$data"
  chown "$2:" "$(readlink -f "$data")"
}

# --- installs ------------------------------------------------------------------------------------------------------
apt_install() { # apt_install <what for> <package...>
  local what=$1 policy=/usr/sbin/policy-rc.d made='' ok=''
  shift
  have apt-get || die "$what is missing and there is no apt-get here" "install it by hand ($*), or name a running one in the environment (see README.md)"
  [ "$(id -u)" = 0 ] || die "$what is missing and only root may install it" "sudo apt-get install $*"
  say "installing $*"
  # Debian starts a server as it installs it; tests start their own.
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && made=1; fi
  export DEBIAN_FRONTEND=noninteractive
  local get=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  if "${get[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
    { "${get[@]}" update >&2 && "${get[@]}" install -y --no-install-recommends "$@" >/dev/null; }; then ok=1; fi
  [ -z "$made" ] || rm -f $policy
  [ -n "$ok" ] || die "apt-get could not install $*" "check the network and 'apt-get update'"
}

need_java() {
  local version
  have java javac || apt_install "Java 17" openjdk-17-jdk-headless
  have mvn || apt_install "Maven" maven
  have curl || apt_install "curl" curl
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 17 ] || die "java ${version:-of unknown version} is too old" "put Java 17 or newer first on the PATH"
}

jars_dir() { echo "$SERVICES_DIR/install/$1-$(cat "$HERE/pom/$1.xml" "$HERE/$1"/*.java 2>/dev/null | cksum | cut -d' ' -f1)"; }

install_jars() { # install_jars <name>: pom/<name>.xml into a folder named after its content, then <name>_built
  local dir
  dir=$(jars_dir "$1")
  if [ -d "$dir" ] && have java curl; then return; fi
  need_java
  [ ! -d "$dir" ] || return 0
  say "fetching $1 with Maven"
  rm -rf "$dir.new" && mkdir -p "$dir.new"
  cp "$HERE/pom/$1.xml" "$dir.new/pom.xml"
  (cd "$dir.new" && mvn -B -q -Dstyle.color=never dependency:copy-dependencies -DoutputDirectory=libs >&2) ||
    die "Maven could not fetch $1" "check the network and the mirror in ~/.m2/settings.xml; nothing half done is kept"
  "$1_built" "$dir.new"
  mv "$dir.new" "$dir"
}
