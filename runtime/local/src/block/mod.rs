//! Blocks: some hundred records as one value of the store.
//!
//! A header of 40 bytes (below), then the payload, compressed with lz4 when that saves something: rows of 32 bytes, then the heap
//! with each record's key, value and headers one after the other. All numbers are little-endian. Frozen (invariant 7).
//!
//! ```text
//! 0  u8  'B'      1 u8 version 1    2 u16 flags (1: lz4, 2: has tombstones)
//! 4  u32 records  8 u32 span        12 u32 bytes of payload before compression
//! 16 i64 base offset                24 i64 newest timestamp
//! 32 i64 when tombstones may go (0: not decided yet), milliseconds since the epoch
//! ```
//! A block covers the offsets from its base for its span; compaction leaves gaps among them.

mod decode;
mod encode;

pub(crate) use decode::{Block, Head};
pub(crate) use encode::{Body, Builder, size_of_parts};

const MAGIC: u8 = b'B';
const VERSION: u8 = 1;
const HEADER: usize = 40;
const ROW: usize = 32;
/// Length of a part that is null.
const NULL: u32 = u32::MAX;

mod flags {
    pub(super) const LZ4: u16 = 1;
    pub(super) const TOMBSTONES: u16 = 2;
    /// In a row: the timestamp is the log's.
    pub(super) const LOG_APPEND_TIME: u32 = 1;
}

/// A block is closed at this many bytes of payload: large enough to compress well, small enough to read for one record.
pub(crate) const TARGET_BYTES: usize = 128 << 10;

/// Largest payload of a block. A record that does not fit cannot be stored at all.
pub(crate) const MAX_PAYLOAD: usize = 512 << 20;

#[cfg(test)]
mod tests;
