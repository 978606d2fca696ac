//! Records as bytes, before and after converters: what the log stores and what goes to a dead letter queue.

use std::sync::Arc;

use super::{MAX_HEAP, NO_PARTITION, NO_TIMESTAMP, Row, Slice, slice, wire::put};
use crate::error::{Error, ErrorKind, Result};

/// One record as bytes, borrowed from wherever it lies (a client's buffer, a block of the embedded log).
#[derive(Debug, Clone)]
pub struct RawRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition, or [`NO_PARTITION`].
    pub partition: i32,
    /// Offset, -1 for none.
    pub offset: i64,
    /// Milliseconds since the epoch, or [`NO_TIMESTAMP`].
    pub timestamp: i64,
    /// Whether the timestamp is the broker's append time.
    pub log_append_time: bool,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl<'a> RawRecord<'a> {
    /// A record to be produced: no partition, offset or timestamp yet.
    #[must_use]
    pub fn new(topic: &'a str, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Self {
        Self {
            topic,
            partition: NO_PARTITION,
            offset: -1,
            timestamp: NO_TIMESTAMP,
            log_append_time: false,
            key,
            value,
            headers: Vec::new(),
        }
    }
}

/// Records as bytes, read by index without copying. The Kafka client implements it over its own buffers.
pub trait RawRecords: Send + Sync {
    /// Number of records.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The record at `index`; `None` past the end.
    fn get(&self, index: usize) -> Option<RawRecord<'_>>;
    /// Bytes it occupies, for byte budgets.
    fn bytes(&self) -> usize;
}

/// Records as bytes in flat memory of their own: rows over a heap, as in a [`super::RecordBatch`], but with wire bytes.
/// Headers lie in the heap as a u32 count, then u32-prefixed name and value (length `u32::MAX` for null) in turn.
#[derive(Debug, Clone, Default)]
pub struct RawBatch {
    topics: Vec<Arc<str>>,
    rows: Vec<Row>,
    heap: Vec<u8>,
}

impl RawBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The rows: offset, partition and timestamp may be read; slices point into [`RawBatch::heap`].
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows, to set offsets and partitions.
    pub fn rows_mut(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// The heap.
    #[must_use]
    pub fn heap(&self) -> &[u8] {
        &self.heap
    }

    /// The dictionary of topics.
    #[must_use]
    pub fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    /// Removes all records, keeping memory.
    pub fn clear(&mut self) {
        self.topics.clear();
        self.rows.clear();
        self.heap.clear();
    }

    /// Appends a copy of a record.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when the batch would pass [`MAX_HEAP`].
    pub fn push(&mut self, record: &RawRecord<'_>) -> Result<()> {
        let key = self.store(record.key)?;
        let value = self.store(record.value)?;
        let headers = self.store_headers(&record.headers);
        self.push_row(record, key, value, headers);
        Ok(())
    }

    /// Appends a record whose key and value `write_key` and `write_value` append to the heap; each returns whether there is
    /// one at all (`false`: null). When either fails nothing is appended.
    ///
    /// # Errors
    /// What the closures return, or [`ErrorKind::Limit`].
    pub fn push_with(
        &mut self,
        record: &RawRecord<'_>,
        write_key: impl FnOnce(&mut Vec<u8>) -> Result<bool>,
        write_value: impl FnOnce(&mut Vec<u8>) -> Result<bool>,
    ) -> Result<()> {
        let start = self.heap.len();
        let written = self.written(write_key).and_then(|key| Ok((key, self.written(write_value)?)));
        let (key, value) = match written {
            Ok(slices) => slices,
            Err(error) => {
                self.heap.truncate(start);
                return Err(error);
            }
        };
        let headers = self.store_headers(&record.headers);
        self.push_row(record, key, value, headers);
        Ok(())
    }

    fn written(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<bool>) -> Result<Slice> {
        let start = self.heap.len();
        let present = write(&mut self.heap)?;
        self.check_size(0)?;
        Ok(if present { slice(start, self.heap.len()) } else { Slice::NULL })
    }

    fn push_row(&mut self, record: &RawRecord<'_>, key: Slice, value: Slice, headers: Slice) {
        let topic = self.topics.iter().rposition(|topic| &**topic == record.topic).unwrap_or_else(|| {
            self.topics.push(Arc::from(record.topic));
            self.topics.len() - 1
        });
        self.rows.push(Row {
            offset: record.offset,
            timestamp: record.timestamp,
            topic: u32::try_from(topic).unwrap_or(0),
            partition: record.partition,
            key,
            value,
            headers,
            flags: u32::from(record.log_append_time),
            origin: u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
            ..Row::EMPTY
        });
    }

    fn store(&mut self, bytes: Option<&[u8]>) -> Result<Slice> {
        let Some(bytes) = bytes else { return Ok(Slice::NULL) };
        self.check_size(bytes.len())?;
        let start = self.heap.len();
        self.heap.extend_from_slice(bytes);
        Ok(slice(start, self.heap.len()))
    }

    fn store_headers(&mut self, headers: &[(&str, Option<&[u8]>)]) -> Slice {
        if headers.is_empty() {
            return Slice::NULL;
        }
        let start = self.heap.len();
        put(&mut self.heap, headers.len());
        for (name, value) in headers {
            put(&mut self.heap, name.len());
            self.heap.extend_from_slice(name.as_bytes());
            put(&mut self.heap, value.map_or(usize::MAX, <[u8]>::len));
            self.heap.extend_from_slice(value.unwrap_or_default());
        }
        slice(start, self.heap.len())
    }

    fn check_size(&self, more: usize) -> Result<()> {
        if self.heap.len() + more > MAX_HEAP {
            return Err(Error::new(ErrorKind::Limit, "a batch of records grew past 1 GiB; use smaller batches"));
        }
        Ok(())
    }
}

impl RawRecords for RawBatch {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn get(&self, index: usize) -> Option<RawRecord<'_>> {
        let row = self.rows.get(index)?;
        Some(RawRecord {
            topic: self.topics.get(row.topic as usize)?,
            partition: row.partition,
            offset: row.offset,
            timestamp: row.timestamp,
            log_append_time: row.flags & super::flags::LOG_APPEND_TIME != 0,
            key: row.key.of(&self.heap),
            value: row.value.of(&self.heap),
            headers: row.headers.of(&self.heap).map(read_headers).unwrap_or_default(),
        })
    }

    fn bytes(&self) -> usize {
        self.heap.len() + self.rows.len() * size_of::<Row>()
    }
}

fn read_headers(bytes: &[u8]) -> Vec<(&str, Option<&[u8]>)> {
    let mut reader = super::bytes::Reader::new(bytes);
    let mut headers = Vec::new();
    for _ in 0..reader.u32().unwrap_or(0) {
        let Ok(name) = reader.text() else { break };
        let Ok(len) = reader.u32() else { break };
        let value = if len == u32::MAX { None } else { reader.take(len as usize).ok() };
        headers.push((name, value));
    }
    headers
}
