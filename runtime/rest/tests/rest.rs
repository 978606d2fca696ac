//! What the REST API does beyond Kafka Connect's answers: limits, deadlines, shutdown, probes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::client::{Answer, ask, raw, send};
use common::herder::FakeHerder;
use common::{options, start};
use millrace_api::ErrorKind;
use millrace_api::config::Props;
use millrace_core::herder::Herder;
use millrace_core::progress::{Ages, Stall, TaskProgress};
use millrace_rest::{RestOptions, StalledTasks, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOURCE: &str = r#"{"connector.class":"FileStreamSource","topic":"t"}"#;

fn herder() -> Arc<FakeHerder> {
    Arc::new(FakeHerder::new("127.0.0.1:8083"))
}

fn source(name: &str) -> Props {
    let pairs = [("connector.class", "FileStreamSource"), ("topic", "t"), ("name", name)];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn validation_answers_with_every_definition_and_value() {
    let server = start(&herder(), options()).await;
    let config = r#"{"connector.class":"FileStreamSource","name":"v","topic":"t","transforms":"a","transforms.a.type":"org.apache.kafka.connect.transforms.InsertField$Value"}"#;
    let answer = send(server.local_addr, "PUT /connector-plugins/FileStreamSource/config/validate", config).await;
    // Formatting aside, the answer of a real worker to the same question, byte for byte.
    let expected: Value = serde_json::from_str(include_str!("golden/validate-filestream-source-4.3.1.json")).unwrap();
    assert_eq!(answer.body, expected.to_string());
}

#[tokio::test]
async fn a_null_of_an_unknown_key_is_an_error_without_a_definition() {
    let server = start(&herder(), options()).await;
    let config = r#"{"connector.class":"FileStreamSource","name":"v","topic":"t","a":null,"file":null}"#;
    let answer = send(server.local_addr, "PUT /connector-plugins/FileStreamSource/config/validate", config).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["error_count"], 1);
    let first = r#"{"definition":null,"value":{"name":"a","value":null,"recommended_values":[],"errors":["Null value can not be supplied as the configuration value."],"visible":true}}"#;
    assert_eq!(body["configs"][0].to_string(), first);
}

#[tokio::test]
async fn a_failed_task_shows_its_trace_last() {
    let herder = herder();
    herder.store("c", source("c"));
    herder.fail_task("c", "org.apache.kafka.connect.errors.ConnectException: no\n\tat line");
    let server = start(&herder, options()).await;
    let answer = ask(server.local_addr, "GET /connectors/c/tasks/0/status").await;
    let expected = r#"{"id":0,"state":"FAILED","worker_id":"127.0.0.1:8083","version":"4.3.1","trace":"org.apache.kafka.connect.errors.ConnectException: no\n\tat line"}"#;
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn tasks_that_do_not_move_are_visible() {
    let herder = herder();
    let ages = Ages { poll: Some(Duration::from_millis(90_500)), delivery: None, commit: Some(Duration::ZERO) };
    let load = Some(16);
    let task = |task, stalled| TaskProgress { connector: "c".to_owned(), task, ages, stalled, load };
    let stall = Stall::Delivering(Duration::from_secs(90));
    *herder.progress.lock().unwrap() = vec![task(0, None), task(1, Some(stall))];
    let server = start(&herder, options()).await;
    let tasks = ask(server.local_addr, "GET /millrace/tasks").await;
    let expected = r#"[{"connector":"c","task":0,"pollAgeMillis":90500,"deliveryAgeMillis":null,"commitAgeMillis":0,"stalled":null,"load":16},{"connector":"c","task":1,"pollAgeMillis":90500,"deliveryAgeMillis":null,"commitAgeMillis":0,"stalled":"a batch has not been acknowledged for 90 s","load":16}]"#;
    assert_eq!((tasks.code(), tasks.body.as_str()), (200, expected));
    let told = "Tasks that do not move: c-1: a batch has not been acknowledged for 90 s.";
    for (stalled_tasks, code, named) in
        [(StalledTasks::Report, 200, true), (StalledTasks::Fail, 500, true), (StalledTasks::Ignore, 200, false)]
    {
        let server = start(&herder, RestOptions { stalled_tasks, ..options() }).await;
        let health = ask(server.local_addr, "GET /health").await;
        assert_eq!((health.code(), health.body.contains(told)), (code, named), "{}", health.body);
    }
}

#[tokio::test]
async fn health_tells_starting_from_stuck() {
    let herder = herder();
    let server = start(&herder, RestOptions { health_timeout: Duration::from_millis(50), ..options() }).await;
    herder.ready.store(false, Ordering::Relaxed);
    let starting = ask(server.local_addr, "GET /health").await;
    assert_eq!(
        (starting.code(), starting.body.as_str()),
        (503, r#"{"status":"starting","message":"Worker is still starting up."}"#)
    );
    herder.ready.store(true, Ordering::Relaxed);
    *herder.delay.lock().unwrap() = Duration::from_secs(5);
    let stuck = ask(server.local_addr, "GET /health").await;
    assert_eq!(stuck.code(), 500);
    assert!(stuck.body.starts_with(r#"{"status":"unhealthy","message":"Worker was unable to handle this request"#));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let server = start(&herder(), RestOptions { max_body_bytes: 1000, ..options() }).await;
    let large = format!(r#"{{"name":"x","config":{{"a":"{}"}}}}"#, "b".repeat(2000));
    let announced = send(server.local_addr, "POST /connectors", &large).await;
    assert_eq!(announced.code(), 413);
    assert!(announced.body.contains("\"error_code\":413,\"message\":\"HTTP 413 Request Entity Too Large"));

    let head = "POST /connectors HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    assert_eq!(Answer::parse(&raw(server.local_addr, chunked.as_bytes()).await).code(), 413);

    let fits = format!(r#"{{"name":"x","config":{{"a":"{}"}}}}"#, "b".repeat(900));
    assert_eq!(send(server.local_addr, "POST /connectors", &fits).await.code(), 400);
}

#[tokio::test]
async fn json_is_bounded_in_depth_and_in_the_length_of_its_numbers_and_names() {
    let server = start(&herder(), options()).await;
    let nested = |depth: usize| format!("{{\"bogus\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let cases = [
        (
            nested(1000),
            "Document nesting depth (1001) exceeds the maximum allowed (1000, from `StreamReadConstraints.getMaxNestingDepth()`)\"}",
        ),
        (
            nested(400_000),
            "Document nesting depth (1001) exceeds the maximum allowed (1000, from `StreamReadConstraints.getMaxNestingDepth()`)\"}",
        ),
        (
            nested(999),
            "column: 2009] (through reference chain: org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest[\\\"bogus\\\"])\"}",
        ),
        (
            format!("{{\"bogus\":{}}}", "1".repeat(1001)),
            "Number value length (1001) exceeds the maximum allowed (1000, from `StreamReadConstraints.getMaxNumberLength()`)\"}",
        ),
        (
            format!("{{\"bogus\":1.{}}}", "1".repeat(1000)),
            "Number value length (1001) exceeds the maximum allowed (1000, from `StreamReadConstraints.getMaxNumberLength()`)\"}",
        ),
        (
            format!("{{\"{}\":1}}", "n".repeat(50_001)),
            "Name length (50001) exceeds the maximum allowed (50000, from `StreamReadConstraints.getMaxNameLength()`)\"}",
        ),
    ];
    for (body, expected) in cases {
        let answer = send(server.local_addr, "POST /connectors", &body).await;
        assert_eq!(answer.code(), 500);
        assert!(answer.body.ends_with(expected), "{}", answer.body);
    }
}

#[tokio::test]
async fn slow_senders_are_cut_off() {
    let timeout = Duration::from_millis(100);
    let server = start(&herder(), RestOptions { header_timeout: timeout, body_timeout: timeout, ..options() }).await;
    let began = Instant::now();
    let body = b"POST /connectors HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    assert_eq!(Answer::parse(&raw(server.local_addr, body).await).code(), 408);
    let head = raw(server.local_addr, b"GET /connectors HTTP/1.1\r\nHost:").await;
    assert!(head.is_empty() || head.starts_with(b"HTTP/1.1 408"), "{head:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_request_past_its_deadline_is_a_500_and_still_done() {
    let herder = herder();
    *herder.delay.lock().unwrap() = Duration::from_millis(200);
    let server = start(&herder, RestOptions { request_timeout: Duration::from_millis(50), ..options() }).await;
    let answer = send(server.local_addr, "PUT /connectors/c/config", SOURCE).await;
    assert_eq!(answer.status, "500 Server Error");
    assert_eq!(answer.body, r#"{"error_code":500,"message":"Request timed out"}"#);
    eventually(|| herder.written.lock().unwrap().contains_key("topic")).await;
}

#[tokio::test]
async fn a_client_that_leaves_does_not_cut_a_write_off() {
    let herder = herder();
    *herder.delay.lock().unwrap() = Duration::from_millis(200);
    let server = start(&herder, options()).await;
    let mut client = TcpStream::connect(server.local_addr).await.unwrap();
    let head = format!(
        "PUT /connectors/c/config HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        SOURCE.len()
    );
    client.write_all(format!("{head}{SOURCE}").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(client);
    eventually(|| herder.written.lock().unwrap().contains_key("topic")).await;
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = start(&herder(), options()).await;
    let mut client = TcpStream::connect(server.local_addr).await.unwrap();
    for _ in 0..3 {
        client.write_all(b"GET /connectors HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 4096];
        let length = client.read(&mut answer).await.unwrap();
        assert_eq!(Answer::parse(&answer[..length]).body, "[]");
    }
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let server = start(&herder(), RestOptions { max_connections: 1, ..options() }).await;
    let first = TcpStream::connect(server.local_addr).await.unwrap();
    let second = tokio::spawn(ask_owned(server.local_addr, "GET /connectors"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap().code(), 200);
}

async fn ask_owned(address: std::net::SocketAddr, line: &'static str) -> Answer {
    ask(address, line).await
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_then_refuses() {
    let herder = herder();
    *herder.delay.lock().unwrap() = Duration::from_millis(200);
    let server = start(&herder, options()).await;
    let address = server.local_addr;
    let idle = TcpStream::connect(address).await.unwrap();
    let request = tokio::spawn(ask_owned(address, "GET /connectors"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    server.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(2), "an idle connection holds the shutdown up");
    assert_eq!(request.await.unwrap().body, "[]");
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let herder = herder();
    *herder.delay.lock().unwrap() = Duration::from_mins(1);
    let server = start(&herder, RestOptions { shutdown_timeout: Duration::from_millis(100), ..options() }).await;
    let address = server.local_addr;
    let request = tokio::spawn(async move { raw(address, b"GET /connectors HTTP/1.1\r\nHost: x\r\n\r\n").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    server.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(request.await.unwrap().is_empty());
}

#[tokio::test]
async fn listeners_that_cannot_be_bound_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let cases = [
        (format!("http://127.0.0.1:{port}"), "cannot listen on"),
        ("https://127.0.0.1:0".to_owned(), "https needs a certificate"),
        ("127.0.0.1:8083".to_owned(), "expected http://host:port"),
        ("http://127.0.0.1:port".to_owned(), "expected http://host:port"),
        ("http://127.0.0.1:99999".to_owned(), "expected http://host:port"),
        (String::new(), "name at least one"),
    ];
    for (listeners, cause) in cases {
        let error = serve(herder(), RestOptions { listeners: listeners.clone(), ..options() }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with(&format!("Invalid value {listeners} for configuration listeners: ")));
        assert!(error.message().contains(cause), "{}", error.message());
    }
}

#[tokio::test]
async fn every_listener_answers() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let listeners = format!("HTTP://127.0.0.1:0, http://localhost:{}", free.port());
    let server = start(&herder(), RestOptions { listeners, ..options() }).await;
    assert_eq!(ask(server.local_addr, "GET /connectors").await.body, "[]");
    assert_eq!(ask(([127, 0, 0, 1], free.port()).into(), "GET /connectors").await.body, "[]");
}

#[tokio::test]
async fn a_thousand_connectors_are_listed_in_under_10_ms() {
    let herder = herder();
    for number in 0..1000 {
        let name = format!("connector-{number:04}");
        herder.store(&name, source(&name));
    }
    let server = start(&herder, options()).await;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let answer = ask(server.local_addr, "GET /connectors").await;
        best = best.min(began.elapsed());
        let names: Vec<String> = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(names.len(), 1000);
    }
    assert!(best < Duration::from_millis(10), "{best:?}");

    let expanded = ask(server.local_addr, "GET /connectors?expand=status&expand=info").await;
    let expanded: Value = serde_json::from_str(&expanded.body).unwrap();
    assert_eq!(expanded.as_object().unwrap().len(), 1000);
    assert_eq!(expanded["connector-0999"]["info"]["config"]["topic"], "t");
}

#[tokio::test]
async fn names_in_urls_are_decoded_once() {
    let herder = herder();
    herder.store("a b/ü", source("a b/ü"));
    herder.store("a+b", source("a+b"));
    let server = start(&herder, options()).await;
    assert_eq!(ask(server.local_addr, "GET /connectors/a+b/status").await.code(), 200);
    assert_eq!(ask(server.local_addr, "GET /connectors/a%2Bb").await.code(), 200);
    assert_eq!(ask(server.local_addr, "GET /connectors/a%20b%2F%C3%BC").await.code(), 400);
    assert_eq!(ask(server.local_addr, "DELETE /connectors/a%2Bb/").await.code(), 204);
    assert_eq!(herder.connectors().await.unwrap(), ["a b/ü"]);
}

#[tokio::test]
async fn hosts_that_are_no_hosts_are_refused() {
    let server = start(&herder(), options()).await;
    for head in ["", "Host: a\r\nHost: b\r\n", "Host: user@a\r\n", "Host: a/b\r\n"] {
        let data = format!("GET / HTTP/1.1\r\nConnection: close\r\n{head}\r\n");
        assert_eq!(Answer::parse(&raw(server.local_addr, data.as_bytes()).await).code(), 400, "{head}");
    }
    let old = raw(server.local_addr, b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with(b"HTTP/1.0 200 OK"), "{}", String::from_utf8_lossy(&old));
}

#[tokio::test]
async fn a_head_that_never_ends_is_a_431() {
    let server = start(&herder(), options()).await;
    let padding = format!("X-Padding: {}\r\n", "x".repeat(64 * 1024));
    let data = format!("GET / HTTP/1.1\r\nHost: x\r\n{padding}\r\n");
    let answer = raw(server.local_addr, data.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

async fn eventually(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(5), "it never happened");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
