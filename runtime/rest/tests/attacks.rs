//! Requests that mean harm: names, bodies and validations that would reach further than they should.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::client::{Answer, ask, raw, request, send};
use common::herder::FakeHerder;
use common::{options, start};
use millrace_core::herder::{SessionKey, Signing};
use millrace_rest::RestOptions;

fn herder() -> Arc<FakeHerder> {
    Arc::new(FakeHerder::new("127.0.0.1:8083"))
}

fn create(name: &str) -> String {
    let name = serde_json::Value::from(name);
    format!(r#"{{"name":{name},"config":{{"connector.class":"FileStreamSource","topic":"t"}}}}"#)
}

#[tokio::test]
async fn a_name_never_leaves_its_place() {
    let server = start(&herder(), options()).await;
    let address = server.local_addr;
    let cases = [
        ("a/../../admin", Some("http://localhost:8083/connectors/a/../../admin")),
        ("..", Some("http://localhost:8083/connectors/..")),
        ("a%2Fb", Some("http://localhost:8083/connectors/a%252Fb")),
        ("\u{202e}evil", Some("http://localhost:8083/connectors/%E2%80%AEevil")),
        ("x\r\nSet-Cookie: a=b", None),
        ("x\u{0}y", None),
    ];
    for (name, location) in cases {
        let answer = send(address, "POST /connectors", &create(name)).await;
        assert_eq!(answer.code(), if location.is_some() { 201 } else { 400 }, "{name:?}: {answer:?}");
        assert_eq!(answer.header("location"), location);
        assert_eq!(answer.header("set-cookie"), None);
    }
    for path in ["a%2Fb", "a%2fb", "..%2Fadmin", "%2e%2e", "a%0d%0aX:%20y", "a%00", "a%5Cb", "a\\b", "%u002e"] {
        let answer = ask(address, &format!("GET /connectors/{path}")).await;
        assert_eq!(answer.code(), 400, "{path}");
        assert_eq!(answer.header("x"), None);
    }
    let long = "n".repeat(1 << 20);
    assert_eq!(send(address, "POST /connectors", &create(&long)).await.code(), 413);
    let head =
        raw(address, format!("GET /connectors/{long} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
    assert!(head.is_empty() || head.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&head));
}

#[tokio::test]
async fn json_is_bounded_in_every_body() {
    let herder = herder();
    let server = start(&herder, options()).await;
    let deep = |before: &str, depth: usize| format!("{before}{}", "[".repeat(depth));
    let objects = r#"{"a":"#.repeat(400_000 / 5);
    for (line, body) in [
        ("PATCH /connectors/c/offsets", deep(r#"{"offsets":[{"partition":{"a":"#, 400_000)),
        ("PATCH /connectors/c/offsets", format!(r#"{{"offsets":[{{"offset":{objects}"#)),
        ("PATCH /connectors/c/offsets", deep(r#"{"bogus":"#, 400_000)),
    ] {
        let answer = send(server.local_addr, line, &body).await;
        assert_eq!(answer.code(), 500, "{line}");
        assert!(answer.body.contains("Document nesting depth (1001) exceeds the maximum allowed"), "{}", answer.body);
    }
    // As deep as may be is read, held and answered without harm.
    let depth = 994;
    let body =
        format!(r#"{{"offsets":[{{"partition":{{"a":{}{}}},"offset":null}}]}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(send(server.local_addr, "PATCH /connectors/c/offsets", &body).await.code() >= 400);
    for (line, body) in [
        ("PUT /admin/loggers/root", deep(r#"{"level":"#, 400_000)),
        ("POST /connectors/c/tasks", deep("[", 400_000)),
        ("PATCH /connectors/c/config", deep(r#"{"a":"#, 400_000)),
    ] {
        assert_eq!(send(server.local_addr, line, &body).await.code(), 500, "{line}");
    }
}

/// Of two keys the last one counts, in what is written and in what is checked.
#[tokio::test]
async fn a_key_that_comes_twice_is_checked_as_it_is_written() {
    let herder = herder();
    let server = start(&herder, options()).await;
    let body = r#"{"connector.class":"FileStreamSource","topic":"one","name":"other","topic":"two","name":"c"}"#;
    assert_eq!(send(server.local_addr, "PUT /connectors/c/config", body).await.code(), 201);
    assert_eq!(herder.written.lock().unwrap()["topic"], "two");
    let body = r#"{"connector.class":"FileStreamSource","topic":"one","name":"c","name":"other"}"#;
    assert_eq!(send(server.local_addr, "PUT /connectors/c/config", body).await.code(), 400);
}

/// Nothing is unpacked: whatever the header says, the bytes are no JSON.
#[tokio::test]
async fn a_packed_body_is_not_unpacked() {
    let server = start(&herder(), options()).await;
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let bomb = [&b"\x1f\x8b\x08\x00"[..], &[0; 1000]].concat();
    let answer = request(server.local_addr, "POST /connectors", &headers, &bomb).await;
    assert_eq!(answer.code(), 500);
    assert!(answer.body.contains("Illegal character"), "{}", answer.body);
}

#[tokio::test]
async fn a_body_that_trickles_in_is_cut_off_wherever_it_goes() {
    let options = RestOptions { body_timeout: Duration::from_millis(100), ..options() };
    let server = start(&herder(), options).await;
    let began = Instant::now();
    for line in [
        "PATCH /connectors/c/offsets",
        "POST /connectors/c/tasks",
        "PUT /admin/loggers/root",
        "PUT /connectors/c/fence",
    ] {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        );
        assert_eq!(Answer::parse(&raw(server.local_addr, head.as_bytes()).await).code(), 408, "{line}");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_validation_that_hangs_ends_like_every_other() {
    let herder = herder();
    let options = RestOptions { validate_timeout: Duration::from_millis(100), ..options() };
    let server = start(&herder, options).await;
    *herder.validate_delay.lock().unwrap() = Duration::from_mins(1);
    let body = r#"{"connector.class":"FileStreamSource","topic":"t","name":"x"}"#;
    let line = "PUT /connector-plugins/FileStreamSource/config/validate";
    let began = Instant::now();
    // More than run at once: those that wait end in time too.
    let all = (0..20).map(|_| send(server.local_addr, line, body));
    let mut answers = tokio::task::JoinSet::new();
    for answer in all {
        answers.spawn(answer);
    }
    while let Some(answer) = answers.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((answer.code(), answer.body.as_str()), (500, r#"{"error_code":500,"message":"Request timed out"}"#));
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    *herder.validate_delay.lock().unwrap() = Duration::ZERO;
    assert_eq!(send(server.local_addr, line, body).await.code(), 200);
}

/// Attack of the unsigned request: whatever else it says, nothing is carried out.
#[tokio::test]
async fn an_unsigned_request_among_workers_is_not_carried_out() {
    let herder = herder();
    let key = SessionKey { algorithm: "HmacSHA256".to_owned(), key: vec![1; 32], created: 0 };
    let server = start(&herder, options()).await;
    let json = ("Content-Type", "application/json");
    for signing in [Signing::Pending, Signing::Keys(vec![key]), Signing::Keys(Vec::new())] {
        *herder.signing.lock().unwrap() = signing;
        for headers in [
            vec![json],
            vec![json, ("X-Connect-Authorization", "")],
            vec![json, ("X-Connect-Authorization", ""), ("X-Connect-Request-Signature-Algorithm", "")],
            vec![json, ("X-Connect-Authorization", ""), ("X-Connect-Request-Signature-Algorithm", "HmacSHA256")],
            vec![json, ("X-Connect-Authorization", "AAAA"), ("X-Connect-Request-Signature-Algorithm", "none")],
            vec![json, ("Authorization", "Basic YWRtaW46YWRtaW4=")],
        ] {
            for line in
                ["POST /connectors/c/tasks", "PUT /connectors/c/fence", "POST /connectors/c/tasks?forward=false"]
            {
                let code = request(server.local_addr, line, &headers, b"[]").await.code();
                assert!(matches!(code, 400 | 403 | 503), "{line} {headers:?}: {code}");
            }
        }
    }
    assert!(herder.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn traces_and_errors_do_not_repeat_secrets() {
    let herder = herder();
    let server = start(&herder, options()).await;
    let address = server.local_addr;
    let config =
        r#"{"connector.class":"MirrorSourceConnector","connection.password":"hunter2-canary","tasks.max":"1"}"#;
    assert_eq!(send(address, "PUT /connectors/c/config", config).await.code(), 201);
    herder.fail_task("c", "java.sql.SQLException: login as app with hunter2-canary failed");
    for line in ["GET /connectors/c/status", "GET /connectors/c/tasks/0/status", "GET /connectors?expand=status"] {
        let answer = ask(address, line).await;
        assert!(answer.body.contains("login as app with [hidden] failed"), "{line}: {}", answer.body);
    }
    let wrong = config.replace(r#""1""#, r#""hunter2-canary""#);
    for line in ["PUT /connectors/c/config", "PUT /connector-plugins/MirrorSourceConnector/config/validate"] {
        let answer = send(address, line, &wrong).await;
        assert!(!answer.body.contains("Invalid value hunter2"), "{line}: {}", answer.body);
    }
}
