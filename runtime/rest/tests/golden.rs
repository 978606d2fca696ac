//! The same questions that a real worker (Kafka Connect 4.3.1) was asked, and its answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::client::{Answer, request};
use common::herder::{FakeHerder, Leader};
use common::{options, start};
use millrace_core::herder::{SessionKey, Signing, State};
use millrace_rest::RestOptions;

/// A question and what the worker said.
struct Pair {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    expected: Answer,
}

/// Questions whose answers differ on purpose, with the reason. Everything else has to be equal.
const DIFFERENT: [(&str, &str); 12] = [
    (
        r#"POST /connectors {"name":"x","config":{"a":"1","a":"2"},"config":{"b":"3"}}"#,
        "a map in a message: insertion order",
    ),
    (r#"POST /connectors {"name":"x","config":{"z":"1","a":"\t\b\f\n\r"}}"#, "a map in a message: insertion order"),
    (
        r#"POST /connectors {"name":"x","config":{"connector.class":"FileStreamSource","topic":null,"zz":null,"aa":null}}"#,
        "a null of a key that is required does not pass",
    ),
    (
        r#"POST /connectors {"name":"x","config":{"connector.class":null,"b":null}}"#,
        "a map in a message: insertion order",
    ),
    (r#"POST /connectors {"name":"\ud83d","config":{}}"#, "half a surrogate pair is no character"),
    ("OPTIONS /connectors {{Accept=text/html}}", "an empty answer of type text/html"),
    (r#"PATCH /connectors/p/config {"batch.size":"10"}"#, "the worker had not made the tasks yet"),
    (r#"PATCH /connectors/p/config {"connector.class":null}"#, "a map in a message: order after a copy"),
    (r#"PATCH /connectors/p/offsets {"offsets":[{}]}"#, "a position of nothing is refused"),
    (
        r#"PATCH /connectors/p/offsets {"offsets":[{"offset":{"position":1}}]}"#,
        "a position of nothing is refused as a 400",
    ),
    (
        r#"PATCH /connectors/p/offsets {"offsets":[{"partition":null,"offset":null}]}"#,
        "a position of nothing is refused",
    ),
    (
        r#"PATCH /connectors/p/offsets {"offsets":[{"partition":{"filename":"h","n":[1,{"x":null}],"d":1.5,"b":true,"big":12345678901234567890123},"offset":null}]}"#,
        "a number over 64 bits is refused first",
    ),
];

#[tokio::test]
async fn answers_are_those_of_the_recorded_session() {
    let herder = Arc::new(FakeHerder::new("127.0.0.1:28483"));
    replay(&herder, include_str!("golden/rest-4.3.1.txt"), "localhost:28483").await;
}

#[tokio::test]
async fn answers_at_the_edges_are_the_same() {
    let herder = Arc::new(FakeHerder::new("127.0.0.1:8083"));
    replay(&herder, include_str!("golden/edges-4.3.1.txt"), "localhost:8083").await;
}

#[tokio::test]
async fn answers_to_offsets_topics_loggers_and_other_workers_are_the_same() {
    let herder = Arc::new(FakeHerder::new("127.0.0.1:8083"));
    let key = SessionKey { algorithm: "HmacSHA256".to_owned(), key: vec![7; 32], created: 0 };
    *herder.signing.lock().unwrap() = Signing::Keys(vec![key]);
    replay(&herder, include_str!("golden/admin-4.3.1.txt"), "localhost:8083").await;
}

async fn replay(herder: &Arc<FakeHerder>, golden: &str, host: &str) {
    let loggers = Some(Arc::clone(&herder.loggers) as _);
    let options = RestOptions { commit: "26b251a451ce941d".to_owned(), loggers, ..options() };
    let server = start(herder, options).await;
    let pairs = parse(golden, host);
    let mut wrong = Vec::new();
    for pair in &pairs {
        bring_into_state(herder, &pair.line);
        let headers: Vec<_> = pair.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let line = pair.line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ");
        let actual = request(server.local_addr, &line, &headers, &pair.body).await;
        let on_purpose = DIFFERENT.iter().any(|(line, _)| *line == pair.line);
        if differs(&pair.line, &pair.expected, &actual) != on_purpose {
            wrong.push(format!(">>> {}\n expected {:?}\n actual   {actual:?}", pair.line, pair.expected));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}

/// States that the worker was in for a moment.
fn bring_into_state(herder: &FakeHerder, line: &str) {
    match line {
        "POST /connectors/src1/restart?includeTasks=true&onlyFailed=true"
        | "POST /connectors/src1/restart?includeTasks=true" => {
            herder.set_states("src1", State::Running, State::Unassigned, None);
        }
        "POST /connectors/p/tasks/0/restart" | "POST /connectors/p/tasks/0/restart?forward=bogus" => {
            *herder.leader.lock().unwrap() = Leader::Unknown;
        }
        "POST /connectors/p/tasks/99999999999/restart" => *herder.leader.lock().unwrap() = Leader::Here,
        "PUT /connectors/src1/pause" => herder.set_states("src1", State::Running, State::Running, Some("4.3.1")),
        _ => {}
    }
}

fn differs(line: &str, expected: &Answer, actual: &Answer) -> bool {
    let header = |name| expected.header(name) != actual.header(name);
    // The recorder cut long bodies.
    let cut = expected.body.len() >= 690 && !expected.body.ends_with(['}', ']']);
    let body = if cut {
        !actual.body.starts_with(&expected.body)
    } else if expected.body.starts_with("<title>") {
        !actual.body.contains(&expected.body)
    } else if line.starts_with("PATCH /connectors/p/config") && actual.code() == 200 {
        // Java's order of keys comes from how large the map was when it was copied.
        let parsed = |body: &str| serde_json::from_str::<serde_json::Value>(body).ok();
        parsed(&actual.body) != parsed(&expected.body)
    } else {
        actual.body != expected.body
    };
    actual.status != expected.status
        || header("content-type")
        || header("location")
        || header_allow(expected, actual)
        || body
}

/// A worker says what is allowed only when it is asked.
fn header_allow(expected: &Answer, actual: &Answer) -> bool {
    expected.header("allow").is_some_and(|allow| actual.header("allow") != Some(allow))
}

fn parse(golden: &str, host: &str) -> Vec<Pair> {
    let blocks = golden.split("\n>>> ").map(|block| block.strip_prefix(">>> ").unwrap_or(block));
    blocks.map(|block| parse_pair(block, host)).collect()
}

fn parse_pair(block: &str, host: &str) -> Pair {
    let mut lines = block.lines();
    let line = lines.next().unwrap().to_owned();
    let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap().to_owned();
    let mut expected = Answer { status, headers: Vec::new(), body: String::new() };
    for line in lines {
        match line.split_once(": ") {
            Some((name @ ("Content-Type" | "Location" | "Allow"), value)) if expected.body.is_empty() => {
                expected.headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
            _ if expected.body.is_empty() => line.clone_into(&mut expected.body),
            _ => panic!("a body of several lines: {block}"),
        }
    }
    let mut headers = vec![("Host".to_owned(), host.to_owned())];
    let body = line.splitn(3, ' ').nth(2).unwrap_or_default();
    let body = if let Some((given, body)) = body.strip_prefix("{{").and_then(|body| body.split_once("}}")) {
        for (name, value) in given.split(";;").map(|pair| pair.split_once('=').unwrap()) {
            headers.retain(|(known, _)| known != name);
            headers.push((name.to_owned(), value.to_owned()));
        }
        body
    } else {
        if !body.is_empty() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        body
    };
    let body = body.strip_prefix("\\!").map_or_else(|| body.as_bytes().to_vec(), unescape);
    Pair { line, headers, body, expected }
}

/// Python's escapes, as far as they are used.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, false) => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
            (_, true) => match letters.next().unwrap() {
                'n' => bytes.push(b'\n'),
                'r' => bytes.push(b'\r'),
                't' => bytes.push(b'\t'),
                'x' => {
                    let digits: String = letters.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                }
                other => panic!("\\{other} in {text}"),
            },
        }
    }
    bytes
}
