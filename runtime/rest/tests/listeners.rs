//! Listeners, the headers that answers get on each, and pages of other origins. What is expected was recorded from Kafka Connect
//! 4.3.1 with the same settings.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::client::{Answer, ask, request};
use common::herder::FakeHerder;
use common::start;
use millrace_api::config::Props;
use millrace_core::worker_config::{Mode, WorkerConfig};
use millrace_rest::{RestOptions, RestServer, serve};

fn parse(props: &Props) -> millrace_api::Result<RestOptions> {
    let (config, _) = WorkerConfig::load(Mode::Standalone, props)?;
    RestOptions::of(&config, props)
}

async fn with(settings: &[(&str, &str)]) -> RestServer {
    let mut props: Props = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    props.entry("listeners".to_owned()).or_insert("http://127.0.0.1:0".to_owned());
    start(&Arc::new(FakeHerder::new("127.0.0.1:8083")), parse(&props).unwrap()).await
}

const CORS: [(&str, &str); 2] = [
    ("access.control.allow.origin", "http://a.example,http://*.b.example"),
    ("access.control.allow.methods", "PUT,GET"),
];

async fn from(server: &RestServer, line: &str, headers: &[(&str, &str)]) -> Answer {
    request(server.local_addr, line, headers, b"").await
}

#[tokio::test]
async fn only_allowed_origins_may_read_answers() {
    let server = with(&CORS).await;
    let allowed = ["http://a.example", "http://A.example", "http:///b.example", "http://a.example http://evil"];
    for origin in allowed {
        let answer = from(&server, "GET /connectors", &[("Origin", origin)]).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert_eq!(answer.header("access-control-allow-methods"), None);
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    for origin in ["http://evil.example", "http://x.b.example", "http://a.example.evil", "null", ""] {
        let answer = from(&server, "GET /connectors", &[("Origin", origin)]).await;
        assert_eq!((answer.code(), answer.header("access-control-allow-origin")), (200, None), "{origin}");
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    let missing = from(&server, "GET /nope", &[("Origin", "http://a.example")]).await;
    assert_eq!(missing.header("access-control-allow-origin"), Some("http://a.example"));
    let plain = ask(server.local_addr, "GET /connectors").await;
    assert_eq!((plain.header("vary"), plain.header("access-control-allow-origin")), (Some("Origin"), None));
    let without = with(&[]).await;
    let answer = from(&without, "GET /connectors", &[("Origin", "http://a.example")]).await;
    assert_eq!((answer.header("vary"), answer.header("access-control-allow-origin")), (None, None));
}

#[tokio::test]
async fn a_page_that_asks_first_is_told_what_it_may_do() {
    let server = with(&CORS).await;
    let ask = [("Origin", "http://a.example"), ("Access-Control-Request-Method", "DELETE")];
    let answer = from(&server, "OPTIONS /connectors", &ask).await;
    assert_eq!((answer.code(), answer.body.as_str()), (200, "HEAD, POST, GET, OPTIONS"));
    for (name, value) in [
        ("access-control-allow-origin", "http://a.example"),
        ("access-control-allow-methods", "PUT,GET"),
        ("access-control-allow-headers", "Content-Type"),
        ("access-control-max-age", "60"),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let evil = [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "PUT")];
    let answer = from(&server, "OPTIONS /connectors", &evil).await;
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{answer:?}");
    let simple = from(&server, "OPTIONS /connectors", &[("Origin", "http://a.example")]).await;
    assert_eq!(simple.header("access-control-allow-methods"), None);
    let any = with(&[("access.control.allow.origin", "*")]).await;
    let answer = from(&any, "OPTIONS /connectors", &evil).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://evil.example"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST,HEAD"));
}

#[tokio::test]
async fn answers_get_the_headers_of_the_worker_file() {
    let rules =
        r#"set X-Frame-Options:DENY, "add Cache-Control: no-cache, no-store", setDate Expires:0, addDate X-D:86400000"#;
    let server = with(&[("response.http.headers.config", rules)]).await;
    for line in ["GET /connectors", "GET /nope", "GET /health", "PUT /connectors/x/pause"] {
        let answer = ask(server.local_addr, line).await;
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{line}");
        assert_eq!(answer.header("cache-control"), Some("no-cache, no-store"));
        assert!(answer.header("expires").is_some_and(|date| date.ends_with(" GMT")));
        assert_ne!(answer.header("expires"), answer.header("x-d"));
    }
    let refused = ask(server.local_addr, "GET /a%2Fb").await;
    assert_eq!(refused.header("x-frame-options"), None, "what cannot be a request gets none");
}

#[tokio::test]
async fn loggers_can_have_listeners_of_their_own_or_none() {
    let not_found = r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#;
    let [origin, _] = CORS;
    let server =
        with(&[("admin.listeners", "http://127.0.0.1:0"), origin, ("response.http.headers.config", "set X:1")]).await;
    let admin = server.admin_addr.unwrap();
    for line in ["GET /admin/loggers", "GET /admin/loggers/root", "PUT /admin/loggers/root"] {
        assert_eq!(ask(server.local_addr, line).await.body, not_found, "{line}");
    }
    let answer = request(admin, "GET /admin/loggers", &[("Origin", "http://a.example")], b"").await;
    assert_eq!((answer.code(), answer.body.as_str()), (200, "{}"));
    assert_eq!((answer.header("vary"), answer.header("x")), (None, None));
    for line in
        ["GET /", "GET /health", "GET /connectors", "GET /metrics", "DELETE /connectors/c", "GET /millrace/topics"]
    {
        let answer = ask(admin, line).await;
        assert_eq!((answer.code(), answer.body.as_str()), (404, not_found), "{line}");
    }
    let none = with(&[("admin.listeners", "")]).await;
    assert_eq!((ask(none.local_addr, "GET /admin/loggers").await.code(), none.admin_addr), (404, None));
    let same = with(&[]).await;
    assert_eq!(ask(same.local_addr, "GET /admin/loggers").await.code(), 200);
}

#[tokio::test]
async fn several_listeners_answer_the_same() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = with(&[("listeners", &format!("HTTP://127.0.0.1:0, http://{free}"))]).await;
    for address in [server.local_addr, free] {
        assert_eq!(ask(address, "GET /connectors").await.body, "[]");
    }
}

#[tokio::test]
async fn topics_are_not_tracked_or_not_forgotten_when_the_worker_file_says_so() {
    let server = with(&[("topic.tracking.allow.reset", "false")]).await;
    let reset = ask(server.local_addr, "PUT /connectors/x/topics/reset").await;
    assert_eq!(reset.body, r#"{"error_code":403,"message":"Topic tracking reset is disabled."}"#);
    assert_eq!(ask(server.local_addr, "GET /connectors/x/topics").await.body, r#"{"x":{"topics":[]}}"#);
    let server = with(&[("topic.tracking.enable", "FALSE")]).await;
    for line in ["GET /connectors/x/topics", "PUT /connectors/x/topics/reset"] {
        let answer = ask(server.local_addr, line).await;
        assert_eq!(answer.code(), 403);
        assert_eq!(answer.body, r#"{"error_code":403,"message":"Topic tracking is disabled."}"#);
    }
}

#[tokio::test]
async fn a_wrong_setting_is_named() {
    for (key, value) in [
        ("admin.listeners", "gopher://x"),
        ("admin.listeners", "https://127.0.0.1:0"),
        ("listeners", "127.0.0.1"),
        ("access.control.allow.origin", "http://["),
        ("access.control.allow.methods", "G T"),
        ("response.http.headers.config", "set"),
        ("inter.worker.verification.algorithms", "HmacMD5"),
        ("inter.worker.verification.algorithms", ""),
        ("topic.tracking.enable", "yes"),
        ("rest.mask.secrets", "1"),
    ] {
        let mut props: Props = [("listeners".to_owned(), "http://127.0.0.1:0".to_owned())].into();
        if key == "access.control.allow.methods" {
            props.insert("access.control.allow.origin".to_owned(), "*".to_owned());
        }
        props.insert(key.to_owned(), value.to_owned());
        let herder = Arc::new(FakeHerder::new("127.0.0.1:8083"));
        let error = match parse(&props) {
            Ok(options) => serve(herder, options).await.map(|_| ()).unwrap_err(),
            Err(error) => error,
        };
        assert!(error.message().contains(key), "{key}={value}: {error}");
    }
}
