//! Tagged values as JSON documents, in one pass and without a tree.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::value::Tag;
use millrace_api::{Error, Result, Schema, Value};

/// How documents are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// `compact.map.entries`.
    pub(crate) compact_maps: bool,
}

impl Style {
    /// Appends a document. `extra` is a field, encoded already, that leads it.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Data`] when the value is no object.
    pub(crate) fn document(
        self,
        value: Value<'_>,
        schema: Option<&Schema>,
        extra: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        self.value(value, schema, out);
        if out.get(start) != Some(&b'{') {
            out.truncate(start);
            return Err(Error::data("a document must be an object (a struct, or a map with string keys)"));
        }
        if let Some(extra) = extra {
            let empty = out.get(start + 1) == Some(&b'}');
            let comma: &[u8] = if empty { b"" } else { b"," };
            out.splice(start + 1..=start, extra.iter().chain(comma).copied());
        }
        Ok(())
    }

    /// Appends any value.
    pub(crate) fn value(self, value: Value<'_>, schema: Option<&Schema>, out: &mut Vec<u8>) {
        match value.tag() {
            Tag::Null => match schema.and_then(|schema| schema.default.as_deref()) {
                Some(default) if !Value::of(default).is_null() => self.value(Value::of(default), schema, out),
                _ => out.extend_from_slice(b"null"),
            },
            Tag::True => out.extend_from_slice(b"true"),
            Tag::False => out.extend_from_slice(b"false"),
            Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => integer(value.as_i64().unwrap_or_default(), out),
            Tag::Float32 => single(value.as_f32().unwrap_or_default(), out),
            Tag::Float64 => double(value.as_f64().unwrap_or_default(), out),
            Tag::String => text(value.as_str().unwrap_or_default(), out),
            Tag::Bytes => {
                out.push(b'"');
                out.extend_from_slice(STANDARD.encode(value.as_bytes().unwrap_or_default()).as_bytes());
                out.push(b'"');
            }
            Tag::Array => {
                let inner = schema.and_then(|schema| schema.values.as_deref());
                list(value.elements(), out, |element, out| self.value(element, inner, out));
            }
            Tag::Map => self.map(value, schema, out),
            Tag::Struct => {
                let fields = schema.map(|schema| schema.fields.as_slice()).unwrap_or_default();
                out.push(b'{');
                for (index, (field, element)) in fields.iter().zip(value.elements()).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    text(&field.name, out);
                    out.push(b':');
                    self.value(element, Some(&field.schema), out);
                }
                out.push(b'}');
            }
            // Exact in the document; the index makes of it what the mapping says.
            Tag::Decimal => match value.decimal_text() {
                Some(digits) => out.extend_from_slice(digits.as_bytes()),
                None => out.extend_from_slice(b"null"),
            },
            Tag::Date => date(value.as_date().unwrap_or_default(), out),
            Tag::Time => integer(value.as_time().unwrap_or_default().into(), out),
            Tag::Timestamp => integer(value.as_timestamp().unwrap_or_default(), out),
        }
    }

    fn map(self, value: Value<'_>, schema: Option<&Schema>, out: &mut Vec<u8>) {
        let inner = schema.and_then(|schema| schema.values.as_deref());
        let keys = schema.and_then(|schema| schema.keys.as_deref());
        let compact = self.compact_maps || schema.is_none();
        if !compact || value.entries().any(|(key, _)| key.tag() != Tag::String) {
            list(value.entries(), out, |(key, element), out| {
                out.extend_from_slice(b"{\"key\":");
                self.value(key, keys, out);
                out.extend_from_slice(b",\"value\":");
                self.value(element, inner, out);
                out.push(b'}');
            });
            return;
        }
        out.push(b'{');
        for (index, (key, element)) in value.entries().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            text(key.as_str().unwrap_or_default(), out);
            out.push(b':');
            self.value(element, inner, out);
        }
        out.push(b'}');
    }
}

fn list<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, mut each: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(b']');
}

/// Appends an integer.
pub(crate) fn integer(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn single(number: f32, out: &mut Vec<u8>) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else {
        not_finite(number.into(), out);
    }
}

fn double(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else {
        not_finite(number, out);
    }
}

/// JSON has no such numbers: text, as Kafka Connect writes them.
fn not_finite(number: f64, out: &mut Vec<u8>) {
    let name: &[u8] = match number {
        _ if number.is_nan() => b"\"NaN\"",
        _ if number > 0.0 => b"\"Infinity\"",
        _ => b"\"-Infinity\"",
    };
    out.extend_from_slice(name);
}

/// Days since the epoch as `yyyy-MM-dd`, which every date mapping reads (civil-from-days, in the proleptic Gregorian calendar).
fn date(days: i32, out: &mut Vec<u8>) {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    out.extend_from_slice(format!("\"{year:04}-{month:02}-{day:02}\"").as_bytes());
}

/// Appends a JSON string. Control characters are escaped, so nothing in it can end a line of a bulk request.
pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
