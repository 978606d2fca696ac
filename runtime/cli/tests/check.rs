//! Reading and checking worker configurations: files, environments, and the names of Kafka's scripts.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MILLRACE: &str = env!("CARGO_BIN_EXE_millrace");

fn run(program: impl AsRef<Path>, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.output().expect("it runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/golden").join(name)
}

#[test]
fn kafkas_own_files_are_valid() {
    for (command, name) in
        [("distributed", "connect-distributed.properties"), ("standalone", "connect-standalone.properties")]
    {
        let path = golden(name);
        let output = run(MILLRACE, &[command, path.to_str().expect("text"), "--check"], &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        let log = stderr(&output);
        assert!(log.contains("bootstrap.servers") && log.contains(name), "sources are logged: {log}");
    }
}

#[test]
fn a_worker_of_variables_only() {
    let converter = "org.apache.kafka.connect.json.JsonConverter";
    let confluent = [
        ("CONNECT_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("CONNECT_GROUP_ID", "g"),
        ("CONNECT_CONFIG_STORAGE_TOPIC", "c"),
        ("CONNECT_OFFSET_STORAGE_TOPIC", "o"),
        ("CONNECT_STATUS_STORAGE_TOPIC", "s"),
        ("CONNECT_KEY_CONVERTER", converter),
        ("CONNECT_VALUE_CONVERTER", converter),
        ("CONNECT_REST_ADVERTISED_HOST_NAME", "connect"),
        ("CONNECT_PLUGIN_PATH", "/usr/share/java"),
        ("CONNECT_LOG4J_ROOT_LOGLEVEL", "INFO"),
        ("CONNECT_LISTENERS_HTTPS_SSL_KEYSTORE_PASSWORD", "hush-hush-1"),
    ];
    let output = run(MILLRACE, &["distributed", "--check"], &confluent);
    let log = stderr(&output);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("CONNECT_GROUP_ID") && log.contains("plugin.path has no effect"), "{log}");
    assert!(!log.contains("hush-hush-1"), "{log}");
    let debezium = [
        ("BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("CONFIG_STORAGE_TOPIC", "c"),
        ("OFFSET_STORAGE_TOPIC", "o"),
        ("STATUS_STORAGE_TOPIC", "s"),
    ];
    let output = run(MILLRACE, &["distributed", "--check"], &debezium);
    assert!(output.status.success(), "{}", stderr(&output));
    let output =
        run(MILLRACE, &["distributed", "--check"], &[("CONNECT_GROUP_ID", "g"), ("CONNECT_STATUS_STORAGE_TOPIC", "s")]);
    assert_eq!(output.status.code(), Some(2));
    let missing = "\"bootstrap.servers\", \"config.storage.topic\", \"offset.storage.topic\", \"key.converter\" and \"value.converter\"";
    assert!(stderr(&output).contains(missing), "{}", stderr(&output));
}

#[test]
fn wrong_files_are_refused_with_key_and_cause() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("worker.toml");
    for (text, parts) in [
        ("\"data.dir\" = \"x\"\ngroup.idd = \"g\"\n", &["is no key of a worker; did you mean group.id?"][..]),
        (
            "key.converter = \"a.B\"\n",
            &["configuration key.converter: Class a.B could not be found", "StringConverter"],
        ),
        ("listeners = [\"ftp://x:1\"]\n", &["configuration listeners: expected http://host:port or https://host:port"]),
        ("listeners = [\"https://127.0.0.1:1\"]\n", &["configuration ssl.keystore.location", "listeners.https.ssl.*"]),
        ("bootstrap.servers = \"k:1\"\nproducer.\"plugin.library.paths\" = \"/x.so\"\n", &["plugin.library.paths"]),
        ("config.providers = \"v\"\n", &["config.providers.v.class"]),
        ("a = [", &["worker.toml", "not valid TOML"]),
    ] {
        std::fs::write(&path, text).expect("written");
        let output = run(MILLRACE, &["standalone", path.to_str().expect("text"), "--check"], &[]);
        for part in parts {
            assert!(stderr(&output).contains(part), "{text}: no {part} in {}", stderr(&output));
        }
    }
    let output = run(MILLRACE, &["standalone", "/does/not/exist.properties", "--check"], &[]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_names_of_kafkas_scripts_start_workers() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, arguments, part) in [
        ("connect-distributed.sh", vec!["--check"], "Missing required configurations"),
        ("connect-standalone.sh", vec!["/does/not/exist.properties"], "/does/not/exist.properties cannot be read"),
        ("kafka_connect_run.sh", vec![], "/opt/kafka/custom-config/kafka-connect.properties cannot be read"),
    ] {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink(MILLRACE, &link).expect("a link");
        let output = run(&link, &arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}
