# shellcheck shell=bash
# MariaDB from the distribution's own packages: the server and client binaries only, which install no system service.
mariadb_install() {
  have mariadbd mariadb mariadb-install-db || apt_install "MariaDB" mariadb-server-core mariadb-client-core
}

mariadb_prepare() {
  local dir=$RUN_DIR/mariadb
  free_port "$dir/state" >"$dir/state/1.port"
  private_data mariadb nobody
  as_user nobody
  cat >"$dir/data/init.sql" <<'EOF'
CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'millrace'@'%' IDENTIFIED BY 'millrace';
GRANT ALL PRIVILEGES ON *.* TO 'millrace'@'%' WITH GRANT OPTION;
EOF
  chmod a+r "$dir/data/init.sql"
  "${AS[@]}" mariadb-install-db --no-defaults --datadir="$(readlink -f "$dir/data")/db" --auth-root-authentication-method=normal \
    --skip-test-db --innodb-log-file-size=32M >"$dir/install.log" 2>&1 ||
    { tail -n 15 "$dir/install.log" >&2 && die "mariadb-install-db failed; its last lines are above" "read $dir/install.log"; }
}

mariadb_run() {
  local data extra
  data=$(readlink -f "$RUN_DIR/mariadb/data")
  as_user nobody
  read -ra extra <<<"${MILLRACE_MARIADB_ARGS:-}"
  # The socket's path is relative to the data: an absolute one may be longer than the 107 bytes the kernel allows.
  launch mariadb 1 "${AS[@]}" mariadbd --no-defaults --datadir="$data/db" --init-file="$data/init.sql" \
    --bind-address=127.0.0.1 --port="$(cat "$RUN_DIR/mariadb/state/1.port")" --socket=mariadb.sock --pid-file="$data/pid" \
    --innodb-log-file-size=32M --character-set-server=utf8mb4 --skip-name-resolve --max-connections=200 "${extra[@]}"
}

mariadb_query() { # over TCP as the tests' own user
  mariadb --no-defaults --protocol=TCP --host=127.0.0.1 --port="$(cat "$RUN_DIR/mariadb/state/1.port")" \
    --user=millrace --password=millrace --connect-timeout=5 --batch --skip-column-names --execute="$1" test
}

mariadb_ready() { alive mariadb 1 && [ "$(mariadb_query 'SELECT @@datadir')" = "$(readlink -f "$RUN_DIR/mariadb/data")/db/" ]; }
mariadb_end() { end mariadb "$1" TERM; }
mariadb_env() { echo "export MILLRACE_TEST_MARIADB=mysql://millrace:millrace@127.0.0.1:$(cat "$RUN_DIR/mariadb/state/1.port")/test"; }
