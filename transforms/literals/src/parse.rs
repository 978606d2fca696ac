//! What text means: `Values.parseString`.

use std::sync::Arc;

use millrace_api::schema::{Kind, Schema};
use millrace_api::value::MAX_DEPTH;
use millrace_api::value::java::parse_decimal;
use millrace_api::{SchemaRef, Value, Writer};

use crate::schemas::{Common, fit};
use crate::temporal;
use crate::tokens::{Tokens, is_blank, trim};

/// A value with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// None for null.
    pub schema: Option<SchemaRef>,
    /// Encoded.
    pub value: Vec<u8>,
}

/// The text is not what it seemed to be; the outermost value is text then.
struct Mismatch;

type Outcome = Result<Parsed, Mismatch>;

impl Parsed {
    fn new(schema: Schema, write: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut value = Vec::new();
        write(&mut Writer::new(&mut value));
        Self { schema: Some(Arc::new(schema)), value }
    }

    fn null() -> Self {
        Self { schema: None, value: Value::NULL.bytes().to_vec() }
    }

    fn text(text: &str) -> Self {
        Self::new(Schema::of(Kind::String), |writer| writer.str(text))
    }

    fn bool(value: bool) -> Self {
        Self::new(Schema::of(Kind::Boolean), |writer| writer.bool(value))
    }

    fn temporal(token: &str) -> Option<Self> {
        temporal::parse(token).map(|(schema, value)| Self { schema: Some(Arc::new(schema)), value })
    }
}

/// What `text` means.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    if text.is_empty() {
        return Parsed::text(text);
    }
    value(&mut Tokens::new(text), false, 0).unwrap_or_else(|Mismatch| Parsed::text(text))
}

fn value(tokens: &mut Tokens<'_>, embedded: bool, depth: usize) -> Outcome {
    if !tokens.has_next() {
        return Ok(Parsed::null());
    }
    if embedded && tokens.consume("\"") {
        return Ok(quoted(tokens));
    }
    if literal(tokens, embedded, "null") {
        return Ok(Parsed::null());
    }
    if literal(tokens, embedded, "true") {
        return Ok(Parsed::bool(true));
    }
    if literal(tokens, embedded, "false") {
        return Ok(Parsed::bool(false));
    }
    let start = tokens.mark();
    if depth < MAX_DEPTH {
        let container = if tokens.consume("[") {
            Some(array(tokens, depth + 1))
        } else if tokens.consume("{") {
            Some(map(tokens, depth + 1))
        } else {
            None
        };
        match container {
            Some(Ok(parsed)) => return Ok(parsed),
            Some(Err(Mismatch)) => tokens.rewind(start),
            None => {}
        }
    }
    let token = tokens.next();
    if is_blank(token) {
        return Ok(Parsed::text(token));
    }
    scalar(tokens, embedded, trim(token))
}

/// A literal must be all of a text that is not embedded: `true}` is text.
fn literal(tokens: &mut Tokens<'_>, embedded: bool, literal: &str) -> bool {
    let start = tokens.mark();
    if tokens.consume(literal) && (embedded || !tokens.has_next()) {
        return true;
    }
    tokens.rewind(start);
    false
}

fn scalar(tokens: &mut Tokens<'_>, embedded: bool, token: &str) -> Outcome {
    let first = token.bytes().next().unwrap_or_default();
    if first.is_ascii_digit()
        && let Some(temporal) = temporal(tokens, token)
    {
        return Ok(temporal);
    }
    if (first.is_ascii_digit() || matches!(first, b'+' | b'-'))
        && let Some(number) = number(token)
    {
        return Ok(number);
    }
    if embedded { Err(Mismatch) } else { Ok(Parsed::text(tokens.original)) }
}

/// A time's colons are delimiters, so it may be five tokens.
fn temporal(tokens: &mut Tokens<'_>, token: &str) -> Option<Parsed> {
    let position = tokens.mark();
    if let Some(rest) = tokens.take(4)
        && let Some(parsed) = Parsed::temporal(&format!("{token}{rest}"))
    {
        return Some(parsed);
    }
    tokens.rewind(position);
    Parsed::temporal(token)
}

/// The smallest type that holds the number.
fn number(token: &str) -> Option<Parsed> {
    let (scale, unscaled) = parse_decimal(token)?;
    if let Some(whole) = whole(token, scale) {
        return Some(integer(whole));
    }
    let (single, double): (f32, f64) = (token.parse().ok()?, token.parse().ok()?);
    Some(if single.is_finite() && scale != 0 {
        Parsed::new(Schema::of(Kind::Float32), |writer| writer.float32(if single == 0.0 { 0.0 } else { single }))
    } else if double.is_finite() && scale != 0 {
        Parsed::new(Schema::of(Kind::Float64), |writer| writer.float64(double))
    } else {
        Parsed::new(Schema::decimal(scale), |writer| writer.decimal(scale, &unscaled))
    })
}

/// The number as an integer of 64 bits, if it is one.
fn whole(token: &str, scale: i32) -> Option<i64> {
    let mantissa = token.split(['e', 'E']).next()?;
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let stripped = digits.trim_end_matches('0');
    if stripped.is_empty() {
        return Some(0);
    }
    let zeros = i64::try_from(digits.len() - stripped.len()).ok()? - i64::from(scale);
    if !(0..=19).contains(&zeros) || stripped.len() > 19 {
        return None;
    }
    let magnitude = stripped.parse::<i128>().ok()? * 10i128.pow(u32::try_from(zeros).ok()?);
    i64::try_from(if token.starts_with('-') { -magnitude } else { magnitude }).ok()
}

fn integer(value: i64) -> Parsed {
    if let Ok(value) = i8::try_from(value) {
        Parsed::new(Schema::of(Kind::Int8), |writer| writer.int8(value))
    } else if let Ok(value) = i16::try_from(value) {
        Parsed::new(Schema::of(Kind::Int16), |writer| writer.int16(value))
    } else if let Ok(value) = i32::try_from(value) {
        Parsed::new(Schema::of(Kind::Int32), |writer| writer.int32(value))
    } else {
        Parsed::new(Schema::of(Kind::Int64), |writer| writer.int64(value))
    }
}

/// After an opening quote: text up to the next one that is not escaped, or a date or time in quotes.
fn quoted(tokens: &mut Tokens<'_>) -> Parsed {
    let mut content = String::new();
    while tokens.has_next() && !tokens.consume("\"") {
        content.push_str(tokens.next());
    }
    Parsed::temporal(&content).unwrap_or_else(|| Parsed::text(&content))
}

fn array(tokens: &mut Tokens<'_>, depth: usize) -> Outcome {
    let mut elements: Vec<Vec<u8>> = Vec::new();
    let mut common = Common::default();
    while tokens.has_next() {
        if tokens.consume("]") {
            let mut value = Vec::new();
            let open = Writer::new(&mut value).begin_array();
            for element in &elements {
                place(element, common.schema(), &mut value)?;
            }
            Writer::new(&mut value).end(open, elements.len());
            let schema = Schema { values: common.schema().cloned(), ..Schema::of(Kind::Array) };
            return Ok(Parsed { schema: Some(Arc::new(schema)), value });
        }
        if tokens.consume(",") {
            return Err(Mismatch);
        }
        let element = value(tokens, true, depth)?;
        common.merge(element.schema.as_ref());
        elements.push(element.value);
        let after = tokens.mark();
        if tokens.consume("]") {
            tokens.rewind(after);
        } else if !tokens.consume(",") {
            return Err(Mismatch);
        }
    }
    Err(Mismatch)
}

fn map(tokens: &mut Tokens<'_>, depth: usize) -> Outcome {
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let (mut keys, mut values) = (Common::default(), Common::default());
    while tokens.has_next() {
        if tokens.consume("}") {
            return close(&entries, &keys, &values);
        }
        if tokens.consume(",") {
            return Err(Mismatch);
        }
        let key = value(tokens, true, depth)?;
        if key.schema.is_none() || !tokens.consume(":") {
            return Err(Mismatch);
        }
        let entry = value(tokens, true, depth)?;
        tokens.consume(",");
        keys.merge(key.schema.as_ref());
        values.merge(entry.schema.as_ref());
        entries.push((key.value, entry.value));
    }
    Err(Mismatch)
}

/// Values are made to fit only where the keys have a common schema, as in Kafka Connect.
fn close(entries: &[(Vec<u8>, Vec<u8>)], keys: &Common, values: &Common) -> Outcome {
    let of_keys = keys.schema();
    let of_values = values.schema().filter(|_| of_keys.is_some());
    let mut value = Vec::new();
    let open = Writer::new(&mut value).begin_map();
    for (key, entry) in entries {
        place(key, of_keys, &mut value)?;
        place(entry, of_values, &mut value)?;
    }
    Writer::new(&mut value).end_distinct(open, entries.len());
    let schema = Schema { keys: of_keys.cloned(), values: of_values.cloned(), ..Schema::of(Kind::Map) };
    Ok(Parsed { schema: Some(Arc::new(schema)), value })
}

fn place(value: &[u8], schema: Option<&SchemaRef>, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    if let Some(schema) = schema {
        return fit(Value::of(value), schema, out).ok_or(Mismatch);
    }
    out.extend_from_slice(value);
    Ok(())
}
