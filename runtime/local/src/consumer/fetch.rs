//! Reading blocks, on a thread that may block.

use std::sync::Arc;

use millrace_api::Result;
use tokio::task::JoinHandle;

use crate::block::Block;
use crate::store::Store;
use crate::topic::Partition;

/// What a reader wants.
pub(super) struct Wanted {
    pub(super) partition: Arc<Partition>,
    pub(super) number: u64,
    pub(super) version: u64,
    /// First offset.
    pub(super) from: i64,
    /// Offset to stop at.
    pub(super) end: i64,
}

/// What a reader gets.
pub(super) struct Fetched {
    pub(super) number: u64,
    pub(super) version: u64,
    pub(super) chunks: Vec<Chunk>,
    /// Next offset to be fetched.
    pub(super) next: i64,
}

/// Records of one block, shared, not copied.
pub(super) struct Chunk {
    pub(super) block: Arc<Block>,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.to - self.from
    }

    /// Its share of the block's bytes.
    pub(super) fn bytes(&self) -> usize {
        self.block.bytes().len() * self.len() / self.block.head.count.max(1)
    }

    /// Keeps the first `limit` records and returns the others.
    pub(super) fn split_off(&mut self, limit: usize) -> Option<Self> {
        if self.len() <= limit {
            return None;
        }
        let rest = Self { block: Arc::clone(&self.block), from: self.from + limit, to: self.to };
        self.to = rest.from;
        Some(rest)
    }

    /// Offset behind its last record; behind its block when that is its last.
    pub(super) fn next_offset(&self) -> i64 {
        match self.block.offset(self.to) {
            Some(_) => self.block.offset(self.to.saturating_sub(1)).map_or(self.block.head.base, |last| last + 1),
            None => self.block.head.last + 1,
        }
    }
}

/// Starts a read of at most about `budget` bytes, shared evenly, but at least one block each as long as there is any left.
pub(super) fn start(store: Arc<Store>, wanted: Vec<Wanted>, budget: usize) -> JoinHandle<Result<Vec<Fetched>>> {
    tokio::task::spawn_blocking(move || {
        let mut rest = budget;
        let mut parts = wanted.len();
        let mut all = Vec::with_capacity(parts);
        for wanted in &wanted {
            let share = rest / parts.max(1);
            let fetched = read(&store, wanted, share)?;
            let taken: usize = fetched.chunks.iter().map(Chunk::bytes).sum();
            rest = rest.saturating_sub(taken);
            parts -= 1;
            all.push(fetched);
            if rest == 0 {
                break;
            }
        }
        Ok(all)
    })
}

fn read(store: &Store, wanted: &Wanted, share: usize) -> Result<Fetched> {
    let Wanted { partition, from, end, .. } = wanted;
    let mut fetched = Fetched { number: wanted.number, version: wanted.version, chunks: Vec::new(), next: *from };
    let mut bytes = 0;
    for block in store.blocks(partition, *from, *end) {
        let (last, value) = block?;
        let block = Arc::new(Block::open(&partition.topic, partition.index, value)?);
        let chunk = Chunk { from: block.index_of(*from), to: block.head.count, block };
        fetched.next = last + 1;
        bytes += chunk.bytes();
        if chunk.len() > 0 {
            fetched.chunks.push(chunk);
        }
        if bytes >= share {
            return Ok(fetched);
        }
    }
    // What is missing up to the end was compacted away or aborted.
    fetched.next = *end;
    Ok(fetched)
}
