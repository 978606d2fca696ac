//! PostgreSQL's array literals: `{1,NULL,"a \"b\""}`.

use std::fmt::Write as _;

use millrace_api::Value;
use millrace_api::schema::Schema;
use millrace_api::value::Tag;

use super::{Misfit, json, number, push_date, push_time, push_timestamp};

/// Appends an array; arrays inside are its further dimensions.
pub(crate) fn push_array(out: &mut String, value: Value<'_>, schema: Option<&Schema>) -> Result<(), Misfit> {
    let elements = schema.and_then(|schema| schema.values.as_deref());
    out.push('{');
    for (index, element) in value.elements().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_element(out, element, elements)?;
    }
    out.push('}');
    Ok(())
}

fn push_element(out: &mut String, value: Value<'_>, schema: Option<&Schema>) -> Result<(), Misfit> {
    match value.tag() {
        Tag::Null => out.push_str("NULL"),
        Tag::Array => push_array(out, value, schema)?,
        Tag::String => quoted(out, value.as_str().unwrap_or_default()),
        Tag::Bytes => {
            out.push_str("\"\\\\x");
            for byte in value.as_bytes().unwrap_or_default() {
                let _ = write!(out, "{byte:02x}");
            }
            out.push('"');
        }
        Tag::Float32 | Tag::Float64 => {
            number::plain(value, out)?;
        }
        Tag::Date | Tag::Time | Tag::Timestamp => {
            out.push('"');
            if let Some(days) = value.as_date() {
                push_date(out, days);
            } else if let Some(millis) = value.as_time() {
                push_time(out, i64::from(millis) * 1_000);
            } else {
                push_timestamp(out, value.as_timestamp().unwrap_or_default().saturating_mul(1_000));
                out.push_str("+00");
            }
            out.push('"');
        }
        Tag::Map | Tag::Struct => {
            let mut text = String::new();
            json::push(&mut text, value, schema);
            quoted(out, &text);
        }
        // Numbers and booleans have no character that means something in a literal.
        _ => json::push(out, value, schema),
    }
    Ok(())
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}
