//! Bodies: strict JSON, and JSON as tagged values.

use std::fmt;

use millrace_api::Writer;
use millrace_api::value::MAX_DEPTH;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Longest run of digits that always fits a 64-bit integer.
const SAFE_DIGITS: usize = 18;

/// Parses a body. Stricter than RFC 8259 asks for, because each of these would lose data or memory silently: a field that
/// occurs twice, an integer beyond 64 bits, more than [`MAX_DEPTH`] levels, an array of more than `max_records` records.
///
/// # Errors
/// What is wrong, for the client.
pub(crate) fn parse(body: &[u8], max_records: usize) -> Result<Value, String> {
    check_integers(body)?;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Strict { depth: 0, max_records }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Appends a value as JSON without schema reads in Kafka Connect: integers as INT64, other numbers as FLOAT64, objects as maps.
pub(crate) fn encode(value: &Value, writer: &mut Writer<'_>) {
    match value {
        Value::Null => writer.null(),
        Value::Bool(flag) => writer.bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => writer.int64(integer),
            None => writer.float64(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => writer.str(text),
        Value::Array(items) => {
            let open = writer.begin_array();
            for item in items {
                encode(item, writer);
            }
            writer.end(open, items.len());
        }
        Value::Object(fields) => {
            let open = writer.begin_map();
            for (name, field) in fields {
                writer.str(name);
                encode(field, writer);
            }
            writer.end(open, fields.len());
        }
    }
}

/// Refuses integers beyond 64 bits, which the parser would turn into floats.
fn check_integers(body: &[u8]) -> Result<(), String> {
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => at = end_of_text(body, at),
            b'-' | b'0'..=b'9' => {
                let end = at + body[at..].iter().take_while(|b| is_number_byte(**b)).count();
                let number = &body[at..end];
                let whole = number.iter().all(|b| b.is_ascii_digit() || *b == b'-');
                if whole && number.len() > SAFE_DIGITS && !fits(number) {
                    return Err(format!(
                        "the integer at byte {at} does not fit 64 bits and would lose digits; send it as a string"
                    ));
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn end_of_text(body: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn fits(digits: &[u8]) -> bool {
    std::str::from_utf8(digits).is_ok_and(|text| text.parse::<i64>().is_ok())
}

/// Builds a tree, counting levels on the way down.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
    max_records: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("values nest deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            if self.depth == 0 && list.len() >= self.max_records {
                let most = self.max_records;
                return Err(A::Error::custom(format_args!(
                    "the array holds more than {most} records; send several requests"
                )));
            }
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("field {name:?} occurs twice")));
            }
            let value = entries.next_value_seed(inner)?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(text: &str) -> String {
        let mut bytes = Vec::new();
        encode(&parse(text.as_bytes(), 10).expect("valid"), &mut Writer::new(&mut bytes));
        millrace_api::value::validate(&bytes).expect("well-formed");
        millrace_api::Value::of(&bytes).to_string()
    }

    fn error(text: &str) -> String {
        parse(text.as_bytes(), 3).expect_err("invalid")
    }

    #[test]
    fn json_reads_as_connect_reads_it_without_schema() {
        let text = r#"{"a":1,"b":-9223372036854775808,"c":19.99,"d":"x\"y","e":null,"f":[true,{"g":1e3}]}"#;
        assert_eq!(
            tagged(text),
            r#"{"a":1,"b":-9223372036854775808,"c":19.99,"d":"x\"y","e":null,"f":[true,{"g":1000.0}]}"#
        );
    }

    #[test]
    fn digits_are_never_lost() {
        assert!(error(r#"{"id":9223372036854775808}"#).contains("byte 6 does not fit 64 bits"));
        assert!(error(r#"{"id":123456789012345678901234567890}"#).contains("does not fit 64 bits"));
        assert!(parse(br#"{"id":"\"9223372036854775808","f":9223372036854775808.5}"#, 1).is_ok());
    }

    #[test]
    fn what_would_be_lost_or_is_hostile_is_refused() {
        assert!(error(r#"{"a":1,"a":2}"#).starts_with("field \"a\" occurs twice"));
        assert!(error("[1,2,3,4]").starts_with("the array holds more than 3 records"));
        assert!(parse(b"{\"a\":[1,2,3,4]}", 3).is_ok());
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(deep(MAX_DEPTH).as_bytes(), 3).is_ok());
        assert!(error(&deep(MAX_DEPTH + 1)).starts_with("values nest deeper than 64 levels"));
        assert!(error(&"[".repeat(1_000_000)).starts_with("values nest deeper"));
        for text in ["", "{", "{} {}", "{'a':1}", "\u{feff}{}", "nul", "{\"a\":1e999}"] {
            assert!(!error(text).is_empty(), "{text}");
        }
    }
}
