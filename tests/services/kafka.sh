# shellcheck shell=bash
# Apache Kafka, KRaft: N brokers and a controller of its own. The controller costs 200 MB and buys that any broker may
# be restarted or killed while the rest keeps serving; two combined nodes would lose their quorum with either one.
# It starts first and ends last: a broker hands its partitions over to it as it leaves.
KAFKA_CONTROLLER_ID=100

kafka_install() { install_jars kafka; }

kafka_built() { # Like Apache's own distribution: converters and transforms on the class path, file connectors on plugin.path
  mkdir -p "$1/plugins/connect-file"
  mv "$1"/libs/connect-file-*.jar "$1/plugins/connect-file/"
}

kafka_java() { # kafka_java <jvm options and main class...>: sets CMD
  CMD=(java -Dlog4j2.configurationFile="$HERE/log4j2.properties" -cp "$(jars_dir kafka)/libs/*" "$@")
}

kafka_tool() { # kafka_tool <main class> <arguments...>: Kafka's command line tools, e.g. org.apache.kafka.tools.TopicCommand
  java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m -Dlog4j2.level=WARN -Dlog4j2.configurationFile="$HERE/log4j2-tools.properties" \
    -cp "$(jars_dir kafka)/libs/*" "$@"
}

kafka_instances() { cat "$RUN_DIR/kafka/state/instances"; }
kafka_brokers() { kafka_instances | grep -v controller; }

kafka_prepare() { # ports, configuration, and storage, once per run
  local brokers=${BROKERS:-1} dir=$RUN_DIR/kafka rf n controller
  case $brokers in 1 | 2 | 3) ;; *) die "--brokers $brokers" "1, 2 or 3 brokers" ;; esac
  rf=$((brokers > 1 ? 2 : 1))
  fresh_id >"$dir/state/cluster"
  controller=$(free_port "$dir/state")
  { echo controller && seq "$brokers"; } >"$dir/state/instances"
  for n in controller $(seq "$brokers"); do
    mkdir -p "$dir/data/$n"
    kafka_properties "$n" "$controller" $rf >"$dir/$n.properties"
  done
  kafka_tool kafka.tools.StorageTool format -t "$(cat "$dir/state/cluster")" -c "$dir/controller.properties" >"$dir/format.log" 2>&1 ||
    { cat "$dir/format.log" >&2 && die "Kafka's storage could not be formatted; its reason is above" "check the disk of $dir"; }
  for n in $(seq "$brokers"); do
    # What the format tool would write for a pure broker, without two seconds of JVM for each.
    printf 'version=1\ncluster.id=%s\nnode.id=%s\ndirectory.id=%s\n' "$(cat "$dir/state/cluster")" "$n" "$(fresh_id)" >"$dir/data/$n/meta.properties"
  done
}

kafka_properties() { # kafka_properties <instance> <controller port> <replication factor>
  local dir=$RUN_DIR/kafka port
  if [ "$1" = controller ]; then
    echo "process.roles=controller
node.id=$KAFKA_CONTROLLER_ID
listeners=CONTROLLER://127.0.0.1:$2"
    echo "$2" >"$dir/state/$1.port"
  else
    port=$(free_port "$dir/state")
    echo "process.roles=broker
node.id=$1
listeners=PLAINTEXT://127.0.0.1:$port
advertised.listeners=PLAINTEXT://127.0.0.1:$port"
    echo "$port" >"$dir/state/$1.port"
  fi
  cat <<EOF
controller.listener.names=CONTROLLER
controller.quorum.voters=$KAFKA_CONTROLLER_ID@127.0.0.1:$2
log.dirs=$dir/data/$1
auto.create.topics.enable=true
num.partitions=1
default.replication.factor=$3
min.insync.replicas=1
offsets.topic.replication.factor=$3
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=$3
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=$3
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=8
group.initial.rebalance.delay.ms=0
# A killed broker is taken out after 4 s instead of 9.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
log.index.size.max.bytes=2097152
${MILLRACE_KAFKA_PROPS:-}
EOF
}

kafka_run() {
  local heap=${MILLRACE_KAFKA_JVM:--Xmx512m} words
  [ "$1" != controller ] || heap='-Xmx192m -XX:+UseSerialGC'
  read -ra words <<<"$heap"
  kafka_java "${words[@]}" kafka.Kafka "$RUN_DIR/kafka/$1.properties"
  launch kafka "$1" "${CMD[@]}"
}

# Asks a broker for its metadata (request 3, version 2, no topics) and prints the answer in hex: a whole JVM less than a tool.
kafka_metadata() { # kafka_metadata <host> <port>
  local size
  exec 3<>"/dev/tcp/$1/$2" || return 1
  printf '\0\0\0\x16\0\3\0\2\0\0\0\1\0\x08millrace\0\0\0\0' >&3
  size=$(timeout 5 head -c 4 <&3 | od -An -tx1 | tr -d ' \n')
  [ -n "$size" ] && timeout 5 head -c $((16#$size)) <&3 | od -An -v -tx1 | tr -d ' \n'
  exec 3>&-
}

kafka_cluster_of() { # kafka_cluster_of <host:port>: the cluster id, a printable run of 22 characters
  kafka_metadata "${1%:*}" "${1##*:}" 2>/dev/null | sed 's/../\\x&/g' | xargs -0 printf '%b' | tr -c 'A-Za-z0-9_-' '\n' | grep -xE '.{22}' | head -1
}

kafka_ready() { # ours, and it counts every broker that lives: it has caught up and is in service
  local dir=$RUN_DIR/kafka port answer cluster n living=0
  port=$(cat "$dir/state/$1.port")
  alive kafka "$1" && owns_port "$(pid_of kafka "$1")" "$port" || return 1
  [ "$1" != controller ] || return 0
  answer=$(kafka_metadata 127.0.0.1 "$port") || return 1
  cluster=$(od -An -v -tx1 <"$dir/state/cluster" | tr -d ' \n')
  for n in $(kafka_brokers); do if alive kafka "$n"; then living=$((living + 1)); fi; done
  [[ $answer == *"${cluster%0a}"* ]] && [ $((16#${answer:8:8})) -ge $living ]
}

kafka_end() { end kafka "$1" TERM 15; }

kafka_restarted() { # waits until the restarted replicas are in sync, so that the next broker may be killed without loss
  local servers deadline=$((SECONDS + 30)) behind
  all_alive kafka || return 0
  servers=$(kafka_env | cut -d= -f2)
  while :; do
    behind=$(kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$servers" --describe --under-replicated-partitions 2>&1) || behind=unknown
    [ -n "$behind" ] || return 0
    [ $SECONDS -lt $deadline ] || { say "some partitions are still not in sync: $behind" && return 0; }
  done
}

kafka_env() {
  local list='' n
  for n in $(kafka_brokers); do list+=,127.0.0.1:$(cat "$RUN_DIR/kafka/state/$n.port"); done
  echo "export MILLRACE_TEST_KAFKA=${list#,}"
}
