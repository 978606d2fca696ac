//! What several targets do with a value or a batch: look at everything that a sink could look at.

use millrace_api::batch::wire::{self, Needs, Trust};
use millrace_api::schema::{self, Schema};
use millrace_api::value::{Tag, java, validate};
use millrace_api::{RecordBatch, Value};

/// Reads a valid value in every way there is.
pub fn walk(value: Value<'_>, schema: Option<&Schema>) {
    validate(value.bytes()).expect("it was checked");
    let mut text = Vec::new();
    java::text(value, schema, &mut text);
    std::str::from_utf8(&text).expect("text of valid values is UTF-8");
    descend(value);
}

fn descend(value: Value<'_>) {
    assert_eq!(Value::parse(value.bytes()), Some(value));
    let _ = (value.as_bool(), value.as_i64(), value.as_f64(), value.as_f32(), value.as_bytes(), value.decimal_text());
    let _ = (value.as_date(), value.as_time(), value.as_timestamp(), value.get("a"), value.field_at(0));
    match value.tag() {
        Tag::String => assert!(value.as_str().is_some()),
        Tag::Array | Tag::Struct => {
            assert_eq!(value.count(), Some(value.elements().count()));
            value.elements().for_each(descend);
        }
        Tag::Map => {
            assert_eq!(value.count(), Some(value.entries().count()));
            for (key, entry) in value.entries() {
                descend(key);
                descend(entry);
            }
        }
        _ => {}
    }
}

/// Reads every record of a checked batch, and sends the batch on as the host does.
pub fn visit(batch: &RecordBatch) {
    for record in batch.iter() {
        assert!(!record.topic().is_empty() || batch.topics().iter().any(|topic| topic.is_empty()));
        walk(record.key(), record.key_schema().map(|schema| &**schema));
        walk(record.value(), record.value_schema().map(|schema| &**schema));
        for header in record.headers() {
            walk(header.value, header.schema.map(|schema| &**schema));
        }
        let _ = (record.partition(), record.offset(), record.timestamp(), record.field("a"));
    }
    for known in batch.schemas() {
        let mut encoded = Vec::new();
        schema::encode(known, &mut encoded);
        assert_eq!(&schema::decode(&encoded).expect("it was decoded before"), &**known);
    }
    let all: Vec<u32> = (0..).take(batch.len()).collect();
    for (rows, needs) in [
        (&all[..], Needs::ALL),
        (&all[..], Needs::NOTHING),
        (&all[..all.len() / 2], Needs { key: false, value: true, headers: true }),
    ] {
        let mut sent = Vec::new();
        wire::encode(batch, rows, needs, &mut sent);
        let received = wire::decode(sent, Trust::Nobody).expect("a valid batch stays one");
        assert_eq!(received.len(), rows.len());
        for (before, after) in batch.iter().zip(received.iter()) {
            assert_eq!(before.topic(), after.topic());
            assert_eq!(after.value(), if needs.value { before.value() } else { Value::NULL });
            if needs.headers {
                let header = |record: millrace_api::Record<'_>| -> Vec<(String, Vec<u8>, u32)> {
                    record.headers().map(|h| (h.name.to_owned(), h.value.bytes().to_vec(), h.schema_id)).collect()
                };
                assert_eq!(header(before), header(after));
            }
        }
    }
}
