//! JSON without a schema, straight to tagged values: integers become `INT64`, other numbers `FLOAT64`, objects maps.

use millrace_api::value::Tag;
use millrace_api::{Result, Writer};

use super::cursor::Cursor;
use super::keys::Keys;

/// Takes a value and appends its tagged form.
pub(super) fn value(cursor: &mut Cursor<'_>, keys: &mut Keys, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    match cursor.next() {
        b'"' => string(cursor, out),
        b'-' | b'0'..=b'9' => {
            let number = cursor.number()?;
            let mut writer = Writer::new(out);
            if number.is_integral() {
                writer.int64(number.long());
            } else {
                writer.float64(number.double());
            }
            Ok(())
        }
        b'{' => object(cursor, keys, depth, out),
        b'[' => {
            let open = Writer::new(out).begin_array();
            let mut count = 0;
            cursor.elements(depth, |cursor, depth| {
                count += 1;
                value(cursor, keys, depth, out)
            })?;
            Writer::new(out).end(open, count);
            Ok(())
        }
        b't' => literal(cursor, b"true", Tag::True, out),
        b'f' => literal(cursor, b"false", Tag::False, out),
        b'n' => literal(cursor, b"null", Tag::Null, out),
        _ => Err(cursor.fail("a value is expected")),
    }
}

fn literal(cursor: &mut Cursor<'_>, text: &'static [u8], tag: Tag, out: &mut Vec<u8>) -> Result<()> {
    out.push(tag as u8);
    cursor.literal(text)
}

fn object(cursor: &mut Cursor<'_>, keys: &mut Keys, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    let container = Writer::new(out).begin_map();
    let open = keys.open();
    let mut suspect = false;
    let mut count = 0;
    cursor.members(depth, |cursor, depth| {
        let at = out.len();
        string(cursor, out)?;
        suspect |= keys.suspect(open, out.get(at + 5..).unwrap_or_default());
        cursor.expect(b':', "a colon is expected")?;
        count += 1;
        value(cursor, keys, depth, out)
    })?;
    keys.close(open);
    let mut writer = Writer::new(out);
    if suspect {
        writer.end_distinct(container, count);
    } else {
        writer.end(container, count);
    }
    Ok(())
}

/// Takes a string, the cursor being at its opening quote, and appends its tagged form.
#[inline]
pub(super) fn string(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<()> {
    let at = out.len();
    if let Some(text) = cursor.plain_string()? {
        out.reserve(5 + text.len());
        out.extend_from_slice(&header(text.len()));
        out.extend_from_slice(text);
        return Ok(());
    }
    out.extend_from_slice(&header(0));
    cursor.unescape(out)?;
    let len = out.len() - at - 5;
    if let Some(place) = out.get_mut(at..at + 5) {
        place.copy_from_slice(&header(len));
    }
    Ok(())
}

/// Tag and length of a string.
#[inline]
fn header(len: usize) -> [u8; 5] {
    let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    [Tag::String as u8, a, b, c, d]
}
