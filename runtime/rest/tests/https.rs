//! Listeners that speak TLS, and workers that ask each other over it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::client::Answer;
use common::herder::FakeHerder;
use millrace_api::Result;
use millrace_api::config::Props;
use millrace_core::peers::Peers as _;
use millrace_core::worker_config::{Mode, WorkerConfig};
use millrace_rest::{PeerClient, RestOptions, RestServer, serve};
use millrace_tls::{Connector, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn stores(prefix: &str) -> Props {
    let file = |name| concat!(env!("CARGO_MANIFEST_DIR"), "/../tls/golden/server/").to_owned() + name;
    let read = |name| std::fs::read_to_string(file(name)).unwrap();
    let pairs = [
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.certificate.chain", read("cert.pem")),
        ("ssl.keystore.key", read("key.pem")),
        ("ssl.truststore.type", "PEM".to_owned()),
        ("ssl.truststore.location", file("cert.pem")),
    ];
    pairs.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect()
}

fn options(listeners: &str, props: Props) -> Result<RestOptions> {
    let mut props = props;
    props.insert("listeners".to_owned(), listeners.to_owned());
    let (config, _) = WorkerConfig::load(Mode::Standalone, &props)?;
    RestOptions::of(&config, &props)
}

async fn start(props: Props) -> RestServer {
    let options = options("https://127.0.0.1:0,http://127.0.0.1:0", props).unwrap();
    serve(Arc::new(FakeHerder::new("127.0.0.1:8083")), options).await.unwrap()
}

async fn ask(server: &RestServer, line: &str, body: &str) -> Answer {
    let connector = Connector::new(&Tls::from_props(&stores("")).unwrap()).unwrap();
    let stream = TcpStream::connect(server.local_addr).await.unwrap();
    let mut stream = connector.connect(stream, "localhost").await.unwrap();
    let head =
        format!("{line} HTTP/1.1\r\nHost: localhost:9\r\nConnection: close\r\nContent-Type: application/json\r\n");
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Answer::parse(&answer)
}

#[tokio::test]
async fn an_https_listener_answers_with_its_own_keys_or_the_workers() {
    for prefix in ["listeners.https.", ""] {
        let server = start(stores(prefix)).await;
        assert_eq!(ask(&server, "GET /", "").await.code(), 200, "{prefix}");
        let create = r#"{"name":"c","config":{"connector.class":"MirrorSourceConnector"}}"#;
        let created = ask(&server, "POST /connectors", create).await;
        assert_eq!(created.header("location"), Some("https://localhost:9/connectors/c"));
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_gets_nothing_and_harms_nobody() {
    let server = start(stores("listeners.https.")).await;
    let mut silent = TcpStream::connect(server.local_addr).await.unwrap();
    let mut plain = TcpStream::connect(server.local_addr).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"));
    assert_eq!(ask(&server, "GET /connectors", "").await.code(), 200);
    // Stopping does not wait for the one that never began.
    tokio::time::timeout(std::time::Duration::from_secs(5), server.shutdown()).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn keys_below_the_prefix_are_not_mixed_with_the_workers() {
    let mut props = stores("");
    props.insert("listeners.https.ssl.client.auth".to_owned(), "none".to_owned());
    let error = options("https://127.0.0.1:0", props).map(|_| ()).unwrap_err();
    assert!(error.message().contains("configuration listeners.https.ssl.keystore.location"), "{error}");
    let mut props = stores("listeners.https.");
    props.insert("admin.listeners".to_owned(), "https://127.0.0.1:0".to_owned());
    props.insert("admin.listeners.https.ssl.client.auth".to_owned(), "none".to_owned());
    let error = options("https://127.0.0.1:0", props).map(|_| ()).unwrap_err();
    assert!(error.message().contains("configuration admin.listeners.https.ssl.keystore.location"), "{error}");
}

#[tokio::test]
async fn workers_ask_each_other_over_tls() {
    let server = start(stores("listeners.https.")).await;
    let url = format!("https://localhost:{}/", server.local_addr.port());
    let tls = options("https://127.0.0.1:0", stores("listeners.https.")).unwrap().forward_tls;
    let trusting = PeerClient::new("HmacSHA256", tls).unwrap();
    trusting.put_task_configs(&url, "c", &[], None).await.unwrap();
    let wrong_host = format!("https://127.0.0.2:{}/", server.local_addr.port());
    let plain = PeerClient::new("HmacSHA256", None).unwrap();
    for (client, url, words) in [(&trusting, &wrong_host, "ConnectException"), (&plain, &url, "listeners.https")] {
        let error = client.put_task_configs(url, "c", &[], None).await.unwrap_err();
        assert!(error.message().contains(words), "{error}");
    }
}
