//! `Count`: how results look, and that states of parts add up.
#![allow(clippy::expect_used, reason = "tests may")]

mod support;

use millrace_api::schema::{Kind, logical};
use millrace_api::{Schema, Value};
use support::{Aggregate, batch, no_group, number_map, structure};

const CLASS: &str = "millrace.aggregates.Count";

fn state_of(records: usize) -> Vec<u8> {
    let mut count = Aggregate::new(CLASS, &[]).expect("configured");
    count.update(&batch(None, records, |_, writer| writer.int64(1)), &[]).expect("folded")
}

#[test]
fn shopstream_counts_transactions_by_the_hour() {
    let config = [("output.window.field", "hourWindow"), ("output.count.field", "transactionCount")];
    let mut count = Aggregate::new(CLASS, &config).expect("configured");
    let (key, value) = count.shown(&state_of(3), None, no_group);
    assert_eq!(key, "\"2026-11-20T14:00:00Z\"");
    assert_eq!(value, r#"{"hourWindow":"2026-11-20T14:00:00Z","transactionCount":3}"#);
}

#[test]
fn a_result_carries_the_start_of_its_window_and_the_topic_of_its_state() {
    let mut count = Aggregate::new(CLASS, &[]).expect("configured");
    let batch = count.emit(&state_of(1), None, true, no_group).expect("a record");
    let record = batch.get(0).expect("a record");
    assert_eq!((record.timestamp(), record.row().origin), (Some(1_795_183_200_000), 0));
}

#[test]
fn window_end_and_finality_are_shown_when_wanted() {
    let config = [
        ("output.window.format", "yyyy-MM-dd HH:mm"),
        ("output.window.end.field", "to"),
        ("output.final.field", "final"),
        ("output.window.field", ""),
    ];
    let mut count = Aggregate::new(CLASS, &config).expect("configured");
    for closed in [false, true] {
        let batch = count.emit(&state_of(2), None, closed, no_group).expect("a record");
        let value = batch.get(0).expect("a record").value().to_string();
        assert_eq!(value, format!(r#"{{"to":"2026-11-20 15:00","final":{closed},"count":2}}"#));
    }
}

#[test]
fn a_group_of_one_value_is_a_field() {
    let mut count = Aggregate::new(CLASS, &[("output.group.field", "currency")]).expect("configured");
    let (key, value) = count.shown(&state_of(2), None, |writer| writer.str("EUR"));
    assert_eq!(key, r#"{"window":"2026-11-20T14:00:00Z","currency":"EUR"}"#);
    assert_eq!(value, r#"{"window":"2026-11-20T14:00:00Z","currency":"EUR","count":2}"#);
}

#[test]
fn the_fields_of_a_group_join_the_result() {
    let mut count = Aggregate::new(CLASS, &[]).expect("configured");
    let (key, value) = count.shown(&state_of(2), None, |writer| {
        let open = writer.begin_map();
        writer.str("serviceId");
        writer.str("s1");
        // The result's own fields win.
        writer.str("count");
        writer.int64(99);
        writer.end(open, 2);
    });
    assert_eq!(key, r#"{"window":"2026-11-20T14:00:00Z","serviceId":"s1","count":99}"#);
    assert_eq!(value, r#"{"window":"2026-11-20T14:00:00Z","serviceId":"s1","count":2}"#);
}

#[test]
fn a_group_with_a_schema_loses_it() {
    let inner = structure(vec![("a", Schema::of(Kind::Int32)), ("day", Schema::logical(Kind::Int32, logical::DATE))]);
    let schema = structure(vec![("user", Schema::of(Kind::String)), ("nested", Schema::clone(&inner))]);
    let mut count = Aggregate::new(CLASS, &[]).expect("configured");
    let (_, value) = count.shown(&state_of(1), Some(&schema), |writer| {
        let outer = writer.begin_struct();
        writer.str("u1");
        let nested = writer.begin_struct();
        writer.int32(5);
        writer.date(3);
        writer.end(nested, 2);
        writer.end(outer, 2);
    });
    assert_eq!(value, r#"{"window":"2026-11-20T14:00:00Z","user":"u1","nested":{"a":5,"day":date(3)},"count":1}"#);
}

#[test]
fn states_of_parts_add_up_and_empty_ones_are_neutral() {
    let mut count = Aggregate::new(CLASS, &[]).expect("configured");
    let both = count.merge(&state_of(3), &state_of(4)).expect("merged");
    assert_eq!(both, state_of(7));
    assert_eq!(count.merge(&both, &[]).expect("merged"), both);
    assert_eq!(count.merge(&[], &both).expect("merged"), both);
    let more = count.update(&batch(None, 2, |_, writer| writer.null()), &both).expect("folded");
    assert_eq!(more, state_of(9), "tombstones count");
}

#[test]
fn the_form_of_states_is_kept() {
    assert_eq!(state_of(258), [1, 2, 1, 0, 0, 0, 0, 0, 0]);
    let mut count = Aggregate::new(CLASS, &[]).expect("configured");
    for broken in [&[2, 0, 0, 0, 0, 0, 0, 0, 0][..], &[1, 0], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
        assert!(count.merge(broken, &[]).is_err(), "{broken:?}");
    }
}

#[test]
fn a_wrong_pattern_is_refused() {
    let error = Aggregate::new(CLASS, &[("output.window.format", "nope")]).err().expect("refused");
    assert_eq!(
        error.message(),
        "Invalid value nope for configuration output.window.format: Illegal pattern character 'n'"
    );
}

#[test]
fn records_are_not_looked_at() {
    let mut count = Aggregate::new(CLASS, &[]).expect("configured");
    let odd = batch(None, 2, |_, writer| number_map(writer, "x", Value::NULL));
    assert_eq!(count.update(&odd, &[]).expect("folded"), state_of(2));
}
