//! One schema for the elements of an array or map, and values made to fit it.

use millrace_api::schema::{Kind, Schema};
use millrace_api::value::Tag;
use millrace_api::{SchemaRef, Value, Writer};

/// The schema that all elements seen so far share.
#[derive(Default)]
pub(crate) struct Common {
    schema: Option<SchemaRef>,
    clash: bool,
}

impl Common {
    /// Takes in an element's schema; null has none and fits all.
    pub(crate) fn merge(&mut self, latest: Option<&SchemaRef>) {
        let Some(latest) = latest.filter(|_| !self.clash) else { return };
        match &self.schema {
            None => self.schema = Some(SchemaRef::clone(latest)),
            Some(common) => {
                self.schema = merge(common, latest);
                self.clash = self.schema.is_none();
            }
        }
    }

    /// The schema, if there is one.
    pub(crate) fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }
}

/// Numbers widen to the larger type, integers to floats; of two schemas of one type the later is taken.
fn merge(one: &SchemaRef, other: &SchemaRef) -> Option<SchemaRef> {
    let rank = |kind: Kind| match kind {
        Kind::Int8 => Some(0),
        Kind::Int16 => Some(1),
        Kind::Int32 => Some(2),
        Kind::Int64 => Some(3),
        Kind::Float32 => Some(4),
        Kind::Float64 => Some(5),
        _ => None,
    };
    if one.kind == other.kind {
        return Some(SchemaRef::clone(other));
    }
    let (left, right) = (rank(one.kind)?, rank(other.kind)?);
    Some(SchemaRef::clone(if left > right { one } else { other }))
}

/// Appends `value` as `schema` has it. `None` when it cannot be: null where null is not allowed, or a date among numbers.
pub(crate) fn fit(value: Value<'_>, schema: &Schema, out: &mut Vec<u8>) -> Option<()> {
    if value.is_null() && !schema.optional {
        return None;
    }
    let plain = schema.name.is_none();
    let mut writer = Writer::new(out);
    match (schema.kind, value.tag()) {
        (Kind::Int16, Tag::Int8) if plain => writer.int16(i16::try_from(value.as_i64()?).ok()?),
        (Kind::Int32, Tag::Int8 | Tag::Int16) if plain => writer.int32(i32::try_from(value.as_i64()?).ok()?),
        (Kind::Int64, Tag::Int8 | Tag::Int16 | Tag::Int32) if plain => writer.int64(value.as_i64()?),
        (Kind::Float32, Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64) => writer.float32(value.as_i64()? as f32),
        (Kind::Float64, Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64) => writer.float64(value.as_i64()? as f64),
        (Kind::Float64, Tag::Float32) => writer.float64(value.as_f64()?),
        (Kind::Int32 | Kind::Int64 | Kind::Float32 | Kind::Float64, Tag::Date | Tag::Time | Tag::Timestamp)
            if plain =>
        {
            return None;
        }
        (Kind::Int32 | Kind::Int64, Tag::Int32 | Tag::Int64 | Tag::Int8 | Tag::Int16) if !plain => return None,
        _ => writer.value(value),
    }
    Some(())
}
