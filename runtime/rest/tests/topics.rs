//! `/millrace/topics` over an embedded log.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::client::{Answer, ask, raw, request, send};
use common::herder::FakeHerder;
use common::{options, start};
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{Log, ProducerOptions, TopicSpec};
use millrace_local::{LocalLog, LocalOptions};
use millrace_rest::topics::{LogTopics, TopicsOptions};
use millrace_rest::{RestOptions, RestServer};
use serde_json::{Value, json};

/// A worker whose log has `orders` with three partitions.
struct Worker {
    log: Arc<dyn Log>,
    herder: Arc<FakeHerder>,
    server: RestServer,
    _dir: tempfile::TempDir,
}

impl Worker {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log: Arc<dyn Log> = Arc::new(LocalLog::open(dir.path(), LocalOptions::default()).unwrap());
        log.create_topic(&TopicSpec { partitions: Some(3), ..TopicSpec::new("orders") }).await.unwrap();
        log.create_topic(&TopicSpec::new("configs")).await.unwrap();
        let herder = Arc::new(FakeHerder::new("127.0.0.1:8083"));
        let topics = TopicsOptions {
            access: Arc::new(LogTopics::new(Arc::clone(&log))),
            hidden: vec!["configs".to_owned()],
            internal: vec!["configs".to_owned(), "offsets".to_owned()],
        };
        let options = RestOptions { topics: Some(topics), instance: "this-one".to_owned(), ..options() };
        let server = start(&herder, options).await;
        Self { log, herder, server, _dir: dir }
    }

    fn address(&self) -> SocketAddr {
        self.server.local_addr
    }

    /// Appends records with these values to a partition of `orders`.
    async fn append(&self, partition: i32, values: &[&[u8]]) {
        let mut batch = RawBatch::new();
        for value in values {
            batch.push(&RawRecord { partition, ..RawRecord::new("orders", None, Some(value)) }).unwrap();
        }
        let producer = self.log.producer(ProducerOptions::default()).await.unwrap();
        assert!(producer.send(&batch).await.unwrap().iter().all(Result::is_ok));
    }

    async fn get(&self, path: &str) -> Value {
        let answer = ask(self.address(), &format!("GET /millrace/topics{path}")).await;
        assert_eq!(answer.code(), 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    async fn post(&self, topic: &str, body: &str) -> Answer {
        send(self.address(), &format!("POST /millrace/topics/{topic}/records"), body).await
    }
}

/// Values of the records in an answer.
fn values(page: &Value) -> Vec<&str> {
    page["records"].as_array().unwrap().iter().map(|record| record["value"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn topics_are_listed_and_described() {
    let worker = Worker::start().await;
    worker.append(0, &[b"a", b"b"]).await;
    worker.append(2, &[b"c"]).await;
    let expected = json!([
        { "topic": "configs", "partitions": 1, "records": 0, "internal": false },
        { "topic": "orders", "partitions": 3, "records": 3, "internal": false },
    ]);
    assert_eq!(worker.get("").await, expected);
    let ranges =
        [(0, 2), (1, 0), (2, 1)].map(|(partition, end)| json!({ "partition": partition, "begin": 0, "end": end }));
    assert_eq!(worker.get("/orders").await, json!({ "topic": "orders", "partitions": ranges }));
}

#[tokio::test]
async fn a_record_is_shown_with_everything_it_has() {
    let worker = Worker::start().await;
    let mut batch = RawBatch::new();
    let record = RawRecord {
        partition: 1,
        timestamp: 1_700_000_000_123,
        headers: vec![("trace", Some(b"t-1")), ("raw", Some(&[0xff, 0x00])), ("none", None)],
        ..RawRecord::new("orders", Some("schl\u{fc}ssel".as_bytes()), Some(b"line\nbreak"))
    };
    batch.push(&record).unwrap();
    batch
        .push(&RawRecord { timestamp: 5, partition: 1, ..RawRecord::new("orders", Some(&[0xc3, 0x28]), None) })
        .unwrap();
    worker.log.producer(ProducerOptions::default()).await.unwrap().send(&batch).await.unwrap();
    let answer = ask(worker.address(), "GET /millrace/topics/orders/records?partition=1").await;
    // "/wA=" is ff 00, and "wyg=" is c3 28, which is no UTF-8.
    let expected = concat!(
        r#"{"records":[{"topic":"orders","partition":1,"offset":0,"timestamp":1700000000123,"key":"schlüssel","value":"line\nbreak","#,
        r#""headers":[{"key":"trace","value":"t-1"},{"key":"raw","value":{"base64":"/wA="}},{"key":"none","value":null}]},"#,
        r#"{"topic":"orders","partition":1,"offset":1,"timestamp":5,"key":{"base64":"wyg="},"value":null,"headers":[]}],"#,
        r#""next":[{"partition":1,"offset":2}],"end":true}"#
    );
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn reading_goes_on_where_the_page_before_ended() {
    let worker = Worker::start().await;
    let all: Vec<String> = (0..250).map(|number| number.to_string()).collect();
    worker.append(1, &all.iter().map(String::as_bytes).collect::<Vec<_>>()).await;
    // The default is a hundred records from the beginning.
    let page = worker.get("/orders/records?partition=1").await;
    assert_eq!(values(&page), all[..100]);
    assert_eq!((&page["next"], &page["end"]), (&json!([{ "partition": 1, "offset": 100 }]), &json!(false)));
    let page = worker.get("/orders/records?partition=1&offset=100&limit=200").await;
    assert_eq!(values(&page), all[100..]);
    assert_eq!((&page["next"], &page["end"]), (&json!([{ "partition": 1, "offset": 250 }]), &json!(true)));
    let page = worker.get("/orders/records?partition=1&offset=249&limit=1").await;
    assert_eq!(values(&page), ["249"]);
    assert_eq!(worker.get("/orders/records?partition=1&offset=250").await["records"], json!([]));
    assert_eq!(
        worker.get("/orders/records?partition=1&offset=end").await["next"],
        json!([{ "partition": 1, "offset": 250 }])
    );
}

#[tokio::test]
async fn several_partitions_are_read_at_once_each_from_its_offset() {
    let worker = Worker::start().await;
    worker.append(0, &[b"a0", b"a1", b"a2"]).await;
    worker.append(2, &[b"c0", b"c1"]).await;
    let page = worker.get("/orders/records?partition=2,0&offset=1,2").await;
    let mut seen = values(&page);
    seen.sort_unstable();
    assert_eq!(seen, ["a2", "c1"]);
    assert_eq!(page["next"], json!([{ "partition": 0, "offset": 3 }, { "partition": 2, "offset": 2 }]));
    let page = worker.get("/orders/records?offset=1,0,2").await;
    let mut seen = values(&page);
    seen.sort_unstable();
    assert_eq!(seen, ["a1", "a2"]);
    assert_eq!(page["end"], true);
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes() {
    let worker = Worker::start().await;
    let large = vec![b'x'; 1_000_000];
    for _ in 0..6 {
        worker.append(0, &[&large]).await;
    }
    let page = worker.get("/orders/records?partition=0&limit=10000").await;
    // Full after 4 MiB, that is with the fifth million.
    assert_eq!((values(&page).len(), &page["end"]), (5, &json!(false)));
    let page = worker.get("/orders/records?partition=0&offset=5&limit=10000").await;
    assert_eq!((values(&page).len(), &page["end"]), (1, &json!(true)));
}

#[tokio::test]
async fn reading_past_the_end_waits_for_a_record_and_no_longer() {
    let worker = Arc::new(Worker::start().await);
    worker.append(0, &[b"old"]).await;
    let began = Instant::now();
    let page = worker.get("/orders/records?partition=0&offset=1&wait.ms=300").await;
    assert_eq!((&page["records"], &page["next"]), (&json!([]), &json!([{ "partition": 0, "offset": 1 }])));
    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < Duration::from_secs(10));

    let reader = Arc::clone(&worker);
    let waiting = tokio::spawn(async move { reader.get("/orders/records?offset=end&wait.ms=30000").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    let began = Instant::now();
    worker.append(1, &[b"new"]).await;
    let page = waiting.await.unwrap();
    assert_eq!(values(&page), ["new"]);
    assert!(began.elapsed() < Duration::from_secs(5), "the answer did not come with the record");
}

#[tokio::test]
async fn what_is_there_is_answered_without_waiting() {
    let worker = Worker::start().await;
    worker.append(0, &[b"there"]).await;
    let began = Instant::now();
    assert_eq!(values(&worker.get("/orders/records?wait.ms=30000").await), ["there"]);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_client_that_waits_does_not_hold_up_the_shutdown() {
    let Worker { server, log, _dir, .. } = Worker::start().await;
    let address = server.local_addr;
    let waiting = tokio::spawn(async move { ask(address, "GET /millrace/topics/orders/records?wait.ms=30000").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    server.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(waiting.await.unwrap().body, r#"{"error_code":503,"message":"The worker is stopping"}"#);
    drop(log);
}

#[tokio::test]
async fn wrong_parameters_are_a_400_that_names_them() {
    let worker = Worker::start().await;
    worker.append(0, &[b"a", b"b"]).await;
    let number = "expected the number of a partition, or several with commas";
    let offset = "expected beginning, end, or a number from 0 on (one per partition, separated by commas)";
    let wait = "expected milliseconds from 0 to 30000";
    let limit = "expected a number of records from 1 to 10000";
    let cases = [
        ("partition=x", format!("Invalid value x for parameter partition: {number}")),
        ("partition=", format!("Invalid value  for parameter partition: {number}")),
        ("partition=-1", format!("Invalid value -1 for parameter partition: {number}")),
        ("partition=1,1", "Invalid value 1,1 for parameter partition: 1 is in it twice".to_owned()),
        ("partition=3", "Invalid value 3 for parameter partition: orders has 3 partitions, counted from 0".to_owned()),
        (
            "partition=0&partition=1",
            "Invalid value 1 for parameter partition: it is given twice; several partitions are separated by commas"
                .to_owned(),
        ),
        ("offset=-1", format!("Invalid value -1 for parameter offset: {offset}")),
        ("offset=latest", format!("Invalid value latest for parameter offset: {offset}")),
        (
            "offset=0,0",
            "Invalid value 0,0 for parameter offset: expected beginning, end, or one offset for each of 3 partitions"
                .to_owned(),
        ),
        ("partition=0&offset=3", "Invalid value 3 for parameter offset: partition 0 of orders ends at 2".to_owned()),
        ("limit=0", format!("Invalid value 0 for parameter limit: {limit}")),
        ("limit=10001", format!("Invalid value 10001 for parameter limit: {limit}")),
        ("wait.ms=30001", format!("Invalid value 30001 for parameter wait.ms: {wait}")),
        ("wait.ms=1.5", format!("Invalid value 1.5 for parameter wait.ms: {wait}")),
        ("wait_ms=1", "Unknown parameter wait_ms: there are partition, offset, limit and wait.ms".to_owned()),
    ];
    for (query, message) in cases {
        let answer = ask(worker.address(), &format!("GET /millrace/topics/orders/records?{query}")).await;
        let expected = json!({ "error_code": 400, "message": message }).to_string();
        assert_eq!((answer.code(), answer.body), (400, expected), "{query}");
    }
    for path in ["/millrace/topics/none", "/millrace/topics/none/records"] {
        let answer = ask(worker.address(), &format!("GET {path}")).await;
        assert_eq!(answer.body, r#"{"error_code":404,"message":"Topic none not found"}"#);
    }
}

#[tokio::test]
async fn records_are_appended_and_each_place_is_told() {
    let worker = Worker::start().await;
    let body = r#"{"records":[
        {"key":"k","value":"text","headers":[{"key":"h","value":"v"},{"key":"n"}],"partition":2,"timestamp":7},
        {"value":{"base64":"/wA="},"partition":2},
        {"key":"tombstone","value":null,"partition":0}]}"#;
    let answer = worker.post("orders", body).await;
    assert_eq!(
        (answer.code(), answer.body.as_str()),
        (200, r#"{"offsets":[{"partition":2,"offset":0},{"partition":2,"offset":1},{"partition":0,"offset":0}]}"#)
    );
    let page = worker.get("/orders/records?partition=2").await;
    let first = &page["records"][0];
    assert_eq!((&first["key"], &first["value"], &first["timestamp"]), (&json!("k"), &json!("text"), &json!(7)));
    assert_eq!(first["headers"], json!([{ "key": "h", "value": "v" }, { "key": "n", "value": null }]));
    assert_eq!(page["records"][1]["value"], json!({ "base64": "/wA=" }));
    // Without a partition it is the partitioner's choice: equal keys come together.
    for value in ["1", "2"] {
        let body = json!({ "records": [{ "key": "same", "value": value }] }).to_string();
        assert_eq!(worker.post("orders", &body).await.code(), 200);
    }
    let all = worker.get("/orders/records").await;
    let same: Vec<&Value> =
        all["records"].as_array().unwrap().iter().filter(|record| record["key"] == "same").collect();
    assert_eq!((same.len(), &same[0]["partition"]), (2, &same[1]["partition"]));
}

#[tokio::test]
async fn a_record_that_is_refused_does_not_hide_what_became_of_the_others() {
    let worker = Worker::start().await;
    let body = r#"{"records":[{"value":"a","partition":0},{"value":"b","partition":9},{"value":"c","partition":0}]}"#;
    let answer = worker.post("orders", body).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.code(), &body["error_code"]), (400, &json!(400)));
    let cause = "The topic has no partition 9; it has 3 (topic: orders)";
    assert_eq!(body["message"], format!("1 of 3 records were refused; records[1]: {cause}"));
    let expected = json!([{ "partition": 0, "offset": 0 }, { "error_code": 400, "message": cause }, { "partition": 0, "offset": 1 }]);
    assert_eq!(body["offsets"], expected);
}

#[tokio::test]
async fn a_body_that_is_none_is_a_400_without_its_contents() {
    let worker = Worker::start().await;
    let expected = "expected {\"records\": […]}";
    let bytes = "expected a string, null, or {\"base64\": \"…\"}";
    let fields = "there are partition, timestamp, key, value, headers";
    let cases = [
        ("", format!("The body is no JSON at line 1, column 0: {expected}")),
        ("[\"hunter2\"]", format!("The body is no JSON at line 1, column 0: {expected}")),
        ("{\"records\":[{\"value\":\"hunter2\"}", format!("The body is no JSON at line 1, column 31: {expected}")),
        ("{}", format!("Invalid value for records: {expected}")),
        ("{\"records\":\"hunter2\"}", format!("Invalid value for records: {expected}")),
        ("{\"records\":[],\"more\":1}", format!("Unknown field more: {expected}")),
        ("{\"records\":[\"hunter2\"]}", "Invalid value for records[0]: expected an object".to_owned()),
        ("{\"records\":[{},{\"key\":[\"hunter2\"]}]}", format!("Invalid value for records[1].key: {bytes}")),
        (
            "{\"records\":[{\"value\":{\"base64\":\"hunter2!\"}}]}",
            format!("Invalid value for records[0].value: {bytes}"),
        ),
        ("{\"records\":[{\"offset\":1}]}", format!("Unknown field offset in records[0]: {fields}")),
        (
            "{\"records\":[{\"partition\":-1}]}",
            "Invalid value for records[0].partition: expected a number from 0 on, or null".to_owned(),
        ),
        (
            "{\"records\":[{\"headers\":[{\"value\":\"hunter2\"}]}]}",
            "Invalid value for records[0].headers[0].key: expected a string".to_owned(),
        ),
    ];
    for (body, message) in cases {
        let answer = worker.post("orders", body).await;
        let expected = json!({ "error_code": 400, "message": message }).to_string();
        assert_eq!((answer.code(), answer.body), (400, expected), "{body}");
    }
    let untyped = request(worker.address(), "POST /millrace/topics/orders/records", &[], b"{\"records\":[]}").await;
    assert_eq!(untyped.code(), 415);
    let head = "POST /millrace/topics/orders/records HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let large = format!("{head}Content-Length: {}\r\n\r\n", (8 << 20) + 1);
    assert_eq!(Answer::parse(&raw(worker.address(), large.as_bytes()).await).code(), 413);
    assert_eq!(worker.get("/orders/records").await["records"], json!([]));
}

#[tokio::test]
async fn topics_of_the_worker_take_no_records_and_configurations_are_not_shown() {
    let worker = Worker::start().await;
    let mut config = millrace_api::config::Props::new();
    config.insert("connector.class".to_owned(), "FileStreamSource".to_owned());
    config.insert("offsets.storage.topic".to_owned(), "own-offsets".to_owned());
    worker.herder.store("c", config);
    for topic in ["configs", "offsets", "own-offsets", "__consumer_offsets"] {
        let answer = worker.post(topic, r#"{"records":[{"value":"x"}]}"#).await;
        let message = format!("Records cannot be appended to {topic}: it belongs to the worker or to the log itself");
        assert_eq!(answer.body, json!({ "error_code": 403, "message": message }).to_string());
    }
    let topics: Vec<String> = worker.log.topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
    assert_eq!(topics, ["configs", "orders"]);

    let mut batch = RawBatch::new();
    batch.push(&RawRecord::new("configs", None, Some(b"hunter2"))).unwrap();
    worker.log.producer(ProducerOptions::default()).await.unwrap().send(&batch).await.unwrap();
    let answer = ask(worker.address(), "GET /millrace/topics/configs/records").await;
    assert_eq!(answer.code(), 403);
    assert!(!answer.body.contains("hunter2"), "{}", answer.body);
    assert_eq!(worker.get("/configs").await["partitions"][0]["end"], 1);
}

#[tokio::test]
async fn without_the_setting_nothing_is_shown_or_taken() {
    let herder = Arc::new(FakeHerder::new("127.0.0.1:8083"));
    let server = start(&herder, RestOptions { instance: "this-one".to_owned(), ..options() }).await;
    let expected = r#"{"error_code":403,"message":"The topics of this worker are not shown: topics.rest.enable is false, as it is by default with Kafka"}"#;
    for line in ["GET /millrace/topics", "GET /millrace/topics/orders", "GET /millrace/topics/orders/records"] {
        let answer = ask(server.local_addr, line).await;
        assert_eq!((answer.code(), answer.body.as_str()), (403, expected));
        assert_eq!(answer.header("millrace-worker"), Some("this-one"));
    }
    let answer = send(server.local_addr, "POST /millrace/topics/orders/records", r#"{"records":[]}"#).await;
    assert_eq!((answer.code(), answer.body.as_str()), (403, expected));
}

#[tokio::test]
async fn answers_tell_which_worker_they_come_from_below_their_own_path_only() {
    let worker = Worker::start().await;
    let answer = ask(worker.address(), "GET /millrace/topics").await;
    assert_eq!(answer.header("millrace-worker"), Some("this-one"));
    for line in ["GET /", "GET /connectors", "GET /health", "GET /metrics", "GET /millrace"] {
        assert_eq!(ask(worker.address(), line).await.header("millrace-worker"), None, "{line}");
    }
    let answer = ask(worker.address(), "DELETE /millrace/topics/orders").await;
    assert_eq!(
        (answer.code(), answer.body.as_str()),
        (405, r#"{"error_code":405,"message":"HTTP 405 Method Not Allowed"}"#)
    );
}

#[tokio::test]
async fn reads_at_once_are_bounded() {
    let worker = Worker::start().await;
    let address = worker.address();
    let line = "GET /millrace/topics/orders/records?wait.ms=2000";
    let reads: Vec<_> = (0..40).map(|_| tokio::spawn(async move { ask(address, line).await.code() })).collect();
    let mut codes = Vec::new();
    for read in reads {
        codes.push(read.await.unwrap());
    }
    let count = |wanted: u16| codes.iter().filter(|code| **code == wanted).count();
    assert_eq!((count(200), count(503)), (32, 8));
    // Each gave its place back.
    assert_eq!(worker.get("/orders/records").await["records"], json!([]));
}
