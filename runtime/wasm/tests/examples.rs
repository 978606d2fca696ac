//! The example components, whatever their language, against one table of cases. `tests/guests/run` builds them.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests may")]

mod common;

use std::path::PathBuf;
use std::time::Instant;

use common::{chain, failures, props};
use millrace_api::batch::{NO_PARTITION, RecordBatch, Row};
use millrace_api::schema::{Field, Kind, Schema};
use millrace_api::transform::Components;
use millrace_api::{SchemaRef, Writer};
use millrace_wasm::{WasmComponents, WasmOptions};

type Write = fn(&mut Writer<'_>);

/// Fields, characters kept, the value, and the value as text afterwards, or the reason why the record fails.
const CASES: [(&str, &str, Write, Result<&str, &str>); 9] = [
    ("card", "4", |w| map(w, &[("card", |w| w.str("4111111111111111"))]), Ok(r#"{"card":"************1111"}"#)),
    ("card", "0", |w| map(w, &[("card", |w| w.str("4111"))]), Ok(r#"{"card":"****"}"#)),
    ("card", "9", |w| map(w, &[("card", |w| w.str("4111"))]), Ok(r#"{"card":"4111"}"#)),
    // Characters, not bytes nor UTF-16 units.
    ("name", "1", |w| map(w, &[("name", |w| w.str("Zoë🦀Ω"))]), Ok(r#"{"name":"****Ω"}"#)),
    // What is not asked for stays as it was: 2^53 + 1, 2.0, nested values.
    (
        "b,c",
        "1",
        |w| {
            map(
                w,
                &[
                    ("a", |w| w.int64(9_007_199_254_740_993)),
                    ("b", |w| w.str("xyz")),
                    ("f", |w| w.float64(2.0)),
                    ("n", |w| map(w, &[("b", |w| w.str("deep"))])),
                    ("c", |w| w.null()),
                ],
            );
        },
        Ok(r#"{"a":9007199254740993,"b":"**z","f":2.0,"n":{"b":"deep"},"c":null}"#),
    ),
    ("absent", "4", |w| map(w, &[("card", |w| w.str("4111"))]), Ok(r#"{"card":"4111"}"#)),
    ("card", "4", |w| w.null(), Ok("null")),
    ("card", "4", |w| map(w, &[("card", |w| w.int32(4111))]), Err("field card is not text")),
    ("card", "4", |w| w.str("4111"), Err("the value has no fields")),
];

fn map(writer: &mut Writer<'_>, entries: &[(&str, Write)]) {
    let open = writer.begin_map();
    for (name, write) in entries {
        writer.str(name);
        write(writer);
    }
    writer.end(open, entries.len());
}

/// Loads the component that `variable` names.
fn load(variable: &str) -> WasmComponents {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: use tests/guests/run"));
    let cache_dir = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("components"));
    let components = WasmComponents::new(WasmOptions { cache_dir, ..WasmOptions::default() }).expect("a sandbox");
    let started = Instant::now();
    components.load_file(&PathBuf::from(path)).expect("loads");
    println!("loaded in {:?}", started.elapsed());
    components
}

fn batch_of(values: &[Write]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("t");
    for (origin, write) in (0..).zip(values) {
        let (value, ()) = batch
            .append(|heap| {
                write(&mut Writer::new(heap));
                Ok(())
            })
            .expect("fits");
        batch.push(Row { origin, topic, value, offset: i64::from(origin), partition: NO_PARTITION, ..Row::EMPTY });
    }
    batch
}

fn passes_the_cases(variable: &str) {
    let components = load(variable);
    for (fields, keep, value, expected) in CASES {
        let stage = [
            ("transforms", "r"),
            ("transforms.r.type", "Redact"),
            ("transforms.r.fields", fields),
            ("transforms.r.keep", keep),
        ];
        // A neighbour on each side, to see that nothing is mixed up.
        let other: Write = |w| map(w, &[("other", |w| w.bool(true))]);
        let mut batch = batch_of(&[other, value, other]);
        let report = chain(&components, &stage).apply(&mut batch).expect("applies");
        let values: Vec<String> = batch.iter().map(|record| record.value().to_string()).collect();
        match expected {
            Ok(text) => assert_eq!(values, [r#"{"other":true}"#, text, r#"{"other":true}"#], "{:?}", failures(&report)),
            Err(reason) => {
                assert_eq!(values, [r#"{"other":true}"#; 2]);
                assert_eq!(failures(&report), [(1, reason)]);
            }
        }
    }
    structs_keep_their_schema(&components);
    refuses_what_is_wrong(&components);
    survives_its_neighbours(&components);
}

fn structs_keep_their_schema(components: &WasmComponents) {
    let id = Schema { doc: Some("unique".to_owned()), ..Schema::of(Kind::Int64) };
    let nested = Schema::structure(vec![Field::new("card", Schema::optional(Kind::String))]).into_optional();
    let schema = Schema {
        name: Some("Order".to_owned()),
        version: Some(3),
        parameters: vec![("k".to_owned(), "v".to_owned())],
        ..Schema::structure(vec![
            Field::new("id", id),
            Field::new("deep", nested),
            Field::new("card", Schema::optional(Kind::String)),
        ])
    };
    let mut batch = batch_of(&[|w| {
        let open = w.begin_struct();
        w.int64(7);
        let deep = w.begin_struct();
        w.str("inner");
        w.end(deep, 1);
        w.str("4111111111111111");
        w.end(open, 3);
    }]);
    let schema = SchemaRef::new(schema);
    let value_schema = batch.intern_schema(&schema);
    batch.rows_mut()[0].value_schema = value_schema;
    let stage = [("transforms", "r"), ("transforms.r.type", "com.example.Redact"), ("transforms.r.fields", "card")];
    let report = chain(components, &stage).apply(&mut batch).expect("applies");
    let record = batch.get(0).unwrap_or_else(|| panic!("{:?}", failures(&report)));
    assert_eq!(record.value().to_string(), r#"[7,["inner"],"************1111"]"#);
    assert_eq!(record.value_schema(), Some(&schema));
}

fn refuses_what_is_wrong(components: &WasmComponents) {
    let error = |pairs: &[(&str, &str)]| {
        let stage = [&[("transforms", "r"), ("transforms.r.type", "Redact")], pairs].concat();
        components.chain(&props(&stage)).map(drop).expect_err("refused").message().to_owned()
    };
    assert_eq!(error(&[]), "Missing required configuration \"transforms.r.fields\" which has no default value.");
    assert_eq!(
        error(&[("transforms.r.fields", "a"), ("transforms.r.keep", "-1")]),
        "Invalid value -1 for configuration transforms.r.keep: Value must be at least 0"
    );
}

/// Two stages, a thousand records, one of them at fault; and what a record costs.
fn survives_its_neighbours(components: &WasmComponents) {
    let stages = [
        ("transforms", "r,s"),
        ("transforms.r.type", "Redact"),
        ("transforms.r.fields", "a"),
        ("transforms.s.type", "Redact"),
        ("transforms.s.fields", "b"),
        ("transforms.s.keep", "1"),
    ];
    let good: Write = |w| map(w, &[("a", |w| w.str("12345678")), ("b", |w| w.str("xyz"))]);
    let mut values = vec![good; 1000];
    values[700] = |w| map(w, &[("a", |w| w.str("12345678")), ("b", |w| w.bool(false))]);
    let mut chain = chain(components, &stages);
    let original = batch_of(&values);
    let mut best = f64::MAX;
    for _ in 0..20 {
        let mut batch = original.clone();
        let started = Instant::now();
        let report = chain.apply(&mut batch).expect("applies");
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / 1000.0);
        assert_eq!(failures(&report), [(700, "field b is not text")]);
        assert_eq!(report.failed[0].0.stage, 1);
        assert_eq!(batch.len(), 999);
        assert!(batch.iter().all(|record| record.value().to_string() == r#"{"a":"****5678","b":"**z"}"#));
    }
    println!("two stages: {best:.0} ns per record");
}

#[test]
#[ignore = "needs MILLRACE_TEST_RUST_GUEST"]
fn real_rust_example() {
    passes_the_cases("MILLRACE_TEST_RUST_GUEST");
}

#[test]
#[ignore = "needs MILLRACE_TEST_JS_GUEST"]
fn real_js_example() {
    passes_the_cases("MILLRACE_TEST_JS_GUEST");
}
