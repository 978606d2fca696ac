# shellcheck shell=bash
# PostgreSQL with logical replication. The system's own instance, if the package made one, is neither used nor started.
postgres_bin() { # the folder of initdb and postgres: Debian keeps it off the PATH, by version
  local bin
  for bin in /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb 2>/dev/null || echo /nowhere/x)")"; do
    if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then echo "$bin" && return; fi
  done
  return 1
}

postgres_install() {
  if postgres_bin >/dev/null && have psql; then return; fi
  local had=''
  [ ! -d /etc/postgresql ] || had=$(ls /etc/postgresql)
  apt_install "PostgreSQL" postgresql postgresql-client
  # The package creates an empty instance that a reboot would start: remove it, if it is new.
  if [ -z "$had" ] && [ -d /etc/postgresql/15/main ]; then pg_dropcluster 15 main --stop >&2 || true; fi
}

postgres_user() { if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi; }

postgres_prepare() {
  local dir=$RUN_DIR/postgres user
  free_port "$dir/state" >"$dir/state/1.port"
  user=$(postgres_user)
  private_data postgres "$user"
  as_user "$user"
  echo millrace >"$dir/data/password" && chmod a+r "$dir/data/password"
  "${AS[@]}" "$(postgres_bin)/initdb" --pgdata="$(readlink -f "$dir/data")/db" --username=millrace --pwfile="$(readlink -f "$dir/data")/password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$dir/install.log" 2>&1 ||
    { tail -n 15 "$dir/install.log" >&2 && die "initdb failed; its last lines are above" "read $dir/install.log"; }
  "${AS[@]}" tee -a "$(readlink -f "$dir/data")/db/postgresql.conf" >/dev/null <<EOF
listen_addresses = '127.0.0.1'
port = $(cat "$dir/state/1.port")
unix_socket_directories = ''
wal_level = logical
max_connections = 200
max_wal_senders = 20
max_replication_slots = 20
${MILLRACE_POSTGRES_PROPS:-}
EOF
}

postgres_run() {
  local pid i
  as_user "$(postgres_user)"
  # After a kill: while init has not reaped the old server, its number looks like a server at work on this data.
  pid=$(head -n 1 "$RUN_DIR/postgres/data/db/postmaster.pid" 2>/dev/null || echo none)
  for ((i = 0; i < 200; i++)); do
    if [ ! -e "/proc/$pid" ] || [ -n "$(start_time "$pid")" ]; then break; fi
    sleep 0.05
  done
  launch postgres 1 "${AS[@]}" "$(postgres_bin)/postgres" -D "$(readlink -f "$RUN_DIR/postgres/data")/db"
}

postgres_query() { # postgres_query <sql> [<database>]: over TCP as the tests' own user
  PGPASSWORD=millrace PGCONNECT_TIMEOUT=5 psql -XAtq -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(cat "$RUN_DIR/postgres/state/1.port")" \
    -U millrace -d "${2:-test}" -c "$1"
}

postgres_ready() {
  alive postgres 1 && [ "$(postgres_query 'SHOW data_directory' postgres)" = "$(readlink -f "$RUN_DIR/postgres/data")/db" ] || return 1
  postgres_query 'SELECT 1' >/dev/null || postgres_query 'CREATE DATABASE test' postgres
}

postgres_end() { end postgres "$1" INT; } # fast shutdown: TERM would wait for every client to leave
postgres_env() { echo "export MILLRACE_TEST_POSTGRES=postgres://millrace:millrace@127.0.0.1:$(cat "$RUN_DIR/postgres/state/1.port")/test"; }
