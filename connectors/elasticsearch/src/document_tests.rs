//! Documents against what Kafka Connect's JSON converter and Confluent's connector write.

use millrace_api::schema::{Field, Kind, Schema, logical};
use millrace_api::{Value, Writer};

use super::Style;

fn written(style: Style, schema: Option<&Schema>, write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    millrace_api::value::validate(&bytes).expect("well-formed");
    let mut out = Vec::new();
    style.value(Value::of(&bytes), schema, &mut out);
    let text = String::from_utf8(out).expect("UTF-8");
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    text
}

const COMPACT: Style = Style { compact_maps: true };
const LISTS: Style = Style { compact_maps: false };

#[test]
fn every_type_has_its_form() {
    fn plain(write: impl FnOnce(&mut Writer<'_>)) -> String {
        written(COMPACT, None, write)
    }
    assert_eq!(plain(|w| w.int64(i64::MIN)), "-9223372036854775808");
    assert_eq!(plain(|w| w.float32(0.1)), "0.1");
    assert_eq!(plain(|w| w.float64(1e300)), "1e300");
    assert_eq!(plain(|w| w.float64(f64::NAN)), "\"NaN\"");
    assert_eq!(plain(|w| w.float32(f32::NEG_INFINITY)), "\"-Infinity\"");
    assert_eq!(plain(|w| w.bytes(&[0, 255, 16])), "\"AP8Q\"");
    assert_eq!(plain(|w| w.decimal_i128(2, -1999)), "-19.99");
    assert_eq!(plain(|w| w.date(20_777)), "\"2026-11-20\"");
    assert_eq!(plain(|w| w.date(-1)), "\"1969-12-31\"");
    assert_eq!(plain(|w| w.date(11_016)), "\"2000-02-29\"");
    assert_eq!(plain(|w| w.time(3_600_000)), "3600000");
    assert_eq!(plain(|w| w.timestamp(1_790_000_000_000)), "1790000000000");
    let null = plain(|w| {
        w.null();
    });
    assert_eq!(null, "null");
}

#[test]
fn nothing_in_a_text_ends_a_line() {
    let text = written(COMPACT, None, |w| w.str("a\"b\\c\n\r\t\u{0}\u{1f}é\u{2028}😀"));
    assert_eq!(text, "\"a\\\"b\\\\c\\n\\r\\t\\u0000\\u001fé\u{2028}😀\"");
    for code in 0..=0x7f_u8 {
        let one = char::from(code).to_string();
        let text = written(COMPACT, None, |w| w.str(&one));
        assert!(text.bytes().all(|byte| byte >= 0x20), "{code}");
        assert_eq!(serde_json::from_str::<String>(&text).expect("JSON"), one);
    }
}

#[test]
fn structs_maps_and_defaults() {
    let map = Schema {
        keys: Some(Schema::of(Kind::String).into()),
        values: Some(Schema::of(Kind::Int64).into()),
        ..Schema::of(Kind::Map)
    };
    let mut default = Vec::new();
    Writer::new(&mut default).str("none");
    let schema = Schema::structure(vec![
        Field::new("id", Schema::of(Kind::Int32)),
        Field::new("note", Schema { default: Some(default), ..Schema::optional(Kind::String) }),
        Field::new("counts", map.clone()),
        Field::new("at", Schema::logical(Kind::Int64, logical::TIMESTAMP)),
    ]);
    let write = |w: &mut Writer<'_>| {
        let open = w.begin_struct();
        w.int32(1);
        w.null();
        let inner = w.begin_map();
        w.str("a");
        w.int64(2);
        w.end(inner, 1);
        w.timestamp(5);
        w.end(open, 4);
    };
    assert_eq!(written(COMPACT, Some(&schema), write), r#"{"id":1,"note":"none","counts":{"a":2},"at":5}"#);
    assert_eq!(
        written(LISTS, Some(&schema), write),
        r#"{"id":1,"note":"none","counts":[{"key":"a","value":2}],"at":5}"#
    );
    // Without a schema maps are objects, whatever compact.map.entries says; keys that are no text make a list.
    let numbers = |w: &mut Writer<'_>| {
        let open = w.begin_map();
        w.int64(1);
        w.bool(true);
        w.end(open, 1);
    };
    assert_eq!(written(LISTS, None, numbers), r#"[{"key":1,"value":true}]"#);
}

#[test]
fn a_document_is_an_object_and_may_be_led_by_a_field() {
    let document = |fields: &[&str], extra: Option<&[u8]>| {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        let open = writer.begin_map();
        for field in fields {
            writer.str(field);
            writer.int64(1);
        }
        writer.end(open, fields.len());
        let mut out = b"before\n".to_vec();
        COMPACT.document(Value::of(&bytes), None, extra, &mut out).expect("object");
        String::from_utf8(out).expect("UTF-8")
    };
    assert_eq!(document(&["a"], None), "before\n{\"a\":1}");
    assert_eq!(document(&["a", "b"], Some(b"\"t\":5")), "before\n{\"t\":5,\"a\":1,\"b\":1}");
    assert_eq!(document(&[], Some(b"\"t\":5")), "before\n{\"t\":5}");
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).str("{");
    let mut out = b"before\n".to_vec();
    assert!(COMPACT.document(Value::of(&bytes), None, None, &mut out).is_err());
    assert_eq!(out, b"before\n");
}
