//! Record bytes, with schemas on and off: what is read is valid, is written back, and then reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_api::Value;
use millrace_api::config::Props;
use millrace_api::converter::{Converter, ConverterUse};
use millrace_converters::JsonConverter;

fuzz_target!(|bytes: &[u8]| {
    let Some((options, wire)) = bytes.split_first() else { return };
    let flag = |bit: u8| (options & bit != 0).to_string();
    let props: Props = [
        ("schemas.enable", flag(1)),
        ("replace.null.with.default", flag(2)),
        ("decimal.format", if options & 4 == 0 { "BASE64" } else { "NUMERIC" }.to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    let mut converter = JsonConverter::new(&props, ConverterUse::Value).expect("valid");
    let mut value = Vec::new();
    let Ok(schema) = converter.to_connect("t", Some(wire), &mut value) else { return };
    millrace_fuzz::walk(Value::of(&value), schema.as_deref());
    let mut text = Vec::new();
    // Values may not fit their schema (a number read as required text), decimals may have another scale.
    if !converter.from_connect("t", schema.as_ref(), Value::of(&value), &mut text).unwrap_or(false) {
        return;
    }
    let mut again = Vec::new();
    let schema_again = converter.to_connect("t", Some(&text), &mut again).expect("what was written is JSON");
    assert_eq!(schema, schema_again);
    if !infinite(Value::of(&value)) {
        assert_eq!(value, again, "{}", String::from_utf8_lossy(&text));
    }
});

/// Numbers past the largest double are written as text, and negative zeros read as zeros.
fn infinite(value: Value<'_>) -> bool {
    let odd = |n: f64| !n.is_finite() || (n == 0.0 && n.is_sign_negative());
    value.as_f64().is_some_and(odd)
        || value.elements().any(infinite)
        || value.entries().any(|(key, value)| infinite(key) || infinite(value))
}
