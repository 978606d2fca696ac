//! Requests that another worker answers, what a hostile one can make of them, and requests among workers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::client::{Answer, ask, request, send};
use common::herder::{FakeHerder, Leader};
use common::{options, start};
use millrace_api::ErrorKind;
use millrace_api::config::Props;
use millrace_core::herder::{Herder as _, SessionKey, Signing};
use millrace_core::peers::Peers as _;
use millrace_rest::{PeerClient, RestOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const NO_LEADER: &str = r#"{"error_code":409,"message":"Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway."}"#;
const TWO_HOPS: &str = r#"{"error_code":409,"message":"Cannot complete request because of a conflicting operation (e.g. worker rebalance)"}"#;
const CONFIG: &str = r#"{"connector.class":"FileStreamSource","topic":"t"}"#;

fn herder() -> Arc<FakeHerder> {
    Arc::new(FakeHerder::new("127.0.0.1:8083"))
}

fn source(name: &str) -> Props {
    let pairs = [("connector.class", "FileStreamSource"), ("topic", "t"), ("name", name)];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A herder that sends everything to `url`.
fn follower(url: &str) -> Arc<FakeHerder> {
    let herder = herder();
    herder.store("c", source("c"));
    *herder.leader.lock().unwrap() = Leader::At(url.to_owned());
    herder
}

/// A leader that gives one answer to every request, and keeps the requests.
struct Peer {
    url: String,
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                // The client waits for the answer, so a pause is the end of its request.
                while let Ok(Ok(read @ 1..)) =
                    tokio::time::timeout(Duration::from_millis(100), stream.read(&mut buffer)).await
                {
                    request.extend_from_slice(&buffer[..read]);
                }
                kept.lock().unwrap().push(String::from_utf8(request).unwrap());
                let _ = stream.write_all(&answer).await;
            }
        });
        Self { url: format!("http://{address}/"), address, requests }
    }

    /// The requests so far: first line, headers in order of their names, body.
    fn asked(&self) -> Vec<(String, Vec<String>, String)> {
        let asked = std::mem::take(&mut *self.requests.lock().unwrap());
        let parts = |request: String| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let mut lines = head.split("\r\n").map(str::to_owned);
            let first = lines.next().unwrap();
            let mut headers: Vec<String> = lines.filter(|line| !line.to_lowercase().starts_with("host:")).collect();
            headers.sort();
            (first, headers, body.to_owned())
        };
        asked.into_iter().map(parts).collect()
    }
}

fn json(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

#[tokio::test]
async fn a_request_goes_on_as_kafka_connect_sends_it() {
    let info = r#"{"name":"c","config":{"connector.class":"FileStreamSource","topic":"t","name":"c"},"tasks":[],"type":"source"}"#;
    let leader = Peer::saying(json("200 OK", info)).await;
    let server = start(&follower(&leader.url), options()).await;
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", "Basic dXNlcjpwYXNz"),
        ("Cookie", "a=b"),
        ("X-Own", "1"),
    ];
    let answer = request(server.local_addr, "PUT /connectors/c/config", &headers, CONFIG.as_bytes()).await;
    assert_eq!((answer.code(), answer.body.as_str()), (200, info));
    let (first, headers, body) = leader.asked().remove(0);
    assert_eq!(first, "PUT /connectors/c/config?forward=true HTTP/1.1");
    let expected = [
        "accept: application/json",
        "authorization: Basic dXNlcjpwYXNz",
        "content-length: 61",
        "content-type: application/json",
        "user-agent: kafka-connect",
    ];
    assert_eq!(headers, expected);
    assert_eq!(body, r#"{"connector.class":"FileStreamSource","topic":"t","name":"c"}"#);
}

#[tokio::test]
async fn every_write_goes_on_to_its_own_resource() {
    let leader = Peer::saying(NO_CONTENT).await;
    let server = start(&follower(&leader.url), options()).await;
    let cases = [
        ("DELETE /connectors/c", "", "DELETE /connectors/c?forward=true", ""),
        ("PUT /connectors/c/stop", "", "PUT /connectors/c/stop?forward=true", ""),
        ("POST /connectors/c/restart", "", "POST /connectors/c/restart?forward=true", ""),
        ("POST /connectors/c/tasks/0/restart", "", "POST /connectors/c/tasks/0/restart?forward=true", ""),
        ("DELETE /connectors/c/offsets", "", "DELETE /connectors/c/offsets?forward=true", ""),
        (
            "PATCH /connectors/c/offsets?forward=true",
            r#"{"offsets":[{"partition":{"a":1},"offset":null}]}"#,
            "PATCH /connectors/c/offsets?forward=false",
            r#"{"offsets":[{"partition":{"a":1},"offset":null}]}"#,
        ),
        ("PATCH /connectors/c/config", r#"{"a":null}"#, "PATCH /connectors/c/config?forward=true", r#"{"a":null}"#),
        ("POST /connectors/c/tasks", "[]", "POST /connectors/c/tasks?forward=true", "[]"),
        ("PUT /connectors/c/fence", "", "PUT /connectors/c/fence?forward=true", ""),
        (
            "POST /connectors/c/restart?includeTasks=true",
            "",
            "POST /connectors/c/restart?forward=true&includeTasks=true&onlyFailed=false",
            "",
        ),
        (
            "POST /connectors",
            r#"{"name":"n","config":{"connector.class":"FileStreamSource","topic":"t"},"initial_state":"paused"}"#,
            "POST /connectors?forward=true",
            r#"{"name":"n","config":{"connector.class":"FileStreamSource","topic":"t","name":"n"},"initial_state":"PAUSED"}"#,
        ),
    ];
    for (line, body, expected, expected_body) in cases {
        let answer = if body.is_empty() {
            ask(server.local_addr, line).await
        } else {
            send(server.local_addr, line, body).await
        };
        assert!(answer.code() < 300, "{line}: {answer:?}");
        let (first, _, sent) = leader.asked().remove(0);
        assert_eq!(first, format!("{expected} HTTP/1.1"), "{line}");
        assert_eq!(sent, expected_body, "{line}");
    }
}

#[tokio::test]
async fn a_created_connector_is_located_here() {
    let info = r#"{"name":"n","config":{"connector.class":"FileStreamSource","topic":"t","name":"n"},"tasks":[],"type":"source"}"#;
    let leader = Peer::saying(json("201 Created", info)).await;
    let server = start(&follower(&leader.url), options()).await;
    let answer = send(server.local_addr, "POST /connectors", &format!(r#"{{"name":"n","config":{CONFIG}}}"#)).await;
    assert_eq!((answer.code(), answer.body.as_str()), (201, info));
    assert_eq!(answer.header("location"), Some("http://localhost:8083/connectors/n"));
}

/// The texts are those of Kafka Connect 4.3.1's client, asked for the same.
#[tokio::test]
async fn what_the_leader_refuses_is_relayed() {
    let trouble = |text: &str| (500, format!(r#"{{"error_code":500,"message":"{text}"}}"#));
    let cases = [
        (
            json("404 Not Found", r#"{"error_code":404,"message":"Not here"}"#),
            (404, r#"{"error_code":404,"message":"Not here"}"#.to_owned()),
        ),
        (
            json("400 Bad", r#"{"error_code":4001,"message":"Not here"}"#),
            (400, r#"{"error_code":4001,"message":"Not here"}"#.to_owned()),
        ),
        (
            json("404 Not Found", r#"{"message":"nothing"}"#),
            (404, r#"{"error_code":0,"message":"nothing"}"#.to_owned()),
        ),
        (
            json("302 Found\r\nLocation: http://127.0.0.1:1/", ""),
            trouble("Unexpected status code when handling forwarded request: 302"),
        ),
        (
            json("500 Oops", ""),
            trouble("IO Error trying to forward REST request: No content to map due to end-of-input"),
        ),
        (json("200 OK", ""), trouble("IO Error trying to forward REST request: No content to map due to end-of-input")),
        (
            json("409 Conflict", "bad"),
            trouble(
                "IO Error trying to forward REST request: Unrecognized token 'bad': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]",
            ),
        ),
    ];
    for (answer, expected) in cases {
        let leader = Peer::saying(answer.clone()).await;
        let server = start(&follower(&leader.url), options()).await;
        let relayed = ask(server.local_addr, "DELETE /connectors/c").await;
        assert_eq!((relayed.code(), relayed.body), expected, "{answer}");
        assert_eq!(leader.asked().len(), 1, "no redirect is followed, nothing is tried again");
    }
}

#[tokio::test]
async fn who_cannot_be_asked_is_a_500_with_the_cause() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cases = [
        (
            format!("http://{dead}"),
            "IO Error trying to forward REST request: java.net.ConnectException: Connection refused",
        ),
        ("ftp://127.0.0.1:80".to_owned(), "Error trying to forward REST request: Invalid protocol ftp"),
        ("nonsense".to_owned(), "Error trying to forward REST request: Invalid URI"),
        ("file:///etc/passwd".to_owned(), "Error trying to forward REST request: Invalid"),
        (
            "http://user:secret@127.0.0.1:80".to_owned(),
            "Error trying to forward REST request: Invalid URI authority: it has credentials",
        ),
        (
            "http://169.254.169.254/latest".to_owned(),
            "Error trying to forward REST request: Invalid URI host: no worker listens on 169.254.169.254",
        ),
        (
            "http://[::ffff:169.254.169.254]".to_owned(),
            "Error trying to forward REST request: Invalid URI host: no worker listens on",
        ),
        ("http://0251.0376.0251.0376".to_owned(), "trying to forward REST request: "),
        ("http://host\r\nX: y".to_owned(), "Error trying to forward REST request: Invalid URI syntax"),
    ];
    for (url, expected) in cases {
        let server = start(&follower(&url), options()).await;
        let began = Instant::now();
        let answer = ask(server.local_addr, "PUT /connectors/c/stop").await;
        assert_eq!(answer.code(), 500, "{url}: {answer:?}");
        assert!(answer.body.contains(expected), "{url}: {}", answer.body);
        assert!(!answer.body.contains("secret"), "{}", answer.body);
        assert!(began.elapsed() < Duration::from_secs(5), "{url}");
    }
}

#[tokio::test]
async fn nobody_to_ask_and_a_third_hop_are_409() {
    let herder = herder();
    herder.store("c", source("c"));
    *herder.leader.lock().unwrap() = Leader::Unknown;
    let server = start(&herder, options()).await;
    for (line, expected) in [
        ("DELETE /connectors/c", NO_LEADER),
        ("DELETE /connectors/c?forward=", NO_LEADER),
        ("DELETE /connectors/c?forward=true", NO_LEADER),
        ("DELETE /connectors/c?forward=false", TWO_HOPS),
        ("DELETE /connectors/c?forward=bogus", TWO_HOPS),
    ] {
        let answer = ask(server.local_addr, line).await;
        assert_eq!((answer.code(), answer.body.as_str()), (409, expected), "{line}");
    }
}

#[tokio::test]
async fn workers_that_name_each_other_end_after_two_hops() {
    let (one, other) = (herder(), herder());
    let (first, second) = (start(&one, options()).await, start(&other, options()).await);
    *one.leader.lock().unwrap() = Leader::At(format!("http://{}", second.local_addr));
    *other.leader.lock().unwrap() = Leader::At(format!("http://{}", first.local_addr));
    let began = Instant::now();
    let answer = ask(first.local_addr, "DELETE /connectors/c").await;
    assert_eq!((answer.code(), answer.body.as_str()), (409, TWO_HOPS));
    // One that names itself ends in the same way.
    *one.leader.lock().unwrap() = Leader::At(format!("http://{}", first.local_addr));
    assert_eq!(ask(first.local_addr, "DELETE /connectors/c").await.body, TWO_HOPS);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_endless_or_silent_leader_is_given_up() {
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n{}", " ".repeat(5_000_000));
    let leader = Peer::saying(endless).await;
    let server = start(&follower(&leader.url), options()).await;
    let answer = ask(server.local_addr, "DELETE /connectors/c").await;
    assert_eq!(answer.code(), 500);
    assert!(answer.body.contains("Buffering capacity 2097152 exceeded"), "{}", answer.body);

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let timeout = Duration::from_millis(100);
    let server = start(&follower(&url), RestOptions { forward_timeout: timeout, ..options() }).await;
    let answer = ask(server.local_addr, "DELETE /connectors/c").await;
    assert_eq!(answer.code(), 500);
    assert!(answer.body.contains("TimeoutException"), "{}", answer.body);
}

#[tokio::test]
async fn a_name_cannot_lead_to_another_resource() {
    let leader = Peer::saying(NO_CONTENT).await;
    let herder = follower(&leader.url);
    let server = start(&herder, options()).await;
    let address = server.local_addr;
    let create = |name: &str| format!(r#"{{"name":"{name}","config":{CONFIG}}}"#);
    // A name is only ever in the body of a creation, and one segment of a path elsewhere.
    for name in ["a/../../admin", "..", "a%2Fb", "a?forward=false#"] {
        let _ = send(address, "POST /connectors", &create(name)).await;
        assert_eq!(leader.asked().remove(0).0, "POST /connectors?forward=true HTTP/1.1", "{name}");
    }
    let peers = PeerClient::new("HmacSHA256", None).unwrap();
    for (name, path) in
        [("a/../b", "a%2F..%2Fb"), ("..", "%2E%2E"), ("a b\r\nX: y", "a%20b%0D%0AX:%20y"), ("é?#", "%C3%A9%3F%23")]
    {
        peers.fence_zombies(&leader.url, name, None).await.unwrap();
        assert_eq!(leader.asked().remove(0).0, format!("PUT /connectors/{path}/fence HTTP/1.1"));
    }
}

#[tokio::test]
async fn secrets_in_a_relayed_answer_are_hidden() {
    let config = r#""connector.class":"MirrorSourceConnector","connection.password":"hunter2-canary","name":"c""#;
    let info = format!(r#"{{"name":"c","config":{{{config}}},"tasks":[],"type":"source"}}"#);
    let leader = Peer::saying(json("200 OK", &info)).await;
    let server = start(&follower(&leader.url), options()).await;
    let answer = send(server.local_addr, "PUT /connectors/c/config", &format!("{{{config}}}")).await;
    assert_eq!(answer.code(), 200);
    assert!(answer.body.contains(r#""connection.password":"[hidden]""#), "{}", answer.body);
    assert!(leader.asked().remove(0).2.contains("hunter2-canary"), "the leader gets the secret itself");
}

fn key(text: &str) -> SessionKey {
    SessionKey { algorithm: "HmacSHA256".to_owned(), key: text.as_bytes().to_vec(), created: 0 }
}

/// The signatures were made by Kafka Connect 4.3.1's client.
#[tokio::test]
async fn requests_to_a_leader_are_signed_as_kafka_connect_signs_them() {
    let leader = Peer::saying(NO_CONTENT).await;
    let peers = PeerClient::new("HmacSHA256", None).unwrap();
    peers.fence_zombies(&leader.url, "x", Some(&key("key"))).await.unwrap();
    let config: Props = [("k".to_owned(), "v\u{e9}/".to_owned())].into();
    peers.put_task_configs(&leader.url, "x", &[config], None).await.unwrap();
    let asked = leader.asked();
    assert_eq!(asked[0].0, "PUT /connectors/x/fence HTTP/1.1");
    assert!(asked[0].1.contains(&"x-connect-authorization: XV0TlWPJW1lnub2ajJsjOp3ttFByeUzSMtwbdIMmB9A=".to_owned()));
    assert!(asked[0].1.contains(&"x-connect-request-signature-algorithm: HmacSHA256".to_owned()));
    assert_eq!(
        (asked[1].0.as_str(), asked[1].2.as_str()),
        ("POST /connectors/x/tasks HTTP/1.1", "[{\"k\":\"v\u{e9}/\"}]")
    );
    assert!(!asked[1].1.iter().any(|header| header.starts_with("x-connect")));
    assert_eq!(leader.url, format!("http://{}/", leader.address));
}

#[tokio::test]
async fn a_signed_request_is_carried_out_and_no_other_is() {
    let herder = herder();
    *herder.signing.lock().unwrap() = Signing::Keys(vec![key("right"), key("older")]);
    let server = start(&herder, options()).await;
    let url = format!("http://{}", server.local_addr);
    let peers = PeerClient::new("HmacSHA256", None).unwrap();
    let configs = [[("a".to_owned(), "b".to_owned())].into()];
    for right in ["right", "older"] {
        peers.put_task_configs(&url, "c", &configs, Some(&key(right))).await.unwrap();
        peers.fence_zombies(&url, "c", Some(&key(right))).await.unwrap();
    }
    let done = std::mem::take(&mut *herder.done.lock().unwrap());
    assert_eq!(done.len(), 4);
    assert_eq!((done[0].as_str(), done[1].as_str()), (r#"tasks of c: [{"a": "b"}]"#, "fence c"));

    let wrong = peers.fence_zombies(&url, "c", Some(&key("wrong"))).await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.message()), (ErrorKind::External, "Internal request contained invalid signature."));
    let unsigned = peers.put_task_configs(&url, "c", &configs, None).await.unwrap_err();
    assert_eq!(unsigned.message(), "Internal request missing required signature");
    let other =
        PeerClient::new("HmacSHA512", None).unwrap().fence_zombies(&url, "c", Some(&key("right"))).await.unwrap_err();
    assert!(other.message().starts_with("This worker does not support the 'HmacSHA512' key signing algorithm"));
    *herder.signing.lock().unwrap() = Signing::Pending;
    let early = peers.fence_zombies(&url, "c", Some(&key("right"))).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Retriable, "{early}");
    assert!(early.message().starts_with("This worker is still starting up"));
    assert!(herder.done.lock().unwrap().is_empty(), "nothing of it was carried out");
    assert!(PeerClient::new("HmacMD5", None).is_err());
}

#[tokio::test]
async fn a_signature_goes_along_to_the_new_leader() {
    let leader = herder();
    *leader.signing.lock().unwrap() = Signing::Keys(vec![key("right")]);
    let second = start(&leader, options()).await;
    let first_herder = follower(&format!("http://{}", second.local_addr));
    *first_herder.signing.lock().unwrap() = Signing::Keys(vec![key("right")]);
    let first = start(&first_herder, options()).await;
    let peers = PeerClient::new("HmacSHA256", None).unwrap();
    peers.put_task_configs(&format!("http://{}", first.local_addr), "c", &[], Some(&key("right"))).await.unwrap();
    assert_eq!(*leader.done.lock().unwrap(), ["tasks of c: []"]);
    assert_eq!(leader.connectors().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_worker_says_which_connectors_it_has() {
    let peers = PeerClient::new("HmacSHA256", None).unwrap();
    let body = r#"[{"class":"a.B","type":"sink","version":"1"},{"class":"a.C","type":"source"},{"type":"sink"}]"#;
    let java = Peer::saying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    let classes = peers.connector_plugins(&java.url).await.unwrap();
    assert_eq!(classes.into_iter().collect::<Vec<_>>(), ["a.B", "a.C"]);
    assert_eq!(java.asked()[0].0, "GET /connector-plugins HTTP/1.1");
    let body = r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#;
    for (status, retriable) in [("404 Not Found", true), ("503 Unavailable", true), ("401 Unauthorized", false)] {
        let peer = Peer::saying(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        let error = peers.connector_plugins(&peer.url).await.unwrap_err();
        assert_eq!(error.is_retriable(), retriable, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_patch_keeps_secrets_but_does_not_carry_them_elsewhere() {
    let herder = herder();
    let server = start(&herder, options()).await;
    let address = server.local_addr;
    let config = r#"{"connector.class":"MirrorSourceConnector","connection.url":"db.local","connection.password":"hunter2-canary"}"#;
    assert_eq!(send(address, "PUT /connectors/c/config", config).await.code(), 201);
    let patch = async |body: &str| -> Answer { send(address, "PATCH /connectors/c/config", body).await };
    let kept = patch(r#"{"batch.token":"x","connection.password":"[hidden]"}"#).await;
    assert_eq!(kept.code(), 200, "{}", kept.body);
    assert!(!kept.body.contains("hunter2"), "{}", kept.body);
    assert_eq!(herder.written.lock().unwrap()["connection.password"], "hunter2-canary");
    for body in [r#"{"connection.url":"evil"}"#, r#"{"connection.url":"evil","connection.password":"[hidden]"}"#] {
        let refused = patch(body).await;
        assert_eq!(refused.code(), 400, "{}", refused.body);
        assert!(refused.body.contains("Send the secret again"), "{}", refused.body);
    }
    assert_eq!(herder.written.lock().unwrap()["connection.url"], "db.local");
    let again = patch(r#"{"connection.url":"new","connection.password":"other"}"#).await;
    assert_eq!(again.code(), 200, "{}", again.body);
    assert_eq!(herder.written.lock().unwrap()["connection.password"], "other");
}
