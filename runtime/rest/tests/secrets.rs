//! A secret never appears in an answer (invariant 6), and a masked configuration can be written back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::client::{Answer, ask, send};
use common::herder::FakeHerder;
use common::{options, start};
use millrace_rest::{RestOptions, RestServer};

const SECRET: &str = "hunter2-canary";
const CLASS: &str = "MirrorSourceConnector";

/// A connector with a secret by type, two by name, one reference, and a key that only looks like a secret.
fn config(url: &str, password: &str) -> String {
    format!(
        r#"{{"connector.class":"{CLASS}","connection.url":"{url}","connection.password":"{password}","batch.token":"plain","producer.override.sasl.jaas.config":"{password}","value.converter.basic.auth.user.info":"{password}","ssl.key.password":"${{file:/run/secrets/db:password}}"}}"#
    )
}

async fn with_connector(mask_secrets: bool) -> (Arc<FakeHerder>, RestServer) {
    let herder = Arc::new(FakeHerder::new("127.0.0.1:8083"));
    let server = start(&herder, RestOptions { mask_secrets, ..options() }).await;
    let created = put(server.local_addr, "db.local", SECRET).await;
    assert_eq!(created.code(), 201, "{}", created.body);
    assert_eq!(created.body.contains(SECRET), !mask_secrets);
    (herder, server)
}

async fn put(address: SocketAddr, url: &str, password: &str) -> Answer {
    send(address, "PUT /connectors/c/config", &config(url, password)).await
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let (_herder, server) = with_connector(true).await;
    let address = server.local_addr;
    let paths = ["", "/config", "/tasks", "/status", "/tasks/0/status"].map(|path| format!("GET /connectors/c{path}"));
    for line in paths.iter().map(String::as_str).chain(["GET /connectors?expand=info&expand=status"]) {
        let answer = ask(address, line).await;
        assert_eq!(answer.code(), 200);
        assert!(!answer.body.contains(SECRET), "{line}: {}", answer.body);
    }
    let shown = ask(address, "GET /connectors/c/config").await.body;
    for key in ["connection.password", "producer.override.sasl.jaas.config", "value.converter.basic.auth.user.info"] {
        assert!(shown.contains(&format!("\"{key}\":\"[hidden]\"")), "{key}: {shown}");
    }
    assert!(shown.contains(r#""ssl.key.password":"${file:/run/secrets/db:password}""#), "{shown}");
    assert!(shown.contains(r#""batch.token":"plain""#), "{shown}");

    let line = format!("PUT /connector-plugins/{CLASS}/config/validate");
    let validated = send(address, &line, &config("db.local", SECRET)).await;
    assert_eq!(validated.code(), 200);
    assert!(validated.body.contains(r#""name":"connection.password","value":"[hidden]""#), "{}", validated.body);
    assert!(!validated.body.contains(SECRET));
}

#[tokio::test]
async fn messages_show_no_secret_either() {
    let (_herder, server) = with_connector(true).await;
    let body = format!(r#"{{"name":"x","config":{{"db.password":"{SECRET}","a":"b"}}}}"#);
    let answer = send(server.local_addr, "POST /connectors", &body).await;
    let expected = r#"{"error_code":400,"message":"Connector config {db.password=[hidden], a=b, name=x} contains no connector type"}"#;
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn masking_can_be_switched_off() {
    let (_herder, server) = with_connector(false).await;
    let shown = ask(server.local_addr, "GET /connectors/c/config").await.body;
    assert_eq!(shown.matches(SECRET).count(), 3);
    let line = format!("PUT /connector-plugins/{CLASS}/config/validate");
    assert!(send(server.local_addr, &line, &config("db.local", SECRET)).await.body.contains(SECRET));
}

#[tokio::test]
async fn what_was_read_can_be_written_back() {
    let (herder, server) = with_connector(true).await;
    let read = ask(server.local_addr, "GET /connectors/c/config").await.body;
    let changed = read.replace(r#""batch.token":"plain""#, r#""batch.token":"other""#);
    let answer = send(server.local_addr, "PUT /connectors/c/config", &changed).await;
    assert_eq!(answer.code(), 200, "{}", answer.body);
    assert!(!answer.body.contains(SECRET));
    let written = herder.written.lock().unwrap().clone();
    assert_eq!(written["connection.password"], SECRET);
    assert_eq!(written["producer.override.sasl.jaas.config"], SECRET);
    assert_eq!(written["batch.token"], "other");
}

#[tokio::test]
async fn a_mask_is_refused_when_the_connector_is_pointed_elsewhere() {
    let (herder, server) = with_connector(true).await;
    let answer = put(server.local_addr, "evil.example", "[hidden]").await;
    assert_eq!(answer.code(), 400);
    assert!(answer.body.contains("Invalid value [hidden] for configuration connection.password"), "{}", answer.body);
    assert!(answer.body.contains("connection.url"), "{}", answer.body);
    assert_eq!(herder.written.lock().unwrap()["connection.url"], "db.local");
    assert_eq!(put(server.local_addr, "evil.example", "sent again").await.code(), 200);
}

#[tokio::test]
async fn a_mask_stands_for_nothing_in_a_new_connector() {
    let (_herder, server) = with_connector(true).await;
    let line = "PUT /connectors/other/config";
    let answer = send(server.local_addr, line, &config("db.local", "[hidden]")).await;
    let expected = r#"{"error_code":400,"message":"Invalid value [hidden] for configuration connection.password: this stands for the stored secret, and none is stored. Send the secret again"}"#;
    assert_eq!((answer.code(), answer.body.as_str()), (400, expected));
}
