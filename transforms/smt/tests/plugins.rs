//! What the component offers, and how its parts work together.
#![allow(clippy::expect_used, reason = "tests may")]

use std::fmt::Write as _;

use millrace_api::batch::{RecordBatch, Row};
use millrace_api::config::{ConfigKey, Default};
use millrace_api::value::Tag;
use millrace_api::{Value, Writer};
use millrace_sdk::StageConfig;
use millrace_sdk::bindings::smt::exports::millrace::connect::transformations::Stage;
use millrace_sdk::export::configure;
use millrace_sdk::testing::{TestChain, props};
use millrace_smt::regex::{Pattern, TooSlow};

const PACKAGE: &str = "org.apache.kafka.connect.transforms.";

/// Names, types, defaults, importance, order and width of all keys are those of Kafka Connect.
#[test]
fn config_tables_are_kafka_connects() {
    let mut tables = String::new();
    for plugin in millrace_smt::plugins() {
        let name = plugin.class().strip_prefix(PACKAGE).expect("a class of Kafka Connect");
        writeln!(tables, "{name}").expect("room");
        for key in plugin.config_def().keys {
            writeln!(tables, "  {}", line(&key)).expect("room");
            assert!(!key.doc.is_empty(), "{name} {} is documented", key.name);
        }
    }
    let sorted = |text: &str| {
        let mut classes: Vec<_> = text.split_inclusive('\n').fold(Vec::<Vec<&str>>::new(), |mut classes, line| {
            match classes.last_mut() {
                Some(class) if line.starts_with(' ') => class.push(line),
                _ => classes.push(vec![line]),
            }
            classes
        });
        classes.sort_by_key(|class| class[0]);
        classes.concat().concat()
    };
    assert_eq!(sorted(&tables), sorted(include_str!("oracle/config_tables.txt")));
}

fn line(key: &ConfigKey) -> String {
    let default = match &key.default {
        Default::Required => "(required)".to_owned(),
        Default::Null => "(null)".to_owned(),
        Default::Value(text) => format!("\"{text}\""),
    };
    let (name, kind, importance) = (&key.name, key.kind.name(), key.importance.name());
    format!("{name} {kind} {default} {importance} {} {}", key.order, key.width.name())
}

/// Records on two topics, the second of them a tombstone.
fn batch() -> RecordBatch {
    let mut batch = RecordBatch::new();
    for topic in ["orders", "deleted"] {
        let (value, ()) = batch
            .append(|heap| {
                let mut writer = Writer::new(heap);
                if topic == "deleted" {
                    writer.null();
                } else {
                    let open = writer.begin_map();
                    writer.str("time");
                    writer.int64(1_763_647_200_123);
                    writer.end(open, 1);
                }
                Ok(())
            })
            .expect("room");
        let topic = batch.intern_topic(topic);
        batch.push(Row { topic, value, offset: 1, partition: 0, timestamp: 5, ..Row::EMPTY });
    }
    batch
}

fn stage(class: &str, config: &[(&str, &str)]) -> StageConfig {
    StageConfig { class: format!("{PACKAGE}{class}"), config: props(config), ..StageConfig::default() }
}

fn topics_after(stages: &[StageConfig]) -> Vec<String> {
    let mut batch = batch();
    let applied =
        TestChain::of(millrace_smt::plugins(), stages).expect("configured").apply(&mut batch).expect("a delta");
    assert!(applied.failed.is_empty());
    batch.iter().map(|record| record.topic().to_owned()).collect()
}

#[test]
fn a_filter_drops_what_its_predicate_matches_or_does_not() {
    let predicate =
        |class: &str, config: &[(&str, &str)]| Some((format!("{PACKAGE}predicates.{class}"), props(config)));
    let tombstones = StageConfig { predicate: predicate("RecordIsTombstone", &[]), ..stage("Filter", &[]) };
    assert_eq!(topics_after(std::slice::from_ref(&tombstones)), ["orders"]);
    assert_eq!(topics_after(&[StageConfig { negate: true, ..tombstones }]), ["deleted"]);
    let named =
        StageConfig { predicate: predicate("TopicNameMatches", &[("pattern", "ord.*")]), ..stage("Filter", &[]) };
    assert_eq!(topics_after(&[named]), ["deleted"]);
}

#[test]
fn a_predicate_sees_what_stages_before_it_did() {
    let route = stage("RegexRouter", &[("regex", "(.*)ed"), ("replacement", "$1-it")]);
    let filter = StageConfig {
        predicate: Some((format!("{PACKAGE}predicates.TopicNameMatches"), props(&[("pattern", "delet-it")]))),
        ..stage("Filter", &[])
    };
    assert_eq!(topics_after(&[route, filter]), ["orders"]);
}

#[test]
fn without_a_schema_converted_timestamps_still_tell_their_type() {
    for (target, tag) in [("Date", Tag::Date), ("Time", Tag::Time), ("Timestamp", Tag::Timestamp), ("unix", Tag::Int64)]
    {
        let mut batch = batch();
        let config = [("field", "time"), ("target.type", target)];
        let convert = StageConfig {
            predicate: Some((format!("{PACKAGE}predicates.RecordIsTombstone"), props(&[]))),
            negate: true,
            ..stage("TimestampConverter$Value", &config)
        };
        TestChain::of(millrace_smt::plugins(), &[convert]).expect("configured").apply(&mut batch).expect("a delta");
        let record = batch.get(0).expect("a record");
        assert_eq!(record.value().get("time").map(Value::tag), Some(tag));
    }
}

#[test]
fn a_failed_record_leaves_the_others_alone() {
    let mut batch = batch();
    let mask = stage("MaskField$Value", &[("fields", "time")]);
    let applied =
        TestChain::of(millrace_smt::plugins(), &[mask]).expect("configured").apply(&mut batch).expect("a delta");
    assert_eq!(batch.len(), 1);
    let failed = applied.failed.first().expect("the tombstone");
    assert_eq!(
        failed.error.message(),
        "Only Map objects supported in absence of schema for [mask fields], found: null"
    );
}

#[test]
fn a_pattern_that_backtracks_without_end_is_given_up() {
    let pattern = Pattern::compile("((a*)*)*b").expect("a pattern");
    let text: Vec<char> = "a".repeat(40).chars().collect();
    assert_eq!(pattern.matches(&text), Err(TooSlow));
}

#[test]
fn stages_hand_headers_on() {
    let mut batch = batch();
    let move_time = StageConfig {
        predicate: Some((format!("{PACKAGE}predicates.RecordIsTombstone"), props(&[]))),
        negate: true,
        ..stage("HeaderFrom$Value", &[("fields", "time"), ("headers", "t"), ("operation", "move")])
    };
    let stages = [
        stage("InsertHeader", &[("header", "a"), ("value.literal", "[1, 300]")]),
        stage("InsertHeader", &[("header", "b"), ("value.literal", "2026-11-20")]),
        move_time,
        stage("DropHeaders", &[("headers", "a")]),
    ];
    let applied =
        TestChain::of(millrace_smt::plugins(), &stages).expect("configured").apply(&mut batch).expect("a delta");
    assert!(applied.failed.is_empty());
    let names = |index| {
        let record = batch.get(index).expect("a record");
        record.headers().map(|header| (header.name.to_owned(), header.schema.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(names(0), [("b".to_owned(), true), ("t".to_owned(), false)]);
    assert_eq!(names(1), [("b".to_owned(), true)]);
    assert_eq!(batch.get(0).expect("a record").value().count(), Some(0));
}

/// A message in Kafka Connect's words need not name the key.
#[test]
fn a_refusal_names_its_key() {
    let refused = |class: &str, config: &[(&str, &str)]| {
        let pairs = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let stage = Stage { class: format!("{PACKAGE}{class}"), config: pairs, predicate: None, negate: false };
        let error = configure(millrace_smt::plugins(), vec![stage]).expect_err("refused");
        (error.key.unwrap_or_default(), error.message)
    };
    let (key, message) = refused("Cast$Value", &[("spec", "")]);
    assert_eq!((&*key, &*message), ("spec", "Must specify at least one field to cast."));
    assert_eq!(refused("Cast$Value", &[("spec", ":")]).0, "spec");
    assert_eq!(refused("HeaderFrom$Key", &[("fields", ""), ("headers", "a"), ("operation", "move")]).0, "fields");
    assert_eq!(refused("SetSchemaMetadata$Key", &[]).0, "");
}
