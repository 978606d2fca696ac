//! Tagged values to JSON text, laid out as Jackson writes Kafka Connect's nodes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::schema::{Kind, Schema, logical};
use millrace_api::value::{MAX_DEPTH, Tag, java};
use millrace_api::{Error, Result, Value};

use super::cursor::plain;
use crate::java_class;

/// How values are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    /// `decimal.format=NUMERIC`.
    pub(super) numeric: bool,
    /// `replace.null.with.default`.
    pub(super) replace_null: bool,
}

/// Appends a value.
pub(super) fn value(
    schema: Option<&Schema>,
    value: Value<'_>,
    format: Format,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    match schema {
        Some(schema) => typed(schema, value, format, depth, out),
        None => schemaless(value, format, depth, out),
    }
}

fn schemaless(value: Value<'_>, format: Format, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    match value.tag() {
        Tag::Map => map(None, value, format, depth, out),
        Tag::Array => array(None, value, format, depth, out),
        Tag::Struct => Err(Error::data("Mismatching schema.")),
        tag @ (Tag::Decimal | Tag::Date | Tag::Time | Tag::Timestamp) => {
            let class = java_class(tag);
            Err(Error::data(format!("Java class {class} does not have corresponding schema type.")))
        }
        _ => {
            primitive(value, out);
            Ok(())
        }
    }
}

fn typed(schema: &Schema, value: Value<'_>, format: Format, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    if value.is_null() {
        return match &schema.default {
            Some(default) if format.replace_null => {
                // A default is not null, so this recurses once.
                let bare = Schema { default: None, ..schema.clone() };
                typed(&bare, Value::of(default), format, depth, out)
            }
            _ if schema.optional => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            _ => Err(Error::data("Conversion error: null value for field that is required and has no default value")),
        };
    }
    match schema.name.as_deref() {
        Some(logical::DECIMAL) => return decimal(schema, value, format, out),
        Some(logical::DATE | logical::TIME | logical::TIMESTAMP) => return instant(schema, value, out),
        _ => {}
    }
    let fits = match schema.kind {
        Kind::Int8 => value.tag() == Tag::Int8,
        Kind::Int16 => value.tag() == Tag::Int16,
        Kind::Int32 => value.tag() == Tag::Int32,
        Kind::Int64 => value.tag() == Tag::Int64,
        Kind::Float32 => value.tag() == Tag::Float32,
        Kind::Float64 => value.tag() == Tag::Float64,
        Kind::Boolean => matches!(value.tag(), Tag::False | Tag::True),
        Kind::String => value.tag() == Tag::String,
        Kind::Bytes => value.tag() == Tag::Bytes,
        Kind::Array => value.tag() == Tag::Array,
        Kind::Map => value.tag() == Tag::Map,
        Kind::Struct => value.tag() == Tag::Struct,
    };
    if !fits {
        let kind = if schema.kind == Kind::Bytes { "bytes type" } else { schema.kind.name() };
        let class = java_class(value.tag());
        return Err(Error::data(format!("Invalid type for {kind}: {class}")));
    }
    match schema.kind {
        Kind::Array => array(Some(schema), value, format, depth, out),
        Kind::Map => map(Some(schema), value, format, depth, out),
        Kind::Struct => structure(schema, value, format, depth, out),
        _ => {
            primitive(value, out);
            Ok(())
        }
    }
}

/// A value that is no container and needs no schema.
#[inline]
fn primitive(value: Value<'_>, out: &mut Vec<u8>) {
    match value.tag() {
        Tag::False => out.extend_from_slice(b"false"),
        Tag::True => out.extend_from_slice(b"true"),
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => java::integer(value.as_i64().unwrap_or_default(), out),
        Tag::Float32 => {
            let number = value.as_f32().unwrap_or_default();
            quoted_unless(number.is_finite(), out, |out| java::float(number, out));
        }
        Tag::Float64 => {
            let number = value.as_f64().unwrap_or_default();
            quoted_unless(number.is_finite(), out, |out| java::double(number, out));
        }
        Tag::String => string(value.bytes().get(5..).unwrap_or_default(), out),
        Tag::Bytes => base64(value.as_bytes().unwrap_or_default(), out),
        _ => out.extend_from_slice(b"null"),
    }
}

/// JSON has no word for infinity, so Jackson writes it as text.
fn quoted_unless(finite: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if finite {
        return write(out);
    }
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let at = out.len();
    out.resize(at + bytes.len().div_ceil(3) * 4, 0);
    // The room is exactly what is needed, so this cannot fail.
    let _ = STANDARD.encode_slice(bytes, out.get_mut(at..).unwrap_or_default());
    out.push(b'"');
}

fn decimal(schema: &Schema, value: Value<'_>, format: Format, out: &mut Vec<u8>) -> Result<()> {
    let Some((scale, unscaled)) = value.as_decimal() else {
        let class = java_class(value.tag());
        return Err(Error::data(format!("Invalid type for Decimal, expected BigDecimal but was {class}")));
    };
    if format.numeric {
        java::decimal(scale, unscaled, out);
        return Ok(());
    }
    let declared = schema.parameter("scale");
    let declared = declared.ok_or_else(|| Error::data("Invalid Decimal schema: scale parameter not found."))?;
    let declared: i32 =
        declared.parse().map_err(|_| Error::data("Invalid scale parameter found in Decimal schema: "))?;
    if scale != declared {
        return Err(Error::data(format!(
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale {declared}, value has scale {scale}."
        )));
    }
    base64(unscaled, out);
    Ok(())
}

fn instant(schema: &Schema, value: Value<'_>, out: &mut Vec<u8>) -> Result<()> {
    let number = match schema.name.as_deref() {
        Some(logical::DATE) => value.as_date().map(i64::from),
        Some(logical::TIME) => value.as_time().map(i64::from),
        _ => value.as_timestamp(),
    };
    let name = || schema.name.as_deref().and_then(|name| name.rsplit('.').next()).unwrap_or_default();
    let Some(number) = number else {
        let class = java_class(value.tag());
        return Err(Error::data(format!("Invalid type for {}, expected Date but was {class}", name())));
    };
    if value.tag() == Tag::Time && !(0..=86_400_000).contains(&number) {
        return Err(Error::data("Kafka Connect Time type should not have any date fields set to non-zero values."));
    }
    java::integer(number, out);
    Ok(())
}

fn array(schema: Option<&Schema>, list: Value<'_>, format: Format, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    enter(depth)?;
    let items = schema.and_then(|schema| schema.values.as_deref());
    out.push(b'[');
    for (i, element) in list.elements().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        value(items, element, format, depth + 1, out)?;
    }
    out.push(b']');
    Ok(())
}

/// Maps with text keys are objects, others arrays of pairs.
fn map(schema: Option<&Schema>, map: Value<'_>, format: Format, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    enter(depth)?;
    let keys = schema.and_then(|schema| schema.keys.as_deref());
    let values = schema.and_then(|schema| schema.values.as_deref());
    // Looked at beforehand, not found out on the way: starting over would double the work at every level.
    let is_text = map.entries().all(|(key, _)| key.tag() == Tag::String);
    if keys.is_none_or(|keys| keys.kind == Kind::String) && (is_text || keys.is_some()) {
        if !is_text {
            return Err(Error::data("Invalid type for STRING: a key of a map is no text"));
        }
        out.push(b'{');
        for (i, (key, entry)) in map.entries().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            string(key.bytes().get(5..).unwrap_or_default(), out);
            out.push(b':');
            value(values, entry, format, depth + 1, out)?;
        }
        out.push(b'}');
        return Ok(());
    }
    out.push(b'[');
    for (i, (key, entry)) in map.entries().enumerate() {
        out.extend_from_slice(if i == 0 { b"[" } else { b",[" });
        value(keys, key, format, depth + 1, out)?;
        out.push(b',');
        value(values, entry, format, depth + 1, out)?;
        out.push(b']');
    }
    out.push(b']');
    Ok(())
}

fn structure(schema: &Schema, record: Value<'_>, format: Format, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    enter(depth)?;
    if record.count() != Some(schema.fields.len()) {
        return Err(Error::data("Mismatching schema."));
    }
    out.push(b'{');
    for (i, (field, element)) in schema.fields.iter().zip(record.elements()).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        string(field.name.as_bytes(), out);
        out.push(b':');
        typed(&field.schema, element, format, depth + 1, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn enter(depth: usize) -> Result<()> {
    if depth >= MAX_DEPTH { Err(Error::data("values nest deeper than 64 levels")) } else { Ok(()) }
}

/// Appends text in quotes. Escaped is what must be, and characters past U+FFFF, which Jackson writes as two escapes.
#[inline]
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let (len, ascii) = plain(text);
    if len == text.len() && (ascii || text.iter().all(|byte| *byte < 0xf0)) {
        out.extend_from_slice(text);
    } else {
        escaped(text, out);
    }
    out.push(b'"');
}

#[cold]
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\0'..' ' | '\u{10000}'.. => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
                }
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}
