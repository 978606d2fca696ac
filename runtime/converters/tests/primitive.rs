//! Converters of single numbers and booleans against the answers of Kafka Connect 4.3.1 (`oracle/primitives.tsv`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is what tests are for"
)]

use std::error::Error as _;
use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::converter::{Converter, ConverterUse};
use millrace_api::schema::Kind;
use millrace_api::value::{Tag, validate};
use millrace_api::{Error, Schema, SchemaRef, Value, Writer};
use millrace_converters::by_class;

const KINDS: [Kind; 9] = [
    Kind::Int8,
    Kind::Int16,
    Kind::Int32,
    Kind::Int64,
    Kind::Float32,
    Kind::Float64,
    Kind::Boolean,
    Kind::String,
    Kind::Bytes,
];

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[digit as usize]))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (text != "null").then(|| (0..text.len()).step_by(2).map(digits).collect())
}

fn schema(text: &str) -> Option<SchemaRef> {
    let (optional, name) = text.strip_prefix("optional ").map_or((false, text), |name| (true, name));
    let kind = *KINDS.iter().find(|kind| kind.name().eq_ignore_ascii_case(name)).filter(|_| name != "none")?;
    Some(Arc::new(if optional { Schema::optional(kind) } else { Schema::of(kind) }))
}

fn value(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    match text.split_once(' ').unwrap_or((text, "")) {
        ("null", _) => writer.null(),
        ("true", _) => writer.bool(true),
        ("false", _) => writer.bool(false),
        ("byte", number) => writer.int8(number.parse().unwrap()),
        ("short", number) => writer.int16(number.parse().unwrap()),
        ("int", number) => writer.int32(number.parse().unwrap()),
        ("long", number) => writer.int64(number.parse().unwrap()),
        ("float", number) => writer.float32(number.parse().unwrap()),
        ("double", number) => writer.float64(number.parse().unwrap()),
        ("string", text) => writer.str(text),
        _ => panic!("{text}"),
    }
    out
}

fn error(error: &Error) -> String {
    let cause = error.source().map(|cause| format!(" <- {cause}")).unwrap_or_default();
    format!("error DataException {}{cause}", error.message())
}

fn read(converter: &mut dyn Converter, bytes: &str) -> String {
    let mut out = Vec::new();
    let schema = match converter.to_connect("t", unhex(bytes).as_deref(), &mut out) {
        Ok(schema) => schema.expect("a schema"),
        Err(failure) => return error(&failure),
    };
    validate(&out).unwrap();
    let value = Value::of(&out);
    let text = match value.tag() {
        Tag::Null => "null".to_owned(),
        Tag::True | Tag::False => value.as_bool().unwrap().to_string(),
        Tag::Float32 => format!("{:08x}", value.as_f32().unwrap().to_bits()),
        Tag::Float64 => format!("{:016x}", value.as_f64().unwrap().to_bits()),
        _ => value.as_i64().unwrap().to_string(),
    };
    let optional = if schema.optional { "optional " } else { "" };
    format!("{optional}{} {text}", schema.kind.name().to_lowercase())
}

fn write(converter: &mut dyn Converter, of: &str, text: &str) -> String {
    let mut out = Vec::new();
    match converter.from_connect("t", schema(of).as_ref(), Value::of(&value(text)), &mut out) {
        Ok(true) => hex(&out),
        Ok(false) => "null".to_owned(),
        Err(failure) => error(&failure),
    }
}

#[test]
fn answers_as_kafka_connect_does() {
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in include_str!("oracle/primitives.tsv").lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let [class, what, input, text, expected] = columns[..] else { panic!("{line}") };
        let mut converter = by_class(class).expect(class).converter(&Props::new(), ConverterUse::Value).unwrap();
        let answer = if what == "read" { read(&mut *converter, input) } else { write(&mut *converter, input, text) };
        rows += 1;
        if answer != expected {
            wrong.push(format!("{class} {what} {input} {text}: {answer} instead of {expected}"));
        }
    }
    assert!(rows > 1_200, "the table is cut: {rows} rows");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
