#!/usr/bin/env bash
# Starts every server in a run of its own, checks each with its own client, breaks and restarts them, ends them all.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
for name in $(compgen -v MILLRACE_TEST_); do unset "$name"; done
MILLRACE_RUN_DIR=$(mktemp -d) && export MILLRACE_RUN_DIR
other=$(mktemp -d)
passed=0 failed=0
finish() {
  ./ctl stop all
  MILLRACE_RUN_DIR=$other ./ctl stop all
  rm -rf "$MILLRACE_RUN_DIR" "$other"
}
trap finish EXIT

check() { # check <what> <command...>
  local what=$1 out
  shift
  if out=$("$@" 2>&1); then
    passed=$((passed + 1)) && echo "ok   $what"
  else
    failed=$((failed + 1)) && echo "FAIL $what: $out"
  fi
}
start() { # start <service> [options]: exports what it prints
  local lines
  lines=$(./ctl start "$@") && eval "$lines" && [ -n "$lines" ]
}
started() { if start "$@"; then check "start $*" true; else check "start $*" false; fi; }
kafka() { local class=$1; shift; ./ctl tool "org.apache.kafka.tools.$class" --bootstrap-server "$MILLRACE_TEST_KAFKA" "$@"; }
consumed() { [ "$(kafka consumer.ConsoleConsumer --topic t --from-beginning --timeout-ms 8000 --max-messages "$1" 2>/dev/null | wc -l)" = "$1" ]; }
produced() { seq "$1" | kafka ConsoleProducer --topic t --command-property acks=all; }
gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.*zombie' "/proc/$1/status"; }
pid() { cut -d' ' -f1 "$MILLRACE_RUN_DIR/$1/state/$2.pid"; }
port() { cat "$MILLRACE_RUN_DIR/$1/state/${2:-1}.port"; }
same() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'" && false; }; }

check "bash -n" bash -n ctl ./*.sh
if command -v shellcheck >/dev/null; then check "shellcheck" shellcheck -x -S warning ctl ./*.sh; fi
check "an endpoint of the environment is passed on" same "$(MILLRACE_TEST_KAFKA=k:1 ./ctl start kafka)" "export MILLRACE_TEST_KAFKA=k:1"
check "Connect without Kafka says so" grep -q 'ctl start kafka' <(./ctl start connect 2>&1)

started kafka --brokers 2
check "kafka: replicated topic" kafka TopicCommand --create --topic t --partitions 2 --replication-factor 2
check "kafka: produce" produced 100
check "kafka: consume" consumed 100
check "kafka: started twice is one" same "$(./ctl start kafka | head -1)" "export MILLRACE_TEST_KAFKA=$MILLRACE_TEST_KAFKA"
was=$(port kafka 2)
check "kafka: restart broker 2" ./ctl restart kafka 2
check "kafka: same port" same "$was" "$(port kafka 2)"
check "kafka: kill broker 1" ./ctl kill kafka 1
check "kafka: broker 2 alone takes records" produced 100
check "kafka: broker 2 alone has all" consumed 200
check "kafka: status shows the dead one" grep -q 'kafka 1: .*dead' <(./ctl status)
check "kafka: restart broker 1" ./ctl restart kafka 1
check "kafka: all there" consumed 200

started connect
check "connect: plugins" grep -q FileStreamSinkConnector <(curl -s "$MILLRACE_TEST_CONNECT/connector-plugins")
echo hello >"$MILLRACE_RUN_DIR/in.txt"
check "connect: a connector" curl -sf -H 'Content-Type: application/json' -X PUT "$MILLRACE_TEST_CONNECT/connectors/c/config" \
  -d '{"connector.class":"FileStreamSource","file":"'"$MILLRACE_RUN_DIR"'/in.txt","topic":"from-file"}'
check "connect: its record" grep -q hello <(kafka consumer.ConsoleConsumer --topic from-file --from-beginning --timeout-ms 15000 --max-messages 1 2>/dev/null)
check "connect: kill" ./ctl kill connect
check "connect: restart" ./ctl restart connect
check "connect: it remembers" same "$(curl -s "$MILLRACE_TEST_CONNECT/connectors")" '["c"]'
was=$(port connect)
second=$(env -u MILLRACE_TEST_CONNECT -u MILLRACE_TEST_CONNECT_DIR MILLRACE_RUN_DIR="$other" MILLRACE_CONNECT_GROUP="connect-$was" ./ctl start connect | sed -n '1s/^[^=]*=//p')
check "connect: a second worker of its group" same "$(curl -s "$second/connectors")" '["c"]'
check "connect: end" ./ctl end connect
check "connect: the second one goes on alone" same "$(curl -s "$second/connectors/c/config" | tr , '\n' | grep -c FileStreamSource)" 1
check "connect: restart what was ended" ./ctl restart connect
check "connect: same port" same "$was" "$(port connect)"
check "connect: stop the second one" env MILLRACE_RUN_DIR="$other" ./ctl stop connect

started mariadb
sql() { mariadb --no-defaults -h127.0.0.1 -P"$(port mariadb)" -umillrace -pmillrace -N -e "$1" test; }
check "mariadb: write" sql 'CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)'
check "mariadb: kill" ./ctl kill mariadb
check "mariadb: restart" ./ctl restart mariadb
check "mariadb: read" same "$(sql 'SELECT id FROM t')" 1

started postgres
check "postgres: write" psql "$MILLRACE_TEST_POSTGRES" -qc 'CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)'
check "postgres: logical slot" psql "$MILLRACE_TEST_POSTGRES" -qc "SELECT pg_create_logical_replication_slot('s', 'pgoutput')"
check "postgres: kill" ./ctl kill postgres
check "postgres: restart" ./ctl restart postgres
check "postgres: read" same "$(psql "$MILLRACE_TEST_POSTGRES" -Atc 'SELECT id FROM t')" 1

started elasticsearch
es() { curl -sf -H 'Content-Type: application/json' "$MILLRACE_TEST_ELASTICSEARCH/$1" "${@:2}"; }
check "elasticsearch: product header" grep -qi '^X-elastic-product: Elasticsearch' <(curl -si "$MILLRACE_TEST_ELASTICSEARCH/")
check "elasticsearch: bulk" grep -q '"errors":false' <(es '_bulk?refresh=true' --data-binary $'{"index":{"_index":"i","_id":"1"}}\n{"a":1}\n')
check "elasticsearch: kill" ./ctl kill elasticsearch
check "elasticsearch: restart" ./ctl restart elasticsearch
check "elasticsearch: get" grep -q '"a":1' <(es i/_doc/1)

one=$MILLRACE_TEST_POSTGRES
unset MILLRACE_TEST_POSTGRES MILLRACE_TEST_POSTGRES_DIR
two=$(MILLRACE_RUN_DIR=$other ./ctl start postgres | sed -n '1s/^[^=]*=//p')
check "a second run has its own" psql "$two" -Atc 'SELECT 1'
check "beside the first" psql "$one" -Atc 'SELECT 1'
check "env lists all five" same "$(./ctl env | grep -c '_DIR=')" 5

sleep 300 & stranger=$!
ours=$(pid mariadb 1)
cp "$MILLRACE_RUN_DIR/mariadb/state/1.pid" "$other/1.pid"
echo "$stranger 12345" >"$MILLRACE_RUN_DIR/mariadb/state/1.pid"
check "a pid that is no longer ours is let alone" eval './ctl kill mariadb; kill -0 '"$stranger"
kill $stranger
cp "$other/1.pid" "$MILLRACE_RUN_DIR/mariadb/state/1.pid"

pids=$ours; for p in "$MILLRACE_RUN_DIR"/*/state/*.pid; do pids+=" $(cut -d' ' -f1 "$p")"; done
check "stop all" ./ctl stop all
for p in $pids; do check "process $p has ended" gone "$p"; done
check "nothing is left running" same "$(./ctl status)" ""
echo "$passed passed, $failed failed"
[ $failed = 0 ]
