//! `JsonConverter` against the answers of Kafka Connect 4.3.1 (`oracle/json.tsv`), and its round trips.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    reason = "a failed expectation is what tests are for"
)]

mod common;

use common::{bytes, escape};
use millrace_api::config::Props;
use millrace_api::converter::{Converter, ConverterUse};
use millrace_api::value::{java, validate};
use millrace_api::{Result, SchemaRef, Value};
use millrace_converters::JsonConverter;

/// Where Millrace answers differently on purpose, and how: stricter about encodings, and text that is UTF-8.
const DIFFERENT: [(&str, &str); 9] = [
    ("utf8 overlong", "error"),
    ("utf8 past max", "error"),
    ("utf16", "error"),
    ("lone high", "\"%EF%BF%BD\""),
    ("lone low", "\"%EF%BF%BD\""),
    ("high then letter", "\"%EF%BF%BDx\""),
    ("two highs", "\"%EF%BF%BD%EF%BF%BD\""),
    ("high then raw", "\"%EF%BF%BD%0A\""),
    ("decimal no scale number", "decimal(15,1)"),
];

fn converter(options: &[(&str, &str)]) -> Result<JsonConverter> {
    let props: Props = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    JsonConverter::new(&props, ConverterUse::Value)
}

fn read(options: &[(&str, &str)], wire: Option<&[u8]>) -> Result<(JsonConverter, Option<SchemaRef>, Vec<u8>)> {
    let mut converter = converter(options)?;
    let mut out = Vec::new();
    let schema = converter.to_connect("t", wire, &mut out)?;
    validate(&out)?;
    Ok((converter, schema, out))
}

fn written(converter: &mut JsonConverter, schema: Option<&SchemaRef>, value: &[u8]) -> String {
    let mut out = Vec::new();
    match converter.from_connect("t", schema, Value::of(value), &mut out) {
        Ok(true) => escape(&out),
        Ok(false) => "null".to_owned(),
        Err(error) => format!("error {}", escape(error.message().as_bytes())),
    }
}

#[test]
fn answers_as_kafka_connect_does() {
    let mut rows = 0;
    let mut wrong = Vec::new();
    for line in include_str!("oracle/json.tsv").lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, options, input, schema, value, back, text] = columns[..] else { panic!("{line}") };
        let options: Vec<(String, String)> = options
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), String::from_utf8(bytes(value)).unwrap()))
            .collect();
        let options: Vec<_> = options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let wire = (input != "%none").then(|| bytes(input));
        let mut check = |what: &str, got: &str, expected: &str| {
            if got != expected {
                wrong.push(format!("{name}, {what}: {got} instead of {expected}"));
            }
        };
        rows += 1;
        let different = DIFFERENT.iter().find(|(row, _)| *row == name).map(|(_, answer)| *answer);
        match read(&options, wire.as_deref()) {
            Err(error) if different == Some("error") => check("kind", &format!("{:?}", error.kind()), "Data"),
            Err(error) => {
                check("fails", "error", schema);
                let message = escape(error.message().as_bytes());
                let message = message.trim_start_matches("Invalid value for configuration schema.content: ");
                let expected = value.trim_end();
                // Where Java attaches a cause, the message goes on with it.
                let expected = if expected.starts_with("Failed to parse schema in converter config") {
                    "Converting byte[] to Kafka Connect data failed due to serialization error:"
                } else {
                    expected
                };
                let cut = if expected.ends_with("error:") { expected.len().min(message.len()) } else { message.len() };
                check("message", &message[..cut], expected);
            }
            Ok((mut converter, got, out)) => {
                check("schema", &common::schema(got.as_deref()), schema);
                let got_value = common::value(Value::of(&out), got.as_deref());
                check("value", &got_value, different.unwrap_or(value));
                if different.is_none() {
                    check("written back", &written(&mut converter, got.as_ref(), &out), back);
                    let mut printed = Vec::new();
                    java::text(Value::of(&out), got.as_deref(), &mut printed);
                    if !text.is_empty() {
                        check("printed", &escape(&printed), text);
                    }
                }
            }
        }
    }
    assert!(rows > 300, "the table is cut: {rows} rows");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
