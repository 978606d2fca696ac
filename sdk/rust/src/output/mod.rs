//! What a stage does to a record.

mod edit;
mod headers;

pub(crate) use edit::Edits;
pub use headers::HeaderList;

use millrace_api::batch::delta::mask;
use millrace_api::batch::{NO_PARTITION, NO_TIMESTAMP, Slice};
use millrace_api::value::Tag;
use millrace_api::{Result, SchemaRef, Value, Writer};

use crate::record::{Part, Record};

/// All of an encoded null.
const NULL: u8 = Tag::Null as u8;

/// Collects the changes to one record. Nothing here touches the input: [`Record`] keeps reading as it was.
pub struct Output<'o> {
    pub(crate) input: Record<'o>,
    pub(crate) heap: &'o mut Vec<u8>,
    pub(crate) work: &'o mut Work,
    pub(crate) pending: Pending,
}

/// What a stage reuses from record to record.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) emitted: Vec<Pending>,
    /// Schemas that the dictionary does not have yet; their numbers continue it.
    pub(crate) fresh: Vec<SchemaRef>,
    /// Schemas that equal one of the dictionary under another pointer.
    pub(crate) aliases: Vec<(SchemaRef, u32)>,
    pub(crate) edits: Edits,
}

impl Work {
    /// Forgets the schemas that did not make it into the dictionary, and what refers to them.
    pub(crate) fn forget_schemas(&mut self) {
        self.fresh.clear();
        self.aliases.clear();
    }
}

/// The parts of a record that changed, as `mask` tells: slices lie in the stage's heap.
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) mask: u32,
    pub(crate) partition: i32,
    pub(crate) timestamp: i64,
    pub(crate) topic: Slice,
    pub(crate) key: Slice,
    pub(crate) value: Slice,
    pub(crate) headers: Slice,
    pub(crate) key_schema: u32,
    pub(crate) value_schema: u32,
}

impl Pending {
    const NOTHING: Self = Self {
        mask: 0,
        partition: 0,
        timestamp: 0,
        topic: Slice::NULL,
        key: Slice::NULL,
        value: Slice::NULL,
        headers: Slice::NULL,
        key_schema: 0,
        value_schema: 0,
    };
}

impl<'o> Output<'o> {
    pub(crate) fn new(input: Record<'o>, heap: &'o mut Vec<u8>, work: &'o mut Work) -> Self {
        work.emitted.clear();
        work.edits.clear();
        Self { input, heap, work, pending: Pending::NOTHING }
    }

    /// Sends the record to another topic. Of a source, a record with a name that Kafka would refuse is at fault.
    pub fn topic(&mut self, name: &str) {
        let start = self.heap.len();
        Writer::new(self.heap).raw(name.as_bytes());
        self.pending.topic = slice(start, self.heap.len());
        self.pending.mask |= mask::TOPIC;
    }

    /// Sends the record to a partition; `None` leaves the choice to the partitioner.
    pub fn partition(&mut self, partition: Option<i32>) {
        self.pending.partition = partition.unwrap_or(NO_PARTITION);
        self.pending.mask |= mask::PARTITION;
    }

    /// Sets the timestamp, in milliseconds since the epoch.
    pub fn timestamp(&mut self, millis: Option<i64>) {
        self.pending.timestamp = millis.unwrap_or(NO_TIMESTAMP);
        self.pending.mask |= mask::TIMESTAMP;
    }

    /// Replaces key or value by what `write` writes: exactly one value of `schema`. Null makes a null key or a tombstone.
    ///
    /// # Errors
    /// What `write` returns; the part is as before then.
    #[inline]
    pub fn write(
        &mut self,
        part: Part,
        schema: Option<&SchemaRef>,
        write: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> Result<()> {
        let start = self.heap.len();
        if let Err(error) = write(&mut Writer::new(self.heap)) {
            self.heap.truncate(start);
            return Err(error);
        }
        let id = self.schema(schema);
        self.place(part, start, id);
        Ok(())
    }

    /// Replaces key or value by a value that exists already, for instance a field of the input.
    pub fn copy(&mut self, part: Part, schema: Option<&SchemaRef>, value: Value<'_>) {
        let start = self.heap.len();
        self.heap.extend_from_slice(value.bytes());
        let id = self.schema(schema);
        self.place(part, start, id);
    }

    /// Replaces all headers by those that `write` pushes or copies.
    ///
    /// # Errors
    /// What `write` returns; the headers are as before then.
    pub fn headers(&mut self, write: impl FnOnce(&mut HeaderList<'_, 'o>) -> Result<()>) -> Result<()> {
        let start = self.heap.len();
        if let Err(error) = write(&mut HeaderList { output: self }) {
            self.heap.truncate(start);
            return Err(error);
        }
        self.place_headers(start);
        Ok(())
    }

    /// Appends a header whose value is what `write` writes.
    pub fn add_header(&mut self, name: &str, schema: Option<&SchemaRef>, write: impl FnOnce(&mut Writer<'_>)) {
        let start = self.heap.len();
        if self.pending.mask & mask::HEADERS == 0 {
            self.heap.extend_from_slice(self.input.place.headers(self.input.row));
        } else if let Some(range) = range(self.pending.headers) {
            self.heap.extend_from_within(range);
        }
        HeaderList { output: self }.push(name, schema, write);
        self.place_headers(start);
    }

    /// Sets a field of key or value (a map or a struct): where it stands if there is one, else at the end. In a struct the
    /// field gets `schema`, or without one an optional schema of the value's type; a map needs none.
    ///
    /// Several edits of one record are applied in one pass, when the stage returns or emits.
    pub fn set(&mut self, part: Part, field: &str, schema: Option<&SchemaRef>, write: impl FnOnce(&mut Writer<'_>)) {
        self.work.edits.set(part, field, schema, write, true);
    }

    /// As [`Output::set`], but a field that is there already is left alone.
    pub fn insert(&mut self, part: Part, field: &str, schema: Option<&SchemaRef>, write: impl FnOnce(&mut Writer<'_>)) {
        self.work.edits.set(part, field, schema, write, false);
    }

    /// Removes a field of key or value.
    pub fn remove(&mut self, part: Part, field: &str) {
        self.work.edits.remove(part, field);
    }

    /// Renames a field of key or value.
    pub fn rename(&mut self, part: Part, field: &str, to: &str) {
        self.work.edits.rename(part, field, to);
    }

    /// Sends the record as it stands now on to the next stage, and starts over from the input: for stages that make several
    /// records of one. Such a stage returns [`crate::Verdict::Emit`].
    ///
    /// # Errors
    /// When fields were edited of something that has no fields.
    pub fn emit(&mut self) -> Result<()> {
        self.finish_edits()?;
        self.work.emitted.push(self.pending);
        self.pending = Pending::NOTHING;
        Ok(())
    }

    /// The number of a schema in the dictionary, adding it if it is new.
    pub(crate) fn schema(&mut self, schema: Option<&SchemaRef>) -> u32 {
        let Some(schema) = schema else { return 0 };
        let (known, work) = (self.input.dictionary, &mut *self.work);
        let number = |index: usize| u32::try_from(index + 1).unwrap_or(0);
        let same = |other: &SchemaRef| SchemaRef::ptr_eq(other, schema);
        if let Some(index) = known.iter().position(same) {
            return number(index);
        }
        if let Some(index) = work.fresh.iter().position(same) {
            return number(known.len() + index);
        }
        if let Some((_, id)) = work.aliases.iter().find(|(other, _)| same(other)) {
            return *id;
        }
        if let Some(index) = known.iter().chain(&work.fresh).position(|other| other == schema) {
            work.aliases.push((SchemaRef::clone(schema), number(index)));
            return number(index);
        }
        work.fresh.push(SchemaRef::clone(schema));
        number(known.len() + work.fresh.len() - 1)
    }

    /// Makes what was written since `start` the key or the value.
    pub(crate) fn place(&mut self, part: Part, start: usize, schema: u32) {
        let mut written = slice(start, self.heap.len());
        if matches!(self.heap.get(start..), None | Some([] | [NULL])) {
            self.heap.truncate(start);
            written = Slice::NULL;
        }
        let pending = &mut self.pending;
        match part {
            Part::Key => (pending.key, pending.key_schema) = (written, schema),
            Part::Value => (pending.value, pending.value_schema) = (written, schema),
        }
        pending.mask |= bit(part);
    }

    fn place_headers(&mut self, start: usize) {
        let end = self.heap.len();
        self.pending.headers = if start == end { Slice::NULL } else { slice(start, end) };
        self.pending.mask |= mask::HEADERS;
    }
}

pub(crate) fn bit(part: Part) -> u32 {
    match part {
        Part::Key => mask::KEY,
        Part::Value => mask::VALUE,
    }
}

/// A stage's heap stays below the size of a batch, which a u32 addresses.
pub(crate) fn slice(start: usize, end: usize) -> Slice {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Slice { start: number(start), len: number(end - start) }
}

pub(crate) fn range(slice: Slice) -> Option<std::ops::Range<usize>> {
    (!slice.is_null()).then(|| slice.start as usize..slice.start as usize + slice.len as usize)
}
