//! Values as Java prints them (`Object.toString`): what the file sink, `StringConverter` and `Cast` owe their users.
//!
//! Three forms differ from a JVM's on purpose. Maps keep the order of the record, where Java prints that of a `HashMap`. Bytes are
//! base64, as in Kafka Connect's own conversions to text, where Java prints an address. Doubles have the shortest digits that
//! read back the same, as JVMs print them since 19. Dates and times are in UTC.

mod decimal;
mod number;
mod time;

pub use decimal::{decimal, parse_decimal};
pub use number::{double, float, integer};
pub use time::{Civil, civil, date, days};

use super::{MAX_DEPTH, Tag, Value};
use crate::schema::Schema;

/// Appends `value.toString()`. The schema names the fields of structs.
pub fn text(value: Value<'_>, schema: Option<&Schema>, out: &mut Vec<u8>) {
    write(value, schema, 0, out);
}

fn write(value: Value<'_>, schema: Option<&Schema>, depth: usize, out: &mut Vec<u8>) {
    match value.tag() {
        Tag::Null => out.extend_from_slice(b"null"),
        Tag::False => out.extend_from_slice(b"false"),
        Tag::True => out.extend_from_slice(b"true"),
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => integer(value.as_i64().unwrap_or_default(), out),
        Tag::Float32 => float(value.as_f32().unwrap_or_default(), out),
        Tag::Float64 => double(value.as_f64().unwrap_or_default(), out),
        Tag::String => out.extend_from_slice(value.bytes().get(5..).unwrap_or_default()),
        Tag::Bytes => base64(value.as_bytes().unwrap_or_default(), out),
        Tag::Decimal => {
            let (scale, unscaled) = value.as_decimal().unwrap_or_default();
            decimal(scale, unscaled, out);
        }
        Tag::Date => date(i64::from(value.as_date().unwrap_or_default()) * 86_400_000, out),
        Tag::Time => date(i64::from(value.as_time().unwrap_or_default()), out),
        Tag::Timestamp => date(value.as_timestamp().unwrap_or_default(), out),
        // Deeper values are refused at every boundary; this only keeps the recursion bounded for those that never crossed one.
        Tag::Array | Tag::Map | Tag::Struct if depth > MAX_DEPTH => out.extend_from_slice(b"..."),
        Tag::Array => array(value, schema, depth, out),
        Tag::Map => map(value, schema, depth, out),
        Tag::Struct => structure(value, schema, depth, out),
    }
}

fn array(value: Value<'_>, schema: Option<&Schema>, depth: usize, out: &mut Vec<u8>) {
    let items = schema.and_then(|schema| schema.values.as_deref());
    out.push(b'[');
    for (i, element) in value.elements().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        write(element, items, depth + 1, out);
    }
    out.push(b']');
}

fn map(value: Value<'_>, schema: Option<&Schema>, depth: usize, out: &mut Vec<u8>) {
    let keys = schema.and_then(|schema| schema.keys.as_deref());
    let values = schema.and_then(|schema| schema.values.as_deref());
    out.push(b'{');
    for (i, (key, value)) in value.entries().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        write(key, keys, depth + 1, out);
        out.push(b'=');
        write(value, values, depth + 1, out);
    }
    out.push(b'}');
}

/// `Struct.toString`: fields that are null are left out.
fn structure(value: Value<'_>, schema: Option<&Schema>, depth: usize, out: &mut Vec<u8>) {
    let fields = schema.map_or(&[][..], |schema| &schema.fields);
    out.extend_from_slice(b"Struct{");
    let mut first = true;
    for (i, element) in value.elements().enumerate() {
        if element.is_null() {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        let field = fields.get(i);
        match field {
            Some(field) => out.extend_from_slice(field.name.as_bytes()),
            None => integer(i64::try_from(i).unwrap_or_default(), out),
        }
        out.push(b'=');
        write(element, field.map(|field| &*field.schema), depth + 1, out);
    }
    out.push(b'}');
}

/// Appends bytes as standard base64 with padding.
pub fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let index = (bits >> (18 - 6 * i)) & 63;
            out.push(if i <= group.len() { ALPHABET[index as usize] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests;
