//! One input partition, as its task folds it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_api::batch::raw::RawBatch;

use crate::message::{Message, Partial, Watermark};

/// What is new in one input partition since the last commit, and how far it is.
pub(crate) struct Source {
    /// By start of the window and group: records and state.
    partials: BTreeMap<(i64, Vec<u8>), (u32, Vec<u8>)>,
    /// Late records to be written with the next commit.
    late: Vec<RawBatch>,
    /// Largest event time seen; `i64::MIN` for none.
    pub(crate) watermark: i64,
    idle: bool,
    /// What the second phase was told last, and when.
    told: Option<(i64, bool, Instant)>,
    /// When something came last, or it was found that something is still to come.
    quiet_since: Instant,
    /// End of the partition when that was found.
    seen: Option<i64>,
}

impl Source {
    /// A partition that was assigned; `watermark` is the one it had at its last commit.
    pub(crate) fn new(watermark: i64) -> Self {
        Self {
            partials: BTreeMap::new(),
            late: Vec::new(),
            watermark,
            idle: false,
            told: None,
            quiet_since: Instant::now(),
            seen: None,
        }
    }

    /// The state of a window and group since the last commit; empty when there is none.
    pub(crate) fn state(&self, slot: &(i64, Vec<u8>)) -> Vec<u8> {
        self.partials.get(slot).map(|(_, state)| state.clone()).unwrap_or_default()
    }

    /// `records` more records came to a state.
    pub(crate) fn store(&mut self, slot: (i64, Vec<u8>), records: u32, state: Vec<u8>) {
        let partial = self.partials.entry(slot).or_default();
        partial.0 = partial.0.saturating_add(records);
        partial.1 = state;
    }

    /// Records with event times came.
    pub(crate) fn advance(&mut self, watermark: i64, late: RawBatch) {
        self.watermark = watermark;
        self.idle = false;
        self.quiet_since = Instant::now();
        self.seen = None;
        if !late.rows().is_empty() {
            self.late.push(late);
        }
    }

    /// Whether it has been quiet long enough to ask where it ends.
    pub(crate) fn is_quiet(&self, idle_after: Duration) -> bool {
        !self.idle && self.quiet_since.elapsed() >= idle_after
    }

    /// Whether everything was read that was in it when it was last found that something is still to come. What was read since
    /// then had no event times: transformations dropped it.
    pub(crate) fn has_read_on(&self, position: i64) -> bool {
        self.seen.is_some_and(|seen| seen <= position)
    }

    /// The end when it was last found that something is still to come.
    pub(crate) fn seen(&self) -> Option<i64> {
        self.seen
    }

    /// There is nothing to read.
    pub(crate) fn rest(&mut self) {
        self.idle = true;
    }

    /// There is something to read, up to `end`.
    pub(crate) fn wait(&mut self, end: i64) {
        self.seen = Some(end);
        self.quiet_since = Instant::now();
    }

    /// Partials since the last commit.
    pub(crate) fn partials(&self) -> impl Iterator<Item = Message> + '_ {
        self.partials.iter().map(|((start, group), (records, state))| {
            Message::Partial(Partial { start: *start, records: *records, group: group.clone(), state: state.clone() })
        })
    }

    /// Late records since the last commit.
    pub(crate) fn late(&self) -> &[RawBatch] {
        &self.late
    }

    /// The watermark, if the second phase does not know it yet. That a partition is idle is said again and again: whoever starts
    /// to merge does not believe what was said before.
    pub(crate) fn news(&self, name: &str, idle_after: Duration) -> Option<Watermark> {
        let known = self.told.is_some_and(|(time, idle, at)| {
            (time, idle) == (self.watermark, self.idle) && (!idle || at.elapsed() < idle_after)
        });
        (!known).then(|| Watermark { source: name.to_owned(), time: self.watermark, idle: self.idle })
    }

    /// The transaction that held all of it is committed; `told`: the watermark as well.
    pub(crate) fn committed(&mut self, told: bool) {
        self.partials.clear();
        self.late.clear();
        if told {
            self.told = Some((self.watermark, self.idle, Instant::now()));
        }
    }
}
