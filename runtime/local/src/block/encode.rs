//! Making blocks.

use millrace_api::batch::raw::RawRecord;

use super::{HEADER, MAGIC, MAX_PAYLOAD, NULL, ROW, VERSION, flags};

/// Payloads below this are not worth compressing.
const WORTH_COMPRESSING: usize = 512;

/// A block in the making. Offsets are counted from the block's base, which nobody knows yet.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    rows: Vec<u8>,
    heap: Vec<u8>,
    count: u32,
    span: u32,
    newest: Option<i64>,
    tombstones: bool,
    horizon: i64,
}

/// A finished block that waits for its base offset.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    /// Offsets it covers.
    pub(crate) span: u32,
}

impl Builder {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of payload so far.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() + self.heap.len()
    }

    /// Offsets covered so far.
    pub(crate) fn span(&self) -> u32 {
        self.span
    }

    /// Appends a record at the next offset. `false` when it does not fit any more.
    pub(crate) fn push(&mut self, record: &RawRecord<'_>, timestamp: i64, log_append_time: bool) -> bool {
        self.push_at(self.span, record, timestamp, log_append_time)
    }

    /// Appends a record at an offset counted from the base. `false` when it does not fit any more.
    pub(crate) fn push_at(
        &mut self,
        delta: u32,
        record: &RawRecord<'_>,
        timestamp: i64,
        log_append_time: bool,
    ) -> bool {
        let size = size_of_parts(record);
        if self.len() + ROW + size > MAX_PAYLOAD || delta == u32::MAX {
            return false;
        }
        let start = narrow(self.heap.len());
        let key = self.store(record.key);
        let value = self.store(record.value);
        let headers = self.store_headers(&record.headers);
        let bits = if log_append_time { flags::LOG_APPEND_TIME } else { 0 };
        for field in [delta, start, key, value, headers, bits] {
            self.rows.extend_from_slice(&field.to_le_bytes());
        }
        self.rows.extend_from_slice(&timestamp.to_le_bytes());
        self.count += 1;
        self.span = delta + 1;
        self.newest = Some(self.newest.map_or(timestamp, |newest| newest.max(timestamp)));
        self.tombstones |= record.value.is_none();
        true
    }

    /// Appends all of `other` behind what is here. The caller checks that both together are small.
    pub(crate) fn append(&mut self, other: &Self) {
        let (span, start) = (self.span, narrow(self.heap.len()));
        let from = self.rows.len();
        self.rows.extend_from_slice(&other.rows);
        for row in self.rows.get_mut(from..).unwrap_or_default().as_chunks_mut::<ROW>().0 {
            shift(&mut row[..4], span);
            shift(&mut row[4..8], start);
        }
        self.heap.extend_from_slice(&other.heap);
        self.count += other.count;
        self.span += other.span;
        self.newest = self.newest.max(other.newest);
        self.tombstones |= other.tombstones;
    }

    /// Covers offsets up to `span` although no record is at the last of them.
    pub(crate) fn cover(&mut self, span: u32) {
        self.span = self.span.max(span);
    }

    /// When its tombstones may go.
    pub(crate) fn set_horizon(&mut self, horizon: i64) {
        self.horizon = self.horizon.max(horizon);
    }

    /// Closes the block.
    pub(crate) fn finish(self) -> Body {
        let payload_len = self.len();
        let mut bytes = Vec::with_capacity(HEADER + payload_len);
        bytes.resize(HEADER, 0);
        bytes.extend_from_slice(&self.rows);
        bytes.extend_from_slice(&self.heap);
        let mut bits = if self.tombstones { flags::TOMBSTONES } else { 0 };
        if payload_len >= WORTH_COMPRESSING {
            let packed = lz4_flex::block::compress(bytes.get(HEADER..).unwrap_or_default());
            if packed.len() < payload_len - payload_len / 8 {
                bytes.truncate(HEADER);
                bytes.extend_from_slice(&packed);
                bytes.shrink_to_fit();
                bits |= flags::LZ4;
            }
        }
        if let Some(header) = bytes.first_chunk_mut::<HEADER>() {
            header[0] = MAGIC;
            header[1] = VERSION;
            header[2..4].copy_from_slice(&bits.to_le_bytes());
            header[4..8].copy_from_slice(&self.count.to_le_bytes());
            header[8..12].copy_from_slice(&self.span.to_le_bytes());
            header[12..16].copy_from_slice(&narrow(payload_len).to_le_bytes());
            header[24..32].copy_from_slice(&self.newest.unwrap_or_default().to_le_bytes());
            header[32..40].copy_from_slice(&self.horizon.to_le_bytes());
        }
        Body { bytes, span: self.span }
    }

    fn store(&mut self, bytes: Option<&[u8]>) -> u32 {
        let Some(bytes) = bytes else { return NULL };
        self.heap.extend_from_slice(bytes);
        narrow(bytes.len())
    }

    fn store_headers(&mut self, headers: &[(&str, Option<&[u8]>)]) -> u32 {
        if headers.is_empty() {
            return NULL;
        }
        let start = self.heap.len();
        self.heap.extend_from_slice(&narrow(headers.len()).to_le_bytes());
        for (name, value) in headers {
            self.heap.extend_from_slice(&narrow(name.len()).to_le_bytes());
            self.heap.extend_from_slice(name.as_bytes());
            self.heap.extend_from_slice(&value.map_or(NULL, |value| narrow(value.len())).to_le_bytes());
            self.heap.extend_from_slice(value.unwrap_or_default());
        }
        narrow(self.heap.len() - start)
    }
}

impl Body {
    /// Gives the block its place and returns the value to store.
    pub(crate) fn at(mut self, base: i64) -> Vec<u8> {
        if let Some(field) = self.bytes.get_mut(16..24) {
            field.copy_from_slice(&base.to_le_bytes());
        }
        self.bytes
    }

    /// Bytes it takes in the store.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Bytes a record takes in a heap.
pub(crate) fn size_of_parts(record: &RawRecord<'_>) -> usize {
    let part = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers = record.headers.iter().map(|(name, value)| 8 + name.len() + part(*value)).sum::<usize>();
    part(record.key) + part(record.value) + headers + if headers > 0 { 4 } else { 0 }
}

fn shift(field: &mut [u8], by: u32) {
    if let Ok(bytes) = <[u8; 4]>::try_from(&*field) {
        field.copy_from_slice(&u32::from_le_bytes(bytes).wrapping_add(by).to_le_bytes());
    }
}

// Payloads end at MAX_PAYLOAD, so nothing in them is longer than a u32 holds.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
