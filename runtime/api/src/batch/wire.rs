//! A batch as bytes, the way a guest receives it and an aggregate's `emit` answers.
//!
//! Header of eight u32: magic `MRB1`, topics, schemas, rows, bytes of heap, three reserved. Then the rows (64 bytes each), the
//! topics and the schemas (u32 length, bytes), the heap. Frozen with `millrace:connect@0.1.0` (invariant 7).

use std::sync::Arc;

use super::bytes::Reader;
use super::{RecordBatch, Row, Slice, headers};
use crate::error::{Error, Result};
use crate::schema;
use crate::value::validate;

const MAGIC: [u8; 4] = *b"MRB1";

/// Which parts of a record a guest wants to see; the others are not copied and read as null there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Keys.
    pub key: bool,
    /// Values.
    pub value: bool,
    /// Headers.
    pub headers: bool,
}

impl Needs {
    /// Everything.
    pub const ALL: Self = Self { key: true, value: true, headers: true };
    /// Only rows and dictionaries.
    pub const NOTHING: Self = Self { key: false, value: false, headers: false };
}

/// Whether the bytes come from the host or from somebody who may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Slices are checked; values are taken as they are.
    Host,
    /// Everything is checked.
    Nobody,
}

/// Encodes the rows numbered `rows` (ascending) of `batch` into `out`, which is cleared first.
///
/// When all rows and parts are wanted, the heap is copied whole; else only the bytes that are wanted. Rows may share bytes: where
/// copying them for each would take more than the heap itself, it is copied whole, too.
pub fn encode(batch: &RecordBatch, rows: &[u32], needs: Needs, out: &mut Vec<u8>) {
    out.clear();
    let all = needs == Needs::ALL && rows.len() == batch.rows.len();
    let whole = all || wanted(batch, rows, needs) > batch.heap.len() as u64;
    out.reserve(64 + size_of_val(rows) * 16 + if whole { batch.heap.len() } else { 0 });
    out.extend_from_slice(&MAGIC);
    for n in [batch.topics.len(), batch.schemas.len(), rows.len(), 0, 0, 0, 0] {
        put(out, n);
    }
    if whole {
        if all {
            out.extend_from_slice(bytemuck::cast_slice(&batch.rows));
        } else {
            let part = |wanted: bool, slice: Slice| if wanted { slice } else { Slice::NULL };
            for row in selected(batch, rows) {
                let (key, value) = (part(needs.key, row.key), part(needs.value, row.value));
                let row = Row { key, value, headers: part(needs.headers, row.headers), ..*row };
                out.extend_from_slice(bytemuck::bytes_of(&row));
            }
        }
        dictionaries(batch, out);
        out.extend_from_slice(&batch.heap);
        let heap = batch.heap.len();
        out[16..20].copy_from_slice(&u32::try_from(heap).unwrap_or(u32::MAX).to_le_bytes());
    } else {
        compact(batch, rows, needs, out);
    }
}

fn selected<'b>(batch: &'b RecordBatch, rows: &'b [u32]) -> impl Iterator<Item = &'b Row> {
    rows.iter().filter_map(|row| batch.rows.get(*row as usize))
}

/// Bytes of the parts that are wanted, counted for each row.
fn wanted(batch: &RecordBatch, rows: &[u32], needs: Needs) -> u64 {
    let len = |wanted: bool, slice: Slice| if wanted { u64::from(slice.len) } else { 0 };
    let row = |row: &Row| len(needs.key, row.key) + len(needs.value, row.value) + len(needs.headers, row.headers);
    selected(batch, rows).map(row).sum()
}

fn compact(batch: &RecordBatch, rows: &[u32], needs: Needs, out: &mut Vec<u8>) {
    let mut at = 0u32;
    let mut place = |wanted: bool, from: Slice| {
        if !wanted || from.is_null() {
            return Slice::NULL;
        }
        let placed = Slice { start: at, len: from.len };
        at += from.len;
        placed
    };
    for row in selected(batch, rows) {
        let row = Row {
            key: place(needs.key, row.key),
            value: place(needs.value, row.value),
            headers: place(needs.headers, row.headers),
            ..*row
        };
        out.extend_from_slice(bytemuck::bytes_of(&row));
    }
    dictionaries(batch, out);
    for row in selected(batch, rows) {
        for (wanted, from) in [(needs.key, row.key), (needs.value, row.value), (needs.headers, row.headers)] {
            if wanted {
                out.extend_from_slice(from.of(&batch.heap).unwrap_or(&[]));
            }
        }
    }
    out[16..20].copy_from_slice(&at.to_le_bytes());
}

fn dictionaries(batch: &RecordBatch, out: &mut Vec<u8>) {
    for topic in &batch.topics {
        put(out, topic.len());
        out.extend_from_slice(topic.as_bytes());
    }
    for schema in &batch.schemas {
        let at = out.len();
        put(out, 0);
        schema::encode(schema, out);
        let len = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
        out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }
}

/// Decodes a batch. The bytes become its heap, so nothing but the rows is copied.
///
/// # Errors
/// [`crate::ErrorKind::Data`] when lengths, indices, slices, schemas or (with [`Trust::Nobody`]) values are malformed.
pub fn decode(bytes: Vec<u8>, trust: Trust) -> Result<RecordBatch> {
    let mut reader = Reader::new(&bytes);
    if reader.array::<4>()? != MAGIC {
        return Err(Error::data("these bytes are no record batch of version 1"));
    }
    let (topic_count, schema_count) = (reader.count(4)?, reader.count(4)?);
    if trust == Trust::Nobody {
        check_dictionaries(topic_count, schema_count)?;
    }
    let row_count = reader.count(size_of::<Row>())?;
    let heap_len = reader.u32()? as usize;
    reader.take(12)?;
    let row_bytes = reader.take(row_count * size_of::<Row>())?;
    let mut topics = Vec::with_capacity(topic_count);
    for _ in 0..topic_count {
        topics.push(Arc::from(reader.text()?));
    }
    let schemas: Vec<_> = read_schemas(&mut reader, schema_count)?.into_iter().map(Arc::new).collect();
    if reader.remaining() != heap_len {
        return Err(Error::data("a batch's heap is shorter or longer than announced"));
    }
    let base = bytes.len() - heap_len;
    let heap = &bytes[base..];
    let mut rows = Vec::with_capacity(row_count);
    let mut checker = Checker::new(heap, row_count, topics.len(), schemas.len(), trust);
    for chunk in row_bytes.chunks_exact(size_of::<Row>()) {
        let row: Row = bytemuck::pod_read_unaligned(chunk);
        checker.row(&row)?;
        rows.push(Row {
            key: row.key.rebased(base),
            value: row.value.rebased(base),
            headers: row.headers.rebased(base),
            ..row
        });
    }
    Ok(RecordBatch::from_parts(topics, schemas, rows, bytes))
}

/// Most topics and schemas that a batch may have once somebody else has a say in it: they are searched one by one.
const MAX_TOPICS: usize = 16_384;
const MAX_SCHEMAS: usize = 4_096;
/// Most bytes of schemas read at once: a few of them become some hundred in memory.
const MAX_SCHEMA_BYTES: usize = 4 << 20;

/// Refuses dictionaries that are only there to take time and memory.
pub(crate) fn check_dictionaries(topics: usize, schemas: usize) -> Result<()> {
    if topics > MAX_TOPICS || schemas > MAX_SCHEMAS {
        return Err(Error::new(
            crate::ErrorKind::Limit,
            format!("a batch would name more than {MAX_TOPICS} topics or {MAX_SCHEMAS} schemas"),
        ));
    }
    Ok(())
}

pub(crate) fn read_schemas(reader: &mut Reader<'_>, count: usize) -> Result<Vec<schema::Schema>> {
    let mut left = MAX_SCHEMA_BYTES;
    let mut schemas = Vec::with_capacity(count);
    for _ in 0..count {
        let bytes = reader.slice()?;
        left = left
            .checked_sub(bytes.len())
            .ok_or_else(|| Error::new(crate::ErrorKind::Limit, "the schemas of a batch take more than 4 MiB"))?;
        schemas.push(schema::decode(bytes)?);
    }
    Ok(schemas)
}

/// Checks what rows point to. Rows may share bytes, and a slice that is the same as in the row before is not checked again; but
/// what a lying batch costs to check is bounded by its own size.
pub(crate) struct Checker<'h> {
    heap: &'h [u8],
    topics: usize,
    schemas: usize,
    trust: Trust,
    /// Key, value and headers of the row before.
    last: [Slice; 3],
    /// Bytes that may still be checked.
    left: usize,
}

impl<'h> Checker<'h> {
    pub(crate) fn new(heap: &'h [u8], rows: usize, topics: usize, schemas: usize, trust: Trust) -> Self {
        let left = heap.len().saturating_mul(8).saturating_add(rows.saturating_mul(1 << 10)).saturating_add(1 << 16);
        Self { heap, topics, schemas, trust, last: [Slice::NULL; 3], left }
    }

    pub(crate) fn row(&mut self, row: &Row) -> Result<()> {
        if row.topic as usize >= self.topics {
            return Err(Error::data("a record names a topic that is not there"));
        }
        if row.key_schema as usize > self.schemas || row.value_schema as usize > self.schemas {
            return Err(Error::data("a record names a schema that is not there"));
        }
        let schemas = self.schemas;
        self.slice(0, row.key, validate)?;
        self.slice(1, row.value, validate)?;
        self.slice(2, row.headers, |bytes| headers::validate(bytes, schemas))
    }

    fn slice(&mut self, part: usize, slice: Slice, check: impl Fn(&[u8]) -> Result<()>) -> Result<()> {
        if self.last[part] == slice {
            return Ok(());
        }
        if let Some(bytes) = checked(slice, self.heap)?
            && self.trust == Trust::Nobody
        {
            self.left = self
                .left
                .checked_sub(bytes.len())
                .ok_or_else(|| Error::new(crate::ErrorKind::Limit, "the records of a batch share bytes too often"))?;
            check(bytes)?;
        }
        self.last[part] = slice;
        Ok(())
    }
}

fn checked(slice: Slice, heap: &[u8]) -> Result<Option<&[u8]>> {
    match slice.of(heap) {
        None if !slice.is_null() => Err(Error::data("a slice leaves the heap")),
        bytes => Ok(bytes),
    }
}

pub(crate) fn put(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}
