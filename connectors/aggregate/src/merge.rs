//! Second phase: one partition of the repartition topic merges partials into states, and closes windows.
//!
//! Changes stay in memory until their transaction is committed; then they go to the table in one write, with the position in
//! the changelog that they reach to. A crash in between leaves the table behind, and [`crate::restore`] catches it up.

use std::collections::{BTreeMap, BTreeSet};

use millrace_api::batch::{RecordBatch, Row, flags};
use millrace_api::log::StateTable;
use millrace_api::transform::Windowed;
use millrace_api::{Error, Result, Writer};

use crate::config::AggregateConfig;
use crate::key;
use crate::message::{Message, Partial, Watermark};

/// How many states one look into the table returns at most.
const SCAN: usize = 1_000;

/// The states of one partition of the repartition topic.
pub(crate) struct Merge {
    table: Box<dyn StateTable>,
    /// Changes since the last commit.
    dirty: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Windows to emit at the next commit.
    changed: BTreeSet<Vec<u8>>,
    /// Windows that closed since the last commit, with their last state.
    closed: BTreeMap<Vec<u8>, Vec<u8>>,
    sources: BTreeMap<String, Watermark>,
    watermark: i64,
    /// Records in partials that came after their window had closed: only possible from partitions that were idle.
    pub(crate) late: u64,
}

/// Name under which the merged watermark is kept.
const WATERMARK: &str = "watermark";
/// Prefix of the names under which the watermarks of input partitions are kept.
const SOURCE: &str = "source:";

impl Merge {
    /// The states in a table that has been caught up.
    pub(crate) fn open(table: Box<dyn StateTable>) -> Result<Self> {
        let mut merge = Self {
            dirty: BTreeMap::new(),
            changed: BTreeSet::new(),
            closed: BTreeMap::new(),
            sources: BTreeMap::new(),
            watermark: i64::MIN,
            late: 0,
            table,
        };
        let (metas, _) = key::windows_before(i64::MIN);
        for (key, value) in merge.table.scan(&key::meta(""), &metas, usize::MAX)? {
            match key::parse_meta(&key) {
                Some(WATERMARK) => merge.watermark = read_time(&value).unwrap_or(i64::MIN),
                Some(name) => {
                    if let Some(source) = name.strip_prefix(SOURCE) {
                        let time = read_time(&value).unwrap_or(i64::MIN);
                        let idle = value.get(8).is_some_and(|idle| *idle != 0);
                        merge.sources.insert(source.to_owned(), Watermark { source: source.to_owned(), time, idle });
                    }
                }
                None => {}
            }
        }
        Ok(merge)
    }

    /// Takes messages in their order. `inputs` are the names of all input partitions.
    ///
    /// # Errors
    /// Never of kind `Data`: a message that cannot be merged must not be taken again in another grouping, so the task starts
    /// over from its last commit.
    pub(crate) fn take(
        &mut self,
        messages: Vec<Message>,
        inputs: &BTreeSet<String>,
        config: &AggregateConfig,
        guest: &mut dyn Windowed,
    ) -> Result<()> {
        let mut partials = Vec::new();
        for message in messages {
            match message {
                Message::Partial(partial) => partials.push(partial),
                Message::Watermarks(watermarks) => {
                    self.merge(std::mem::take(&mut partials), config, guest)?;
                    self.hear(watermarks);
                    self.advance(inputs, config)?;
                }
            }
        }
        self.merge(partials, config, guest)
    }

    /// Merges partials, in rounds of at most one per state.
    fn merge(&mut self, partials: Vec<Partial>, config: &AggregateConfig, guest: &mut dyn Windowed) -> Result<()> {
        let mut queue: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for partial in partials {
            if is_closed(partial.start, self.watermark, config) {
                self.late += u64::from(partial.records);
                continue;
            }
            queue.entry(key::window(partial.start, &partial.group)).or_default().push(partial.state);
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
            let fatal = |error| Error::external("the aggregate could not merge states").because(error);
            let merged = guest.merge(&left, &right).map_err(fatal)?;
            if merged.len() != keys.len() {
                return Err(Error::external("the aggregate returned another number of states than it was given"));
            }
            for (key, state) in keys.into_iter().zip(merged) {
                self.changed.insert(key.clone());
                self.dirty.insert(key, Some(state));
            }
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.dirty.get(key) {
            Some(state) => Ok(state.clone()),
            None => self.table.get(key),
        }
    }

    fn hear(&mut self, watermarks: Vec<Watermark>) {
        for watermark in watermarks {
            let mut value = watermark.time.to_le_bytes().to_vec();
            value.push(u8::from(watermark.idle));
            self.dirty.insert(key::meta(&format!("{SOURCE}{}", watermark.source)), Some(value));
            self.sources.insert(watermark.source.clone(), watermark);
        }
    }

    /// Moves the watermark to the slowest input partition that is not idle, and closes what it has passed.
    fn advance(&mut self, inputs: &BTreeSet<String>, config: &AggregateConfig) -> Result<()> {
        let heard = inputs.iter().all(|input| self.sources.contains_key(input));
        let active = self.sources.values().filter(|source| !source.idle).map(|source| source.time).min();
        let fastest = self.sources.values().map(|source| source.time).max();
        let Some(watermark) = active.or(fastest).filter(|time| heard && *time > self.watermark) else { return Ok(()) };
        self.watermark = watermark;
        self.dirty.insert(key::meta(WATERMARK), Some(watermark.to_le_bytes().to_vec()));
        self.close_passed(config)
    }

    fn close_passed(&mut self, config: &AggregateConfig) -> Result<()> {
        let last_start = self.watermark.saturating_sub(config.window_size_ms + config.window_grace_ms);
        let (mut from, to) = key::windows_before(last_start.saturating_add(1));
        let fresh: Vec<Vec<u8>> = self.dirty.range(from.clone()..to.clone()).map(|(key, _)| key.clone()).collect();
        for key in fresh {
            if let Some(Some(state)) = self.dirty.insert(key.clone(), None) {
                self.closed.insert(key, state);
            }
        }
        loop {
            let found = self.table.scan(&from, &to, SCAN)?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for (key, state) in found {
                // What is in `dirty` already, closed or changed, is newer than the table.
                self.dirty.entry(key.clone()).or_insert_with(|| {
                    self.closed.insert(key, state);
                    None
                });
            }
        }
    }

    /// States to emit, as [`Windowed::emit`] takes them.
    pub(crate) fn results(&self, config: &AggregateConfig) -> Result<RecordBatch> {
        let mut batch = RecordBatch::new();
        if config.emit_mode == "update" {
            for key in self.changed.iter().filter(|key| !self.closed.contains_key(*key)) {
                if let Some(state) = self.get(key)? {
                    push(&mut batch, key, &state, 0, config)?;
                }
            }
        }
        for (key, state) in &self.closed {
            push(&mut batch, key, state, flags::FINAL, config)?;
        }
        Ok(batch)
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
    pub(crate) fn committed(&mut self, position: Option<i64>) -> Result<()> {
        let mut entries: Vec<_> = std::mem::take(&mut self.dirty).into_iter().collect();
        if let Some(position) = position {
            entries.push((key::meta(crate::restore::CHECKPOINT), Some(position.to_le_bytes().to_vec())));
        }
        self.changed.clear();
        self.closed.clear();
        self.table.write(&entries)
    }
}

fn is_closed(start: i64, watermark: i64, config: &AggregateConfig) -> bool {
    start.saturating_add(config.window_size_ms + config.window_grace_ms) <= watermark
}

fn push(batch: &mut RecordBatch, key: &[u8], state: &[u8], flags: u32, config: &AggregateConfig) -> Result<()> {
    let Some((start, group)) = key::parse_window(key) else { return Ok(()) };
    let topic = batch.intern_topic(&config.output_topic);
    let (group, ()) = batch.append(|out| {
        out.extend_from_slice(group);
        Ok(())
    })?;
    let (value, ()) = batch.append(|out| {
        Writer::new(out).bytes(state);
        Ok(())
    })?;
    let origin = u32::try_from(batch.len()).unwrap_or(u32::MAX);
    batch.push(Row {
        offset: start + config.window_size_ms,
        timestamp: start,
        topic,
        key: group,
        value,
        flags,
        origin,
        ..Row::EMPTY
    });
    Ok(())
}

fn read_time(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_le_bytes(*bytes.first_chunk()?))
}
