//! Records as JSON, out and in. Bytes are text when they are UTF-8, else `{"base64": "…"}`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::batch::{NO_PARTITION, NO_TIMESTAMP};
use millrace_api::{Error, Result};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

/// A record as answers, and `millrace topics --json`, show it.
pub struct RecordBody<'a>(pub RawRecord<'a>);

impl Serialize for RecordBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(record) = self;
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("topic", record.topic)?;
        map.serialize_entry("partition", &record.partition)?;
        map.serialize_entry("offset", &record.offset)?;
        map.serialize_entry("timestamp", &Some(record.timestamp).filter(|millis| *millis != NO_TIMESTAMP))?;
        map.serialize_entry("key", &Bytes(record.key))?;
        map.serialize_entry("value", &Bytes(record.value))?;
        map.serialize_entry("headers", &Headers(&record.headers))?;
        map.end()
    }
}

struct Bytes<'a>(Option<&'a [u8]>);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(bytes) = self.0 else { return serializer.serialize_none() };
        if let Ok(text) = std::str::from_utf8(bytes) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &STANDARD.encode(bytes))?;
        map.end()
    }
}

struct Headers<'a>(&'a [(&'a str, Option<&'a [u8]>)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, value) in self.0 {
            list.serialize_element(&Header { name, value: *value })?;
        }
        list.end()
    }
}

struct Header<'a> {
    name: &'a str,
    value: Option<&'a [u8]>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", self.name)?;
        map.serialize_entry("value", &Bytes(self.value))?;
        map.end()
    }
}

/// Reads a record as an answer shows it, for clients.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming the field.
pub fn read_shown(record: &Value, topic: &str, batch: &mut RawBatch) -> Result<()> {
    read(record, "record", &["topic", "partition", "offset", "timestamp", "key", "value", "headers"], topic, batch)
}

/// Reads a record to be appended. `at` is its place in messages.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming the field, never its contents.
pub(super) fn read_new(record: &Value, at: &str, topic: &str, batch: &mut RawBatch) -> Result<()> {
    read(record, at, &["partition", "timestamp", "key", "value", "headers"], topic, batch)
}

fn read(record: &Value, at: &str, known: &[&str], topic: &str, batch: &mut RawBatch) -> Result<()> {
    let fields = object(record, at, known)?;
    let number = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_i64().filter(|number| *number >= 0);
            number.map(Some).ok_or_else(|| invalid(&format!("{at}.{name}"), "a number from 0 on, or null"))
        }
    };
    let partition = number("partition")?.map(i32::try_from).transpose();
    let partition = partition.map_err(|_| invalid(&format!("{at}.partition"), "the number of a partition"))?;
    let (key, value) = (bytes(fields.get("key"), at, "key")?, bytes(fields.get("value"), at, "value")?);
    let headers = headers(fields.get("headers"), at)?;
    batch.push(&RawRecord {
        partition: partition.unwrap_or(NO_PARTITION),
        offset: number("offset")?.unwrap_or(-1),
        timestamp: number("timestamp")?.unwrap_or(NO_TIMESTAMP),
        headers: headers.iter().map(|(name, value)| (*name, value.as_deref())).collect(),
        ..RawRecord::new(topic, key.as_deref(), value.as_deref())
    })
}

type ReadHeader<'a> = (&'a str, Option<Cow<'a, [u8]>>);

fn headers<'a>(value: Option<&'a Value>, at: &str) -> Result<Vec<ReadHeader<'a>>> {
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(invalid(&format!("{at}.headers"), "a list of {\"key\", \"value\"}")),
    };
    let header = |(index, header): (usize, &'a Value)| {
        let at = format!("{at}.headers[{index}]");
        let fields = object(header, &at, &["key", "value"])?;
        let name = fields.get("key").and_then(Value::as_str);
        let name = name.ok_or_else(|| invalid(&format!("{at}.key"), "a string"))?;
        Ok((name, bytes(fields.get("value"), &at, "value")?))
    };
    list.iter().enumerate().map(header).collect()
}

fn object<'a>(value: &'a Value, at: &str, known: &[&str]) -> Result<&'a Map<String, Value>> {
    let fields = value.as_object().ok_or_else(|| invalid(at, "an object"))?;
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Error::config(format!("Unknown field {name} in {at}: there are {}", known.join(", ")))),
        None => Ok(fields),
    }
}

fn bytes<'a>(value: Option<&'a Value>, at: &str, name: &str) -> Result<Option<Cow<'a, [u8]>>> {
    let wrong = || invalid(&format!("{at}.{name}"), "a string, null, or {\"base64\": \"…\"}");
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(Cow::Borrowed(text.as_bytes()))),
        Some(Value::Object(fields)) if fields.len() == 1 => {
            let text = fields.get("base64").and_then(Value::as_str).ok_or_else(wrong)?;
            Ok(Some(Cow::Owned(STANDARD.decode(text).map_err(|_| wrong())?)))
        }
        Some(_) => Err(wrong()),
    }
}

fn invalid(at: &str, expected: &str) -> Error {
    Error::config(format!("Invalid value for {at}: expected {expected}"))
}
