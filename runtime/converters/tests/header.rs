//! `SimpleHeaderConverter` against the answers of Kafka Connect 4.3.1 (`oracle/header.tsv`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    reason = "a failed expectation is what tests are for"
)]

mod common;

use common::{bytes, escape};
use millrace_api::Value;
use millrace_api::converter::HeaderConverter as _;
use millrace_api::value::validate;
use millrace_converters::SimpleHeaderConverter;
use proptest::prelude::*;

#[test]
fn answers_as_kafka_connect_does() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in include_str!("oracle/header.tsv").lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let [input, schema, value, back] = columns[..] else { panic!("{line}") };
        rows += 1;
        let mut out = Vec::new();
        let got = SimpleHeaderConverter.to_connect_header("t", "h", Some(&bytes(input)), &mut out).unwrap();
        validate(&out).unwrap();
        let mut written = Vec::new();
        let present =
            SimpleHeaderConverter.from_connect_header("t", "h", got.as_ref(), Value::of(&out), &mut written).unwrap();
        let written = if present { escape(&written) } else { "null".to_owned() };
        let answer = (common::schema(got.as_deref()), common::value(Value::of(&out), got.as_deref()), written);
        let expected = (schema.to_owned(), value.to_owned(), back.to_owned());
        if answer != expected {
            wrong.push(format!("{input}: {answer:?} instead of {expected:?}"));
        }
    }
    assert!(rows > 150, "the table is cut: {rows} rows");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

proptest! {
    #[test]
    fn any_text_has_a_value(text in "[\\[\\]{}:,\" 0-9a-z\\\\TZ.+-]{0,60}|.*") {
        let mut out = Vec::new();
        let schema = SimpleHeaderConverter.to_connect_header("t", "h", Some(text.as_bytes()), &mut out).unwrap();
        prop_assert!(validate(&out).is_ok());
        let mut written = Vec::new();
        SimpleHeaderConverter.from_connect_header("t", "h", schema.as_ref(), Value::of(&out), &mut written).unwrap();
    }
}

#[test]
fn deep_text_stays_text() {
    let text = "[".repeat(100_000);
    let mut out = Vec::new();
    SimpleHeaderConverter.to_connect_header("t", "h", Some(text.as_bytes()), &mut out).unwrap();
    assert_eq!(Value::of(&out).as_str(), Some(text.as_str()));
}
