//! The task driven as the runtime drives it, with requests over real connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_wrap,
    reason = "tests"
)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::ErrorKind;
use millrace_api::config::Config as _;
use millrace_api::connector::{ConnectorPlugin as _, SourceTask as _};
use millrace_connector_http::{HttpPlugin, HttpSourceConfig, HttpSourceTask};
use serde_json::json;
use support::{MemoryLog, Running, props, send, settle, try_start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ORDER: &str = r#"{"orderId":"o-1","customerId":7,"price":19.99}"#;

fn order(id: usize) -> String {
    format!(r#"{{"orderId":"o-{id}","price":{id}.5}}"#)
}

#[tokio::test]
async fn accepted_only_after_the_log_has_it() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[("http.headers.include", "X-Request-Id")]).await;
    let answer = running.post(ORDER, &[("X-Request-Id", "r-9"), ("Idempotency-Key", "k-1")]);
    let batch = running.poll().await;
    running.log.append(&batch, |_| true);
    settle().await;
    assert!(!answer.is_finished(), "answered before the log had it");
    running.task.committed(batch.token).await;
    let answer = answer.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body), (202, json!({"accepted": 1})));
    let stored = &log.records()[0];
    assert_eq!(stored.key.as_deref(), Some("\"o-1\""));
    assert_eq!(stored.value, r#"{"orderId":"o-1","customerId":7,"price":19.99}"#);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(stored.headers, [header("idempotency-key", "k-1"), header("x-request-id", "r-9")]);
    running.task.stop().await;
}

#[tokio::test]
async fn requests_that_wait_go_in_one_batch_and_a_bound_splits_between_requests() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[("http.batch.max.records", "4")]).await;
    let mut answers = Vec::new();
    for id in 0..3 {
        answers.push(running.post(&format!("[{},{}]", order(2 * id), order(2 * id + 1)), &[]));
        settle().await;
    }
    let (first, second) = (running.poll().await, running.poll().await);
    assert_eq!((first.records.len(), second.records.len()), (4, 2));
    let origins: Vec<u32> = first.records.rows().iter().map(|row| row.origin).collect();
    assert_eq!(origins, [0, 1, 2, 3]);
    assert_eq!(second.records.get(0).unwrap().key().as_str(), Some("o-4"));
    // Being told about the second includes the first.
    running.task.committed(second.token).await;
    for answer in answers {
        assert_eq!(answer.await.unwrap().body, json!({"accepted": 2}));
    }
    running.task.stop().await;
}

#[tokio::test]
async fn a_dropped_poll_loses_nothing() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[]).await;
    for id in 0..20 {
        let answer = running.post(&order(id), &[]);
        for _ in 0..5 {
            let _ = tokio::time::timeout(Duration::from_micros(50), std::future::pending::<()>()).await;
            let poll = running.task.poll();
            tokio::pin!(poll);
            tokio::select! { biased; () = std::future::ready(()) => {} _ = &mut poll => panic!("not polled yet") }
        }
        assert_eq!(running.deliver().await, 1);
        assert_eq!(answer.await.unwrap().status, 202);
    }
    assert_eq!(log.records().len(), 20);
    running.task.stop().await;
}

#[tokio::test]
async fn an_invalid_record_is_named_and_nothing_is_produced() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[]).await;
    let answer = running.post(r#"{"orderId":"o-1","price":"cheap"}"#, &[]).await.unwrap();
    let fault = json!([{"index": 0, "field": "/price", "message": "value is not of type \"number\""}]);
    assert_eq!(answer.status, 400);
    assert_eq!((&answer.body["error_code"], &answer.body["errors"]), (&json!(400), &fault));

    let batch = format!(r#"[{},{{"orderId":"o-2"}},{},{{"price":-1}}]"#, order(1), order(3));
    let answer = running.post(&batch, &[]).await.unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["message"], "2 of 4 records are invalid; nothing was produced");
    let faults: Vec<_> =
        answer.body["errors"].as_array().unwrap().iter().map(|e| (e["index"].clone(), e["field"].clone())).collect();
    assert!(faults.contains(&(json!(1), json!("/price"))), "{faults:?}");
    assert!(
        faults.contains(&(json!(3), json!("/orderId"))) && faults.contains(&(json!(3), json!("/price"))),
        "{faults:?}"
    );
    for body in
        ["", "{", "[1,", "null", "[null]", r#"{"orderId":"1","price":1,"price":2}"#, "{\"a\":18446744073709551616}"]
    {
        let answer = running.post(body, &[]).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body["error_code"]), (400, &json!(400)), "{body}");
    }
    let idle = running.task.poll().await.unwrap();
    assert!(idle.records.is_empty(), "an invalid request was produced");
    running.task.stop().await;
}

#[tokio::test]
async fn the_key_must_be_there() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[("http.schema", "{}"), ("key.field", "/order/id")]).await;
    for (body, message) in [
        (r#"{"order":{}}"#, "the record's key is missing"),
        (r#"{"order":{"id":null}}"#, "the record's key is missing"),
        ("7", "the record's key is missing"),
        (r#"{"order":{"id":1.5}}"#, "the record's key must be a string or an integer"),
    ] {
        let answer = running.post(body, &[]).await.unwrap();
        assert_eq!(answer.body["errors"], json!([{"index": 0, "field": "/order/id", "message": message}]), "{body}");
    }
    let answer = running.post(r#"{"order":{"id":42}}"#, &[]);
    running.deliver().await;
    assert_eq!(answer.await.unwrap().status, 202);
    assert_eq!(log.records()[0].key.as_deref(), Some("42"));
    running.task.stop().await;
}

#[tokio::test]
async fn an_array_is_appended_as_a_whole() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[]).await;
    let body = format!("[{},{},{}]", order(0), order(1), order(2));
    let answer = running.post(&body, &[("idempotency-key", "k")]);
    assert_eq!(running.deliver().await, 3);
    assert_eq!(answer.await.unwrap().body, json!({"accepted": 3}));
    let mut indexes: Vec<_> = log.records().into_iter().map(|record| record.headers[1].clone()).collect();
    indexes.sort();
    let index = |value: &str| ("idempotency-index".to_owned(), value.to_owned());
    assert_eq!(indexes, [index("0/3"), index("1/3"), index("2/3")]);
    assert_eq!(running.post("[]", &[]).await.unwrap().body, json!({"accepted": 0}));
    running.task.stop().await;
}

#[tokio::test]
async fn what_is_no_order_is_refused() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[("http.max.body.bytes", "1000"), ("http.max.records", "3")]).await;
    let json_type = ("content-type", "application/json");
    for (method, path, headers, status) in [
        ("POST", "/api/orders/1", vec![json_type], 404),
        ("POST", "/", vec![json_type], 404),
        ("POST", "/api/%6frders", vec![json_type], 404),
        ("GET", "/api/orders", vec![], 405),
        ("DELETE", "/api/orders", vec![], 405),
        ("POST", "/api/orders", vec![], 415),
        ("POST", "/api/orders", vec![("content-type", "text/plain")], 415),
        ("POST", "/api/orders", vec![json_type, ("content-encoding", "gzip")], 415),
        ("POST", "/api/orders", vec![json_type, ("idempotency-key", "")], 400),
        ("POST", "/api/orders", vec![json_type, ("idempotency-key", "a"), ("idempotency-key", "b")], 400),
    ] {
        let answer = send(running.request(method, path, ORDER, &headers)).await;
        assert_eq!((answer.status.as_u16(), &answer.body["error_code"]), (status, &json!(status)), "{method} {path}");
        assert_eq!(answer.allow.as_deref(), (status == 405).then_some("POST"));
    }
    let long_key = "k".repeat(256);
    assert_eq!(running.post(ORDER, &[("idempotency-key", &long_key)]).await.unwrap().status, 400);
    let large = format!(r#"{{"orderId":"{}","price":1}}"#, "x".repeat(1_000));
    assert_eq!(running.post(&large, &[]).await.unwrap().status, 413);
    let many = format!("[{0},{0},{0},{0}]", order(1));
    assert_eq!(running.post(&many, &[]).await.unwrap().status, 400);
    assert!(running.task.poll().await.unwrap().records.is_empty());
    running.task.stop().await;
}

/// Sends bytes as they are and reads until the other side has nothing more.
async fn raw(running: &Running, text: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(running.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), async {
        let mut chunk = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..n]);
            if answer.ends_with(b"}") {
                break;
            }
        }
    })
    .await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn slow_and_endless_bodies_are_cut_off() {
    let log = Arc::new(MemoryLog::default());
    let changes = [("http.body.timeout.ms", "200"), ("http.max.body.bytes", "1000")];
    let mut running = Running::start(&log, &changes).await;
    let head = "POST /api/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let started = Instant::now();
    let answer = raw(&running, &format!("{head}Content-Length: 100\r\n\r\n{{\"orderId\"")).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(3));
    let chunk = format!("258\r\n{}\r\n", " ".repeat(600));
    let answer = raw(&running, &format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Told before anything is read.
    let answer = raw(&running, &format!("{head}Content-Length: 99999999999\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    running.task.stop().await;
}

#[tokio::test]
async fn back_pressure_is_told() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[("http.max.pending.requests", "2")]).await;
    let pending = [running.post(&order(1), &[]), running.post(&order(2), &[])];
    settle().await;
    let refused = running.post(&order(3), &[]).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.retry_after.as_deref()), (503, Some("1")));
    // Polled ones count until they are answered.
    let batch = running.poll().await;
    assert_eq!(running.post(&order(3), &[]).await.unwrap().status, 503);
    running.task.committed(batch.token).await;
    for answer in pending {
        assert_eq!(answer.await.unwrap().status, 202);
    }
    let again = running.post(&order(3), &[]);
    running.deliver().await;
    assert_eq!(again.await.unwrap().status, 202);
    running.task.stop().await;

    let bytes = [("http.max.pending.bytes", "2000"), ("http.max.body.bytes", "2000")];
    let mut running = Running::start(&log, &bytes).await;
    let large = |id: usize| format!(r#"{{"orderId":"{id}","price":1,"note":"{}"}}"#, "x".repeat(1_200));
    let first = running.post(&large(1), &[]);
    settle().await;
    assert_eq!(running.post(&large(2), &[]).await.unwrap().status, 503);
    running.deliver().await;
    assert_eq!(first.await.unwrap().status, 202);
    running.task.stop().await;
}

#[tokio::test]
async fn a_log_that_is_silent_is_told_apart_from_one_that_never_got_it() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[("http.ack.timeout.ms", "200")]).await;
    let answer = running.post(ORDER, &[("idempotency-key", "k")]).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.retry_after.as_deref()), (503, Some("1")));
    assert!(running.task.poll().await.unwrap().records.is_empty(), "a request taken back was produced");

    let answer = running.post(ORDER, &[("idempotency-key", "k")]);
    let batch = running.poll().await;
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 504);
    // It arrives late after all; the client that tries again learns so.
    running.log.append(&batch, |_| true);
    running.task.committed(batch.token).await;
    let answer = running.post(ORDER, &[("idempotency-key", "k")]).await.unwrap();
    assert_eq!(answer.body, json!({"accepted": 1, "duplicate": true}));
    assert_eq!(log.records().len(), 1);
    running.task.stop().await;
}

#[tokio::test]
async fn a_key_is_produced_once() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[]).await;
    let answers: Vec<_> = (0..5).map(|_| running.post(ORDER, &[("idempotency-key", "k")])).collect();
    settle().await;
    assert_eq!(running.deliver().await, 1);
    let mut duplicates = 0;
    for answer in answers {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body["accepted"]), (202, &json!(1)));
        duplicates += usize::from(answer.body["duplicate"] == true);
    }
    assert_eq!((duplicates, log.records().len()), (4, 1));
    let answer = running.post(ORDER, &[("idempotency-key", "k")]).await.unwrap();
    assert_eq!(answer.body, json!({"accepted": 1, "duplicate": true}));
    // An invalid request does not use its key up.
    assert_eq!(running.post("{}", &[("idempotency-key", "k2")]).await.unwrap().status, 400);
    let answer = running.post(ORDER, &[("idempotency-key", "k2")]);
    assert_eq!(running.deliver().await, 1);
    assert_eq!(answer.await.unwrap().body, json!({"accepted": 1}));
    running.task.stop().await;

    let mut running = Running::start(&log, &[("idempotency.enable", "false")]).await;
    let answer = running.post(ORDER, &[("idempotency-key", "k")]);
    assert_eq!(running.deliver().await, 1);
    assert_eq!(answer.await.unwrap().body, json!({"accepted": 1}));
    running.task.stop().await;
}

#[tokio::test]
async fn keys_survive_a_kill_and_a_request_cut_in_half_is_completed() {
    let log = Arc::new(MemoryLog::default());
    let five = format!("[{}]", (0..5).map(order).collect::<Vec<_>>().join(","));
    {
        let mut running = Running::start(&log, &[]).await;
        let whole = running.post(ORDER, &[("idempotency-key", "whole")]);
        running.deliver().await;
        whole.await.unwrap();
        let cut = running.post(&five, &[("idempotency-key", "cut")]);
        let batch = running.poll().await;
        running.log.append(&batch, |index| index < 2);
        cut.abort();
        // Dropped without stop, as a killed process leaves it.
    }
    let mut running = Running::start(&log, &[]).await;
    let answer = running.post(ORDER, &[("idempotency-key", "whole")]).await.unwrap();
    assert_eq!(answer.body, json!({"accepted": 1, "duplicate": true}));
    let other = running.post(ORDER, &[("idempotency-key", "cut")]).await.unwrap();
    assert_eq!(other.status, 422);
    let answer = running.post(&five, &[("idempotency-key", "cut")]);
    assert_eq!(running.deliver().await, 3);
    assert_eq!(answer.await.unwrap().body, json!({"accepted": 5}));
    running.task.stop().await;

    let mut running = Running::start(&log, &[]).await;
    let answer = running.post(&five, &[("idempotency-key", "cut")]).await.unwrap();
    assert_eq!(answer.body, json!({"accepted": 5, "duplicate": true}));
    let mut values: Vec<_> = log.records().into_iter().map(|record| record.value).collect();
    values.sort();
    values.dedup();
    assert_eq!((values.len(), log.records().len()), (6, 6));
    running.task.stop().await;
}

#[tokio::test]
async fn the_scan_is_bounded_by_number_and_age() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[]).await;
    for id in 0..6 {
        let answer = running.post(&order(id), &[("idempotency-key", &format!("k-{id}"))]);
        running.deliver().await;
        answer.await.unwrap();
    }
    running.task.stop().await;
    // All six lie in partition 0; two are read back.
    let mut running = Running::start(&log, &[("idempotency.max.keys", "2")]).await;
    assert_eq!(running.post(&order(5), &[("idempotency-key", "k-5")]).await.unwrap().body["duplicate"], true);
    let answer = running.post(&order(0), &[("idempotency-key", "k-0")]);
    assert_eq!(running.deliver().await, 1);
    assert_eq!(answer.await.unwrap().body, json!({"accepted": 1}));
    running.task.stop().await;

    for partition in log.topic.lock().unwrap().as_mut().unwrap() {
        for record in partition.iter_mut() {
            record.timestamp -= 3_600_001;
        }
    }
    let mut running = Running::start(&log, &[]).await;
    let answer = running.post(&order(5), &[("idempotency-key", "k-5")]);
    assert_eq!(running.deliver().await, 1);
    assert_eq!(answer.await.unwrap().body, json!({"accepted": 1}));
    running.task.stop().await;
}

#[tokio::test]
async fn stop_answers_everybody_and_frees_the_address() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[]).await;
    let polled = running.post(&order(1), &[]);
    let _batch = running.poll().await;
    let waiting = running.post(&order(2), &[]);
    settle().await;
    let started = Instant::now();
    running.task.stop().await;
    assert!(started.elapsed() < Duration::from_secs(1), "stop waited for idle connections");
    for answer in [polled, waiting] {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.retry_after.as_deref()), (503, Some("1")));
    }
    assert_eq!(running.task.poll().await.expect_err("stopped").kind(), ErrorKind::Cancelled);
    let listen = running.address.to_string();
    let mut again = Running::start(&log, &[("http.listen", &listen)]).await;
    again.task.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let log = Arc::new(MemoryLog::default());
    let mut running = Running::start(&log, &[]).await;
    let listen = running.address.to_string();
    let (mut second, started) = try_start(&log, &props(&[("http.listen", &listen)])).await;
    let error = started.expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().starts_with(&format!("Invalid value {listen} for configuration http.listen: ")), "{error}");
    second.stop().await;
    running.task.stop().await;
}

#[tokio::test]
async fn validation_names_the_key() {
    let errors = |changes: &[(&str, &str)]| {
        let props = props(changes);
        async move {
            let values = HttpPlugin.validate(&props).await;
            let wrong: Vec<_> =
                values.into_iter().filter(|value| !value.errors.is_empty()).map(|value| value.name).collect();
            wrong
        }
    };
    assert!(errors(&[]).await.is_empty());
    for (key, value) in [
        ("topic", ""),
        ("http.listen", "8084"),
        ("http.listen", "localhost:99999"),
        ("http.path", "orders"),
        ("http.path", "/a b"),
        ("http.method", "GET"),
        ("http.schema", "{"),
        ("http.schema", r#"{"type":"nonsense"}"#),
        ("http.schema", r#"{"$ref":"file:///etc/passwd"}"#),
        ("http.schema.file", "/etc/hostname"),
        ("http.max.body.bytes", "0"),
        ("idempotency.header", "a b"),
        ("http.headers.include", "ok,a b"),
    ] {
        assert_eq!(errors(&[(key, value)]).await, [key], "{key}={value}");
    }
    assert_eq!(HttpSourceConfig::def().keys.len(), HttpPlugin.config_def().keys.len());
    let _ = HttpSourceTask::default();
}
