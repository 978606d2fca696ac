//! The check every value from outside passes once.

use super::cursor::read_u32;
use super::{CONTAINER_HEADER, Tag, Value};
use crate::error::{Error, Result};

/// How deep containers may nest. Deeper input is refused at the boundary, so recursion past it is bounded.
pub const MAX_DEPTH: usize = 64;

/// Longest unscaled value: turning one into text costs its square, so a hostile one must not be long.
pub(crate) const MAX_DECIMAL_BYTES: usize = 1_000;

/// Checks that `bytes` are exactly one well-formed value: known tags, lengths that add up, counts that are true, UTF-8, and
/// at most [`MAX_DEPTH`] levels.
///
/// # Errors
/// [`crate::ErrorKind::Data`] with what is wrong.
pub fn validate(bytes: &[u8]) -> Result<()> {
    match Value::parse(bytes) {
        Some(value) => check(value, 0),
        None => Err(malformed("a value has an unknown tag or a wrong length")),
    }
}

fn check(value: Value<'_>, depth: usize) -> Result<()> {
    match value.tag() {
        Tag::String => text(value),
        Tag::Array | Tag::Struct => check_children(value, 1, depth),
        Tag::Map => check_children(value, 2, depth),
        Tag::Decimal => match value.as_decimal() {
            Some((_, unscaled)) if (1..=MAX_DECIMAL_BYTES).contains(&unscaled.len()) => Ok(()),
            _ => Err(malformed("a decimal has no digits, or more than 2,400")),
        },
        _ => Ok(()),
    }
}

fn check_children(value: Value<'_>, per_entry: usize, depth: usize) -> Result<()> {
    if depth >= MAX_DEPTH {
        return Err(malformed("values nest deeper than 64 levels"));
    }
    if value.bytes().len() < CONTAINER_HEADER {
        return Err(malformed("a container is shorter than its header"));
    }
    let declared = read_u32(value.bytes(), 5).unwrap_or(0) as usize;
    let mut rest = value.body();
    let mut children = 0usize;
    while let Some(tag) = rest.first() {
        let Some((child, next)) = Value::split(rest) else {
            return Err(malformed("a container holds an unknown tag or a wrong length"));
        };
        // Most are texts and numbers: a number of the right length is always well-formed.
        if *tag == Tag::String as u8 {
            text(child)?;
        } else if *tag > Tag::String as u8 {
            check(child, depth + 1)?;
        }
        children += 1;
        rest = next;
    }
    if declared.checked_mul(per_entry) == Some(children) {
        Ok(())
    } else {
        Err(malformed("a container's count differs from what it holds"))
    }
}

#[inline]
fn text(value: Value<'_>) -> Result<()> {
    if is_utf8(value.bytes().get(5..).unwrap_or_default()) { Ok(()) } else { Err(malformed("text is not UTF-8")) }
}

/// Most texts are short and ASCII, for which the general check takes long to get going.
#[inline]
fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || std::str::from_utf8(text).is_ok()
}

#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) else {
        return text.iter().fold(0, |all, byte| all | byte) < 0x80;
    };
    // The last word may overlap the one before.
    let words = text.as_chunks::<8>().0.iter().skip(1).chain([last]);
    let all = words.fold(u64::from_le_bytes(*first), |all, word| all | u64::from_le_bytes(*word));
    all & 0x8080_8080_8080_8080 == 0
}

fn malformed(what: &'static str) -> Error {
    Error::data(what)
}
