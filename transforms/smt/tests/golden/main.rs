//! Every transformation and predicate against what Kafka Connect's own answered to the same record: see `tests/oracle`.
//!
//! A case whose answer is meant to be another has `differs` beside `want`, and says `because`.

#![allow(clippy::expect_used, clippy::panic, reason = "tests may")]

mod json;

use std::path::Path;

use json::{read_schema, schema_json, value_json, write_value};
use millrace_api::batch::{Header, NO_PARTITION, NO_TIMESTAMP, RecordBatch, Row, headers};
use millrace_api::config::Props;
use millrace_api::{SchemaRef, Writer};
use millrace_sdk::StageConfig;
use millrace_sdk::testing::TestChain;
use serde_json::{Value as Json, json};

macro_rules! cases {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let file = concat!("tests/oracle/", stringify!($name), ".jsonl");
            check(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
        }
    )*};
}
cases!(
    cast,
    cast_random,
    drop_headers,
    extract_field,
    filter,
    flatten,
    flatten_random,
    header_from,
    header_from_random,
    hoist_field,
    insert_field,
    insert_header,
    insert_header_random,
    mask_field,
    predicates,
    regex_random,
    regex_router,
    replace_field,
    set_schema_metadata,
    simple_date_format,
    simple_date_format_random,
    timestamp_converter,
    timestamp_router,
    value_to_key,
);

fn check(file: &Path) {
    let text = std::fs::read_to_string(file).expect("a file of cases");
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).expect("a case");
        let want = case.get("differs").or_else(|| case.get("want")).expect("what is wanted");
        let got = answer(&case);
        count += 1;
        if !agree(want, &got) {
            let (name, class, config) = (&case["name"], &case["class"], &case["config"]);
            wrong.push(format!("{name} {class} {config}\n  record {}\n  want {want}\n  got  {got}", case["record"]));
        }
    }
    assert!(count > 0, "{} holds no cases", file.display());
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Answers agree when they are equal; the text of a refused configuration needs only begin alike, up to where Java shows its own
/// objects and patterns.
fn agree(want: &Json, got: &Json) -> bool {
    let (Some(want_text), Some(got_text)) = (want["refused"].as_str(), got["refused"].as_str()) else {
        return match want["failed"].as_str() {
            Some(text) => got["failed"].as_str() == Some(&*without_contents(text)),
            None => want == got,
        };
    };
    let head = want_text.lines().next().unwrap_or_default();
    let head = head.split(" near index").next().unwrap_or_default();
    let head = head.split("org.apache.kafka").next().unwrap_or_default();
    let plain = |text: &str| text.replace(['[', ']'], "").replace(", ", ",");
    plain(got_text).starts_with(&plain(head))
}

/// Millrace's messages do not hold what records hold.
fn without_contents(text: &str) -> String {
    for (before, after) in [("value (", ") does not match"), ("Value (", ") was out of range")] {
        if let (Some((head, _)), Some((_, tail))) = (text.split_once(before), text.rsplit_once(after)) {
            let (before, after) = (before.trim_end_matches(" ("), after.trim_start_matches(')'));
            return format!("{head}{before}{after}{tail}");
        }
    }
    let shown = text.split_once(" on record: ").map_or(text, |(head, _)| &text[..head.len() + " on record".len()]);
    shown.to_owned()
}

fn answer(case: &Json) -> Json {
    let class = case["class"].as_str().expect("class").to_owned();
    let is_predicate = class.contains(".predicates.");
    let config: Props = case["config"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let stage = StageConfig { class, config, ..StageConfig::default() };
    let mut chain = match TestChain::of(millrace_smt::plugins(), &[stage]) {
        Ok(chain) => chain,
        Err(error) => return json!({"refused": error.message()}),
    };
    if case.get("record").is_none() {
        return json!({"accepted": true});
    }
    let mut batch = RecordBatch::new();
    push(&mut batch, &case["record"]);
    let applied = chain.apply(&mut batch).expect("a well-formed delta");
    if let Some(failed) = applied.failed.first() {
        return json!({"failed": failed.error.message()});
    }
    if is_predicate {
        return json!({"matches": batch.len() == 1});
    }
    let Some(record) = batch.get(0) else { return json!({"dropped": true}) };
    let mut answer = json!({
        "topic": record.topic(),
        "keySchema": schema_json(record.key_schema()),
        "key": value_json(record.key_schema(), record.key()),
        "valueSchema": schema_json(record.value_schema()),
        "value": value_json(record.value_schema(), record.value()),
    });
    let headers: Vec<Json> = record.headers().map(|header| header_json(&header)).collect();
    if !headers.is_empty() {
        answer["headers"] = headers.into();
    }
    answer
}

fn header_json(header: &Header<'_>) -> Json {
    json!({
        "name": header.name,
        "schema": schema_json(header.schema),
        "value": value_json(header.schema, header.value),
    })
}

/// Name, schema and value of each: of an object, whose values have no schemas, or of an array of objects.
fn read_headers(json: Option<&Json>) -> impl Iterator<Item = (&str, Option<SchemaRef>, &Json)> {
    let plain = json.and_then(Json::as_object).into_iter().flatten();
    let full = json.and_then(Json::as_array).into_iter().flatten();
    let plain = plain.map(|(name, value)| (name.as_str(), None, value));
    plain
        .chain(full.map(|json| (json["name"].as_str().expect("name"), read_schema(json.get("schema")), &json["value"])))
}

fn push(batch: &mut RecordBatch, json: &Json) {
    let number = |name: &str, default: i64, null: i64| match json.get(name) {
        None => default,
        Some(Json::Null) => null,
        Some(number) => number.as_i64().expect("number"),
    };
    let topic = json.get("topic").map_or("orders", |topic| topic.as_str().expect("topic"));
    let mut part = |name: &str, schema: Option<&SchemaRef>| {
        let value = json.get(name).unwrap_or(&Json::Null);
        let written = batch.append(|heap| {
            write_value(&mut Writer::new(heap), schema.map(|schema| &**schema), value);
            Ok(())
        });
        written.expect("room").0
    };
    let (key_schema, value_schema) = (read_schema(json.get("keySchema")), read_schema(json.get("valueSchema")));
    let (key, value) = (part("key", key_schema.as_ref()), part("value", value_schema.as_ref()));
    let given: Vec<_> = read_headers(json.get("headers"))
        .map(|(name, schema, value)| {
            (name, schema.as_ref().map_or(0, |schema| batch.intern_schema(schema)), schema, value)
        })
        .collect();
    let headers = batch.append(|heap| {
        for (name, id, schema, value) in &given {
            headers::push(heap, name, *id, |writer| write_value(writer, schema.as_deref(), value));
        }
        Ok(())
    });
    let is_source = json.get("source") == Some(&Json::Bool(true));
    let row = Row {
        offset: if is_source { -1 } else { number("offset", 42, -1) },
        timestamp: number("timestamp", 1_763_647_200_123, NO_TIMESTAMP),
        topic: batch.intern_topic(topic),
        partition: i32::try_from(number("partition", 3, NO_PARTITION.into())).expect("partition"),
        key,
        value,
        headers: headers.expect("room").0,
        key_schema: key_schema.map_or(0, |schema| batch.intern_schema(&schema)),
        value_schema: value_schema.map_or(0, |schema| batch.intern_schema(&schema)),
        ..Row::EMPTY
    };
    batch.push(row);
}
