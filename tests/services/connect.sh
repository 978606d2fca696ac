# shellcheck shell=bash
# A real Kafka Connect worker in distributed mode: the oracle that golden tests and the benchmark compare with.
# It needs a Kafka: the one of this run, or the one MILLRACE_TEST_KAFKA names.
connect_install() {
  kafka_install
  if [ -n "${MILLRACE_CONNECT_MIRROR:-}" ]; then install_jars mirror; fi
}

mirror_built() { # a plugin, so that only workers that ask for it have it
  mkdir -p "$1/plugins/connect-mirror"
  mv "$1"/libs/*.jar "$1/plugins/connect-mirror/"
}

connect_kafka() { # the bootstrap servers
  if any_alive kafka; then kafka_env | sed -n 1p | cut -d= -f2; else
    [ -n "${MILLRACE_TEST_KAFKA:-}" ] || die "Kafka Connect needs Kafka, and none runs in $RUN_DIR" "tests/services/ctl start kafka"
    echo "$MILLRACE_TEST_KAFKA"
  fi
}

connect_prepare() {
  local dir=$RUN_DIR/connect servers rf=1 port group
  servers=$(connect_kafka)
  [[ $servers != *,* ]] || rf=2
  free_port "$dir/state" >"$dir/state/1.port"
  port=$(cat "$dir/state/1.port") group=${MILLRACE_CONNECT_GROUP:-connect-$port}
  kafka_cluster_of "${servers%%,*}" >"$dir/state/cluster"
  [ -s "$dir/state/cluster" ] || die "no Kafka answers at ${servers%%,*}" "tests/services/ctl restart kafka, or correct MILLRACE_TEST_KAFKA"
  cat >"$dir/connect.properties" <<EOF
bootstrap.servers=$servers
group.id=$group
listeners=HTTP://127.0.0.1:$port
rest.advertised.host.name=127.0.0.1
rest.advertised.port=$port
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false
config.storage.topic=$group-configs
offset.storage.topic=$group-offsets
status.storage.topic=$group-status
config.storage.replication.factor=$rf
offset.storage.replication.factor=$rf
status.storage.replication.factor=$rf
offset.storage.partitions=5
status.storage.partitions=2
offset.flush.interval.ms=1000
scheduled.rebalance.max.delay.ms=0
# Finds the same plugins as the default, without reading every class on the path.
plugin.discovery=service_load
plugin.path=$(jars_dir kafka)/plugins${MILLRACE_CONNECT_MIRROR:+,$(jars_dir mirror)/plugins}${MILLRACE_CONNECT_PLUGIN_PATH:+,$MILLRACE_CONNECT_PLUGIN_PATH}
${MILLRACE_CONNECT_PROPS:-}
EOF
}

connect_run() {
  local words
  read -ra words <<<"${MILLRACE_CONNECT_JVM:--Xmx1g}"
  kafka_java "${words[@]}" org.apache.kafka.connect.cli.ConnectDistributed "$RUN_DIR/connect/connect.properties"
  launch connect 1 "${CMD[@]}"
}

connect_ready() { # its own port, the right cluster, and past the first rebalance: only then does it list connectors
  local port
  port=$(cat "$RUN_DIR/connect/state/1.port")
  alive connect 1 && owns_port "$(pid_of connect 1)" "$port" || return 1
  http "http://127.0.0.1:$port/" | grep -q "\"kafka_cluster_id\":\"$(cat "$RUN_DIR/connect/state/cluster")\"" || return 1
  http -f -o /dev/null "http://127.0.0.1:$port/connectors"
}

connect_end() { end connect "$1" TERM; }
connect_env() { echo "export MILLRACE_TEST_CONNECT=http://127.0.0.1:$(cat "$RUN_DIR/connect/state/1.port")"; }
