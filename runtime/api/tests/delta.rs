//! Deltas against a model that is a list of records.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    clippy::type_complexity,
    reason = "a failed expectation is what tests are for"
)]

mod model;

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::batch::delta::{Applied, Applier, DeltaWriter, mask};
use millrace_api::batch::{Row, Slice};
use millrace_api::schema::{Kind, Schema};
use millrace_api::{Error, ErrorKind, RecordBatch, SchemaRef, Writer};
use model::{Part, Rec, batch, check, encode_headers, header_lists, parts, picture, records, topics, view};
use proptest::prelude::*;

/// What changes in one of the records that an input becomes.
#[derive(Debug, Clone)]
struct Edit {
    topic: Option<String>,
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<Part>,
    value: Option<Part>,
    headers: Option<Vec<(String, Part)>>,
}

/// What a stage does to an input.
#[derive(Debug, Clone)]
enum Op {
    Keep,
    Drop,
    Fail(u32, String),
    Change(Vec<Edit>),
    /// It is not sent to the stage at all.
    Pass,
    /// The guest traps on it, and the host says so.
    Trap,
}

fn ops() -> impl Strategy<Value = Op> {
    let maybe = |weight: f64| prop::option::weighted(weight, parts());
    let edit = (
        prop::option::weighted(0.3, topics()),
        prop::option::weighted(0.2, -5..5i32),
        prop::option::weighted(0.2, any::<i64>()),
        maybe(0.3),
        maybe(0.5),
        prop::option::weighted(0.3, header_lists()),
    );
    let edit = edit.prop_map(|(topic, partition, timestamp, key, value, headers)| Edit {
        topic,
        partition,
        timestamp,
        key,
        value,
        headers,
    });
    prop_oneof![
        3 => Just(Op::Keep),
        1 => Just(Op::Drop),
        1 => (0..5u32, ".{0,20}").prop_map(|(stage, reason)| Op::Fail(stage, reason)),
        4 => prop::collection::vec(edit, 0..4).prop_map(Op::Change),
        1 => Just(Op::Pass),
        1 => Just(Op::Trap),
    ]
}

/// Records and what is done to each, and where chunks end.
fn scripts() -> impl Strategy<Value = (Vec<Rec>, Vec<Op>, Vec<bool>)> {
    records(0..8).prop_flat_map(|records| {
        let n = records.len();
        (Just(records), prop::collection::vec(ops(), n), prop::collection::vec(any::<bool>(), n))
    })
}

/// The same on plain records.
fn expected(records: &[Rec], ops: &[Op]) -> (Vec<Rec>, Vec<u32>, Vec<(u32, String, u32)>) {
    let (mut left, mut dropped, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (record, op) in records.iter().zip(ops) {
        match op {
            Op::Keep | Op::Pass => left.push(record.clone()),
            Op::Drop => dropped.push(record.origin),
            Op::Fail(stage, reason) => failed.push((record.origin, reason.clone(), *stage)),
            Op::Trap => failed.push((record.origin, "trapped".to_owned(), 0)),
            Op::Change(edits) if edits.is_empty() => dropped.push(record.origin),
            Op::Change(edits) => left.extend(edits.iter().map(|edit| Rec {
                topic: edit.topic.clone().unwrap_or_else(|| record.topic.clone()),
                partition: edit.partition.map_or(record.partition, |partition| partition.max(-1)),
                timestamp: edit.timestamp.unwrap_or(record.timestamp),
                key: edit.key.clone().unwrap_or_else(|| record.key.clone()),
                value: edit.value.clone().unwrap_or_else(|| record.value.clone()),
                headers: edit.headers.clone().unwrap_or_else(|| record.headers.clone()),
                ..record.clone()
            })),
        }
    }
    (left, dropped, failed)
}

fn put(delta: &mut DeltaWriter, bytes: &[u8]) -> Slice {
    let heap = delta.heap();
    let start = u32::try_from(heap.len()).unwrap();
    heap.extend_from_slice(bytes);
    Slice { start, len: u32::try_from(bytes.len()).unwrap() }
}

fn part(delta: &mut DeltaWriter, (value, schema): &Part) -> (Slice, u32) {
    let id = schema.as_ref().map_or(0, |schema| delta.schema(schema));
    (value.as_ref().map_or(Slice::NULL, |bytes| put(delta, bytes)), id)
}

/// What a guest would write.
fn write(delta: &mut DeltaWriter, batch: &RecordBatch, op: &Op) {
    match op {
        Op::Keep | Op::Pass | Op::Trap => delta.keep(),
        Op::Drop => delta.drop_record(),
        Op::Fail(stage, reason) => delta.fail(*stage, reason),
        Op::Change(edits) => {
            let mut rows = Vec::new();
            for edit in edits {
                let (mut bits, mut row) = (0, Row::EMPTY);
                if let Some(topic) = &edit.topic {
                    bits |= mask::TOPIC;
                    row.topic = delta.topic(batch, topic);
                }
                if let Some(partition) = edit.partition {
                    bits |= mask::PARTITION;
                    row.partition = partition;
                }
                if let Some(timestamp) = edit.timestamp {
                    bits |= mask::TIMESTAMP;
                    row.timestamp = timestamp;
                }
                if let Some(key) = &edit.key {
                    bits |= mask::KEY;
                    (row.key, row.key_schema) = part(delta, key);
                }
                if let Some(value) = &edit.value {
                    bits |= mask::VALUE;
                    (row.value, row.value_schema) = part(delta, value);
                }
                if let Some(list) = &edit.headers {
                    bits |= mask::HEADERS;
                    let encoded = encode_headers(list, |schema| delta.schema(schema));
                    row.headers = if list.is_empty() { Slice::NULL } else { put(delta, &encoded) };
                }
                rows.push((bits, row));
            }
            delta.change(&rows);
        }
    }
}

fn delta(batch: &RecordBatch, ops: &[Op], inputs: &[u32]) -> Vec<u8> {
    let mut delta = DeltaWriter::new(batch);
    inputs.iter().for_each(|input| write(&mut delta, batch, &ops[*input as usize]));
    delta.finish()
}

/// Runs `ops` in chunks that end where `ends` says.
fn run(batch: &mut RecordBatch, ops: &[Op], ends: &[bool]) -> Applied {
    let mut applier = Applier::new(batch);
    let mut inputs = Vec::new();
    let flush = |applier: &mut Applier, batch: &mut RecordBatch, inputs: &mut Vec<u32>| {
        if !inputs.is_empty() {
            let bytes = delta(batch, ops, inputs);
            applier.chunk(batch, inputs, &bytes).unwrap();
            inputs.clear();
        }
    };
    for (input, (op, end)) in (0..).zip(ops.iter().zip(ends)) {
        match op {
            Op::Pass => {}
            Op::Trap => {
                flush(&mut applier, batch, &mut inputs);
                applier.fail(batch, input, Error::data("trapped"));
            }
            _ => inputs.push(input),
        }
        if *end {
            flush(&mut applier, batch, &mut inputs);
        }
    }
    flush(&mut applier, batch, &mut inputs);
    applier.finish(batch)
}

fn failures(applied: &Applied) -> Vec<(u32, String, u32)> {
    applied.failed.iter().map(|f| (f.row.origin, f.error.message().to_owned(), f.stage)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_stage_does_what_the_model_does((records, ops, ends) in scripts()) {
        let mut batch = batch(&records);
        let applied = run(&mut batch, &ops, &ends);
        let (left, dropped, failed) = expected(&records, &ops);
        check(&batch);
        prop_assert_eq!(view(&batch), left);
        prop_assert_eq!(&applied.dropped, &dropped);
        prop_assert_eq!(failures(&applied), failed);
        // A record that failed is still there as the stage received it.
        for failure in &applied.failed {
            let mut alone = batch.clone();
            alone.rows_mut().clear();
            alone.push(failure.row);
            prop_assert_eq!(&view(&alone)[0], &records[failure.row.origin as usize]);
        }
    }

    #[test]
    fn stages_follow_each_other((records, first, ends) in scripts(), second in prop::collection::vec(ops(), 32), more in prop::collection::vec(any::<bool>(), 32)) {
        let mut batch = batch(&records);
        run(&mut batch, &first, &ends);
        let between = view(&batch);
        let n = between.len().min(32);
        let applied = run(&mut batch, &second[..n], &more[..n]);
        let (mut left, dropped, failed) = expected(&between, &second[..n]);
        left.extend_from_slice(&between[n..]);
        prop_assert_eq!(view(&batch), left);
        prop_assert_eq!(applied.dropped, dropped);
        prop_assert_eq!(applied.failed.len(), failed.len());
    }

    #[test]
    fn a_refused_delta_changes_nothing(
        (records, ops, ends) in scripts(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut batch = batch(&records);
        let inputs: Vec<u32> = (0..).take(records.len()).collect();
        let mut bytes = delta(&batch, &ops, &inputs);
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let before = picture(&batch);
        let mut applier = Applier::new(&batch);
        if applier.chunk(&mut batch, &inputs, &bytes).is_err() {
            prop_assert_eq!(picture(&batch), before);
            // The host tries the same again in smaller pieces.
            drop(applier);
            let applied = run(&mut batch, &ops, &ends);
            let (left, dropped, _) = expected(&records, &ops);
            prop_assert_eq!(view(&batch), left);
            prop_assert_eq!(applied.dropped, dropped);
        } else {
            let applied = applier.finish(&mut batch);
            check(&batch);
            // Whatever it says, each input leaves in exactly one way.
            for input in inputs {
                let left = batch.rows().iter().any(|row| row.origin == input);
                let dropped = applied.dropped.iter().filter(|origin| **origin == input).count();
                let failed = applied.failed.iter().filter(|failed| failed.row.origin == input).count();
                prop_assert_eq!(usize::from(left) + dropped + failed, 1);
            }
        }
    }

    #[test]
    fn hostile_bytes_are_refused(records in records(0..4), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut batch = batch(&records);
        let before = picture(&batch);
        let inputs: Vec<u32> = (0..).take(records.len()).collect();
        let mut magic = b"MRD1".to_vec();
        magic.extend_from_slice(&u32::try_from(inputs.len()).unwrap().to_le_bytes());
        magic.extend_from_slice(&bytes);
        for bytes in [bytes, magic] {
            if Applier::new(&batch).chunk(&mut batch, &inputs, &bytes).is_err() {
                prop_assert_eq!(picture(&batch), before.clone());
            }
        }
    }
}

/// One record in, `count` out, each with the value that `slice` gives for its number.
fn split(heap: &[u8], count: usize, slice: impl Fn(usize) -> Slice) -> (RecordBatch, Vec<u8>) {
    let mut batch = RecordBatch::new();
    batch.intern_topic("t");
    batch.push(Row::EMPTY);
    let mut delta = DeltaWriter::new(&batch);
    delta.heap().extend_from_slice(heap);
    let rows: Vec<_> = (0..count).map(|n| (mask::VALUE, Row { value: slice(n), ..Row::EMPTY })).collect();
    delta.change(&rows);
    (batch, delta.finish())
}

#[test]
fn records_of_a_split_may_share_their_value() {
    let mut heap = Vec::new();
    Writer::new(&mut heap).bytes(&vec![7; 1 << 20]);
    let whole = Slice { start: 0, len: u32::try_from(heap.len()).unwrap() };
    let (mut batch, delta) = split(&heap, 10_000, |_| whole);
    let mut applier = Applier::new(&batch);
    applier.chunk(&mut batch, &[0], &delta).unwrap();
    assert!(applier.finish(&mut batch).dropped.is_empty());
    assert_eq!(batch.len(), 10_000);
}

#[test]
fn slices_within_slices_are_not_checked_for_ever() {
    // An array of 64 levels over a megabyte of text: every level is a valid value of about a megabyte.
    let mut heap = Vec::new();
    let open: Vec<_> = (0..63).map(|_| Writer::new(&mut heap).begin_array()).collect();
    Writer::new(&mut heap).str(&"x".repeat(1 << 20));
    open.into_iter().rev().for_each(|container| Writer::new(&mut heap).end(container, 1));
    let len = heap.len();
    let level = |n: usize| {
        let start = 9 * (n % 63);
        Slice { start: u32::try_from(start).unwrap(), len: u32::try_from(len - start).unwrap() }
    };
    let (mut batch, delta) = split(&heap, 20_000, level);
    let before = picture(&batch);
    let started = Instant::now();
    let error = Applier::new(&batch).chunk(&mut batch, &[0], &delta).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(picture(&batch), before);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn dictionaries_that_only_take_time_are_refused() {
    let (mut batch, _) = split(&[], 0, |_| Slice::NULL);
    let mut topics = DeltaWriter::new(&batch);
    for n in 0..20_000 {
        topics.topic(&batch, &format!("t{n}"));
    }
    topics.keep();
    let mut schemas = DeltaWriter::new(&batch);
    for n in 0..5_000 {
        schemas.schema(&Arc::new(Schema { version: Some(n), ..Schema::of(Kind::Int8) }));
    }
    schemas.keep();
    let mut large = DeltaWriter::new(&batch);
    for n in 0..8 {
        let doc = Some(format!("{n}{}", "x".repeat(1 << 20)));
        large.schema(&SchemaRef::new(Schema { doc, ..Schema::of(Kind::Int8) }));
    }
    large.keep();
    for delta in [topics.finish(), schemas.finish(), large.finish()] {
        let error = Applier::new(&batch).chunk(&mut batch, &[0], &delta).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }
}

fn routed(name: &str) -> (RecordBatch, millrace_api::Result<()>) {
    let (mut batch, _) = split(&[], 0, |_| Slice::NULL);
    let mut delta = DeltaWriter::new(&batch);
    let topic = delta.topic(&batch, name);
    delta.change(&[(mask::TOPIC, Row { topic, ..Row::EMPTY })]);
    let mut applier = Applier::new(&batch);
    let outcome = applier.chunk(&mut batch, &[0], &delta.finish());
    let _ = applier.finish(&mut batch);
    (batch, outcome)
}

#[test]
fn a_record_may_be_routed_to_any_name_of_bounded_length() {
    for name in ["", ".", "..", "a b", "../../a", "\u{e9}", "a\0b", &"x".repeat(250), &"x".repeat(32_767)] {
        let (batch, outcome) = routed(name);
        assert!(outcome.is_ok(), "{name}");
        assert_eq!(batch.get(0).unwrap().topic(), name);
    }
    let (_, outcome) = routed(&"x".repeat(32_768));
    let error = outcome.unwrap_err();
    assert!(error.message().contains("more than 32767 bytes"), "{}", error.message());
}

#[test]
fn names_of_topics_are_legal_by_kafkas_rule() {
    use millrace_api::log::topic_name_fault;
    for legal in ["a", "A-Z_0.9", "...", &"x".repeat(249)] {
        assert_eq!(topic_name_fault(legal), None, "{legal}");
    }
    for illegal in ["", ".", "..", "a b", "a/b", "\u{e9}", "a\0b", &"x".repeat(250)] {
        assert!(topic_name_fault(illegal).is_some(), "{illegal}");
    }
}
