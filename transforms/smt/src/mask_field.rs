//! `MaskField`: replaces fields by a neutral value of their type, or by a given one.

use std::marker::PhantomData;

use millrace_sdk::encoded;
use millrace_sdk::prelude::*;

use crate::part::{Side, class, class_name, or_default, put, require_entries, require_map, require_struct};
use crate::replacement::Replacement;

const PURPOSE: &str = "mask fields";

/// Keys of [`MaskField`].
#[derive(Config)]
pub struct MaskFieldConfig {
    /// The fields to mask.
    #[config(importance = "high")]
    fields: Vec<String>,
    /// What takes the place of the values, all of which must be numbers or text. Without it numbers become 0, text becomes
    /// empty, and so on.
    #[config(importance = "low", non_empty)]
    replacement: Option<String>,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.transforms.MaskField`.
pub struct MaskField<S> {
    names: Vec<String>,
    /// The names as they are in a map.
    encoded: Vec<Box<[u8]>>,
    replacement: Option<Replacement>,
    replace_null: bool,
    /// Which fields of a schema are masked.
    schemas: SchemaCache<Vec<bool>>,
    side: PhantomData<S>,
}

impl<S: Side> Transform for MaskField<S> {
    const CLASS: &'static str = class!(S, "MaskField");
    type Config = MaskFieldConfig;

    fn configure(config: MaskFieldConfig) -> Result<Self> {
        require_entries("fields", &config.fields)?;
        Ok(Self {
            encoded: config.fields.iter().map(|name| encoded(name)).collect(),
            names: config.fields,
            replacement: config.replacement.map(Replacement::new),
            replace_null: config.replace_null_with_default,
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn needs(&self) -> Needs {
        S::NEEDS
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let value = record.get(S::PART);
        let Self { names, replacement, replace_null, schemas, .. } = self;
        let mask = Mask { replacement: replacement.as_ref() };
        let Some(schema) = record.schema(S::PART) else {
            require_map(value, PURPOSE)?;
            return Ok(Verdict::Keep);
        };
        require_struct(value, PURPOSE)?;
        let masked = schemas
            .get_or_try(schema, |schema| Ok(schema.fields.iter().map(|field| names.contains(&field.name)).collect()))?;
        out.write(S::PART, Some(schema), |writer| {
            let open = writer.begin_struct();
            for ((field, value), masked) in schema.fields.iter().zip(value.elements()).zip(&*masked) {
                let value = or_default(value, &field.schema, *replace_null);
                if *masked && !value.is_null() {
                    mask.write(writer, value)?;
                } else {
                    put(writer, field, value)?;
                }
            }
            writer.end(open, schema.fields.len());
            Ok(())
        })?;
        Ok(Verdict::Keep)
    }

    fn edits(&self) -> Option<Part> {
        Some(S::PART)
    }

    fn edit(&mut self, _record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()> {
        let mask = Mask { replacement: self.replacement.as_ref() };
        for name in &self.encoded {
            fields.set(name, |writer, present| {
                mask.write(writer, present.unwrap_or(Value::NULL))?;
                Ok(true)
            })?;
        }
        Ok(())
    }
}

/// What takes the place of a value.
#[derive(Clone, Copy)]
struct Mask<'m> {
    replacement: Option<&'m Replacement>,
}

impl Mask<'_> {
    fn write(self, writer: &mut Writer<'_>, value: Value<'_>) -> Result<()> {
        match self.replacement {
            _ if value.is_null() => writer.null(),
            Some(replacement) => return replacement.write(writer, value),
            None => return neutral(writer, value),
        }
        Ok(())
    }
}

/// The neutral value of the type of `value`. A decimal keeps its scale, which its schema prescribes.
fn neutral(writer: &mut Writer<'_>, value: Value<'_>) -> Result<()> {
    match value.tag() {
        Tag::Null => writer.null(),
        Tag::False | Tag::True => writer.bool(false),
        Tag::Int8 => writer.int8(0),
        Tag::Int16 => writer.int16(0),
        Tag::Int32 => writer.int32(0),
        Tag::Int64 => writer.int64(0),
        Tag::Float32 => writer.float32(0.0),
        Tag::Float64 => writer.float64(0.0),
        Tag::String => writer.str(""),
        Tag::Decimal => writer.decimal_i128(value.as_decimal().map_or(0, |(scale, _)| scale), 0),
        Tag::Date => writer.date(0),
        Tag::Time => writer.time(0),
        Tag::Timestamp => writer.timestamp(0),
        Tag::Array => {
            let open = writer.begin_array();
            writer.end(open, 0);
        }
        Tag::Map => {
            let open = writer.begin_map();
            writer.end(open, 0);
        }
        Tag::Bytes | Tag::Struct => {
            return Err(Error::data(format!("Cannot mask value of type: class {}", class_name(value))));
        }
    }
    Ok(())
}
