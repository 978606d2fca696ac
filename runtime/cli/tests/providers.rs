//! Secrets from config providers, through the whole program: they reach the connector and nothing else (attacks 6, 7, 8 and 17 of
//! the list of attacks).

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::Worker;

const SECRET: &str = "s3cr3t-k9Zq/+=x";

fn start(dir: &Path) -> Worker {
    std::fs::create_dir_all(dir.join("secrets")).expect("made");
    std::fs::write(dir.join("secrets/db.properties"), format!("password={SECRET}\nnumber=x7y\n")).expect("written");
    std::fs::write(dir.join("outside.properties"), "password=never-read\n").expect("written");
    let settings = format!(
        "config.providers=file,env\n\
         config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n\
         config.providers.file.param.allowed.paths={0}/secrets\n\
         config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\n\
         config.providers.env.param.allowlist.pattern=SHOP_.*\n\
         listeners.https.ssl.keystore.password=${{file:{0}/secrets/db.properties:password}}\n\
         producer.client.id=shop\n\
         offset.flush.interval.ms=100\n",
        dir.display()
    );
    Worker::start(dir, &settings, &[("SHOP_TOKEN", "tok-en-8812"), ("HOME_SECRET", "not-for-connectors")])
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).expect("a log")
}

/// Every byte of the embedded log, where the configuration topic is.
fn stored(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut folders = vec![dir.join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                // Compiled components are large, and have nothing of a configuration.
                if entry.file_name() != "components" {
                    folders.push(entry.path());
                }
            } else {
                bytes.extend(std::fs::read(entry.path()).unwrap_or_default());
            }
        }
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_secret_reaches_the_connector_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let worker = start(dir.path());
    let variable = format!("${{file:{}/secrets/db.properties:password}}", dir.path().display());
    // The task fails with the secret in its error: there is no such folder.
    let file = format!("{}/no/{variable}/out.txt", dir.path().display());
    let config = json!({
        "name": "sink", "connector.class": "FileStreamSink", "topics": "orders", "tasks.max": "1", "file": file,
        "producer.override.client.id": "x", "transforms": "t",
        "transforms.t.type": "org.apache.kafka.connect.transforms.InsertField$Value",
        "transforms.t.static.field": "f", "transforms.t.static.value": "${env:SHOP_TOKEN}",
    });
    let (status, created) = worker.request("POST", "/connectors", Some(&json!({"name": "sink", "config": config})));
    assert_eq!(status, 201, "{created}");
    let failed = worker.until("/connectors/sink/status", |status| status.contains("FAILED"));
    assert!(failed.contains("[hidden]"), "the error has the path: {failed}");
    let mut shown = vec![created, failed];
    for path in [
        "/connectors/sink",
        "/connectors/sink/config",
        "/connectors/sink/tasks",
        "/connectors/sink/tasks/0/status",
        "/connectors?expand=info&expand=status",
        "/metrics",
    ] {
        shown.push(worker.request("GET", path, None).1);
    }
    assert!(
        shown[3].contains(&variable) && shown[4].contains(&variable),
        "variables are kept: {} {}",
        shown[3],
        shown[4]
    );
    // An error about the value itself.
    let mut wrong = config.clone();
    wrong["tasks.max"] = Value::from(variable.clone());
    wrong["errors.tolerance"] = Value::from(format!("${{file:{}/secrets/db.properties:number}}", dir.path().display()));
    let (status, answer) = worker.request("PUT", "/connector-plugins/FileStreamSink/config/validate", Some(&wrong));
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("Invalid value [hidden] for configuration tasks.max"), "{answer}");
    assert!(!answer.contains("x7y"), "also short values: {answer}");
    shown.push(answer);
    let (status, answer) = worker.request("PUT", "/connectors/sink/config", Some(&wrong));
    assert_eq!(status, 400, "{answer}");
    shown.push(answer);
    drop(worker);
    shown.push(log(dir.path()));
    let stored = stored(dir.path());
    for secret in [SECRET, "s3cr3t-k9Zq", "tok-en-8812", "not-for-connectors"] {
        for text in &shown {
            assert!(
                !text.contains(secret),
                "{secret} is in {}",
                text.lines().find(|line| line.contains(secret)).unwrap_or_default()
            );
        }
        assert!(!contains(&stored, secret), "{secret} is in the embedded log");
    }
    assert!(log(dir.path()).contains("configuration"), "the log is not empty");
}

#[test]
fn connectors_bring_no_providers_and_show_no_values() {
    let dir = tempfile::tempdir().expect("a directory");
    let worker = start(dir.path());
    let root = dir.path().display();
    let sink = |key: &str, value: &str| {
        let mut config =
            json!({"name": "c", "connector.class": "FileStreamSink", "topics": "orders", "file": "/tmp/never"});
        config[key] = Value::from(value);
        config
    };
    for (key, value, parts) in [
        ("config.providers", "file", &["config.providers", "worker's"][..]),
        ("config.providers.x.class", "a.B", &["config.providers.x.class"]),
        ("consumer.override.config.providers", "x", &["consumer.override.config.providers"]),
        ("producer.override.config.providers.x.class", "x", &["producer.override.config.providers.x.class"]),
        (
            "topics",
            "${env:SHOP_TOKEN}",
            &["configuration topics", "${env:SHOP_TOKEN}", "connector.config.variables.in.identifiers"],
        ),
        ("errors.deadletterqueue.topic.name", "dlq-${env:SHOP_TOKEN}", &["errors.deadletterqueue.topic.name"]),
        ("file", "${file:/etc/passwd:root}", &["configuration file", "not allowed to be accessed", "allowed.paths"]),
        ("file", &format!("${{file:{root}/secrets/../outside.properties:password}}"), &["not allowed to be accessed"]),
        ("file", "${file:/proc/self/environ:PATH}", &["not allowed to be accessed"]),
        ("file", &format!("${{file:{root}/secrets/none.properties:x}}"), &["Could not read properties from file"]),
    ] {
        let config = sink(key, value);
        let (status, answer) = worker.request("PUT", "/connectors/c/config", Some(&config));
        assert_eq!(status, 400, "{key}={value}: {answer}");
        for part in parts {
            assert!(answer.contains(part), "{key}={value}: no {part} in {answer}");
        }
        assert!(!answer.contains("tok-en-8812") && !answer.contains("never-read"), "{answer}");
    }
    assert_eq!(worker.request("GET", "/connectors", None).1, "[]");
    // What the pattern does not allow is not there; as in Kafka Connect, the variable stays.
    let (status, answer) =
        worker.request("PUT", "/connectors/c/config", Some(&sink("file", &format!("{root}/${{env:HOME_SECRET}}"))));
    assert_eq!(status, 201, "{answer}");
    worker.until("/connectors/c/status", |status| status.contains("RUNNING"));
}
