//! Fixed-width rows.

use bytemuck::{Pod, Zeroable};

/// Where bytes lie in the heap of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Slice {
    /// First byte; `u32::MAX` for [`Slice::NULL`].
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Slice {
    /// No bytes at all: a null key or value, no headers.
    pub const NULL: Self = Self { start: u32::MAX, len: 0 };

    /// Whether it is [`Slice::NULL`].
    #[must_use]
    pub fn is_null(self) -> bool {
        self.start == u32::MAX
    }

    /// The bytes in `heap`: `None` for null, and for a slice that leaves the heap.
    #[must_use]
    #[inline]
    pub fn of(self, heap: &[u8]) -> Option<&[u8]> {
        if self.is_null() {
            return None;
        }
        let start = self.start as usize;
        heap.get(start..start.checked_add(self.len as usize)?)
    }

    /// The bytes in `heap`, to change; empty where [`Slice::of`] has nothing.
    pub(crate) fn of_mut(self, heap: &mut [u8]) -> &mut [u8] {
        let start = self.start as usize;
        let range = start..start.saturating_add(self.len as usize);
        if self.is_null() { &mut [] } else { heap.get_mut(range).unwrap_or_default() }
    }

    /// The same slice after its heap was appended at `base` of another. The caller keeps heaps below [`super::MAX_HEAP`].
    #[must_use]
    pub(crate) fn rebased(self, base: usize) -> Self {
        if self.is_null() {
            return self;
        }
        Self { start: self.start.saturating_add(u32::try_from(base).unwrap_or(u32::MAX)), len: self.len }
    }
}

/// "No schema" in [`Row::key_schema`] and [`Row::value_schema`]; other numbers are the index in the dictionary plus one.
pub const NO_SCHEMA: u32 = 0;

/// Kafka's `NO_TIMESTAMP`.
pub const NO_TIMESTAMP: i64 = -1;

/// "No partition chosen yet": the producer's partitioner decides.
pub const NO_PARTITION: i32 = -1;

/// One record: 64 bytes, a cache line, laid out the same on the host and in a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Row {
    /// Offset in its partition; -1 for a record that has none yet.
    pub offset: i64,
    /// Milliseconds since the epoch, or [`NO_TIMESTAMP`].
    pub timestamp: i64,
    /// Index in the dictionary of topics.
    pub topic: u32,
    /// Partition, or [`NO_PARTITION`].
    pub partition: i32,
    /// Encoded key.
    pub key: Slice,
    /// Encoded value.
    pub value: Slice,
    /// Encoded headers, see [`super::headers`].
    pub headers: Slice,
    /// Schema of the key.
    pub key_schema: u32,
    /// Schema of the value.
    pub value_schema: u32,
    /// Bits of [`flags`].
    pub flags: u32,
    /// Index of the record this one came from in the batch that was polled; kept through every stage, so that each input
    /// is accounted for exactly once (invariant 3).
    pub origin: u32,
}

/// Bits of [`Row::flags`].
pub mod flags {
    /// The timestamp is the broker's append time, not the producer's create time.
    pub const LOG_APPEND_TIME: u32 = 1;
    /// In an aggregate's `emit`: the window is closed and this is its last result.
    pub const FINAL: u32 = 2;
}

impl Row {
    /// A row with nothing set.
    pub const EMPTY: Self = Self {
        offset: -1,
        timestamp: NO_TIMESTAMP,
        topic: 0,
        partition: NO_PARTITION,
        key: Slice::NULL,
        value: Slice::NULL,
        headers: Slice::NULL,
        key_schema: NO_SCHEMA,
        value_schema: NO_SCHEMA,
        flags: 0,
        origin: 0,
    };
}
