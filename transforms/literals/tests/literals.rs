//! Text whose value is known; many more, answered by Kafka Connect, are in `runtime/converters/tests/oracle/header.tsv` and
//! `transforms/smt/tests/oracle/insert_header*.jsonl`.

use millrace_api::Value;
use millrace_api::schema::Kind;
use millrace_literals::{iso, parse};

#[test]
fn text_means_the_smallest_type() {
    for (text, kind, shown) in [
        ("12", Some(Kind::Int8), "12"),
        ("-40000", Some(Kind::Int32), "-40000"),
        ("1.5", Some(Kind::Float32), "1.5"),
        ("true", Some(Kind::Boolean), "true"),
        ("true}", Some(Kind::String), "\"true}\""),
        ("[1, 300]", Some(Kind::Array), "[1,300]"),
        ("{\"a\": 1, \"a\": 2}", Some(Kind::Map), "{\"a\":2}"),
        ("2026-11-20", Some(Kind::Int32), "date(20777)"),
        ("null", None, "null"),
    ] {
        let parsed = parse(text);
        assert_eq!(parsed.schema.map(|schema| schema.kind), kind, "{text}");
        assert_eq!(Value::of(&parsed.value).to_string(), shown, "{text}");
    }
}

#[test]
fn moments_are_written_by_what_they_seem_to_be() {
    for (millis, shown) in [
        (-1, "23:59:59.999Z"),
        (86_399_999, "23:59:59.999Z"),
        (86_400_000, "1970-01-02"),
        (1_795_183_200_123, "2026-11-20T14:00:00.123Z"),
    ] {
        let mut text = Vec::new();
        iso(millis, &mut text);
        assert_eq!(String::from_utf8_lossy(&text), shown);
    }
}
