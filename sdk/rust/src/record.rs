//! A record as a stage sees it.

use millrace_api::batch::{Headers, NO_PARTITION, NO_TIMESTAMP, Row, flags};
use millrace_api::{SchemaRef, Value};

use crate::place::Place;

/// Key or value: most transformations come in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Part {
    Key,
    Value,
}

/// One record, as the stages before left it. Everything is read in place; copying it copies pointers.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(crate) row: &'a Row,
    /// Where its parts lie: most stages look at one of them only.
    pub(crate) place: Place<'a>,
    pub(crate) dictionary: &'a [SchemaRef],
}

impl<'a> Record<'a> {
    /// Topic.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.place.topic(self.row)
    }

    /// Partition, or `None` when none was chosen yet.
    #[must_use]
    pub fn partition(&self) -> Option<i32> {
        (self.row.partition != NO_PARTITION).then_some(self.row.partition)
    }

    /// Offset; `None` for a record that has none yet, as those of a source.
    #[must_use]
    pub fn offset(&self) -> Option<i64> {
        (self.row.offset >= 0).then_some(self.row.offset)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(&self) -> Option<i64> {
        (self.row.timestamp != NO_TIMESTAMP).then_some(self.row.timestamp)
    }

    /// Whether the timestamp is the broker's append time.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.row.flags & flags::LOG_APPEND_TIME != 0
    }

    /// Key; null when there is none.
    #[must_use]
    #[inline]
    pub fn key(&self) -> Value<'a> {
        Value::of(self.place.part(self.row, Part::Key))
    }

    /// Value; null for a tombstone.
    #[must_use]
    #[inline]
    pub fn value(&self) -> Value<'a> {
        Value::of(self.place.part(self.row, Part::Value))
    }

    /// Key or value.
    #[must_use]
    #[inline]
    pub fn get(&self, part: Part) -> Value<'a> {
        match part {
            Part::Key => self.key(),
            Part::Value => self.value(),
        }
    }

    /// Schema of the key.
    #[must_use]
    pub fn key_schema(&self) -> Option<&'a SchemaRef> {
        self.lookup(self.row.key_schema)
    }

    /// Schema of the value.
    #[must_use]
    pub fn value_schema(&self) -> Option<&'a SchemaRef> {
        self.lookup(self.row.value_schema)
    }

    /// Schema of the key or the value. The same schema has the same pointer in all batches of an instance, as long as it is
    /// in use: see [`crate::SchemaCache`].
    #[must_use]
    #[inline]
    pub fn schema(&self, part: Part) -> Option<&'a SchemaRef> {
        self.lookup(self.schema_id(part))
    }

    /// A field of the key or the value, by name, whether it is a struct or a map.
    #[must_use]
    pub fn field(&self, part: Part, name: &str) -> Option<Value<'a>> {
        self.get(part).field(self.schema(part).map(|schema| &**schema), name)
    }

    /// Headers in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers::of(self.place.headers(self.row), self.dictionary)
    }

    pub(crate) fn schema_id(&self, part: Part) -> u32 {
        match part {
            Part::Key => self.row.key_schema,
            Part::Value => self.row.value_schema,
        }
    }

    fn lookup(&self, id: u32) -> Option<&'a SchemaRef> {
        self.dictionary.get((id as usize).checked_sub(1)?)
    }
}
