//! What the transformations share: key or value, Kafka Connect's requirements on it, and its words for types.

use millrace_sdk::Part;
use millrace_sdk::prelude::*;

/// Which part of a record a transformation works on: most come as `$Key` and as `$Value`.
pub trait Side: 'static {
    /// The part.
    const PART: Part;
    /// Only that part.
    const NEEDS: Needs;
}

/// `…$Key`.
pub struct OnKey;

/// `…$Value`.
pub struct OnValue;

impl Side for OnKey {
    const PART: Part = Part::Key;
    const NEEDS: Needs = Needs { key: true, ..Needs::NOTHING };
}

impl Side for OnValue {
    const PART: Part = Part::Value;
    const NEEDS: Needs = Needs { value: true, ..Needs::NOTHING };
}

/// The class name of a transformation of a side.
macro_rules! class {
    ($side:ty, $name:literal) => {
        match <$side as crate::part::Side>::PART {
            millrace_sdk::Part::Key => concat!("org.apache.kafka.connect.transforms.", $name, "$Key"),
            millrace_sdk::Part::Value => concat!("org.apache.kafka.connect.transforms.", $name, "$Value"),
        }
    };
}
pub(crate) use class;

/// Refuses what is not a map; `purpose` is Kafka Connect's name for what the transformation does.
pub(crate) fn require_map(value: Value<'_>, purpose: &str) -> Result<()> {
    if value.tag() == Tag::Map {
        return Ok(());
    }
    let found = class_name(value);
    Err(Error::data(format!("Only Map objects supported in absence of schema for [{purpose}], found: {found}")))
}

/// Refuses what is not a struct.
pub(crate) fn require_struct(value: Value<'_>, purpose: &str) -> Result<()> {
    if value.tag() == Tag::Struct {
        return Ok(());
    }
    Err(Error::data(format!("Only Struct objects supported for [{purpose}], found: {}", class_name(value))))
}

/// Refuses schemas without fields.
pub(crate) fn require_struct_schema(schema: &Schema) -> Result<()> {
    if schema.kind == Kind::Struct {
        return Ok(());
    }
    Err(Error::data("Cannot list fields on non-struct type"))
}

/// A schema as error messages show it (`ConnectSchema.toString`).
pub(crate) fn shown(schema: &Schema) -> String {
    let name = schema.name.as_ref().map(|name| format!("{name}:")).unwrap_or_default();
    format!("Schema{{{name}{}}}", schema.kind.name())
}

/// The Java class of a value, which error messages name.
pub(crate) fn class_name(value: Value<'_>) -> &'static str {
    match value.tag() {
        Tag::Null => "null",
        Tag::False | Tag::True => "java.lang.Boolean",
        Tag::Int8 => "java.lang.Byte",
        Tag::Int16 => "java.lang.Short",
        Tag::Int32 => "java.lang.Integer",
        Tag::Int64 => "java.lang.Long",
        Tag::Float32 => "java.lang.Float",
        Tag::Float64 => "java.lang.Double",
        Tag::String => "java.lang.String",
        Tag::Bytes => "[B",
        Tag::Array => "java.util.ArrayList",
        Tag::Map => "java.util.HashMap",
        Tag::Struct => "org.apache.kafka.connect.data.Struct",
        Tag::Decimal => "java.math.BigDecimal",
        Tag::Date | Tag::Time | Tag::Timestamp => "java.util.Date",
    }
}

/// A field's value, or its default in place of null when that is wanted (`replace.null.with.default`).
pub(crate) fn or_default<'v>(value: Value<'v>, schema: &'v Schema, replace: bool) -> Value<'v> {
    match &schema.default {
        Some(default) if replace && value.is_null() => Value::of(default),
        _ => value,
    }
}

/// Writes the value of a field, which must not be null when the field is required.
pub(crate) fn put(writer: &mut Writer<'_>, field: &Field, value: Value<'_>) -> Result<()> {
    if value.is_null() && !field.schema.optional {
        let (name, kind) = (&field.name, field.schema.kind.name());
        return Err(Error::data(format!(
            "Invalid value: null used for required field: \"{name}\", schema type: {kind}"
        )));
    }
    writer.value(value);
    Ok(())
}

/// A struct's schema with other fields. As in Kafka Connect name, version, documentation and parameters stay; the optional flag
/// and the default are lost.
pub(crate) fn with_fields(schema: &Schema, fields: Vec<Field>) -> Result<SchemaRef> {
    for (index, field) in fields.iter().enumerate() {
        if fields.iter().take(index).any(|other| other.name == field.name) {
            let name = &field.name;
            return Err(Error::data(format!("Cannot create field because of field name duplication {name}")));
        }
    }
    Ok(SchemaRef::new(Schema {
        name: schema.name.clone(),
        version: schema.version,
        doc: schema.doc.clone(),
        parameters: schema.parameters.clone(),
        ..Schema::structure(fields)
    }))
}

/// Refuses an empty list in the key `key`.
pub(crate) fn require_entries(key: &str, list: &[String]) -> Result<()> {
    if list.is_empty() {
        return Err(Error::config(format!(
            "Configuration '{key}' must not be empty. Valid values include: any non-empty value"
        )));
    }
    Ok(())
}
