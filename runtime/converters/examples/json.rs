//! Nanoseconds per record of JSON to tagged values and back, beside parsing the same text to a tree.
//!
//!     cargo run --release -p millrace-converters --example json

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a measurement")]

use std::hint::black_box;
use std::time::Instant;

use millrace_api::config::Props;
use millrace_api::converter::{Converter as _, ConverterUse};
use millrace_api::value::java;
use millrace_api::{Value, Writer};
use millrace_converters::JsonConverter;

const ORDER: &str = r#"{"orderId":"order-000042","customerId":4711,"productId":"product-0815","quantity":3,"price":99.5,"orderTime":"2026-11-20T14:03:07Z","status":"CREATED"}"#;
const SCHEMA: &str = r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"orderId"},{"type":"int64","optional":false,"field":"customerId"},{"type":"string","optional":false,"field":"productId"},{"type":"int32","optional":false,"field":"quantity"},{"type":"double","optional":false,"field":"price"},{"type":"string","optional":false,"field":"orderTime"},{"type":"string","optional":false,"field":"status"}],"optional":false,"name":"order"}"#;

/// Best of several runs, as the others show the machine's other work.
fn measure(name: &str, bytes: usize, mut work: impl FnMut()) {
    const ROUNDS: u32 = 200_000;
    let best = (0..9).map(|_| {
        let started = Instant::now();
        (0..ROUNDS).for_each(|_| work());
        started.elapsed()
    });
    let nanos = best.min().unwrap().as_secs_f64() * 1e9 / f64::from(ROUNDS);
    println!("{name:42} {nanos:7.0} ns  {:7.0} MB/s", bytes as f64 / nanos * 1e3);
}

fn converter(schemas: bool) -> JsonConverter {
    let props: Props = [("schemas.enable".to_owned(), schemas.to_string())].into_iter().collect();
    JsonConverter::new(&props, ConverterUse::Value).unwrap()
}

fn main() {
    let envelope = format!("{{\"schema\":{SCHEMA},\"payload\":{ORDER}}}");
    println!("order of {} bytes, {} with its schema", ORDER.len(), envelope.len());
    for (name, text, schemas) in [("plain", ORDER, false), ("envelope", envelope.as_str(), true)] {
        let mut converter = converter(schemas);
        let mut value = Vec::new();
        let schema = converter.to_connect("t", Some(text.as_bytes()), &mut value).unwrap();
        let mut out = Vec::new();
        measure(&format!("{name}: JSON to tagged"), text.len(), || {
            out.clear();
            black_box(converter.to_connect("t", Some(black_box(text.as_bytes())), &mut out).unwrap());
        });
        measure(&format!("{name}: tagged to JSON"), text.len(), || {
            out.clear();
            converter.from_connect("t", schema.as_ref(), Value::of(black_box(&value)), &mut out).unwrap();
        });
        measure(&format!("{name}: tagged to Java's text"), text.len(), || {
            out.clear();
            java::text(Value::of(black_box(&value)), schema.as_deref(), &mut out);
        });
    }
    measure("serde_json::Value parse", ORDER.len(), || {
        black_box(serde_json::from_slice::<serde_json::Value>(black_box(ORDER.as_bytes())).unwrap());
    });
    let tree: serde_json::Value = serde_json::from_str(ORDER).unwrap();
    let mut out = Vec::new();
    measure("serde_json::Value write", ORDER.len(), || {
        out.clear();
        serde_json::to_writer(&mut out, black_box(&tree)).unwrap();
    });
    let mut copy = Vec::new();
    measure("(one string of 160 bytes, for scale)", ORDER.len(), || {
        copy.clear();
        Writer::new(&mut copy).str(black_box(ORDER));
    });
}
