//! Records at fault: what the real worker and Millrace write to their dead letter queues for the same input.

use hyper::Method;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{Log as _, ProducerOptions, TopicSpec};
use millrace_kafka::{ClientProps, KafkaLog};
use millrace_scenarios::{Stored, endpoint, stored};
use serde_json::{Value, json};

use crate::group::Group;
use crate::rest::Rest;

const STACKTRACE: &str = "__connect.errors.exception.stacktrace";
const MESSAGE: &str = "__connect.errors.exception.message";

/// A sink whose records fail, not all of them.
struct Case {
    name: &'static str,
    /// What its connector has beside a file and a topic.
    config: Value,
    records: Vec<Sent>,
}

/// Key, value and a header's value.
type Sent = (Option<&'static [u8]>, Option<&'static [u8]>, Option<&'static [u8]>);

fn values(values: &[&'static str]) -> Vec<Sent> {
    values.iter().map(|value| (None, Some(value.as_bytes()), None)).collect()
}

/// A transformation of values, which are JSON: text and maps without schemas, structs with them.
fn transforms(name: &'static str, class: &str, options: &Value, records: Vec<Sent>) -> Case {
    let mut config = json!({
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "true",
        "transforms": "one", "transforms.one.type": format!("org.apache.kafka.connect.transforms.{class}"),
    });
    for (key, value) in options.as_object().into_iter().flatten() {
        config[format!("transforms.one.{key}")] = value.clone();
    }
    Case { name, config, records }
}

const TEXT: &str = r#"{"schema":{"type":"string"},"payload":"plain"}"#;
const BARE_TEXT: &str = r#"{"schema":null,"payload":"plain"}"#;
const BARE_MAP: &str = r#"{"schema":null,"payload":{"a":1,"when":"never","blob":[1]}}"#;
const STRUCT: &str = r#"{"schema":{"type":"struct","fields":[{"field":"a","type":"int32"},{"field":"when","type":"string"},{"field":"blob","type":"bytes"}]},"payload":{"a":1,"when":"never","blob":"AQ=="}}"#;

/// Of every kind, and a tombstone.
fn all_kinds() -> Vec<Sent> {
    let mut records = values(&[TEXT, BARE_TEXT, BARE_MAP, STRUCT]);
    records.push((Some(b"gone"), None, None));
    records
}

fn cases() -> Vec<Case> {
    let json = "org.apache.kafka.connect.json.JsonConverter";
    let bare = values(&["{bad", "", "nul", r#"{"a":1} and more"#, r#"{"a":1}"#, "[1,", "\"open", r#"{"a":01}"#]);
    let envelopes = values(&[
        r#"{"a":1}"#,
        "[]",
        "\"text\"",
        "7",
        r#"{"schema":{"type":"int32"},"payload":"x"}"#,
        r#"{"schema":{"type":"nope"},"payload":1}"#,
        r#"{"schema":{},"payload":1}"#,
        r#"{"schema":{"type":7},"payload":1}"#,
        r#"{"schema":null,"payload":1,"more":2}"#,
        r#"{"schema":{"type":"int32"},"payload":null}"#,
        r#"{"schema":{"type":"struct"},"payload":{}}"#,
        r#"{"schema":{"type":"struct","fields":[{"type":"int32"}]},"payload":{}}"#,
        r#"{"schema":{"type":"struct","fields":[{"field":"a","type":"int32"}]},"payload":{}}"#,
        r#"{"schema":{"type":"struct","fields":[{"field":"a","type":"int32"}]},"payload":[]}"#,
        r#"{"schema":{"type":"array"},"payload":[]}"#,
        r#"{"schema":{"type":"array","items":{"type":"int8"}},"payload":[300,"x"]}"#,
        r#"{"schema":{"type":"map","keys":{"type":"string"}},"payload":{}}"#,
        r#"{"schema":{"type":"bytes"},"payload":"not base64!"}"#,
    ]);
    vec![
        Case {
            name: "json-bare",
            config: json!({"value.converter": json, "value.converter.schemas.enable": "false"}),
            records: bare,
        },
        Case {
            name: "json-envelope",
            config: json!({"value.converter": json, "value.converter.schemas.enable": "true"}),
            records: envelopes,
        },
        Case {
            name: "json-key",
            config: json!({"key.converter": json, "key.converter.schemas.enable": "false"}),
            records: vec![
                (Some(b"{bad"), Some(b"v"), Some(b"1")),
                (Some(b"\xff\xfe"), None, None),
                (None, Some(b"v"), None),
            ],
        },
        Case {
            name: "integer",
            config: json!({"value.converter": "org.apache.kafka.connect.converters.IntegerConverter"}),
            records: vec![(None, Some(b"123"), None), (None, Some(b"1234"), None), (None, Some(b"12345"), Some(b"x"))],
        },
        Case {
            name: "header",
            config: json!({"header.converter": json, "header.converter.schemas.enable": "false"}),
            records: vec![
                (None, Some(b"v"), Some(b"{bad")),
                (None, Some(b"w"), Some(b"1")),
                (Some(b"k"), Some(b"v"), Some(b"")),
            ],
        },
        transforms("value-to-key", "ValueToKey", &json!({"fields": "missing"}), all_kinds()),
        transforms("extract-field", "ExtractField$Value", &json!({"field": "missing"}), all_kinds()),
        transforms("replace-field", "ReplaceField$Value", &json!({"exclude": "a"}), all_kinds()),
        transforms(
            "insert-field",
            "InsertField$Value",
            &json!({"static.field": "s", "static.value": "v"}),
            all_kinds(),
        ),
        transforms("mask-field", "MaskField$Value", &json!({"fields": "blob"}), all_kinds()),
        transforms("mask-key", "MaskField$Key", &json!({"fields": "blob"}), all_kinds()),
        transforms(
            "timestamp",
            "TimestampConverter$Value",
            &json!({"field": "when", "target.type": "unix", "format": "yyyy-MM-dd"}),
            all_kinds(),
        ),
        transforms(
            "timestamp-type",
            "TimestampConverter$Value",
            &json!({"field": "a", "target.type": "Date"}),
            all_kinds(),
        ),
    ]
}

fn topic(run: &str, case: &Case) -> String {
    format!("{run}-{}", case.name)
}

async fn send(run: &str, case: &Case) {
    let log = KafkaLog::new(&endpoint("MILLRACE_TEST_KAFKA"), ClientProps::default()).expect("a client");
    let topic = topic(run, case);
    log.create_topic(&TopicSpec { partitions: Some(1), ..TopicSpec::new(&topic) }).await.expect("a topic");
    let producer = log.producer(ProducerOptions::default()).await.expect("a producer");
    let mut batch = RawBatch::new();
    for (number, (key, value, header)) in case.records.iter().enumerate() {
        let mut record = RawRecord::new(&topic, *key, *value);
        record.timestamp = 1_700_000_000_000 + i64::try_from(number).expect("few");
        record.headers = header.iter().map(|header| ("h", Some(*header))).collect();
        batch.push(&record).expect("small");
    }
    for result in producer.send(&batch).await.expect("sent") {
        result.expect("written");
    }
}

/// Creates the sinks of all cases and waits until they have been through all there is.
async fn run(rest: &Rest, group: &Group, run: &str, engine: &str) {
    let bytes = "org.apache.kafka.connect.converters.ByteArrayConverter";
    for case in cases() {
        let topic = topic(run, &case);
        let mut config = json!({
            "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "topics": topic, "tasks.max": "1",
            "file": group.path(&format!("{}.txt", case.name)), "key.converter": bytes, "value.converter": bytes,
            "errors.tolerance": "all", "errors.deadletterqueue.topic.name": format!("{topic}-{engine}"),
            "errors.deadletterqueue.topic.replication.factor": "1",
            "errors.deadletterqueue.context.headers.enable": "true",
            "consumer.override.group.id": format!("{topic}-{engine}"),
        });
        for (key, value) in case.config.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        rest.ask(Method::PUT, &format!("/connectors/{}/config", case.name), &config, 201).await;
    }
    for case in cases() {
        let all = json!(case.records.len());
        rest.until("everything was read", &format!("/connectors/{}/offsets", case.name), |offsets| {
            offsets["offsets"][0]["offset"]["kafka_offset"] == all
        })
        .await;
    }
}

/// A dead letter as two engines must write it. Of a stack trace that is its first line; where Kafka Connect's messages quote the record,
/// Millrace's say `value`.
fn comparable(dead: &Stored) -> Stored {
    let mut dead = dead.clone();
    for (name, value) in &mut dead.headers {
        let Some(bytes) = value.as_mut().filter(|_| [STACKTRACE, MESSAGE].contains(&&**name)) else { continue };
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().next().unwrap_or_default();
        let quoted = line.split_once("value (").zip(line.split_once(") does not match"));
        let plain = quoted.map(|((head, _), (_, tail))| format!("{head}value does not match{tail}"));
        *bytes = plain.unwrap_or_else(|| line.to_owned()).into_bytes();
    }
    dead
}

fn shown(dead: &Stored) -> Vec<(String, String)> {
    let text = |bytes: &Option<Vec<u8>>| {
        bytes.as_deref().map_or_else(|| "null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let mut shown = vec![("key".to_owned(), text(&dead.key)), ("value".to_owned(), text(&dead.value))];
    shown.push(("timestamp".to_owned(), dead.timestamp.to_string()));
    shown.extend(dead.headers.iter().map(|(name, value)| (name.clone(), text(value))));
    shown
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_dead_letters_are_those_that_java_writes() {
    let policy = "connector.client.config.override.policy=All";
    let java_group = Group::new("dead-java", "sessioned").with(policy);
    let millrace_group = Group::new("dead-millrace", "sessioned").with(policy);
    let run_name = java_group.name.clone();
    for case in cases() {
        send(&run_name, &case).await;
    }
    let java = java_group.java();
    run(&java.rest, &java_group, &run_name, "java").await;
    let millrace = millrace_group.millrace(&millrace_group.properties()).await;
    run(&millrace.rest, &millrace_group, &run_name, "millrace").await;

    let (mut wrong, mut count) = (Vec::new(), 0);
    for case in cases() {
        let topic = topic(&run_name, &case);
        let theirs = stored(&format!("{topic}-java")).await;
        let ours = stored(&format!("{topic}-millrace")).await;
        assert!(!theirs.is_empty(), "nothing fails in {}", case.name);
        let at = |dead: &Stored| dead.timestamp - 1_700_000_000_000;
        let numbers = |all: &[Stored]| all.iter().map(at).collect::<Vec<_>>();
        if numbers(&theirs) != numbers(&ours) {
            wrong.push(format!("{}: records {:?} fail, in Java {:?}", case.name, numbers(&ours), numbers(&theirs)));
        }
        for dead_letter in &theirs {
            count += 1;
            let Some(own) = ours.iter().find(|own| at(own) == at(dead_letter)) else { continue };
            for (own, dead) in shown(&comparable(own)).iter().zip(shown(&comparable(dead_letter))) {
                if *own != dead {
                    wrong.push(format!(
                        "{} {}: {} is {:?}, in Java {:?}",
                        case.name,
                        at(dead_letter),
                        own.0,
                        own.1,
                        dead
                    ));
                }
            }
            if own.headers.len() != dead_letter.headers.len() {
                wrong.push(format!(
                    "{}: {} headers, in Java {}",
                    case.name,
                    own.headers.len(),
                    dead_letter.headers.len()
                ));
            }
        }
    }
    println!("{count} dead letters of {} sinks", cases().len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
