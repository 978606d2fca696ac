//! Writing a delta: the guest's half, used by SDKs.

use super::{ALL_KEPT, MAGIC, Verdict, mask};
use crate::batch::wire::put;
use crate::batch::{RecordBatch, Row, slice};
use crate::schema::{self, SchemaRef};
use crate::value::copy;

/// Collects what a stage does to the records of a batch, in the order of the inputs.
#[derive(Debug, Default)]
pub struct DeltaWriter {
    verdicts: Vec<u8>,
    changes: Vec<u8>,
    change_count: usize,
    failures: Vec<u8>,
    failure_count: usize,
    topics: Vec<String>,
    schemas: Vec<SchemaRef>,
    heap: Vec<u8>,
    base_topics: usize,
    base_schemas: usize,
}

impl DeltaWriter {
    /// A delta for `batch`, answering for its rows in order.
    #[must_use]
    pub fn new(batch: &RecordBatch) -> Self {
        let mut writer = Self::default();
        writer.restart(batch);
        writer
    }

    /// Begins anew, for another batch; memory is used again.
    pub fn restart(&mut self, batch: &RecordBatch) {
        self.verdicts.clear();
        self.changes.clear();
        self.change_count = 0;
        self.failures.clear();
        self.failure_count = 0;
        self.topics.clear();
        self.schemas.clear();
        self.heap.clear();
        self.verdicts.reserve(batch.len());
        self.base_topics = batch.topics().len();
        self.base_schemas = batch.schemas().len();
    }

    /// The next input is kept as it is.
    pub fn keep(&mut self) {
        self.verdicts.push(Verdict::Keep as u8);
    }

    /// The next input is dropped on purpose.
    pub fn drop_record(&mut self) {
        self.verdicts.push(Verdict::Drop as u8);
    }

    /// The next input is at fault: `stage` is the index of the configured stage that refused it.
    pub fn fail(&mut self, stage: u32, reason: &str) {
        let input = self.verdicts.len();
        self.verdicts.push(Verdict::Fail as u8);
        let start = self.heap.len();
        self.heap.extend_from_slice(reason.as_bytes());
        put(&mut self.failures, input);
        self.failures.extend_from_slice(&stage.to_le_bytes());
        put(&mut self.failures, start);
        put(&mut self.failures, reason.len());
        self.failure_count += 1;
    }

    /// The next input becomes the given rows, with `mask` telling which parts of each differ from it. Slices lie in this
    /// delta's heap ([`DeltaWriter::heap`]); topics and schemas come from [`DeltaWriter::topic`] and [`DeltaWriter::schema`]
    /// or from the batch. No rows at all is the same as dropping it.
    pub fn change(&mut self, rows: &[(u32, Row)]) {
        if rows.is_empty() {
            return self.drop_record();
        }
        let input = self.verdicts.len();
        self.verdicts.push(Verdict::Change as u8);
        for (bits, row) in rows {
            put(&mut self.changes, input);
            self.changes.extend_from_slice(&bits.to_le_bytes());
            self.changes.extend_from_slice(bytemuck::bytes_of(row));
            self.change_count += 1;
        }
    }

    /// Shorthand: only the value of the next input changes.
    pub fn change_value(&mut self, input: &Row, start: usize, schema: u32) {
        let row = Row { value: slice(start, self.heap.len()), value_schema: schema, ..*input };
        self.change(&[(mask::VALUE, row)]);
    }

    /// The heap that slices of changes point into.
    pub fn heap(&mut self) -> &mut Vec<u8> {
        &mut self.heap
    }

    /// Number for a topic that is not in the batch.
    pub fn topic(&mut self, batch: &RecordBatch, name: &str) -> u32 {
        let known = batch.topics().iter().position(|topic| &**topic == name);
        let index = known.or_else(|| self.topics.iter().position(|topic| topic == name).map(|i| i + self.base_topics));
        let index = index.unwrap_or_else(|| {
            self.topics.push(name.to_owned());
            self.base_topics + self.topics.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// Number for a schema that is not in the batch.
    pub fn schema(&mut self, schema: &SchemaRef) -> u32 {
        let known = self.schemas.iter().position(|known| std::sync::Arc::ptr_eq(known, schema) || known == schema);
        let index = known.unwrap_or_else(|| {
            self.schemas.push(SchemaRef::clone(schema));
            self.schemas.len() - 1
        });
        u32::try_from(self.base_schemas + index + 1).unwrap_or(0)
    }

    /// The delta as bytes.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let all_kept = self.verdicts.iter().all(|verdict| *verdict == Verdict::Keep as u8);
        let mut out = Vec::with_capacity(32 + self.verdicts.len() + self.changes.len() + self.heap.len() + 256);
        out.extend_from_slice(&MAGIC);
        for n in [
            self.verdicts.len(),
            self.topics.len(),
            self.schemas.len(),
            self.change_count,
            self.failure_count,
            self.heap.len(),
            if all_kept { ALL_KEPT as usize } else { 0 },
        ] {
            put(&mut out, n);
        }
        if !all_kept {
            out.extend_from_slice(&self.verdicts);
        }
        copy(&self.changes, &mut out);
        out.extend_from_slice(&self.failures);
        for topic in &self.topics {
            put(&mut out, topic.len());
            out.extend_from_slice(topic.as_bytes());
        }
        for known in &self.schemas {
            let mut encoded = Vec::new();
            schema::encode(known, &mut encoded);
            put(&mut out, encoded.len());
            out.extend_from_slice(&encoded);
        }
        copy(&self.heap, &mut out);
        out
    }
}
