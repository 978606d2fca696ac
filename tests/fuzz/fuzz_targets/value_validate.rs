//! Bytes that somebody calls a value: checked ones read well, others do not make a reader panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_api::Value;
use millrace_api::value::{java, validate};

fuzz_target!(|bytes: &[u8]| {
    if validate(bytes).is_ok() {
        millrace_fuzz::walk(Value::of(bytes), None);
    }
    let unchecked = Value::of(bytes);
    java::text(unchecked, None, &mut Vec::new());
    let _ = (unchecked.get("a"), unchecked.count(), unchecked.decimal_text());
    let _ = millrace_api::schema::decode(bytes);
});
