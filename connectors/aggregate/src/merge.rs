//! Second phase: one partition of the repartition topic merges partials into states.
//!
//! Changes stay in memory until their transaction is committed; then they go to the table in one write, with the position in
//! the changelog that they reach to. A crash in between leaves the table behind, and [`crate::restore`] catches it up.

use std::collections::{BTreeMap, BTreeSet};

use millrace_api::log::StateTable;
use millrace_api::transform::Windowed;
use millrace_api::{Error, Result};

use crate::config::AggregateConfig;
use crate::key;
use crate::message::{Message, Partial, Watermark};
use crate::restore::{CHECKPOINT, read_number};

/// The states of one partition of the repartition topic.
pub(crate) struct Merge {
    pub(crate) table: Box<dyn StateTable>,
    /// Changes since the last commit.
    pub(crate) dirty: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Windows to emit at the next commit.
    pub(crate) changed: BTreeSet<Vec<u8>>,
    /// Windows that closed since the last commit, with their last state.
    pub(crate) closed: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How far each input partition is, and whether it is idle.
    sources: BTreeMap<String, (i64, bool)>,
    pub(crate) watermark: i64,
    /// Every window that starts here or before is closed, and emitted for the last time.
    pub(crate) closed_until: i64,
}

/// The input partitions of an aggregate.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// Topics.
    pub(crate) topics: BTreeSet<String>,
    /// `topic-partition` of every partition there was when partitions were assigned last.
    pub(crate) partitions: BTreeSet<String>,
}

/// Name under which the merged watermark is kept.
const WATERMARK: &str = "watermark";
/// Name under which [`Merge::closed_until`] is kept.
pub(crate) const CLOSED: &str = "closed";
/// Prefix of the names under which the watermarks of input partitions are kept.
const SOURCE: &str = "source:";

impl Inputs {
    /// Whether a source is one, or one that was added since.
    fn include(&self, source: &str) -> bool {
        source.rsplit_once('-').is_some_and(|(topic, _)| self.topics.contains(topic))
    }
}

impl Merge {
    /// The states in a table that has been caught up. Input partitions that are none any more do not count. None is idle: what
    /// was true when this was kept is not any more after a long stop, and whoever has the partition says it again.
    pub(crate) fn open(table: Box<dyn StateTable>, inputs: &Inputs) -> Result<Self> {
        let mut merge = Self {
            dirty: BTreeMap::new(),
            changed: BTreeSet::new(),
            closed: BTreeMap::new(),
            sources: BTreeMap::new(),
            watermark: i64::MIN,
            closed_until: i64::MIN,
            table,
        };
        let (from, to) = key::metas();
        for (key, value) in merge.table.scan(&from, &to, usize::MAX)? {
            let time = read_number(&value).unwrap_or(i64::MIN);
            match key::parse_meta(&key) {
                Some(WATERMARK) => merge.watermark = time,
                Some(CLOSED) => merge.closed_until = time,
                Some(name) => {
                    let source = name.strip_prefix(SOURCE).filter(|source| inputs.partitions.contains(*source));
                    merge.sources.extend(source.map(|source| (source.to_owned(), (time, false))));
                }
                None => {}
            }
        }
        merge.forget_closed()?;
        Ok(merge)
    }

    /// Takes messages in their order, and returns how many records in them were late: records of partitions that were idle.
    ///
    /// # Errors
    /// Any; what was taken before stays taken, so the task must start over from its last commit.
    pub(crate) fn take(
        &mut self,
        messages: Vec<Message>,
        inputs: &Inputs,
        config: &AggregateConfig,
        guest: &mut dyn Windowed,
    ) -> Result<u64> {
        let mut late = 0;
        let mut partials = Vec::new();
        for message in messages {
            match message {
                Message::Partial(partial) => partials.push(partial),
                Message::Watermarks(watermarks) => {
                    late += self.merge(std::mem::take(&mut partials), config, guest)?;
                    self.hear(watermarks, inputs);
                    self.advance(inputs);
                }
            }
        }
        Ok(late + self.merge(partials, config, guest)?)
    }

    /// Merges partials, in rounds of at most one per state.
    fn merge(&mut self, partials: Vec<Partial>, config: &AggregateConfig, guest: &mut dyn Windowed) -> Result<u64> {
        let mut late = 0;
        let mut queue: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for partial in partials {
            if partial.start <= self.closed_until || config.is_closed(partial.start, self.watermark) {
                late += u64::from(partial.records);
            } else {
                queue.entry(key::window(partial.start, &partial.group)).or_default().push(partial.state);
            }
        }
        while !queue.is_empty() {
            let (mut keys, mut left, mut right) = (Vec::new(), Vec::new(), Vec::new());
            for (key, states) in &mut queue {
                if let Some(state) = states.pop() {
                    left.push(self.get(key)?.unwrap_or_default());
                    right.push(state);
                    keys.push(key.clone());
                }
            }
            queue.retain(|_, states| !states.is_empty());
            let merged = guest.merge(&left, &right)?;
            if merged.len() != keys.len() {
                return Err(Error::external("the aggregate returned another number of states than it was given"));
            }
            for (key, state) in keys.into_iter().zip(merged) {
                self.changed.insert(key.clone());
                self.dirty.insert(key, Some(state));
            }
        }
        Ok(late)
    }

    /// The state of a window and group.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.dirty.get(key) {
            Some(state) => Ok(state.clone()),
            None => self.table.get(key),
        }
    }

    /// Watermarks of input partitions only go forward: what says otherwise comes from a task that has lost its partitions.
    fn hear(&mut self, watermarks: Vec<Watermark>, inputs: &Inputs) {
        for Watermark { source, time, idle } in watermarks.into_iter().filter(|heard| inputs.include(&heard.source)) {
            let known = self.sources.get(&source).map(|(known, _)| *known);
            let time = known.map_or(time, |known| known.max(time));
            if known != Some(time) {
                self.set(&format!("{SOURCE}{source}"), time);
            }
            self.sources.insert(source, (time, idle));
        }
    }

    /// Moves the watermark to the slowest input partition that is not idle; to the fastest when all are.
    fn advance(&mut self, inputs: &Inputs) {
        let heard = inputs.partitions.iter().all(|input| self.sources.contains_key(input));
        let active = self.sources.values().filter(|(_, idle)| !idle).map(|(time, _)| *time).min();
        let fastest = self.sources.values().map(|(time, _)| *time).max();
        if let Some(watermark) = active.or(fastest).filter(|time| heard && *time > self.watermark) {
            self.watermark = watermark;
            self.set(WATERMARK, watermark);
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: i64) {
        self.dirty.insert(key::meta(name), Some(value.to_le_bytes().to_vec()));
    }

    /// Changes since the last commit, as they go to the changelog.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.dirty.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Whether a commit would write nothing.
    pub(crate) fn is_clean(&self) -> bool {
        self.dirty.is_empty() && self.changed.is_empty() && self.closed.is_empty()
    }

    /// The transaction is committed; the changelog reaches to `position` with it.
    ///
    /// # Errors
    /// When the disk refuses: the table is behind the changelog then, and the task must start over.
    pub(crate) fn committed(&mut self, position: Option<i64>) -> Result<()> {
        self.changed.clear();
        self.closed.clear();
        let mut entries: Vec<_> = std::mem::take(&mut self.dirty).into_iter().collect();
        let Some(position) = position else { return Ok(()) };
        entries.push((key::meta(CHECKPOINT), Some(position.to_le_bytes().to_vec())));
        self.table.write(&entries)
    }
}
