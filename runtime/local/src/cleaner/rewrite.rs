//! Blocks in, fewer and fuller blocks out: a pure part of compaction.

use std::mem::take;

use crate::block::{Block, Builder, TARGET_BYTES};
use crate::keys;
use crate::store::Changes;
use crate::topic::Partition;

use super::compact::Latest;

/// Changes are written down at this many bytes.
const STEP_BYTES: usize = 4 << 20;

/// Takes the blocks of a partition in order and decides what becomes of them. Blocks that lose nothing and are large stay as they
/// are; what is left of the others is put together.
pub(super) struct Rewrite<'a> {
    partition: &'a Partition,
    latest: &'a Latest,
    delete_retention: i64,
    now: i64,
    changes: Changes,
    /// The block in the making.
    builder: Builder,
    /// Its first and last offset.
    covers: Option<(i64, i64)>,
    /// How many blocks go into it, and whether any of them changed.
    sources: usize,
    changed: bool,
    horizon: Option<i64>,
    before: u64,
    after: u64,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(partition: &'a Partition, latest: &'a Latest, delete_retention: i64, now: i64) -> Self {
        Self {
            partition,
            latest,
            delete_retention,
            now,
            changes: Changes::default(),
            builder: Builder::default(),
            covers: None,
            sources: 0,
            changed: false,
            horizon: None,
            before: 0,
            after: 0,
        }
    }

    /// Takes the next block, which takes `size` bytes in the store.
    pub(super) fn take(&mut self, block: &Block, size: u64) {
        let new_horizon = block.head.tombstones && block.head.horizon == 0;
        let horizon = if new_horizon { self.now.saturating_add(self.delete_retention) } else { block.head.horizon };
        let kept: Vec<usize> = (0..block.head.count).filter(|index| self.stays(block, *index)).collect();
        let tombstones = kept.iter().any(|index| block.get(*index).is_some_and(|record| record.value.is_none()));
        let changed = kept.len() < block.head.count || new_horizon;
        if tombstones {
            self.horizon = Some(self.horizon.map_or(horizon, |known| known.min(horizon)));
        }
        if !changed && block.bytes().len() >= TARGET_BYTES / 2 {
            self.close();
            return;
        }
        self.make_room(block);
        let (base, _) = *self.covers.get_or_insert((block.head.base, block.head.last));
        for record in kept.into_iter().filter_map(|index| block.get(index)) {
            let delta = u32::try_from(record.offset - base).unwrap_or(u32::MAX);
            self.builder.push_at(delta, &record, record.timestamp, record.log_append_time);
        }
        self.builder.cover(span(base, block.head.last).unwrap_or(u32::MAX));
        if tombstones {
            self.builder.set_horizon(horizon);
        }
        self.covers = Some((base, block.head.last));
        self.sources += 1;
        self.changed |= changed;
        self.before += size;
        self.changes.blocks.insert(self.key(block.head.last), None);
        if self.builder.len() >= TARGET_BYTES {
            self.close();
        }
    }

    /// Closes the block in the making when another cannot join it: offsets too far apart, or too large together.
    fn make_room(&mut self, block: &Block) {
        let fits = |(base, _)| {
            span(base, block.head.last).is_some() && self.builder.len() + block.bytes().len() <= 4 * TARGET_BYTES
        };
        if !self.covers.is_none_or(fits) {
            self.close();
        }
    }

    fn stays(&self, block: &Block, index: usize) -> bool {
        let Some(record) = block.get(index) else { return false };
        let Some(key) = record.key else { return true };
        let expired = record.value.is_none() && block.head.horizon != 0 && block.head.horizon <= self.now;
        !expired && !self.latest.replaced(key, record.offset)
    }

    /// Finishes the block in the making.
    pub(super) fn close(&mut self) {
        let Some((base, last)) = self.covers.take() else { return };
        let (builder, sources, changed) = (take(&mut self.builder), take(&mut self.sources), take(&mut self.changed));
        let key = self.key(last);
        if sources == 1 && !changed {
            self.changes.blocks.remove(&key);
        } else if !builder.is_empty() {
            let body = builder.finish();
            self.after += body.len() as u64;
            self.changes.put_block(key, body.at(base));
        }
    }

    fn key(&self, last: i64) -> keys::BlockKey {
        keys::block(self.partition.topic_id, self.partition.key_index(), last)
    }

    /// Whether there is enough to write down. Never in the middle of a block in the making, whose sources would be lost.
    pub(super) fn is_full(&self) -> bool {
        self.covers.is_none() && (self.changes.bytes >= STEP_BYTES || self.changes.blocks.len() >= super::STEP)
    }

    /// What to write down.
    pub(super) fn changes(&mut self) -> Changes {
        take(&mut self.changes)
    }

    /// When the first tombstone that stayed may go.
    pub(super) fn horizon(&self) -> Option<i64> {
        self.horizon
    }

    /// Bytes saved.
    pub(super) fn saved(&self) -> u64 {
        self.before.saturating_sub(self.after)
    }
}

/// Number of offsets from `base` to `last` if a block can cover them.
fn span(base: i64, last: i64) -> Option<u32> {
    u32::try_from(last - base + 1).ok().filter(|span| *span < u32::MAX)
}
