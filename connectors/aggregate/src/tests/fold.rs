//! First phase.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_api::batch::raw::RawBatch;
use millrace_api::batch::{RecordBatch, Row};
use millrace_api::log::TopicPartition;
use millrace_api::transform::Windowed as _;
use proptest::prelude::*;

use super::config;
use super::counter::Counter;
use crate::fold::Fold;
use crate::message::Message;

const IDLE: Duration = Duration::from_mins(1);

/// Partition and time of each record.
fn batch(records: &[(i32, i64)]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("in");
    for (partition, timestamp) in records {
        batch.push(Row { topic, partition: *partition, timestamp: *timestamp, ..Row::EMPTY });
    }
    batch
}

/// Counts by start of the window, late records, and watermarks, of records that come in batches of these sizes.
fn folded(records: &[(i32, i64)], sizes: &[usize]) -> (BTreeMap<i64, u32>, usize, BTreeMap<String, i64>) {
    let mut fold = Fold::default();
    (0..3).for_each(|partition| fold.open(TopicPartition::new("in", partition), i64::MIN));
    let (mut late, mut rest, mut sizes) = (0, records, sizes.iter().cycle());
    while !rest.is_empty() {
        let (now, later) = rest.split_at((*sizes.next().expect("a size")).min(rest.len()));
        rest = later;
        let batch = batch(now);
        let rows: Vec<u32> = (0..u32::try_from(now.len()).expect("few")).collect();
        let plan = fold.plan(&batch, &rows, &config(&[])).expect("a plan");
        let states = Counter.update(&batch, &plan.slots, &fold.states(&plan)).expect("counted");
        late += plan.late.len();
        let none = vec![RawBatch::new(); plan.sources.len()];
        fold.apply(plan, states, none);
    }
    let mut counts = BTreeMap::new();
    for message in fold.partials() {
        let Message::Partial(partial) = message else { panic!("a partial") };
        let count = u64::from_le_bytes(partial.state.try_into().expect("a count"));
        assert_eq!(count, u64::from(partial.records));
        *counts.entry(partial.start).or_insert(0) += partial.records;
    }
    let watermarks = fold.watermarks(IDLE).into_iter().map(|watermark| (watermark.source, watermark.time)).collect();
    (counts, late, watermarks)
}

/// The same by hand.
fn model(records: &[(i32, i64)]) -> (BTreeMap<i64, u32>, usize, BTreeMap<String, i64>) {
    let mut watermarks: BTreeMap<String, i64> = (0..3).map(|partition| (format!("in-{partition}"), i64::MIN)).collect();
    let (mut counts, mut late) = (BTreeMap::new(), 0);
    for (partition, at) in records {
        let watermark = watermarks.get_mut(&format!("in-{partition}")).expect("a partition");
        let start = at.div_euclid(100) * 100;
        if start + 150 <= *watermark {
            late += 1;
        } else {
            *counts.entry(start).or_insert(0) += 1;
        }
        *watermark = (*watermark).max(*at);
    }
    (counts, late, watermarks)
}

proptest! {
    #[test]
    fn batches_do_not_matter(
        records in prop::collection::vec((0..3, 0..2_000_i64), 0..200),
        sizes in prop::collection::vec(1..40_usize, 1..5),
    ) {
        prop_assert_eq!(folded(&records, &sizes), model(&records));
    }
}

#[test]
fn a_plan_alone_changes_nothing() {
    let mut fold = Fold::default();
    fold.open(TopicPartition::new("in", 0), 7);
    let before = fold.watermarks(IDLE);
    let plan = fold.plan(&batch(&[(0, 10), (0, 500), (0, 20)]), &[0, 1, 2], &config(&[])).expect("a plan");
    assert_eq!((plan.slots.len(), plan.late.len()), (2, 1));
    assert_eq!((fold.watermarks(IDLE), fold.partials().count()), (before, 0));
}

#[test]
fn records_of_a_partition_that_is_not_open_are_not_lost_silently() {
    let fold = Fold::default();
    assert!(fold.plan(&batch(&[(0, 10)]), &[0], &config(&[])).is_err());
}

#[test]
fn an_idle_partition_says_so_again_and_an_active_one_does_not() {
    let mut fold = Fold::default();
    let partition = TopicPartition::new("in", 0);
    fold.open(partition.clone(), 7);
    let told = fold.watermarks(IDLE);
    fold.committed(&told);
    assert!(fold.watermarks(Duration::ZERO).is_empty());
    fold.source(&partition).expect("open").rest();
    let told = fold.watermarks(IDLE);
    assert!(told[0].idle);
    fold.committed(&told);
    assert!(fold.watermarks(IDLE).is_empty());
    assert_eq!(fold.watermarks(Duration::ZERO), told);
}

#[test]
fn a_partition_has_been_read_when_what_there_was_a_spell_ago_has() {
    let mut fold = Fold::default();
    let partition = TopicPartition::new("in", 0);
    fold.open(partition.clone(), 7);
    let source = fold.source(&partition).expect("open");
    assert!(!source.has_read_on(100));
    source.wait(50);
    assert!(!source.has_read_on(49) && source.has_read_on(50));
}
