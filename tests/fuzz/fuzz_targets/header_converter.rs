//! Header bytes: always a valid value, and text again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_api::Value;
use millrace_api::converter::HeaderConverter;
use millrace_converters::SimpleHeaderConverter;

fuzz_target!(|bytes: &[u8]| {
    let mut value = Vec::new();
    let schema =
        SimpleHeaderConverter.to_connect_header("t", "h", Some(bytes), &mut value).expect("any text has a value");
    millrace_fuzz::walk(Value::of(&value), schema.as_deref());
    let mut text = Vec::new();
    SimpleHeaderConverter
        .from_connect_header("t", "h", schema.as_ref(), Value::of(&value), &mut text)
        .expect("any value has a text");
    std::str::from_utf8(&text).expect("UTF-8");
});
