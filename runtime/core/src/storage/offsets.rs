//! The offsets topic (`offset.storage.topic`): where sources stand. Key `["<connector>",{partition}]`, value `{offset}`, no value after
//! a reset.
//!
//! Kafka Connect finds an offset by the bytes of its key. So the bytes of every key that was read are kept and written again, and a
//! new key is written as Kafka Connect would write it. Lookups here compare partitions by their fields, in any order.

use std::collections::BTreeMap;

use millrace_api::connector::Json;
use millrace_api::value::java as numbers;
use millrace_api::{Error, Result};
use millrace_converters::json_string;
use serde_json::Value;

use super::Entry;
use super::java::put_order;

/// The fold over the topic. Values stay bytes until somebody asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetView {
    connectors: BTreeMap<Box<str>, BTreeMap<Box<str>, Slot>>,
}

/// A source partition of a connector; in the map, its canonical text is the key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    /// Bytes of the key; `None` when they are those that [`key_bytes`] makes of the canonical text.
    key: Option<Box<[u8]>>,
    value: Box<[u8]>,
    /// Other keys that mean the same partition and have a value, older than this one's.
    others: Vec<Box<[u8]>>,
}

impl OffsetView {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of source partitions with an offset.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connectors.values().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connectors.is_empty()
    }

    /// Folds one record in. A key that cannot be understood is logged and left out; it never fails.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) {
        let Some((connector, partition)) = parse_key(key) else {
            let key = String::from_utf8_lossy(key);
            tracing::warn!(%key, "a record of the offsets topic was left out: its key is no [connector, {{partition}}]");
            return;
        };
        let canonical = canonical(&partition);
        let empty = |value: &[u8]| matches!(value.trim_ascii(), b"" | b"null");
        match value.filter(|value| !empty(value)) {
            Some(value) => self.put(&connector, canonical, key, value),
            None => self.remove(&connector, &canonical, key),
        }
    }

    fn put(&mut self, connector: &str, canonical: String, key: &[u8], value: &[u8]) {
        let usual = usual_key(connector, &canonical);
        let kept = (usual != key).then(|| Box::from(key));
        let known = match self.connectors.get_mut(connector) {
            Some(known) => known,
            None => self.connectors.entry(Box::from(connector)).or_default(),
        };
        let Some(slot) = known.get_mut(canonical.as_str()) else {
            let slot = Slot { key: kept, value: Box::from(value), others: Vec::new() };
            known.insert(canonical.into_boxed_str(), slot);
            return;
        };
        slot.value = Box::from(value);
        if slot.key != kept {
            slot.others.retain(|other| **other != *key);
            let before = std::mem::replace(&mut slot.key, kept);
            slot.others.push(before.unwrap_or_else(|| usual.into_boxed_slice()));
        }
    }

    /// A reset of an older key leaves what a newer one says.
    fn remove(&mut self, connector: &str, canonical: &str, key: &[u8]) {
        let Some(known) = self.connectors.get_mut(connector) else { return };
        let Some(slot) = known.get_mut(canonical) else { return };
        let current = match &slot.key {
            Some(current) => **current == *key,
            None => usual_key(connector, canonical) == key,
        };
        if current {
            known.remove(canonical);
        } else {
            slot.others.retain(|other| **other != *key);
        }
        if known.is_empty() {
            self.connectors.remove(connector);
        }
    }

    fn slot(&self, connector: &str, canonical: &str) -> Option<&Slot> {
        self.connectors.get(connector)?.get(canonical)
    }

    /// The offset of a source partition.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Data`] when somebody wrote something else there: starting from nothing instead could deliver
    /// everything again.
    pub fn offset(&self, connector: &str, partition: &Json) -> Result<Option<Json>> {
        let slot = self.slot(connector, &canonical(partition));
        slot.map(|slot| parse_value(&slot.value, connector)).transpose()
    }

    /// All offsets of a connector, by partition. The order is the same for the same partitions.
    ///
    /// # Errors
    /// As [`OffsetView::offset`].
    pub fn offsets_of(&self, connector: &str) -> Result<Vec<(Json, Json)>> {
        let known = self.connectors.get(connector).into_iter().flatten();
        known
            .map(|(canonical, slot)| {
                let partition = match &slot.key {
                    Some(key) => parse_key(key).map(|(_, partition)| partition).unwrap_or_default(),
                    None => parse_canonical(canonical),
                };
                Ok((partition, parse_value(&slot.value, connector)?))
            })
            .collect()
    }

    /// The record that sets (`Some`) or resets (`None`) the offset of a source partition.
    #[must_use]
    pub fn record(&self, connector: &str, partition: &Json, offset: Option<&Json>) -> Entry {
        let canonical = canonical(partition);
        let key = match self.slot(connector, &canonical) {
            Some(Slot { key: Some(key), .. }) => key.to_vec(),
            Some(_) => usual_key(connector, &canonical),
            None => key_bytes(connector, partition),
        };
        Entry { key, value: offset.map(value_bytes) }
    }

    /// The records that reset everything of a connector.
    #[must_use]
    pub fn reset_records(&self, connector: &str) -> Vec<Entry> {
        let known = self.connectors.get(connector).into_iter().flatten();
        let keys = known.flat_map(|(canonical, slot)| {
            let key = slot.key.as_ref().map_or_else(|| usual_key(connector, canonical), |key| key.to_vec());
            slot.others.iter().map(|other| other.to_vec()).chain([key])
        });
        keys.map(Entry::tombstone).collect()
    }
}

/// The key of a source partition as Kafka Connect writes it when the partition is a map that it made itself.
#[must_use]
pub fn key_bytes(connector: &str, partition: &Json) -> Vec<u8> {
    let mut out = vec![b'['];
    json_string(connector.as_bytes(), &mut out);
    out.push(b',');
    write_map(partition, &mut out);
    out.push(b']');
    out
}

/// An offset as Kafka Connect writes it.
#[must_use]
pub fn value_bytes(offset: &Json) -> Vec<u8> {
    let mut out = Vec::new();
    write_map(offset, &mut out);
    out
}

/// What is wrong with a partition or an offset that an operator gave, in Kafka Connect's words: fields are texts, numbers and
/// booleans.
///
/// # Errors
/// [`millrace_api::ErrorKind::Data`].
pub fn check_format(map: &Json) -> Result<()> {
    for (name, value) in map {
        let kind = match value {
            Value::Array(_) => "ARRAY",
            Value::Object(_) => "MAP",
            _ => continue,
        };
        let message = format!("Offsets may only contain primitive types as values, but field {name} contains {kind}");
        return Err(Error::data(message));
    }
    Ok(())
}

/// `["connector",{partition}]`.
fn parse_key(key: &[u8]) -> Option<(String, Json)> {
    let parts: Vec<Value> = serde_json::from_slice(key).ok()?;
    match <[Value; 2]>::try_from(parts).ok()? {
        [Value::String(connector), Value::Object(partition)] => Some((connector, partition)),
        _ => None,
    }
}

fn parse_value(value: &[u8], connector: &str) -> Result<Json> {
    let object = serde_json::from_slice(value).ok();
    object.ok_or_else(|| {
        let message = "an offset in the offsets topic is no JSON object; reset it or set another";
        Error::data(message).with("connector", connector)
    })
}

/// One text per partition, whatever the order of its fields.
fn canonical(partition: &Json) -> String {
    let mut sorted = partition.clone();
    sorted.sort_keys();
    for value in sorted.values_mut() {
        value.sort_all_objects();
    }
    Value::Object(sorted).to_string()
}

fn parse_canonical(canonical: &str) -> Json {
    serde_json::from_str(canonical).unwrap_or_default()
}

/// The key that is not worth keeping.
fn usual_key(connector: &str, canonical: &str) -> Vec<u8> {
    key_bytes(connector, &parse_canonical(canonical))
}

fn write_map(map: &Json, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (name, value)) in put_order(map).into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json_string(name.as_bytes(), out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::String(text) => json_string(text.as_bytes(), out),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => numbers::integer(whole, out),
            (None, Some(double)) if number.is_f64() => numbers::double(double, out),
            _ => out.extend_from_slice(number.to_string().as_bytes()),
        },
        Value::Array(values) => {
            out.push(b'[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(value, out);
            }
            out.push(b']');
        }
        Value::Object(map) => write_map(map, out),
    }
}
