# shellcheck shell=bash
# One Elasticsearch node from the published jars (elasticsearch/TestNode.java). No security, no scripts, no data streams:
# those modules are not published.
elasticsearch_install() { install_jars elasticsearch; }

elasticsearch_module() { # elasticsearch_module <folder> <name> <class> <version>: what the node reads to load a module
  cat >"$1/modules/$2/plugin-descriptor.properties" <<EOF
description=$2
version=$4
name=$2
java.version=17
elasticsearch.version=$4
classname=$3
EOF
}

elasticsearch_built() { # modules apart from the server's class path, or the node finds the same jar twice and refuses
  local dir=$1 jar version
  jar=$(echo "$dir"/libs/transport-netty4-*.jar)
  version=${jar##*transport-netty4-} && version=${version%.jar}
  mkdir -p "$dir/modules/transport-netty4" "$dir/modules/rest-root" "$dir/classes" "$dir/root"
  mv "$dir"/libs/netty-*.jar "$jar" "$dir/modules/transport-netty4/"
  elasticsearch_module "$dir" transport-netty4 org.elasticsearch.transport.netty4.Netty4Plugin "$version"
  elasticsearch_module "$dir" rest-root RootPlugin "$version"
  if ! { javac -cp "$dir/libs/*" -d "$dir/classes" "$HERE/elasticsearch/TestNode.java" &&
    javac -cp "$dir/libs/*" -d "$dir/root" "$HERE/elasticsearch/RootPlugin.java" &&
    jar -c -f "$dir/modules/rest-root/rest-root.jar" -C "$dir/root" .; } >&2; then
    die "the Elasticsearch test node does not compile" "use a JDK of version 17 to 23"
  fi
}

elasticsearch_prepare() {
  local dir=$RUN_DIR/elasticsearch port
  free_port "$dir/state" >"$dir/state/1.port"
  free_port "$dir/state" >"$dir/state/transport"
  port=$(cat "$dir/state/1.port")
  mkdir -p "$dir/config" "$dir/data" "$dir/logs" "$dir/tmp"
  ln -s "$(jars_dir elasticsearch)/modules" "$dir/modules"
  cat >"$dir/config/elasticsearch.yml" <<EOF
cluster.name: millrace-$port-$(fresh_id)
node.name: millrace-test
network.host: 127.0.0.1
http.port: $port
transport.port: $(cat "$dir/state/transport")
discovery.type: single-node
path.data: $dir/data
path.logs: $dir/logs
# A nearly full disk of a test machine is no reason to make indices read-only.
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: false
${MILLRACE_ELASTICSEARCH_PROPS:-}
EOF
  printf '%s\n' 'rootLogger.level = info' 'rootLogger.appenderRef.out.ref = out' 'appender.out.type = Console' 'appender.out.name = out' \
    'appender.out.layout.type = PatternLayout' 'appender.out.layout.pattern = [%d] %p %c{1.} %m%n' >"$dir/config/log4j2.properties"
}

elasticsearch_run() {
  local words dir=$RUN_DIR/elasticsearch jars
  jars=$(jars_dir elasticsearch)
  read -ra words <<<"${MILLRACE_ELASTICSEARCH_JVM:--Xmx1g}"
  launch elasticsearch 1 java "${words[@]}" -Djava.security.manager=allow -Djava.io.tmpdir="$dir/tmp" \
    -Dlog4j2.disable.jmx=true -Dlog4j.shutdownHookEnabled=false -cp "$jars/libs/*:$jars/classes" TestNode "$dir"
}

elasticsearch_ready() {
  local port name
  port=$(cat "$RUN_DIR/elasticsearch/state/1.port")
  name=$(sed -n 's/^cluster.name: //p' "$RUN_DIR/elasticsearch/config/elasticsearch.yml")
  alive elasticsearch 1 && owns_port "$(pid_of elasticsearch 1)" "$port" || return 1
  http "http://127.0.0.1:$port/" | grep -q "\"$name\"" || return 1
  http "http://127.0.0.1:$port/_cluster/health" | grep -qE '"status":"(green|yellow)"'
}

elasticsearch_end() { end elasticsearch "$1" TERM; }
elasticsearch_env() { echo "export MILLRACE_TEST_ELASTICSEARCH=http://127.0.0.1:$(cat "$RUN_DIR/elasticsearch/state/1.port")"; }
