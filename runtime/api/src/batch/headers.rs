//! Headers of a record: in the heap, one after another: name (tagged string), schema id (u32), value (tagged).

use std::sync::Arc;

use crate::schema::SchemaRef;
use crate::value::{Value, Writer};

/// One header.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    /// Name; not unique.
    pub name: &'a str,
    /// Value.
    pub value: Value<'a>,
    /// Schema of the value.
    pub schema: Option<&'a SchemaRef>,
    /// Id of the schema in the batch, 0 for none.
    pub schema_id: u32,
}

/// Headers in order.
#[derive(Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
    schemas: &'a [Arc<crate::schema::Schema>],
}

impl<'a> Headers<'a> {
    /// The headers that `bytes` hold, with the dictionary their schema ids refer to.
    #[must_use]
    pub fn of(bytes: &'a [u8], schemas: &'a [SchemaRef]) -> Self {
        Self { rest: bytes, schemas }
    }

    /// The last header of a name (`lastWithName`).
    #[must_use]
    pub fn last(self, name: &str) -> Option<Header<'a>> {
        self.filter(|header| header.name == name).last()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let (name, rest) = Value::split(self.rest)?;
        let (id, rest) = rest.split_at_checked(4)?;
        let (value, rest) = Value::split(rest)?;
        self.rest = rest;
        let schema_id = u32::from_le_bytes(id.try_into().ok()?);
        let schema = (schema_id as usize).checked_sub(1).and_then(|index| self.schemas.get(index));
        Some(Header { name: name.as_str()?, value, schema, schema_id })
    }
}

/// Appends a header; the value is what `write` writes.
pub fn push(out: &mut Vec<u8>, name: &str, schema_id: u32, write: impl FnOnce(&mut Writer<'_>)) {
    Writer::new(out).str(name);
    out.extend_from_slice(&schema_id.to_le_bytes());
    write(&mut Writer::new(out));
}

/// Gives the schemas of well-formed headers other numbers, in place.
pub(crate) fn renumber(bytes: &mut [u8], number: impl Fn(u32) -> u32) {
    let mut rest = bytes;
    while let Some((name, _)) = Value::split(rest) {
        let at = name.bytes().len();
        let Some(id) = rest.get_mut(at..at + 4) else { return };
        let mut old = [0; 4];
        old.copy_from_slice(id);
        id.copy_from_slice(&number(u32::from_le_bytes(old)).to_le_bytes());
        let Some((value, _)) = rest.get(at + 4..).and_then(Value::split) else { return };
        let next = at + 4 + value.bytes().len();
        rest = rest.split_at_mut(next).1;
    }
}

/// Checks headers from outside: every name is text, every value well-formed, nothing is left over, and schema ids exist.
///
/// # Errors
/// [`crate::ErrorKind::Data`] with what is wrong.
pub fn validate(bytes: &[u8], schemas: usize) -> crate::Result<()> {
    let malformed = || crate::Error::data("headers are malformed");
    let mut rest = bytes;
    while !rest.is_empty() {
        let (name, after) = Value::split(rest).ok_or_else(malformed)?;
        name.as_str().ok_or_else(malformed)?;
        let (id, after) = after.split_at_checked(4).ok_or_else(malformed)?;
        let id = u32::from_le_bytes(id.try_into().map_err(|_| malformed())?);
        if id as usize > schemas {
            return Err(crate::Error::data("a header names a schema that is not there"));
        }
        let (value, after) = Value::split(after).ok_or_else(malformed)?;
        crate::value::validate(value.bytes())?;
        rest = after;
    }
    Ok(())
}
