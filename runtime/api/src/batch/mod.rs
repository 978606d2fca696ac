//! The record batch: the unit of work of the whole data plane.
//!
//! Fixed-width [`Row`]s over one heap of bytes, plus a dictionary of topics and schemas. Converters append to the heap; a WASM
//! stage receives the batch in its wire form ([`wire`]) and answers with a [`delta`]; sinks read it through [`Record`].

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::schema::{Schema, SchemaRef};
use crate::value::Value;

pub(crate) mod bytes;
pub mod delta;
pub mod headers;
pub mod raw;
mod row;
pub mod wire;

pub use headers::{Header, Headers};
pub use row::{NO_PARTITION, NO_SCHEMA, NO_TIMESTAMP, Row, Slice, flags};

/// Largest heap of one batch, in bytes. Far below what a u32 can address, so offsets never wrap.
pub const MAX_HEAP: usize = 1 << 30;

/// Records that travel together. See the module documentation.
#[derive(Debug, Clone, Default)]
pub struct RecordBatch {
    topics: Vec<Arc<str>>,
    schemas: Vec<SchemaRef>,
    rows: Vec<Row>,
    heap: Vec<u8>,
}

impl RecordBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for `rows` records and `bytes` of heap.
    #[must_use]
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { rows: Vec::with_capacity(rows), heap: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes it occupies, for byte budgets.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.heap.len() + self.rows.len() * size_of::<Row>()
    }

    /// Removes all records, keeping memory for reuse.
    pub fn clear(&mut self) {
        self.topics.clear();
        self.schemas.clear();
        self.rows.clear();
        self.heap.clear();
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows, to change what does not point into the heap.
    pub fn rows_mut(&mut self) -> &mut Vec<Row> {
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

    /// The dictionary of schemas.
    #[must_use]
    pub fn schemas(&self) -> &[SchemaRef] {
        &self.schemas
    }

    /// The record at `index`, or `None` past the end.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.rows.get(index).map(|row| Record { batch: self, row })
    }

    /// All records in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> + Clone {
        self.rows.iter().map(|row| Record { batch: self, row })
    }

    /// The number of a topic in this batch, adding it if it is new. Dictionaries are short: a linear search from the end wins.
    pub fn intern_topic(&mut self, topic: &str) -> u32 {
        let found = self.topics.iter().rposition(|known| &**known == topic);
        let index = found.unwrap_or_else(|| {
            self.topics.push(Arc::from(topic));
            self.topics.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// The number of a schema in this batch (as [`Row::value_schema`] holds it), adding it if it is new. Pointers are
    /// compared before contents.
    pub fn intern_schema(&mut self, schema: &SchemaRef) -> u32 {
        let found = self
            .schemas
            .iter()
            .rposition(|known| Arc::ptr_eq(known, schema))
            .or_else(|| self.schemas.iter().rposition(|known| known == schema));
        let index = found.unwrap_or_else(|| {
            self.schemas.push(Arc::clone(schema));
            self.schemas.len() - 1
        });
        u32::try_from(index + 1).unwrap_or(NO_SCHEMA)
    }

    /// Appends bytes to the heap through `write` and returns where they lie. When `write` fails the heap is as before.
    ///
    /// # Errors
    /// What `write` returns, or [`crate::ErrorKind::Limit`] when the heap would pass [`MAX_HEAP`].
    #[inline]
    pub fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<T>) -> Result<(Slice, T)> {
        let start = self.heap.len();
        let result = write(&mut self.heap).and_then(|value| {
            if self.heap.len() > MAX_HEAP {
                return Err(Error::new(crate::ErrorKind::Limit, "a batch grew past 1 GiB; use smaller batches"));
            }
            Ok(value)
        });
        match result {
            Ok(value) => Ok((slice(start, self.heap.len()), value)),
            Err(error) => {
                self.heap.truncate(start);
                Err(error)
            }
        }
    }

    /// Appends a row; its slices and ids must come from this batch.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Keeps the rows for which `keep` says so, in order. The heap is left as it is.
    pub fn retain(&mut self, keep: impl FnMut(&Row) -> bool) {
        self.rows.retain(keep);
    }

    #[allow(clippy::type_complexity, reason = "each part once, for the two places that change several at a time")]
    pub(crate) fn parts_mut(&mut self) -> (&mut Vec<Arc<str>>, &mut Vec<SchemaRef>, &mut Vec<Row>, &mut Vec<u8>) {
        (&mut self.topics, &mut self.schemas, &mut self.rows, &mut self.heap)
    }

    pub(crate) fn from_parts(topics: Vec<Arc<str>>, schemas: Vec<SchemaRef>, rows: Vec<Row>, heap: Vec<u8>) -> Self {
        Self { topics, schemas, rows, heap }
    }

    fn schema(&self, id: u32) -> Option<&SchemaRef> {
        self.schemas.get((id as usize).checked_sub(1)?)
    }
}

pub(crate) fn slice(start: usize, end: usize) -> Slice {
    Slice {
        start: u32::try_from(start).unwrap_or(u32::MAX),
        len: u32::try_from(end.saturating_sub(start)).unwrap_or(0),
    }
}

/// One record of a batch, read in place.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    batch: &'a RecordBatch,
    row: &'a Row,
}

impl<'a> Record<'a> {
    /// Its row.
    #[must_use]
    pub fn row(self) -> &'a Row {
        self.row
    }

    /// Topic.
    #[must_use]
    pub fn topic(self) -> &'a str {
        self.batch.topics.get(self.row.topic as usize).map_or("", |topic| topic)
    }

    /// Partition, or `None` when none was chosen yet.
    #[must_use]
    pub fn partition(self) -> Option<i32> {
        (self.row.partition != NO_PARTITION).then_some(self.row.partition)
    }

    /// Offset, -1 for a record that has none yet.
    #[must_use]
    pub fn offset(self) -> i64 {
        self.row.offset
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(self) -> Option<i64> {
        (self.row.timestamp != NO_TIMESTAMP).then_some(self.row.timestamp)
    }

    /// Key; null when there is none.
    #[must_use]
    pub fn key(self) -> Value<'a> {
        self.row.key.of(&self.batch.heap).map_or(Value::NULL, Value::of)
    }

    /// Value; null for a tombstone.
    #[must_use]
    pub fn value(self) -> Value<'a> {
        self.row.value.of(&self.batch.heap).map_or(Value::NULL, Value::of)
    }

    /// Schema of the key.
    #[must_use]
    pub fn key_schema(self) -> Option<&'a SchemaRef> {
        self.batch.schema(self.row.key_schema)
    }

    /// Schema of the value.
    #[must_use]
    pub fn value_schema(self) -> Option<&'a SchemaRef> {
        self.batch.schema(self.row.value_schema)
    }

    /// Headers in order.
    #[must_use]
    pub fn headers(self) -> Headers<'a> {
        Headers::of(self.row.headers.of(&self.batch.heap).unwrap_or(&[]), &self.batch.schemas)
    }

    /// A field of the value, by name, whether it is a struct or a map.
    #[must_use]
    pub fn field(self, name: &str) -> Option<Value<'a>> {
        let schema: Option<&Schema> = self.value_schema().map(|schema| &**schema);
        self.value().field(schema, name)
    }
}
