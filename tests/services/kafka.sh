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
  if [ -n "${MILLRACE_KAFKA_SECURITY:-}" ]; then kafka_certificates; fi
  for n in controller $(seq "$brokers"); do
    mkdir -p "$dir/data/$n"
    kafka_properties "$n" "$controller" $rf >"$dir/$n.properties"
  done
  local scram=()
  if [ -n "${MILLRACE_KAFKA_SECURITY:-}" ]; then
    for n in SCRAM-SHA-256 SCRAM-SHA-512; do scram+=(--add-scram "$n=[name=alice,password=alice-secret]"); done
  fi
  kafka_tool kafka.tools.StorageTool format -t "$(cat "$dir/state/cluster")" -c "$dir/controller.properties" "${scram[@]}" >"$dir/format.log" 2>&1 ||
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
listeners=PLAINTEXT://127.0.0.1:$port$(kafka_listeners "$1")"
    echo "$port" >"$dir/state/$1.port"
  fi
  if [ -n "${MILLRACE_KAFKA_SECURITY:-}" ]; then kafka_security "$1"; fi
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

# --- TLS and logins ------------------------------------------------------------------------------------------------
# With MILLRACE_KAFKA_SECURITY=1 every broker has four more listeners: SASL (SASL_PLAINTEXT), SSL, MTLS (SSL that wants a
# client certificate) and SASL_SSL. Who logs in is alice, with alice-secret; every store's password is storepass, and the
# password of client.enc.key and of the key in client.jks is keypass.
kafka_listeners() { # kafka_listeners <broker>: the further listeners, each with a leading comma
  local name port
  [ -n "${MILLRACE_KAFKA_SECURITY:-}" ] || return 0
  for name in SASL SSL MTLS SASL_SSL; do
    port=$(free_port "$RUN_DIR/kafka/state")
    echo "$port" >"$RUN_DIR/kafka/state/$1.$name.port"
    printf ',%s://127.0.0.1:%s' "$name" "$port"
  done
}

kafka_security() { # kafka_security <instance>
  local tls=$RUN_DIR/kafka/tls modules=org.apache.kafka.common.security name
  echo "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,SSL:SSL,MTLS:SSL,SASL_SSL:SASL_SSL"
  [ "$1" != controller ] || return 0
  echo "inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location=$tls/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=$tls/ca.pem
listener.name.mtls.ssl.client.auth=required"
  for name in sasl sasl_ssl; do
    echo "listener.name.$name.plain.sasl.jaas.config=$modules.plain.PlainLoginModule required user_alice=\"alice-secret\";
listener.name.$name.scram-sha-256.sasl.jaas.config=$modules.scram.ScramLoginModule required;
listener.name.$name.scram-sha-512.sasl.jaas.config=$modules.scram.ScramLoginModule required;"
  done
}

kafka_certificates() { # one authority, a broker (127.0.0.1 only), a client in every format, and an authority nobody knows
  local tls=$RUN_DIR/kafka/tls name
  have openssl || apt_install "openssl" openssl
  mkdir -p "$tls"
  (
    set -e
    cd "$tls"
    for name in ca other-ca; do
      openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$name" -keyout "$name.key" -out "$name.pem"
    done
    echo 'subjectAltName=IP:127.0.0.1' >broker.ext
    echo 'extendedKeyUsage=clientAuth' >client.ext
    for name in broker client; do
      openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout "$name.key" -out "$name.csr"
      openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile "$name.ext" -out "$name.crt"
    done
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=stranger -keyout stranger.key -out stranger.crt
    openssl pkcs8 -topk8 -in client.key -passout pass:keypass -out client.enc.key
    cat broker.key broker.crt >broker.pem
    openssl pkcs12 -export -in client.crt -inkey client.key -name client -passout pass:storepass -out client.p12
    keytool -importkeystore -srckeystore client.p12 -srcstoretype PKCS12 -srcstorepass storepass -srcalias client -noprompt \
      -destkeystore client.jks -deststoretype JKS -deststorepass storepass -destkeypass keypass
    for name in jks:JKS p12:PKCS12; do
      keytool -importcert -alias ca -file ca.pem -keystore "trust.${name%:*}" -storetype "${name#*:}" -storepass storepass -noprompt
    done
  ) >"$RUN_DIR/kafka/tls.log" 2>&1 ||
    { cat "$RUN_DIR/kafka/tls.log" >&2 && die "the certificates could not be made; the reason is above" "check openssl and keytool"; }
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
  kafka_metadata "${1%:*}" "${1##*:}" 2>/dev/null | sed 's/../\\x&/g' | xargs -0 printf '%b' | tr -c 'A-Za-z0-9_-' '\n' | grep -xE '.{22}' | sed -n 1p
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
  servers=$(kafka_env | sed -n 1p | cut -d= -f2)
  while :; do
    behind=$(kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$servers" --describe --under-replicated-partitions 2>&1) || behind=unknown
    [ -n "$behind" ] || return 0
    [ $SECONDS -lt $deadline ] || { say "some partitions are still not in sync: $behind" && return 0; }
  done
}

kafka_env() { # the plain listeners first
  local name list n
  for name in '' SASL SSL MTLS SASL_SSL; do
    list=''
    for n in $(kafka_brokers); do
      n=$RUN_DIR/kafka/state/$n${name:+.$name}.port
      [ ! -e "$n" ] || list+=,127.0.0.1:$(cat "$n")
    done
    [ -z "$list" ] || echo "export MILLRACE_TEST_KAFKA${name:+_$name}=${list#,}"
  done
  [ ! -d "$RUN_DIR/kafka/tls" ] || echo "export MILLRACE_TEST_KAFKA_TLS=$RUN_DIR/kafka/tls"
}
