//! Schemas as bytes, for the dictionary of a batch on its way to and from a guest.
//!
//! `kind u8, flags u8`, then what the flags announce: name, version, doc, parameters, default, fields, keys, values. Text and
//! lists carry a u32 length. Frozen with `millrace:connect@0.1.0`.

use super::{Field, Kind, Schema};
use crate::batch::bytes::Reader;
use crate::error::{Error, Result};
use crate::value::{MAX_DEPTH, validate};

const OPTIONAL: u8 = 1;
const NAME: u8 = 2;
const VERSION: u8 = 4;
const DOC: u8 = 8;
const PARAMETERS: u8 = 16;
const DEFAULT: u8 = 32;
const KEYS: u8 = 64;
const VALUES: u8 = 128;

/// Appends `schema` to `out`.
pub fn encode(schema: &Schema, out: &mut Vec<u8>) {
    let flag = |bit: u8, set: bool| if set { bit } else { 0 };
    out.push(schema.kind as u8);
    out.push(
        flag(OPTIONAL, schema.optional)
            | flag(NAME, schema.name.is_some())
            | flag(VERSION, schema.version.is_some())
            | flag(DOC, schema.doc.is_some())
            | flag(PARAMETERS, !schema.parameters.is_empty())
            | flag(DEFAULT, schema.default.is_some())
            | flag(KEYS, schema.keys.is_some())
            | flag(VALUES, schema.values.is_some()),
    );
    if let Some(name) = &schema.name {
        put(out, name.as_bytes());
    }
    if let Some(version) = schema.version {
        out.extend_from_slice(&version.to_le_bytes());
    }
    if let Some(doc) = &schema.doc {
        put(out, doc.as_bytes());
    }
    if !schema.parameters.is_empty() {
        count(out, schema.parameters.len());
        for (key, value) in &schema.parameters {
            put(out, key.as_bytes());
            put(out, value.as_bytes());
        }
    }
    if let Some(default) = &schema.default {
        put(out, default);
    }
    if schema.kind == Kind::Struct {
        count(out, schema.fields.len());
        for field in &schema.fields {
            put(out, field.name.as_bytes());
            encode(&field.schema, out);
        }
    }
    for nested in [&schema.keys, &schema.values].into_iter().flatten() {
        encode(nested, out);
    }
}

/// Reads a schema that is all of `bytes`.
///
/// # Errors
/// [`crate::ErrorKind::Data`] when the bytes are not exactly one schema, nest too deep, or hold a malformed default.
pub fn decode(bytes: &[u8]) -> Result<Schema> {
    let mut reader = Reader::new(bytes);
    let schema = read(&mut reader, 0)?;
    if reader.is_empty() { Ok(schema) } else { Err(Error::data("bytes follow a schema")) }
}

fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Schema> {
    if depth >= MAX_DEPTH {
        return Err(Error::data("a schema nests deeper than 64 levels"));
    }
    let kind = Kind::from_byte(reader.u8()?).ok_or_else(|| Error::data("a schema has an unknown type"))?;
    let flags = reader.u8()?;
    let has = |bit: u8| flags & bit != 0;
    let mut schema = Schema { optional: has(OPTIONAL), ..Schema::of(kind) };
    if has(NAME) {
        schema.name = Some(reader.text()?.to_owned());
    }
    if has(VERSION) {
        schema.version = Some(reader.i32()?);
    }
    if has(DOC) {
        schema.doc = Some(reader.text()?.to_owned());
    }
    if has(PARAMETERS) {
        for _ in 0..reader.u32()? {
            schema.parameters.push((reader.text()?.to_owned(), reader.text()?.to_owned()));
        }
    }
    if has(DEFAULT) {
        let default = reader.slice()?;
        validate(default)?;
        schema.default = Some(default.to_vec());
    }
    if kind == Kind::Struct {
        for _ in 0..reader.u32()? {
            let name = reader.text()?.to_owned();
            schema.fields.push(Field::new(name, read(reader, depth + 1)?));
        }
    }
    if has(KEYS) {
        schema.keys = Some(read(reader, depth + 1)?.into());
    }
    if has(VALUES) {
        schema.values = Some(read(reader, depth + 1)?.into());
    }
    Ok(schema)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn count(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}
