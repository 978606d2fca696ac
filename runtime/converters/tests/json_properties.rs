//! Properties of `JsonConverter`: what is written reads back the same, and no bytes make it panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    reason = "a failed expectation is what tests are for"
)]

use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::converter::{Converter as _, ConverterUse};
use millrace_api::schema::{Field, Kind, Schema, logical};
use millrace_api::value::validate;
use millrace_api::{SchemaRef, Value, Writer};
use millrace_converters::JsonConverter;
use proptest::prelude::*;

fn converter(schemas: bool) -> JsonConverter {
    let props: Props = [("schemas.enable".to_owned(), schemas.to_string())].into_iter().collect();
    JsonConverter::new(&props, ConverterUse::Value).expect("valid")
}

/// A value that JSON has a word for.
#[derive(Debug, Clone)]
enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Array(Vec<Json>),
    Map(Vec<(String, Json)>),
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::Int),
        // Zero has no sign in JSON as it is read.
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite() && n.to_bits() != (-0.0f64).to_bits())
            .prop_map(Json::Float),
        "\\PC*|[\\x00-\\x7f]*|.*".prop_map(Json::Text),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            prop::collection::btree_map(".*", inner, 0..8).prop_map(|map| Json::Map(map.into_iter().collect())),
        ]
    })
}

fn write(json: &Json, w: &mut Writer<'_>) {
    match json {
        Json::Null => w.null(),
        Json::Bool(value) => w.bool(*value),
        Json::Int(value) => w.int64(*value),
        Json::Float(value) => w.float64(*value),
        Json::Text(text) => w.str(text),
        Json::Array(items) => {
            let open = w.begin_array();
            items.iter().for_each(|item| write(item, w));
            w.end(open, items.len());
        }
        Json::Map(entries) => {
            let open = w.begin_map();
            for (key, value) in entries {
                w.str(key);
                write(value, w);
            }
            w.end(open, entries.len());
        }
    }
}

/// A schema and a value of it.
fn typed() -> impl Strategy<Value = (Schema, Vec<u8>)> {
    fn leaf<T: std::fmt::Debug>(
        kind: Kind,
        values: impl Strategy<Value = T>,
        write: fn(&mut Writer<'_>, T),
    ) -> impl Strategy<Value = (Schema, Vec<u8>)> {
        values.prop_map(move |value| {
            let mut out = Vec::new();
            write(&mut Writer::new(&mut out), value);
            (Schema::of(kind), out)
        })
    }
    let named = |name: &'static str| {
        move |(schema, value): (Schema, Vec<u8>)| {
            (Schema { name: Some(name.to_owned()), version: Some(1), ..schema }, value)
        }
    };
    let leaf = prop_oneof![
        leaf(Kind::Boolean, any::<bool>(), |w, n| w.bool(n)),
        leaf(Kind::Int8, any::<i8>(), |w, n| w.int8(n)),
        leaf(Kind::Int16, any::<i16>(), |w, n| w.int16(n)),
        leaf(Kind::Int32, any::<i32>(), |w, n| w.int32(n)),
        leaf(Kind::Int64, any::<i64>(), |w, n| w.int64(n)),
        leaf(Kind::Float32, any::<f32>().prop_filter("finite", |n| n.is_finite() && *n != 0.0), |w, n| w.float32(n)),
        leaf(Kind::Float64, any::<f64>().prop_filter("finite", |n| n.is_finite() && *n != 0.0), |w, n| w.float64(n)),
        leaf(Kind::String, ".*", |w, n| w.str(&n)),
        leaf(Kind::Bytes, any::<Vec<u8>>(), |w, n| w.bytes(&n)),
        leaf(Kind::Int32, any::<i32>(), |w, n| w.date(n)).prop_map(named(logical::DATE)),
        leaf(Kind::Int32, 0..86_400_000i32, |w, n| w.time(n)).prop_map(named(logical::TIME)),
        leaf(Kind::Int64, any::<i64>(), |w, n| w.timestamp(n)).prop_map(named(logical::TIMESTAMP)),
        (-50..50i32, any::<i128>()).prop_map(|(scale, n)| {
            let mut out = Vec::new();
            Writer::new(&mut out).decimal_i128(scale, n);
            (Schema::decimal(scale), out)
        }),
    ];
    let optional = leaf.prop_flat_map(|(schema, value)| {
        prop_oneof![
            Just((schema.clone(), value.clone())),
            Just((schema.clone().into_optional(), value)),
            Just((schema.into_optional(), Value::NULL.bytes().to_vec())),
        ]
    });
    optional.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            inner.clone().prop_map(|(schema, value)| {
                let mut out = Vec::new();
                let open = Writer::new(&mut out).begin_array();
                out.extend_from_slice(&value);
                out.extend_from_slice(&value);
                Writer::new(&mut out).end(open, 2);
                (Schema { values: Some(schema.into()), ..Schema::of(Kind::Array) }, out)
            }),
            (".*", inner.clone()).prop_map(|(key, (schema, value))| {
                let mut out = Vec::new();
                let open = Writer::new(&mut out).begin_map();
                Writer::new(&mut out).str(&key);
                out.extend_from_slice(&value);
                Writer::new(&mut out).end(open, 1);
                let keys = Some(Schema::of(Kind::String).into());
                (Schema { keys, values: Some(schema.into()), ..Schema::of(Kind::Map) }, out)
            }),
            prop::collection::btree_map(".+", inner, 0..6).prop_map(|fields| {
                let mut out = Vec::new();
                let open = Writer::new(&mut out).begin_struct();
                fields.values().for_each(|(_, value)| out.extend_from_slice(value));
                Writer::new(&mut out).end(open, fields.len());
                let fields = fields.into_iter().map(|(name, (schema, _))| Field::new(name, schema)).collect();
                (Schema::structure(fields), out)
            }),
        ]
    })
}

/// Text that is nearly JSON.
fn soup() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\"a\""),
        Just("\"b\":"),
        Just("1"),
        Just("-1.5e3"),
        Just("0.1"),
        Just("12345678901234567890"),
        Just("true"),
        Just("false"),
        Just("null"),
        Just(" "),
        Just("\"\\u00e9\\n\""),
        Just("\"é\""),
        Just("\""),
        Just("\\"),
        Just("\n"),
        Just("1e"),
        Just("-"),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn what_is_written_reads_back(json in json()) {
        let mut value = Vec::new();
        write(&json, &mut Writer::new(&mut value));
        for schemas in [false, true] {
            let mut converter = converter(schemas);
            let mut wire = Vec::new();
            if !converter.from_connect("t", None, Value::of(&value), &mut wire).unwrap() {
                continue;
            }
            let mut read = Vec::new();
            prop_assert_eq!(converter.to_connect("t", Some(&wire), &mut read).unwrap(), None);
            prop_assert_eq!(&read, &value);
            // Somebody else's reader takes what was written.
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&wire).is_ok());
        }
    }

    #[test]
    fn typed_values_read_back_with_their_schema((schema, value) in typed()) {
        prop_assert!(validate(&value).is_ok());
        let schema: SchemaRef = Arc::new(schema);
        let mut converter = converter(true);
        for _ in 0..2 {
            let mut wire = Vec::new();
            prop_assert!(converter.from_connect("t", Some(&schema), Value::of(&value), &mut wire).unwrap());
            let mut read = Vec::new();
            prop_assert_eq!(converter.to_connect("t", Some(&wire), &mut read).unwrap(), Some(Arc::clone(&schema)));
            prop_assert_eq!(&read, &value);
        }
    }

    #[test]
    fn order_of_members_does_not_matter((schema, value) in typed()) {
        let schema: SchemaRef = Arc::new(schema);
        let mut converter = converter(true);
        let mut wire = Vec::new();
        converter.from_connect("t", Some(&schema), Value::of(&value), &mut wire).unwrap();
        // Sorted backwards at every level of the payload; the schema keeps its order of fields.
        fn turn(json: serde_json::Value) -> serde_json::Value {
            match json {
                serde_json::Value::Object(map) => {
                    let mut members: Vec<_> = map.into_iter().map(|(key, value)| (key, turn(value))).collect();
                    members.reverse();
                    serde_json::Value::Object(members.into_iter().collect())
                }
                serde_json::Value::Array(items) => items.into_iter().map(turn).collect(),
                other => other,
            }
        }
        let json: serde_json::Value = serde_json::from_slice(&wire).unwrap();
        let turned = format!("{{\"payload\":{},\"schema\":{}}}", turn(json["payload"].clone()), json["schema"]);
        let mut read = Vec::new();
        let got = converter.to_connect("t", Some(turned.as_bytes()), &mut read).unwrap();
        prop_assert_eq!(got.as_ref(), Some(&schema));
        // Maps keep the order they came in; all else is as it was.
        let mut straight = Vec::new();
        converter.to_connect("t", Some(&wire), &mut straight).unwrap();
        prop_assert_eq!(read.len(), straight.len());
    }

    #[test]
    fn strict_json_is_taken_and_means_the_same(text in soup()) {
        if let Ok(other) = serde_json::from_str::<serde_json::Value>(&text) {
            let mut value = Vec::new();
            converter(false).to_connect("t", Some(text.as_bytes()), &mut value).unwrap();
            let mut wire = Vec::new();
            if converter(false).from_connect("t", None, Value::of(&value), &mut wire).unwrap() {
                let ours: serde_json::Value = serde_json::from_slice(&wire).unwrap();
                // Integers past 64 bits wrap here and become floats there.
                if !text.contains("12345678901234567890") {
                    prop_assert_eq!(ours, other);
                }
            } else {
                prop_assert!(other.is_null());
            }
        }
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in soup()) {
        for wire in [bytes, text.into_bytes()] {
            for schemas in [false, true] {
                let mut value = Vec::new();
                if converter(schemas).to_connect("t", Some(&wire), &mut value).is_ok() {
                    prop_assert!(validate(&value).is_ok());
                }
            }
        }
    }
}

#[test]
fn deep_text_is_refused_and_does_not_cost_more_than_it_is_long() {
    let mut converter = converter(false);
    for text in ["[".repeat(1 << 20), "{\"a\":".repeat(1 << 18)] {
        let error = converter.to_connect("t", Some(text.as_bytes()), &mut Vec::new()).unwrap_err();
        assert!(error.trace().contains("nest deeper than 64 levels"));
    }
    let text = "[".repeat(64) + &"]".repeat(64);
    converter.to_connect("t", Some(text.as_bytes()), &mut Vec::new()).unwrap();
}

#[test]
fn duplicates_in_nested_structs_do_not_multiply_the_work() {
    let mut schema = "{\"type\":\"int32\"}".to_owned();
    let mut payload = "1".to_owned();
    for _ in 0..60 {
        schema = format!(
            "{{\"type\":\"struct\",\"fields\":[{{\"field\":\"g\",\"type\":\"int32\"}},{{\"field\":\"f\",{}]}}",
            &schema[1..]
        );
        payload = format!("{{\"f\":{payload},\"g\":1,\"g\":2}}");
    }
    let wire = format!("{{\"schema\":{schema},\"payload\":{payload}}}");
    let started = std::time::Instant::now();
    converter(true).to_connect("t", Some(wire.as_bytes()), &mut Vec::new()).unwrap();
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn many_duplicate_keys_cost_little() {
    let text = format!("{{{}\"a\":0}}", "\"a\":1,\"b\":2,".repeat(100_000));
    let mut value = Vec::new();
    converter(false).to_connect("t", Some(text.as_bytes()), &mut value).unwrap();
    assert_eq!(Value::of(&value).count(), Some(2));
    assert_eq!(Value::of(&value).get("a").and_then(Value::as_i64), Some(0));
}
