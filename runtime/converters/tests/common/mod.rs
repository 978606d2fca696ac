//! The tables that `oracle/Oracle.java` filled, and values and schemas in its notation.

use std::fmt::Write as _;

use millrace_api::schema::{Kind, Schema};
use millrace_api::value::Tag;
use millrace_api::{SchemaRef, Value};

/// Bytes of a column: `%XX` is one byte.
pub(crate) fn bytes(column: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = column.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            out.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// The other way round.
pub(crate) fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if (0x20..0x7f).contains(byte) && *byte != b'%' {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
        text
    })
}

/// A value in the table's notation.
pub(crate) fn value(value: Value<'_>, schema: Option<&Schema>) -> String {
    let of = |schema: Option<&SchemaRef>| schema.cloned();
    let items = of(schema.and_then(|schema| schema.values.as_ref()));
    let keys = of(schema.and_then(|schema| schema.keys.as_ref()));
    let day = |days: Option<i32>| i64::from(days.unwrap()) * 86_400_000;
    match value.tag() {
        Tag::Null => "null".to_owned(),
        Tag::False => "false".to_owned(),
        Tag::True => "true".to_owned(),
        Tag::Int8 => format!("int8({})", value.as_i64().unwrap()),
        Tag::Int16 => format!("int16({})", value.as_i64().unwrap()),
        Tag::Int32 => format!("int32({})", value.as_i64().unwrap()),
        Tag::Int64 => format!("int64({})", value.as_i64().unwrap()),
        Tag::Float32 => format!("float32({:08x})", value.as_f32().unwrap().to_bits()),
        Tag::Float64 => format!("float64({:016x})", value.as_f64().unwrap().to_bits()),
        Tag::String => format!("\"{}\"", escape(value.as_str().unwrap().as_bytes())),
        Tag::Bytes => {
            let hex: String = value.as_bytes().unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("bytes({hex})")
        }
        Tag::Decimal => {
            let (scale, unscaled) = value.as_decimal().unwrap();
            let mut whole = Vec::new();
            millrace_api::Writer::new(&mut whole).decimal(0, unscaled);
            format!("decimal({},{scale})", Value::of(&whole).decimal_text().unwrap())
        }
        Tag::Date => format!("instant({})", day(value.as_date())),
        Tag::Time => format!("instant({})", value.as_time().unwrap()),
        Tag::Timestamp => format!("instant({})", value.as_timestamp().unwrap()),
        Tag::Array => {
            let elements: Vec<_> = value.elements().map(|element| self::value(element, items.as_deref())).collect();
            format!("[{}]", elements.join(","))
        }
        Tag::Map => {
            let entry = |(key, entry): (Value<'_>, Value<'_>)| {
                self::value(key, keys.as_deref()) + ":" + &self::value(entry, items.as_deref())
            };
            let mut entries: Vec<_> = value.entries().map(entry).collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        Tag::Struct => {
            let fields = schema.unwrap().fields.iter().zip(value.elements());
            let fields: Vec<_> =
                fields.map(|(f, element)| format!("{}={}", f.name, self::value(element, Some(&f.schema)))).collect();
            format!("({})", fields.join(","))
        }
    }
}

/// A schema in the table's notation.
pub(crate) fn schema(schema: Option<&Schema>) -> String {
    let Some(s) = schema else { return "-".to_owned() };
    let mut text = s.kind.name().to_owned();
    if s.optional {
        text.push('?');
    }
    let mut meta = String::new();
    if let Some(name) = &s.name {
        write!(meta, "name={name};").unwrap();
    }
    if let Some(version) = s.version {
        write!(meta, "version={version};").unwrap();
    }
    if let Some(doc) = &s.doc {
        write!(meta, "doc={doc};").unwrap();
    }
    for (key, value) in &s.parameters {
        write!(meta, "{key}:{value};").unwrap();
    }
    if let Some(default) = &s.default {
        write!(meta, "default={};", value(Value::of(default), Some(s))).unwrap();
    }
    if !meta.is_empty() {
        write!(text, "<{meta}>").unwrap();
    }
    let part = |part: &Option<SchemaRef>| self::schema(part.as_deref());
    match s.kind {
        Kind::Struct => {
            let fields: String =
                s.fields.iter().map(|f| format!("{}:{},", f.name, self::schema(Some(&f.schema)))).collect();
            write!(text, "{{{fields}}}").unwrap();
        }
        Kind::Array => write!(text, "[{}]", part(&s.values)).unwrap(),
        Kind::Map => write!(text, "[{},{}]", part(&s.keys), part(&s.values)).unwrap(),
        _ => {}
    }
    escape(text.as_bytes())
}
