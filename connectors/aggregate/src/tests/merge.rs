//! Second phase.

use std::collections::{BTreeMap, BTreeSet};

use millrace_api::batch::{RecordBatch, flags};
use millrace_api::log::StateTable as _;
use proptest::prelude::*;

use super::counter::Counter;
use super::{Memory, config};
use crate::config::AggregateConfig;
use crate::key;
use crate::merge::{Inputs, Merge};
use crate::message::{Message, Partial, Watermark};
use crate::restore::CHECKPOINT;

fn inputs(partitions: &[&str]) -> Inputs {
    let partitions: BTreeSet<String> = partitions.iter().map(|name| (*name).to_owned()).collect();
    Inputs { topics: BTreeSet::from(["in".to_owned()]), partitions }
}

fn partial(start: i64, records: u32) -> Message {
    let state = u64::from(records).to_le_bytes().to_vec();
    Message::Partial(Partial { start, records, group: vec![0], state })
}

fn watermark(source: &str, time: i64, idle: bool) -> Message {
    Message::Watermarks(vec![Watermark { source: source.to_owned(), time, idle }])
}

struct Bench {
    table: Memory,
    merge: Merge,
    inputs: Inputs,
    config: AggregateConfig,
    position: i64,
}

impl Bench {
    fn new(partitions: &[&str], more: &[(&str, &str)]) -> Self {
        let (table, inputs) = (Memory::default(), inputs(partitions));
        let merge = Merge::open(Box::new(table.clone()), &inputs).expect("opened");
        Self { table, merge, inputs, config: config(more), position: 0 }
    }

    fn take(&mut self, messages: Vec<Message>) -> u64 {
        self.merge.take(messages, &self.inputs, &self.config, &mut Counter).expect("taken")
    }

    /// Closes at most so many windows, and returns start, count and whether that is final of what is emitted.
    fn close(&mut self, most: usize) -> (bool, Vec<(i64, u64, bool)>) {
        let more = self.merge.close_passed(&self.config, most).expect("closed");
        let batches = self.merge.results(&self.config).expect("results");
        let results = batches.iter().flat_map(RecordBatch::iter).map(|record| {
            let count = record.value().as_bytes().expect("a state").try_into().expect("a count");
            let last = record.row().flags & flags::FINAL != 0;
            (record.timestamp().expect("a start"), u64::from_le_bytes(count), last)
        });
        (more, results.collect())
    }

    fn commit(&mut self) -> Vec<(i64, u64, bool)> {
        let (_, results) = self.close(usize::MAX);
        self.committed();
        results
    }

    fn committed(&mut self) {
        self.position += 1;
        self.merge.committed(Some(self.position)).expect("written");
    }

    fn restart(&mut self) {
        self.merge = Merge::open(Box::new(self.table.clone()), &self.inputs).expect("opened");
    }
}

#[test]
fn the_slowest_partition_decides_and_an_unheard_one_is_the_slowest() {
    let mut bench = Bench::new(&["in-0", "in-1"], &[]);
    bench.take(vec![partial(0, 3), watermark("in-0", 1_000, false)]);
    assert_eq!(bench.commit(), [(0, 3, false)]);
    bench.take(vec![watermark("in-1", 149, false)]);
    assert_eq!(bench.commit(), []);
    bench.take(vec![partial(0, 2), watermark("in-1", 150, false)]);
    assert_eq!(bench.commit(), [(0, 5, true)]);
    assert_eq!(bench.take(vec![partial(0, 4)]), 4, "late");
    assert_eq!(bench.commit(), []);
}

#[test]
fn a_partition_that_is_idle_does_not_count_until_it_says_otherwise_or_the_merge_restarts() {
    let mut bench = Bench::new(&["in-0", "in-1"], &[]);
    bench.take(vec![watermark("in-1", 5, true), partial(0, 1), watermark("in-0", 200, false)]);
    assert_eq!(bench.commit(), [(0, 1, true)]);
    bench.take(vec![partial(100, 1), watermark("in-1", 5, false), watermark("in-0", 400, false)]);
    assert_eq!(bench.commit(), [(100, 1, false)]);
    bench.take(vec![watermark("in-1", 5, true)]);
    assert_eq!(bench.commit(), [(100, 1, true)]);
    bench.restart();
    bench.take(vec![partial(500, 1), watermark("in-0", 900, false)]);
    assert_eq!(bench.commit(), [(500, 1, false)]);
}

#[test]
fn the_table_says_how_far_it_is() {
    let mut bench = Bench::new(&["in-0"], &[]);
    for position in 1..3_i64 {
        bench.take(vec![partial(0, 1)]);
        bench.commit();
        let known = bench.table.get(&key::meta(CHECKPOINT)).expect("read");
        assert_eq!(known, Some(position.to_le_bytes().to_vec()));
    }
}

#[test]
fn watermarks_of_partitions_never_go_back() {
    let mut bench = Bench::new(&["in-0", "in-1"], &[]);
    bench.take(vec![partial(0, 1), watermark("in-0", 500, false), watermark("in-0", 10, false)]);
    bench.take(vec![watermark("in-1", 500, false)]);
    assert_eq!(bench.commit(), [(0, 1, true)]);
}

#[test]
fn what_is_no_input_does_not_count() {
    let mut bench = Bench::new(&["in-0", "in-1"], &[]);
    bench.take(vec![watermark("in-1", 5, false), watermark("gone-0", 5, false)]);
    bench.commit();
    bench.inputs = inputs(&["in-0"]);
    bench.restart();
    bench.take(vec![partial(0, 1), watermark("in-0", 500, false), watermark("gone-0", 6, false)]);
    assert_eq!(bench.commit(), [(0, 1, true)]);
}

#[test]
fn windows_close_a_few_at_a_time_and_each_once() {
    for fails in [false, true] {
        let mut bench = Bench::new(&["in-0"], &[]);
        bench.take((0..10).map(|n| partial(n * 100, 1)).collect());
        bench.commit();
        // Some of them change once more in the transaction that closes them.
        bench.take(vec![partial(200, 1), partial(900, 1), watermark("in-0", 5_000, false)]);
        let mut finals = Vec::new();
        loop {
            let (more, results) = bench.close(3);
            if fails {
                // The transaction is tried again, with the same results.
                assert_eq!(bench.close(3), (more, results.clone()));
            }
            assert!(results.iter().filter(|(_, _, last)| *last).count() <= 3);
            finals.extend(results.into_iter().filter(|(_, _, last)| *last));
            bench.committed();
            if fails {
                bench.restart();
            }
            if !more {
                break;
            }
        }
        finals.sort_unstable();
        let count = |n: i64| if n == 2 || n == 9 { 2 } else { 1 };
        assert_eq!(finals, (0..10).map(|n| (n * 100, count(n), true)).collect::<Vec<_>>());
        assert_eq!(bench.commit(), []);
    }
}

#[test]
fn windows_that_are_over_stay_over_in_an_old_table_and_with_more_grace() {
    let mut bench = Bench::new(&["in-0"], &[]);
    bench.take(vec![partial(0, 1), watermark("in-0", 200, false)]);
    assert_eq!(bench.commit(), [(0, 1, true)]);
    // The table of a worker that was away while the changelog forgot that the window is gone.
    bench.table.write(&[(key::window(0, &[0]), Some(vec![1; 8]))]).expect("written");
    bench.config = config(&[("window.grace.ms", "5000")]);
    bench.restart();
    assert_eq!(bench.take(vec![partial(0, 1), watermark("in-0", 9_000, false)]), 1);
    assert_eq!(bench.commit(), []);
}

proptest! {
    /// Partials of two partitions in any order and any number of commits, then everything closes.
    #[test]
    fn any_order_of_partials_gives_the_same_sums(
        partials in prop::collection::vec((0..5_i64, 1..9_u32), 0..60),
        commits in prop::collection::vec(1..10_usize, 1..5),
    ) {
        let mut bench = Bench::new(&["in-0", "in-1"], &[]);
        let (mut rest, mut commits) = (partials.as_slice(), commits.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*commits.next().expect("a size")).min(rest.len()));
            rest = later;
            bench.take(now.iter().map(|(n, records)| partial(n * 100, *records)).collect());
            bench.commit();
            bench.restart();
        }
        bench.take(vec![watermark("in-0", 9_000, false), watermark("in-1", 9_000, false)]);
        let mut sums: BTreeMap<i64, u64> = BTreeMap::new();
        for (n, records) in &partials {
            *sums.entry(n * 100).or_default() += u64::from(*records);
        }
        prop_assert_eq!(bench.commit(), sums.into_iter().map(|(start, sum)| (start, sum, true)).collect::<Vec<_>>());
    }
}
