//! Schemas that outlive a batch.

use millrace_api::schema::{Kind, Schema, SchemaRef, logical};
use millrace_api::value::Tag;
use millrace_api::{Result, Value};

/// What a transformation worked out about a schema (the schema that comes out, a plan of which fields to copy), kept for the 16
/// schemas used last, as Kafka Connect's transformations do.
///
/// Schemas are known by pointer: the SDK hands out the same pointer for the same schema in every batch.
#[derive(Debug)]
pub struct SchemaCache<V> {
    entries: Vec<(SchemaRef, V)>,
}

const CACHED: usize = 16;

impl<V> Default for SchemaCache<V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<V> SchemaCache<V> {
    /// What is known about `schema`, made by `make` the first time.
    ///
    /// # Errors
    /// What `make` returns; nothing is kept then.
    #[inline]
    pub fn get_or_try(&mut self, schema: &SchemaRef, make: impl FnOnce(&SchemaRef) -> Result<V>) -> Result<&mut V> {
        let found = self.entries.iter().position(|(known, _)| SchemaRef::ptr_eq(known, schema));
        let index = if let Some(index) = found {
            index
        } else {
            let value = make(schema)?;
            self.entries.truncate(CACHED - 1);
            self.entries.push((SchemaRef::clone(schema), value));
            self.entries.len() - 1
        };
        self.entries[..=index].rotate_right(usize::from(index > 0));
        Ok(&mut self.entries[0].1)
    }
}

/// Gives schemas of later batches the pointers they had in earlier ones.
#[derive(Default)]
pub(crate) struct Canonical {
    known: Vec<SchemaRef>,
}

/// Schemas remembered; a topic seldom carries more than a few versions.
const REMEMBERED: usize = 64;

impl Canonical {
    pub(crate) fn replace(&mut self, schemas: &mut [SchemaRef]) {
        for schema in schemas {
            if let Some(known) = self.known.iter().find(|known| *known == schema) {
                *schema = SchemaRef::clone(known);
            } else {
                if self.known.len() == REMEMBERED {
                    self.known.remove(0);
                }
                self.known.push(SchemaRef::clone(schema));
            }
        }
    }
}

/// The schema that a value without one would have: optional, and of the type its tag tells. `None` for containers and null.
#[must_use]
pub fn infer(value: Value<'_>) -> Option<Schema> {
    let kind = match value.tag() {
        Tag::False | Tag::True => Kind::Boolean,
        Tag::Int8 => Kind::Int8,
        Tag::Int16 => Kind::Int16,
        Tag::Int32 => Kind::Int32,
        Tag::Int64 => Kind::Int64,
        Tag::Float32 => Kind::Float32,
        Tag::Float64 => Kind::Float64,
        Tag::String => Kind::String,
        Tag::Bytes => Kind::Bytes,
        Tag::Decimal => return value.as_decimal().map(|(scale, _)| Schema::decimal(scale).into_optional()),
        Tag::Date => return Some(Schema::logical(Kind::Int32, logical::DATE).into_optional()),
        Tag::Time => return Some(Schema::logical(Kind::Int32, logical::TIME).into_optional()),
        Tag::Timestamp => return Some(Schema::logical(Kind::Int64, logical::TIMESTAMP).into_optional()),
        Tag::Null | Tag::Array | Tag::Map | Tag::Struct => return None,
    };
    Some(Schema::optional(kind))
}
