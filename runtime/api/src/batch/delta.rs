//! The answer of a WASM stage: for each record it was given keep, drop, fail, or what changed.
//!
//! Header of eight u32: magic `MRD1`, inputs, new topics, new schemas, changes, failures, bytes of heap, flags. Then one verdict
//! byte per input (left out with flag 1, "all kept"), the changes (u32 input, u32 mask, a row), the failures (u32 input, u32 stage,
//! slice of the reason), the new topics and schemas (u32 length, bytes), the heap. Numbers of new topics and schemas continue those of
//! the batch that was sent. Frozen with `millrace:connect@0.1.0` (invariant 7).

mod apply;
mod write;

pub use apply::{Applied, Applier, Failed};
pub use write::DeltaWriter;

pub(crate) const MAGIC: [u8; 4] = *b"MRD1";
/// Header flag: every input is kept and verdicts are left out.
pub(crate) const ALL_KEPT: u32 = 1;
/// Size of a change: input, mask, row.
pub(crate) const CHANGE: usize = 8 + size_of::<super::Row>();
/// Size of a failure: input, stage, start and length of the reason.
pub(crate) const FAILURE: usize = 16;

/// What became of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// As it was.
    Keep = 0,
    /// Replaced by the records of its changes: one, or several when it was split.
    Change = 1,
    /// Dropped on purpose.
    Drop = 2,
    /// At fault; a failure tells the reason.
    Fail = 3,
}

/// Bits of a change's mask: which parts of the row differ from the input's.
pub mod mask {
    /// Topic.
    pub const TOPIC: u32 = 1;
    /// Partition.
    pub const PARTITION: u32 = 2;
    /// Timestamp.
    pub const TIMESTAMP: u32 = 4;
    /// Key and its schema.
    pub const KEY: u32 = 8;
    /// Value and its schema.
    pub const VALUE: u32 = 16;
    /// Headers.
    pub const HEADERS: u32 = 32;
}
