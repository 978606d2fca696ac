//! Values as JSON text, with the logical types as Kafka Connect's JSON converter writes them.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::Value;
use millrace_api::schema::Schema;
use millrace_api::value::Tag;

/// Appends a value. Structs take the names of their fields from the schema. Values nest at most 64 deep.
pub(crate) fn push(out: &mut String, value: Value<'_>, schema: Option<&Schema>) {
    // Writing to a `String` does not fail.
    let _ = match value.tag() {
        Tag::Null => out.write_str("null"),
        Tag::True => out.write_str("true"),
        Tag::False => out.write_str("false"),
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => write!(out, "{}", value.as_i64().unwrap_or_default()),
        Tag::Float32 => float(out, value.as_f32().map(|n| (n.is_finite(), format!("{n:?}")))),
        Tag::Float64 => float(out, value.as_f64().map(|n| (n.is_finite(), format!("{n:?}")))),
        Tag::Decimal => out.write_str(&value.decimal_text().unwrap_or_else(|| "null".to_owned())),
        Tag::Date => write!(out, "{}", value.as_date().unwrap_or_default()),
        Tag::Time => write!(out, "{}", value.as_time().unwrap_or_default()),
        Tag::Timestamp => write!(out, "{}", value.as_timestamp().unwrap_or_default()),
        Tag::String => {
            text(out, value.as_str().unwrap_or_default());
            Ok(())
        }
        Tag::Bytes => {
            text(out, &STANDARD.encode(value.as_bytes().unwrap_or_default()));
            Ok(())
        }
        Tag::Array => {
            out.push('[');
            let elements = schema.and_then(|schema| schema.values.as_deref());
            for (index, element) in value.elements().enumerate() {
                comma(out, index);
                push(out, element, elements);
            }
            out.write_str("]")
        }
        Tag::Map => {
            map(out, value, schema);
            Ok(())
        }
        Tag::Struct => {
            out.push('{');
            let fields = schema.map(|schema| schema.fields.as_slice()).unwrap_or_default();
            for (index, (field, value)) in fields.iter().zip(value.elements()).enumerate() {
                comma(out, index);
                text(out, &field.name);
                out.push(':');
                push(out, value, Some(&field.schema));
            }
            out.write_str("}")
        }
    };
}

/// JSON has no NaN and no infinities.
fn float(out: &mut String, number: Option<(bool, String)>) -> std::fmt::Result {
    match number {
        Some((true, digits)) => out.write_str(&digits),
        _ => out.write_str("null"),
    }
}

fn map(out: &mut String, value: Value<'_>, schema: Option<&Schema>) {
    let keys = schema.and_then(|schema| schema.keys.as_deref());
    let values = schema.and_then(|schema| schema.values.as_deref());
    out.push('{');
    for (index, (key, value)) in value.entries().enumerate() {
        comma(out, index);
        if let Some(name) = key.as_str() {
            text(out, name);
        } else {
            let mut name = String::new();
            push(&mut name, key, keys);
            text(out, &name);
        }
        out.push(':');
        push(out, value, values);
    }
    out.push('}');
}

fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
