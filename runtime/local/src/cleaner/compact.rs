//! Compaction: of all records with one key the last stays, at its offset.
//!
//! A round notes the last offset of every key in the part that was not compacted yet, as far as the map holds, then goes over the
//! partition from its start to there and drops what the map says was replaced. Tombstones go once `delete.retention.ms` have passed
//! since the first round that saw them, so that a reader who saw the value also sees the tombstone.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use millrace_api::Result;

use super::Work;
use super::rewrite::Rewrite;
use crate::block::{Block, Head};
use crate::check::now;
use crate::keys::{self, Mark};
use crate::store::Changes;
use crate::topic::{Partition, TopicConfig};

/// Keys noted in one round; a round takes about 10 MB.
const KEYS: usize = 200_000;

/// The last offset of every key in a stretch of a partition. Keys are known by 128 bits of two keyed hashes: that two of them
/// share is less likely than that the disk lies.
pub(super) struct Latest {
    hashers: [RandomState; 2],
    offsets: HashMap<u128, i64>,
}

impl Latest {
    fn new() -> Self {
        Self { hashers: [RandomState::new(), RandomState::new()], offsets: HashMap::new() }
    }

    fn hash(&self, key: &[u8]) -> u128 {
        let [high, low] = &self.hashers;
        u128::from(high.hash_one(key)) << 64 | u128::from(low.hash_one(key))
    }

    fn note(&mut self, key: &[u8], offset: i64) {
        self.offsets.insert(self.hash(key), offset);
    }

    /// Whether a newer record has this key.
    pub(super) fn replaced(&self, key: &[u8], offset: i64) -> bool {
        self.offsets.get(&self.hash(key)).is_some_and(|latest| *latest > offset)
    }
}

impl Work {
    /// Compacts a partition if it is worth it, or with `force` if there is anything to do; returns how many bytes that saved.
    pub(super) fn compact(&self, config: &TopicConfig, partition: &Partition, force: bool) -> Result<u64> {
        let store = &self.shared.store;
        let mut clean = store.mark(Mark::Clean, partition)?.unwrap_or(0).max(partition.start());
        let end = partition.end(true);
        let due = store.mark(Mark::Horizon, partition)?.is_some_and(|horizon| horizon <= now());
        let mut saved = 0;
        if !due && !self.is_dirty(config, partition, clean, end, force)? {
            return Ok(saved);
        }
        loop {
            let (latest, reached) = self.latest(config, partition, clean, end)?;
            saved += self.rewrite(config, partition, &latest, reached)?;
            if reached <= clean || reached >= end || self.stopped() || partition.is_deleted() {
                return Ok(saved);
            }
            clean = reached;
        }
    }

    fn is_dirty(&self, config: &TopicConfig, partition: &Partition, clean: i64, end: i64, force: bool) -> Result<bool> {
        if clean >= end {
            return Ok(false);
        }
        let (mut dirty, mut total) = (0, 0);
        for (last, size) in self.shared.store.sizes(partition)? {
            total += size;
            dirty += if last >= clean { size } else { 0 };
        }
        let worth = dirty as f64 >= config.min_cleanable_dirty_ratio * total as f64;
        Ok(dirty > 0 && (force || worth))
    }

    /// The last offsets of keys from `from` on, and how far that goes.
    fn latest(&self, config: &TopicConfig, partition: &Partition, from: i64, end: i64) -> Result<(Latest, i64)> {
        let mut latest = Latest::new();
        let mut reached = from;
        let youngest = now().saturating_sub(config.min_compaction_lag_ms);
        for block in self.shared.store.blocks(partition, from, end) {
            let (last, value) = block?;
            let lags = config.min_compaction_lag_ms > 0 && Head::read(&value)?.newest > youngest;
            if lags || latest.offsets.len() >= KEYS || self.stopped() {
                return Ok((latest, reached));
            }
            let block = Block::open(&partition.topic, partition.index, value)?;
            for record in (0..block.head.count).filter_map(|index| block.get(index)) {
                if let Some(key) = record.key {
                    latest.note(key, record.offset);
                }
            }
            reached = last + 1;
        }
        Ok((latest, end))
    }

    /// Drops from the blocks before `end` what `latest` says was replaced.
    fn rewrite(&self, config: &TopicConfig, partition: &Partition, latest: &Latest, end: i64) -> Result<u64> {
        let mut rewrite = Rewrite::new(partition, latest, config.delete_retention_ms, now());
        for block in self.shared.store.blocks(partition, partition.start(), end) {
            let (_, value) = block?;
            if self.stopped() || partition.is_deleted() {
                return Ok(0);
            }
            let size = value.len() as u64;
            rewrite.take(&Block::open(&partition.topic, partition.index, value)?, size);
            if rewrite.is_full() {
                self.write_down(partition, &mut rewrite, end)?;
            }
        }
        rewrite.close();
        self.write_down(partition, &mut rewrite, end)?;
        let mut changes = Changes::default();
        let mark = |mark| keys::mark(mark, partition.topic_id, partition.key_index());
        changes.put_number(mark(Mark::Clean), end);
        match rewrite.horizon() {
            Some(horizon) => changes.put_number(mark(Mark::Horizon), horizon),
            None => drop(changes.meta.insert(mark(Mark::Horizon), None)),
        }
        self.shared.store.write(changes, false)?;
        Ok(rewrite.saved())
    }

    fn write_down(&self, partition: &Partition, rewrite: &mut Rewrite<'_>, end: i64) -> Result<()> {
        let mut changes = rewrite.changes();
        if changes.is_empty() {
            return Ok(());
        }
        // The last block may go altogether; its offsets must not come again.
        changes.put_number(keys::mark(Mark::Floor, partition.topic_id, partition.key_index()), end);
        self.shared.store.write(changes, false)
    }
}
