//! Values as header text: `Values.convertToString`.

use millrace_api::Value;
use millrace_api::schema::Schema;
use millrace_api::value::java;
use millrace_api::value::{MAX_DEPTH, Tag};
use millrace_literals::iso;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Appends a value; `embedded` in an array, map or struct, text is quoted.
pub(super) fn append(value: Value<'_>, schema: Option<&Schema>, embedded: bool, depth: usize, out: &mut Vec<u8>) {
    let part = |part: Option<&millrace_api::SchemaRef>| part.cloned();
    let quote = if embedded { &b"\""[..] } else { &[] };
    match value.tag() {
        Tag::String => {
            out.extend_from_slice(quote);
            let text = value.bytes().get(5..).unwrap_or_default();
            if embedded {
                escape(text, out);
            } else {
                out.extend_from_slice(text);
            }
            out.extend_from_slice(quote);
        }
        Tag::Bytes => {
            out.extend_from_slice(quote);
            java::base64(value.as_bytes().unwrap_or_default(), out);
            out.extend_from_slice(quote);
        }
        Tag::Date => iso(i64::from(value.as_date().unwrap_or_default()) * MILLIS_PER_DAY, out),
        Tag::Time => iso(i64::from(value.as_time().unwrap_or_default()), out),
        Tag::Timestamp => iso(value.as_timestamp().unwrap_or_default(), out),
        Tag::Array | Tag::Map | Tag::Struct if depth > MAX_DEPTH => out.extend_from_slice(b"..."),
        Tag::Array => {
            let items = part(schema.and_then(|schema| schema.values.as_ref()));
            out.push(b'[');
            for (i, element) in value.elements().enumerate() {
                out.extend_from_slice(if i > 0 { b"," } else { b"" });
                append(element, items.as_deref(), true, depth + 1, out);
            }
            out.push(b']');
        }
        Tag::Map => {
            let keys = part(schema.and_then(|schema| schema.keys.as_ref()));
            let values = part(schema.and_then(|schema| schema.values.as_ref()));
            out.push(b'{');
            for (i, (key, entry)) in value.entries().enumerate() {
                out.extend_from_slice(if i > 0 { b"," } else { b"" });
                append(key, keys.as_deref(), true, depth + 1, out);
                out.push(b':');
                append(entry, values.as_deref(), true, depth + 1, out);
            }
            out.push(b'}');
        }
        Tag::Struct => structure(value, schema, depth, out),
        _ => java::text(value, schema, out),
    }
}

/// As `Struct.get` answers: a field that is null shows its default.
fn structure(value: Value<'_>, schema: Option<&Schema>, depth: usize, out: &mut Vec<u8>) {
    let fields = schema.map_or(&[][..], |schema| &schema.fields);
    out.push(b'{');
    for (i, (field, element)) in fields.iter().zip(value.elements()).enumerate() {
        out.extend_from_slice(if i > 0 { b",\"" } else { b"\"" });
        escape(field.name.as_bytes(), out);
        out.extend_from_slice(b"\":");
        let default = field.schema.default.as_deref().filter(|_| element.is_null());
        append(default.map_or(element, Value::of), Some(&field.schema), true, depth + 1, out);
    }
    out.push(b'}');
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        if matches!(byte, b'\\' | b'"') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}
