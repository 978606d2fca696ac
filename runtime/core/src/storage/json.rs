//! JSON as Kafka Connect's `JsonConverter` writes it with `schemas.enable=false`: no spaces, fields in the order of the schema.

use millrace_api::config::Props;
use millrace_api::value::java;
use millrace_converters::json_string;
use serde_json::{Map, Value};

/// An object that is being written. [`Object::end`] closes it.
pub(super) struct Object(Vec<u8>);

impl Object {
    pub(super) fn new() -> Self {
        Self(vec![b'{'])
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        json_string(name.as_bytes(), &mut self.0);
        self.0.push(b':');
        &mut self.0
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        json_string(value.as_bytes(), self.name(name));
        self
    }

    pub(super) fn text_or_null(mut self, name: &str, value: Option<&str>) -> Self {
        let out = self.name(name);
        match value {
            Some(value) => json_string(value.as_bytes(), out),
            None => out.extend_from_slice(b"null"),
        }
        self
    }

    pub(super) fn number(mut self, name: &str, value: i64) -> Self {
        java::integer(value, self.name(name));
        self
    }

    pub(super) fn boolean(mut self, name: &str, value: bool) -> Self {
        self.name(name).extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    pub(super) fn object(mut self, name: &str, value: Self) -> Self {
        self.name(name).extend_from_slice(&value.end());
        self
    }

    pub(super) fn props(self, name: &str, props: &Props) -> Self {
        let value = props.iter().fold(Self::new(), |object, (key, value)| object.text(key, value));
        self.object(name, value)
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// A value of the configuration or status topic: `Ok(None)` for a tombstone, which the converter also sees in JSON's `null` and in
/// no bytes at all.
pub(super) fn read(value: Option<&[u8]>) -> Result<Option<Value>, serde_json::Error> {
    match value {
        None | Some([]) => Ok(None),
        Some(bytes) => Ok(Some(serde_json::from_slice(bytes)?).filter(|value: &Value| !value.is_null())),
    }
}

/// The fields of a value that should be an object.
pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("it should be an object but is {}", kind(value)))
}

/// A field that should be text.
pub(super) fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    let value = object.get(name).unwrap_or(&Value::Null);
    value.as_str().ok_or_else(|| format!("'{name}' should be text but is {}", kind(value)))
}

/// A field that should be a whole number.
pub(super) fn number(object: &Map<String, Value>, name: &str) -> Result<i64, String> {
    let value = object.get(name).unwrap_or(&Value::Null);
    value.as_i64().ok_or_else(|| format!("'{name}' should be a whole number but is {}", kind(value)))
}

/// A field that should be a map of texts. Nulls are left out; other values become text.
pub(super) fn props(object: &Map<String, Value>, name: &str) -> Result<Props, String> {
    let value = object.get(name).unwrap_or(&Value::Null);
    let map = value.as_object().ok_or_else(|| format!("'{name}' should be an object but is {}", kind(value)))?;
    let entry = |(key, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some((key.clone(), text.clone())),
        other => Some((key.clone(), other.to_string())),
    };
    Ok(map.iter().filter_map(entry).collect())
}

/// What a value is, without showing it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
