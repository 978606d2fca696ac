//! Applying deltas to a batch, trusting nothing in them.

use std::sync::Arc;

use super::{ALL_KEPT, CHANGE, FAILURE, MAGIC, Verdict, mask};
use crate::batch::bytes::Reader;
use crate::batch::wire::{Checker, Trust, check_dictionaries, read_schemas};
use crate::batch::{MAX_HEAP, RecordBatch, Row, Slice, headers};
use crate::error::{Error, Result};
use crate::schema;

/// Longest name of a topic that a guest may route records to, in bytes: the longest text that Kafka's protocol can carry. Kafka
/// itself takes 249 ([`crate::log::topic_name_fault`]).
const MAX_TOPIC: usize = 32_767;

/// Applies the deltas of one stage to a batch, chunk by chunk.
///
/// Rows that no chunk names stay as they are. A chunk is checked whole before anything changes, so a malformed delta leaves
/// the batch as it was and the host may try the same chunk again in smaller pieces. Until [`Applier::finish`] the rows of
/// the batch are the stage's inputs.
pub struct Applier {
    rows: Vec<Row>,
    next: usize,
    applied: Applied,
}

/// What a stage did to a batch.
#[derive(Debug, Default)]
pub struct Applied {
    /// Origins of the records dropped on purpose.
    pub dropped: Vec<u32>,
    /// Records at fault.
    pub failed: Vec<Failed>,
}

/// A record that a stage could not process.
#[derive(Debug)]
pub struct Failed {
    /// Row as the stage received it; still valid in the batch's heap.
    pub row: Row,
    /// Why.
    pub error: Error,
    /// Index of the stage that refused it among those the guest was configured with, as the guest says; 0 when it cannot tell.
    pub stage: u32,
}

impl Applier {
    /// Starts a stage over `batch`.
    #[must_use]
    pub fn new(batch: &RecordBatch) -> Self {
        Self { rows: Vec::with_capacity(batch.len()), next: 0, applied: Applied::default() }
    }

    /// Applies the delta for the rows numbered `inputs`: ascending, after those of earlier chunks.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when anything in the delta is malformed; nothing has changed then.
    pub fn chunk(&mut self, batch: &mut RecordBatch, inputs: &[u32], delta: &[u8]) -> Result<()> {
        let parsed = Parsed::read(delta, inputs.len(), batch)?;
        let ids = parsed.adopt(batch);
        let mut changes = parsed.changes.iter().peekable();
        let mut failures = parsed.failures.into_iter().peekable();
        for (index, &input) in inputs.iter().enumerate() {
            let Some(row) = self.advance(batch, input) else { continue };
            match parsed.verdicts.as_ref().map_or(Verdict::Keep, |verdicts| verdicts[index]) {
                Verdict::Keep => self.rows.push(row),
                Verdict::Drop => self.applied.dropped.push(row.origin),
                Verdict::Change => {
                    while let Some(change) = changes.next_if(|change| change.input == index) {
                        self.rows.push(ids.merge(&row, change));
                    }
                }
                Verdict::Fail => {
                    let failure = failures.next_if(|failure| failure.input == index).unwrap_or_default();
                    let (error, stage) = (Error::of_reason(failure.reason), failure.stage);
                    self.applied.failed.push(Failed { row, error, stage });
                }
            }
        }
        Ok(())
    }

    /// Records that the row numbered `input` failed, without a delta: the guest trapped on it.
    pub fn fail(&mut self, batch: &RecordBatch, input: u32, error: Error) {
        if let Some(row) = self.advance(batch, input) {
            self.applied.failed.push(Failed { row, error, stage: 0 });
        }
    }

    /// Puts the resulting rows into the batch.
    #[must_use]
    pub fn finish(mut self, batch: &mut RecordBatch) -> Applied {
        let (_, _, rows, _) = batch.parts_mut();
        self.rows.extend_from_slice(rows.get(self.next..).unwrap_or(&[]));
        *rows = self.rows;
        self.applied
    }

    /// Copies the rows before `input` that no chunk named, and returns the row of `input`.
    fn advance(&mut self, batch: &RecordBatch, input: u32) -> Option<Row> {
        let input = input as usize;
        let row = *batch.rows().get(input)?;
        self.rows.extend_from_slice(batch.rows().get(self.next..input)?);
        self.next = input + 1;
        Some(row)
    }
}

struct Change {
    input: usize,
    mask: u32,
    row: Row,
}

#[derive(Default)]
struct Failure {
    input: usize,
    stage: u32,
    reason: String,
}

/// A delta after every check.
struct Parsed<'d> {
    verdicts: Option<Vec<Verdict>>,
    changes: Vec<Change>,
    failures: Vec<Failure>,
    topics: Vec<&'d str>,
    schemas: Vec<schema::Schema>,
    heap: &'d [u8],
}

impl<'d> Parsed<'d> {
    fn read(delta: &'d [u8], inputs: usize, batch: &RecordBatch) -> Result<Self> {
        let mut reader = Reader::new(delta);
        if reader.array::<4>()? != MAGIC {
            return Err(Error::data("these bytes are no delta of version 1"));
        }
        if reader.u32()? as usize != inputs {
            return Err(Error::data("a delta answers for another number of records than it was given"));
        }
        let (topic_count, schema_count) = (reader.count(4)?, reader.count(4)?);
        if topic_count + schema_count > 0 {
            check_dictionaries(batch.topics().len() + topic_count, batch.schemas().len() + schema_count)?;
        }
        let (change_count, failure_count) = (reader.count(CHANGE)?, reader.count(FAILURE)?);
        let (heap_len, flags) = (reader.u32()? as usize, reader.u32()?);
        let verdicts = if flags & ALL_KEPT == 0 { Some(verdicts(reader.take(inputs)?)?) } else { None };
        let change_bytes = reader.take(change_count * CHANGE)?;
        let failure_bytes = reader.take(failure_count * FAILURE)?;
        let topics = (0..topic_count).map(|_| topic(reader.text()?)).collect::<Result<Vec<_>>>()?;
        let schemas = read_schemas(&mut reader, schema_count)?;
        if reader.remaining() != heap_len {
            return Err(Error::data("a delta's heap is shorter or longer than announced"));
        }
        if batch.heap().len() + heap_len > MAX_HEAP {
            return Err(Error::new(crate::ErrorKind::Limit, "a batch would grow past 1 GiB"));
        }
        let mut parsed = Self {
            verdicts,
            changes: Vec::with_capacity(change_count),
            failures: Vec::with_capacity(failure_count),
            topics,
            schemas,
            heap: reader.take(heap_len)?,
        };
        parsed.read_changes(change_bytes, batch)?;
        parsed.check_headers()?;
        parsed.read_failures(failure_bytes);
        parsed.check_verdicts(inputs)?;
        Ok(parsed)
    }

    fn read_changes(&mut self, bytes: &[u8], batch: &RecordBatch) -> Result<()> {
        let topics = batch.topics().len() + self.topics.len();
        let schemas = batch.schemas().len() + self.schemas.len();
        let mut checker = Checker::new(self.heap, bytes.len() / CHANGE, topics.max(1), schemas, Trust::Nobody);
        for chunk in bytes.chunks_exact(CHANGE) {
            let (head, row) = chunk.split_at(8);
            let [input, mask]: [u32; 2] = bytemuck::pod_read_unaligned(head);
            let row = only(bytemuck::pod_read_unaligned(row), mask);
            checker.row(&row)?;
            self.changes.push(Change { input: input as usize, mask, row });
        }
        Ok(())
    }

    fn read_failures(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks_exact(FAILURE) {
            let [input, stage, start, len]: [u32; 4] = bytemuck::pod_read_unaligned(chunk);
            let reason = Slice { start, len }.of(self.heap).unwrap_or_default();
            let shown = &reason[..reason.len().min(1024)];
            let reason = String::from_utf8_lossy(shown).into_owned();
            self.failures.push(Failure { input: input as usize, stage, reason });
        }
    }

    /// Changes and failures must stand in the order of the inputs whose verdict announces them.
    fn check_verdicts(&self, inputs: usize) -> Result<()> {
        let (mut change, mut failure) = (0, 0);
        for input in 0..inputs {
            match self.verdicts.as_ref().map_or(Verdict::Keep, |verdicts| verdicts[input]) {
                Verdict::Keep | Verdict::Drop => {}
                Verdict::Change => {
                    let before = change;
                    while self.changes.get(change).is_some_and(|c| c.input == input) {
                        change += 1;
                    }
                    if change == before {
                        return Err(Error::data("a delta says a record changed but not how"));
                    }
                }
                Verdict::Fail => {
                    if self.failures.get(failure).is_none_or(|f| f.input != input) {
                        return Err(Error::data("a delta says a record failed but not why"));
                    }
                    failure += 1;
                }
            }
        }
        if change == self.changes.len() && failure == self.failures.len() {
            Ok(())
        } else {
            Err(Error::data("a delta changes or fails records out of order"))
        }
    }

    /// Where new headers lie, each place once, in order.
    fn headers(&self) -> Vec<Slice> {
        let mut headers: Vec<Slice> = self.changes.iter().map(|change| change.row.headers).collect();
        headers.retain(|slice| !slice.is_null());
        headers.sort_unstable_by_key(|slice| (slice.start, slice.len));
        headers.dedup();
        headers
    }

    /// Headers may get other schema numbers in place, so they must not share bytes with anything else.
    fn check_headers(&self) -> Result<()> {
        let headers = self.headers();
        if headers.is_empty() || self.schemas.is_empty() {
            return Ok(());
        }
        let mut slices: Vec<(Slice, bool)> = headers.into_iter().map(|slice| (slice, true)).collect();
        let others = self.changes.iter().flat_map(|change| [change.row.key, change.row.value]);
        slices.extend(others.filter(|slice| !slice.is_null()).map(|slice| (slice, false)));
        slices.sort_unstable_by_key(|(slice, _)| slice.start);
        let (mut end, mut end_of_headers) = (0, 0);
        for (slice, is_headers) in slices {
            if slice.start < end_of_headers || (is_headers && slice.start < end) {
                return Err(Error::data("headers in a delta overlap other bytes"));
            }
            end = end.max(slice.start.saturating_add(slice.len));
            if is_headers {
                end_of_headers = end;
            }
        }
        Ok(())
    }

    /// Moves heap, topics and schemas into the batch.
    fn adopt(&self, batch: &mut RecordBatch) -> Ids {
        let (base_topics, base_schemas) = (batch.topics().len(), batch.schemas().len());
        let topics = self.topics.iter().map(|topic| batch.intern_topic(topic)).collect();
        let schemas = self.schemas.iter().map(|schema| batch.intern_schema(&Arc::new(schema.clone()))).collect();
        let (_, _, _, heap) = batch.parts_mut();
        let base = heap.len();
        heap.extend_from_slice(self.heap);
        let ids = Ids { base, base_topics, base_schemas, topics, schemas };
        if ids.schemas_moved() {
            for slice in self.headers() {
                headers::renumber(slice.rebased(base).of_mut(heap), |id| ids.schema(id));
            }
        }
        ids
    }
}

/// Where the parts of a delta ended up in the batch.
struct Ids {
    base: usize,
    base_topics: usize,
    base_schemas: usize,
    topics: Vec<u32>,
    schemas: Vec<u32>,
}

impl Ids {
    fn merge(&self, input: &Row, change: &Change) -> Row {
        let mut row = *input;
        let (new, has) = (&change.row, |bit: u32| change.mask & bit != 0);
        if has(mask::TOPIC) {
            let index = new.topic as usize;
            row.topic =
                index.checked_sub(self.base_topics).and_then(|i| self.topics.get(i)).copied().unwrap_or(new.topic);
        }
        if has(mask::PARTITION) {
            row.partition = new.partition;
        }
        if has(mask::TIMESTAMP) {
            row.timestamp = new.timestamp;
        }
        if has(mask::KEY) {
            (row.key, row.key_schema) = (new.key.rebased(self.base), self.schema(new.key_schema));
        }
        if has(mask::VALUE) {
            (row.value, row.value_schema) = (new.value.rebased(self.base), self.schema(new.value_schema));
        }
        if has(mask::HEADERS) {
            row.headers = new.headers.rebased(self.base);
        }
        row
    }

    /// Whether any new schema has another number in the batch than in the delta, because the batch had it already.
    fn schemas_moved(&self) -> bool {
        let announced = |index: usize| u32::try_from(self.base_schemas + index + 1).ok();
        self.schemas.iter().enumerate().any(|(index, id)| Some(*id) != announced(index))
    }

    fn schema(&self, id: u32) -> u32 {
        (id as usize).checked_sub(1 + self.base_schemas).and_then(|i| self.schemas.get(i)).copied().unwrap_or(id)
    }
}

/// The row with everything outside `mask` emptied, so that only what counts is checked.
fn only(row: Row, bits: u32) -> Row {
    let has = |bit: u32| bits & bit != 0;
    let mut kept = Row::EMPTY;
    if has(mask::TOPIC) {
        kept.topic = row.topic;
    }
    if has(mask::PARTITION) {
        kept.partition = row.partition.max(-1);
    }
    if has(mask::TIMESTAMP) {
        kept.timestamp = row.timestamp;
    }
    if has(mask::KEY) {
        (kept.key, kept.key_schema) = (row.key, row.key_schema);
    }
    if has(mask::VALUE) {
        (kept.value, kept.value_schema) = (row.value, row.value_schema);
    }
    if has(mask::HEADERS) {
        kept.headers = row.headers;
    }
    kept
}

fn verdicts(bytes: &[u8]) -> Result<Vec<Verdict>> {
    let verdict = |byte: &u8| match byte {
        0 => Ok(Verdict::Keep),
        1 => Ok(Verdict::Change),
        2 => Ok(Verdict::Drop),
        3 => Ok(Verdict::Fail),
        _ => Err(Error::data("a delta holds an unknown verdict")),
    };
    bytes.iter().map(verdict).collect()
}

/// A topic name that a guest made up. It need not be one that Kafka takes: a sink may make anything of it, and for a source the
/// worker refuses just the records that carry it.
fn topic(name: &str) -> Result<&str> {
    if name.len() > MAX_TOPIC {
        return Err(Error::data(format!("a record was routed to a topic with a name of more than {MAX_TOPIC} bytes")));
    }
    Ok(name)
}
