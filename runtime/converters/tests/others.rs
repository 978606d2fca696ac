//! String and byte array converters, names, tables, and what JSON text cannot express; expected answers are those of Kafka Connect
//! 4.3.1's classes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    reason = "a failed expectation is what tests are for"
)]

use std::sync::Arc;

use millrace_api::config::{Default, Props};
use millrace_api::converter::{Converter, ConverterUse};
use millrace_api::schema::{Field, Kind, Schema, logical};
use millrace_api::{ErrorKind, SchemaRef, Value, Writer};
use millrace_converters::{by_class, plugins};

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn converter(class: &str, pairs: &[(&str, &str)]) -> Box<dyn Converter> {
    by_class(class).expect(class).converter(&props(pairs), ConverterUse::Value).unwrap()
}

fn value(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer::new(&mut out));
    out
}

/// What is written, `null` for null bytes, or the message.
fn written(converter: &mut dyn Converter, schema: Option<Schema>, value: &[u8]) -> Vec<u8> {
    let schema: Option<SchemaRef> = schema.map(Arc::new);
    let mut out = Vec::new();
    match converter.from_connect("t", schema.as_ref(), Value::of(value), &mut out) {
        Ok(true) => out,
        Ok(false) => b"(null)".to_vec(),
        Err(error) => format!("E {}", error.message()).into_bytes(),
    }
}

#[test]
fn converters_are_known_by_every_name_that_kafka_connect_takes() {
    for (name, class) in [
        ("org.apache.kafka.connect.json.JsonConverter", "org.apache.kafka.connect.json.JsonConverter"),
        ("JsonConverter", "org.apache.kafka.connect.json.JsonConverter"),
        ("Json", "org.apache.kafka.connect.json.JsonConverter"),
        ("String", "org.apache.kafka.connect.storage.StringConverter"),
        ("ByteArrayConverter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("SimpleHeaderConverter", "org.apache.kafka.connect.storage.SimpleHeaderConverter"),
        ("Simple", "org.apache.kafka.connect.storage.SimpleHeaderConverter"),
    ] {
        assert_eq!(by_class(name).map(|plugin| plugin.class()), Some(class), "{name}");
    }
    for name in ["json", "Converter", "HeaderConverter", "SimpleHeader", "", "AvroConverter"] {
        assert!(by_class(name).is_none(), "{name}");
    }
}

#[test]
fn all_but_one_convert_values_and_all_convert_headers() {
    for plugin in plugins() {
        let converts = plugin.converter(&Props::new(), ConverterUse::Value);
        if plugin.class().ends_with("HeaderConverter") {
            assert_eq!(converts.err().map(|error| error.kind()), Some(ErrorKind::Config));
        } else {
            assert!(converts.is_ok());
        }
        assert!(plugin.header_converter(&Props::new()).is_ok());
    }
}

#[test]
fn tables_are_those_of_kafka_connect() {
    let table = |class: &str| -> Vec<(String, &str, Default)> {
        let keys = by_class(class).unwrap().config_def().keys;
        let mut table: Vec<_> = keys.into_iter().map(|key| (key.name, key.kind.name(), key.default)).collect();
        table.sort_by(|one, other| one.0.cmp(&other.0));
        table
    };
    let row = |name: &str, kind: &'static str, default: Default| (name.to_owned(), kind, default);
    let text = |text: &str| Default::Value(text.to_owned());
    assert_eq!(
        table("Json"),
        [
            row("converter.type", "STRING", Default::Required),
            row("decimal.format", "STRING", text("BASE64")),
            row("replace.null.with.default", "BOOLEAN", text("true")),
            row("schema.content", "STRING", Default::Null),
            row("schemas.cache.size", "INT", text("1000")),
            row("schemas.enable", "BOOLEAN", text("true")),
        ]
    );
    assert_eq!(
        table("String"),
        [row("converter.encoding", "STRING", text("UTF-8")), row("converter.type", "STRING", Default::Required)]
    );
    assert_eq!(table("ByteArray"), [row("converter.type", "STRING", Default::Required)]);
    assert_eq!(table("Simple"), []);
}

#[test]
fn wrong_settings_are_refused() {
    let error = |class: &str, pairs: &[(&str, &str)]| {
        by_class(class).unwrap().converter(&props(pairs), ConverterUse::Key).err().map(|e| e.message().to_owned())
    };
    assert_eq!(
        error("Json", &[("decimal.format", "HEX")]).as_deref(),
        Some(
            "Invalid value HEX for configuration decimal.format: String must be one of (case insensitive): NUMERIC, BASE64"
        )
    );
    assert!(error("String", &[("converter.encoding", "EBCDIC")]).unwrap().contains("converter.encoding"));
}

#[test]
fn json_says_what_does_not_fit() {
    let mut json = converter("Json", &[("schemas.enable", "false")]);
    let text = value(|w| w.str("x"));
    let long = value(|w| w.int64(5));
    let null = value(|w| w.null());
    let of = |kind| Some(Schema::of(kind));
    let logical = |kind, name| Some(Schema::logical(kind, name));
    let list = Schema { values: Some(Schema::of(Kind::Int32).into()), ..Schema::of(Kind::Array) };
    for (schema, value, expected) in [
        (Some(Schema::optional(Kind::String)), &null, "null"),
        (of(Kind::String), &null, "E Conversion error: null value for field that is required and has no default value"),
        (Some(Schema { default: Some(value(|w| w.int32(7))), ..Schema::of(Kind::Int32) }), &null, "7"),
        (None, &null, "(null)"),
        (of(Kind::Int32), &text, "E Invalid type for INT32: class java.lang.String"),
        (of(Kind::Int64), &value(|w| w.int32(5)), "E Invalid type for INT64: class java.lang.Integer"),
        (of(Kind::String), &long, "E Invalid type for STRING: class java.lang.Long"),
        (of(Kind::Bytes), &text, "E Invalid type for bytes type: class java.lang.String"),
        (Some(list), &text, "E Invalid type for ARRAY: class java.lang.String"),
        (of(Kind::Struct), &text, "E Invalid type for STRUCT: class java.lang.String"),
        (of(Kind::Boolean), &long, "E Invalid type for BOOLEAN: class java.lang.Long"),
        (None, &value(|w| w.float64(f64::NAN)), "\"NaN\""),
        (None, &value(|w| w.bytes(&[1, 2])), "\"AQI=\""),
        (None, &value(|w| w.int8(5)), "5"),
        (None, &value(|w| w.float32(1.5)), "1.5"),
        (
            None,
            &value(|w| {
                let open = w.begin_map();
                w.int64(1);
                w.int64(2);
                w.end(open, 1);
            }),
            "[[1,2]]",
        ),
        (
            None,
            &value(|w| w.decimal_i128(1, 15)),
            "E Java class class java.math.BigDecimal does not have corresponding schema type.",
        ),
        (None, &value(|w| w.date(0)), "E Java class class java.util.Date does not have corresponding schema type."),
        (
            logical(Kind::Int32, logical::TIME),
            &value(|w| w.time(-1)),
            "E Kafka Connect Time type should not have any date fields set to non-zero values.",
        ),
        (
            Some(Schema::decimal(2)),
            &text,
            "E Invalid type for Decimal, expected BigDecimal but was class java.lang.String",
        ),
        (
            logical(Kind::Int32, logical::DATE),
            &text,
            "E Invalid type for Date, expected Date but was class java.lang.String",
        ),
        (
            None,
            &value(|w| {
                let open = w.begin_struct();
                w.end(open, 0);
            }),
            "E Mismatching schema.",
        ),
        (
            Some(Schema::structure(vec![Field::new("a", Schema::optional(Kind::Int8))])),
            &value(|w| {
                let open = w.begin_struct();
                w.end(open, 0);
            }),
            "E Mismatching schema.",
        ),
    ] {
        let got = String::from_utf8(written(&mut *json, schema.clone(), value)).unwrap();
        assert_eq!(got, expected, "{schema:?}");
    }
}

#[test]
fn json_envelopes_of_nulls() {
    let mut json = converter("Json", &[]);
    let null = value(|w| w.null());
    assert_eq!(written(&mut *json, None, &null), b"(null)");
    assert_eq!(
        written(&mut *json, Some(Schema::optional(Kind::Int32)), &null),
        br#"{"schema":{"type":"int32","optional":true},"payload":null}"#
    );
    assert_eq!(written(&mut *json, None, &value(|w| w.str("x"))), br#"{"schema":null,"payload":"x"}"#);
    let map = Schema {
        keys: Some(Schema::of(Kind::String).into()),
        values: Some(Schema::optional(Kind::Int32).into()),
        optional: true,
        name: Some("m".to_owned()),
        version: Some(2),
        doc: Some("d".to_owned()),
        parameters: vec![("p".to_owned(), "q".to_owned())],
        ..Schema::of(Kind::Map)
    };
    let entry = value(|w| {
        let open = w.begin_map();
        w.str("k");
        w.null();
        w.end(open, 1);
    });
    assert_eq!(
        written(&mut *json, Some(map), &entry),
        br#"{"schema":{"type":"map","keys":{"type":"string","optional":false},"values":{"type":"int32","optional":true},"optional":true,"name":"m","version":2,"doc":"d","parameters":{"p":"q"}},"payload":{"k":null}}"#
    );
}

#[test]
fn strings_in_every_encoding() {
    let text = value(|w| w.str("a\u{e9}\u{4e2d}\u{1f600}"));
    for (encoding, bytes, read) in [
        ("US-ASCII", &b"a???"[..], "\u{fffd}a\u{fffd}"),
        ("ISO-8859-1", b"a\xe9??", "\u{e9}a\u{ff}"),
        ("UTF-16LE", b"a\0\xe9\0\x2d\x4e\x3d\xd8\0\xde", "\u{61e9}\u{fffd}"),
        ("UTF-8", "a\u{e9}\u{4e2d}\u{1f600}".as_bytes(), "\u{fffd}a\u{fffd}"),
    ] {
        let mut string = converter("String", &[("converter.encoding", encoding)]);
        assert_eq!(written(&mut *string, None, &text), bytes, "{encoding}");
        let mut out = Vec::new();
        let schema = string.to_connect("t", Some(b"\xe9a\xff"), &mut out).unwrap();
        assert_eq!(Value::of(&out).as_str(), Some(read), "{encoding}");
        assert_eq!(schema.as_deref(), Some(&Schema::optional(Kind::String)));
    }
    let mut string = converter("String", &[("converter.encoding", "UTF-16")]);
    assert_eq!(written(&mut *string, None, &value(|w| w.str("a\u{e9}"))), b"\xfe\xff\0a\0\xe9");
    assert_eq!(written(&mut *string, None, &value(|w| w.str(""))), b"");
}

#[test]
fn strings_are_what_java_prints_and_null_is_null() {
    let mut string = converter("String", &[]);
    let list = value(|w| {
        let open = w.begin_array();
        w.int64(1);
        w.null();
        w.float64(1e10);
        w.end(open, 3);
    });
    assert_eq!(written(&mut *string, None, &list), b"[1, null, 1.0E10]");
    assert_eq!(written(&mut *string, None, &value(|w| w.null())), b"(null)");
    let mut out = Vec::new();
    let schema = string.to_connect("t", None, &mut out).unwrap();
    assert!(Value::of(&out).is_null());
    assert_eq!(schema.as_deref(), Some(&Schema::optional(Kind::String)));
}

#[test]
fn bytes_pass_as_they_are() {
    let mut bytes = converter("ByteArray", &[]);
    let mut out = Vec::new();
    let schema = bytes.to_connect("t", Some(b"\xff\0"), &mut out).unwrap();
    assert_eq!(
        (Value::of(&out).as_bytes(), schema.as_deref()),
        (Some(&b"\xff\0"[..]), Some(&Schema::optional(Kind::Bytes)))
    );
    assert_eq!(written(&mut *bytes, Some(Schema::optional(Kind::Bytes)), &out), b"\xff\0");
    assert_eq!(written(&mut *bytes, None, &value(|w| w.null())), b"(null)");
    let text = value(|w| w.str("x"));
    assert_eq!(
        written(&mut *bytes, Some(Schema::of(Kind::String)), &text),
        b"E Invalid schema type for ByteArrayConverter: STRING"
    );
    assert_eq!(
        written(&mut *bytes, None, &text),
        b"E ByteArrayConverter is not compatible with objects of type class java.lang.String"
    );
}
