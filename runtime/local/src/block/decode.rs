//! Reading blocks. They come from a disk, so every number in them is checked once, when a block is opened.

use std::sync::Arc;

use fjall::UserValue;
use millrace_api::Result;
use millrace_api::batch::raw::RawRecord;

use super::{HEADER, MAGIC, MAX_PAYLOAD, NULL, ROW, VERSION, flags};
use crate::error::corrupt;

/// A block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Records.
    pub(crate) count: usize,
    /// First offset it covers.
    pub(crate) base: i64,
    /// Last offset it covers.
    pub(crate) last: i64,
    /// Newest timestamp.
    pub(crate) newest: i64,
    /// Whether there are tombstones.
    pub(crate) tombstones: bool,
    /// When they may go; 0: not decided yet.
    pub(crate) horizon: i64,
    packed: bool,
    payload: usize,
}

impl Head {
    /// Reads the header of a stored block.
    pub(crate) fn read(value: &[u8]) -> Result<Self> {
        let header = value.first_chunk::<HEADER>().ok_or_else(|| corrupt("reading a block"))?;
        if (header[0], header[1]) != (MAGIC, VERSION) {
            return Err(corrupt("reading a block"));
        }
        let bits = u16::from_le_bytes([header[2], header[3]]);
        let base = i64_at(header, 16);
        let span = i64::from(u32_at(header, 8));
        let (count, payload) = (u32_at(header, 4) as usize, u32_at(header, 12) as usize);
        // lz4 saves at most 255 to 1, so a false length cannot make anybody allocate.
        let possible = payload <= MAX_PAYLOAD && payload / 256 <= value.len();
        let sound = base >= 0 && span > 0 && possible && count <= payload / ROW;
        let last = base.checked_add(span - 1).filter(|_| sound).ok_or_else(|| corrupt("reading a block"))?;
        Ok(Self {
            count,
            base,
            last,
            newest: i64_at(header, 24),
            tombstones: bits & flags::TOMBSTONES != 0,
            horizon: i64_at(header, 32),
            packed: bits & flags::LZ4 != 0,
            payload,
        })
    }
}

/// A block, ready to be read by any number of consumers.
pub(crate) struct Block {
    /// Topic.
    pub(crate) topic: Arc<str>,
    /// Partition.
    pub(crate) partition: i32,
    /// Header.
    pub(crate) head: Head,
    payload: Payload,
}

enum Payload {
    /// As it was stored, behind the header.
    Stored(UserValue),
    Unpacked(Vec<u8>),
}

impl Block {
    /// Opens a stored block.
    pub(crate) fn open(topic: &Arc<str>, partition: i32, value: UserValue) -> Result<Self> {
        let head = Head::read(&value)?;
        let stored = value.get(HEADER..).unwrap_or_default();
        let payload = if head.packed {
            let unpacked = lz4_flex::block::decompress(stored, head.payload)
                .map_err(|error| corrupt("unpacking a block").because(error))?;
            Payload::Unpacked(unpacked)
        } else {
            Payload::Stored(value)
        };
        let block = Self { topic: Arc::clone(topic), partition, head, payload };
        block.check()?;
        Ok(block)
    }

    fn check(&self) -> Result<()> {
        let payload = self.bytes();
        let heap = payload.len().checked_sub(self.head.count * ROW).filter(|_| payload.len() == self.head.payload);
        let heap = heap.ok_or_else(|| corrupt("reading a block"))?;
        let mut next = 0;
        for row in (0..self.head.count).filter_map(|index| self.row(index)) {
            let parts: usize = [row.key, row.value, row.headers].into_iter().map(len).sum();
            let delta = i64::from(row.delta);
            if row.start as usize + parts > heap || delta < next || self.head.base + delta > self.head.last {
                return Err(corrupt("reading a block"));
            }
            next = delta + 1;
        }
        Ok(())
    }

    /// Bytes of payload.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.payload {
            Payload::Stored(value) => value.get(HEADER..).unwrap_or_default(),
            Payload::Unpacked(bytes) => bytes,
        }
    }

    /// Offset of the record at `index`.
    pub(crate) fn offset(&self, index: usize) -> Option<i64> {
        self.row(index).map(|row| self.head.base + i64::from(row.delta))
    }

    /// Index of the first record at or after an offset.
    pub(crate) fn index_of(&self, offset: i64) -> usize {
        let (mut low, mut high) = (0, self.head.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.offset(middle).is_some_and(|at| at < offset) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The record at `index`.
    pub(crate) fn get(&self, index: usize) -> Option<RawRecord<'_>> {
        let row = self.row(index)?;
        let mut rest = self.bytes().get(self.head.count * ROW + row.start as usize..)?;
        let mut part = |length: u32| -> Option<Option<&[u8]>> {
            if length == NULL {
                return Some(None);
            }
            let (part, after) = rest.split_at_checked(length as usize)?;
            rest = after;
            Some(Some(part))
        };
        let (key, value, headers) = (part(row.key)?, part(row.value)?, part(row.headers)?);
        Some(RawRecord {
            topic: &self.topic,
            partition: self.partition,
            offset: self.head.base + i64::from(row.delta),
            timestamp: row.timestamp,
            log_append_time: row.bits & flags::LOG_APPEND_TIME != 0,
            key,
            value,
            headers: headers.map(read_headers).unwrap_or_default(),
        })
    }

    fn row(&self, index: usize) -> Option<Row> {
        if index >= self.head.count {
            return None;
        }
        let row = self.bytes().get(index * ROW..)?.first_chunk::<ROW>()?;
        Some(Row {
            delta: u32_at(row, 0),
            start: u32_at(row, 4),
            key: u32_at(row, 8),
            value: u32_at(row, 12),
            headers: u32_at(row, 16),
            bits: u32_at(row, 20),
            timestamp: i64_at(row, 24),
        })
    }
}

struct Row {
    delta: u32,
    start: u32,
    key: u32,
    value: u32,
    headers: u32,
    bits: u32,
    timestamp: i64,
}

fn len(part: u32) -> usize {
    if part == NULL { 0 } else { part as usize }
}

fn read_headers(bytes: &[u8]) -> Vec<(&str, Option<&[u8]>)> {
    let mut rest = bytes;
    let Some(count) = number(&mut rest) else { return Vec::new() };
    // Each header takes eight bytes at least, so a false count cannot make this allocate.
    let mut headers = Vec::with_capacity((count as usize).min(bytes.len() / 8));
    for _ in 0..count {
        let Some(name) = number(&mut rest).and_then(|length| take(&mut rest, length)) else { break };
        let Some(length) = number(&mut rest) else { break };
        let value = if length == NULL { None } else { take(&mut rest, length) };
        headers.push((std::str::from_utf8(name).unwrap_or_default(), value));
    }
    headers
}

fn take<'a>(rest: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    let (part, after) = rest.split_at_checked(length as usize)?;
    *rest = after;
    Some(part)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| i64::from_le_bytes(*bytes))
}
