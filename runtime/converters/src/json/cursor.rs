//! Reading JSON text forward, as strictly as Jackson does by default.
//!
//! RFC 8259, with what Kafka Connect's reader adds: a byte order mark and leading zeros are taken, and whatever follows the
//! first value is ignored. Stricter than Jackson in three points: text must be UTF-8 (no UTF-16 or UTF-32, no overlong forms), values
//! nest at most [`MAX_DEPTH`] levels, and half a surrogate pair becomes U+FFFD, as tagged text is UTF-8.

use millrace_api::value::MAX_DEPTH;
use millrace_api::{Error, Result};

use super::number::Number;

/// The kind of the next value (Jackson's `JsonNodeType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Array,
    Boolean,
    Missing,
    Null,
    Number,
    Object,
    String,
}

impl Node {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Array => "ARRAY",
            Self::Boolean => "BOOLEAN",
            Self::Missing => "MISSING",
            Self::Null => "NULL",
            Self::Number => "NUMBER",
            Self::Object => "OBJECT",
            Self::String => "STRING",
        }
    }
}

/// A place in JSON text.
pub(super) struct Cursor<'j> {
    pub(super) json: &'j [u8],
    pub(super) at: usize,
    /// Levels that values may nest.
    limit: usize,
}

/// Levels of a schema's text: a struct takes two, its object and its array of fields.
const SCHEMA_LEVELS: usize = 2 * MAX_DEPTH + 2;

impl<'j> Cursor<'j> {
    pub(super) fn new(json: &'j [u8]) -> Self {
        let at = if json.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { json, at, limit: MAX_DEPTH }
    }

    /// A cursor over the text of a schema, or a part of it.
    pub(super) fn of_schema(json: &'j [u8]) -> Self {
        Self { json, at: 0, limit: SCHEMA_LEVELS }
    }

    /// Takes the text of a schema.
    pub(super) fn skip_schema(&mut self, depth: usize) -> Result<&'j [u8]> {
        self.limit = SCHEMA_LEVELS;
        let text = self.skip(depth);
        self.limit = MAX_DEPTH;
        text
    }

    /// The next byte, 0 at the end: NUL begins and separates nothing in JSON.
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.json.get(self.at).copied().unwrap_or(0)
    }

    /// Skips white space and returns the byte after it.
    #[inline]
    pub(super) fn next(&mut self) -> u8 {
        loop {
            let byte = self.peek();
            if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return byte;
            }
            self.at += 1;
        }
    }

    /// Skips white space and takes `byte`.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.next() != byte {
            return Err(self.fail(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Kind of the next value, without reading it.
    #[inline]
    pub(super) fn node(&mut self) -> Result<Node> {
        Ok(match self.next() {
            b'"' => Node::String,
            b'-' | b'0'..=b'9' => Node::Number,
            b'{' => Node::Object,
            b'[' => Node::Array,
            b't' | b'f' => Node::Boolean,
            b'n' => Node::Null,
            _ => return Err(self.fail("a value is expected")),
        })
    }

    /// Takes a literal.
    #[inline]
    pub(super) fn literal(&mut self, literal: &'static [u8]) -> Result<()> {
        match self.json.get(self.at..) {
            Some(rest) if rest.starts_with(literal) => {
                self.at += literal.len();
                Ok(())
            }
            _ => Err(self.fail("only null, true and false are literals")),
        }
    }

    /// Takes the number that starts here.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'j>> {
        Number::read(self)
    }

    /// Takes a string, the cursor being at its opening quote. Short for the usual case: the bytes between the quotes when there is
    /// no escape among them; else the cursor stays where it was, and [`Cursor::unescape`] reads it.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Result<Option<&'j [u8]>> {
        let start = self.at + 1;
        let (len, ascii) = plain(self.json.get(start..).unwrap_or_default());
        let end = start + len;
        if self.json.get(end) != Some(&b'"') {
            return Ok(None);
        }
        let text = self.json.get(start..end).unwrap_or_default();
        if !ascii && std::str::from_utf8(text).is_err() {
            return Err(self.fail("text is not UTF-8"));
        }
        self.at = end + 1;
        Ok(Some(text))
    }

    /// Takes a string, the cursor being at its opening quote, and appends its text to `out`.
    #[cold]
    pub(super) fn unescape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.at += 1;
        loop {
            let (len, ascii) = plain(self.json.get(self.at..).unwrap_or_default());
            let text = self.json.get(self.at..self.at + len).unwrap_or_default();
            if !ascii && std::str::from_utf8(text).is_err() {
                return Err(self.fail("text is not UTF-8"));
            }
            out.extend_from_slice(text);
            self.at += len;
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape(out)?,
                _ if self.at >= self.json.len() => return Err(self.fail("a string does not end")),
                _ => return Err(self.fail("control characters in text must be escaped")),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.at += 1;
        let byte = match self.peek() {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode_escape(out),
            _ => return Err(self.fail("an unknown escape")),
        };
        out.push(byte);
        self.at += 1;
        Ok(())
    }

    fn unicode_escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.at += 1;
        let mut code = self.hex4()?;
        if (0xd800..0xdc00).contains(&code) && self.json.get(self.at..self.at + 2) == Some(b"\\u") {
            let here = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            } else {
                self.at = here;
            }
        }
        let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return Err(self.fail("an escape needs four hexadecimal digits"));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// Takes a string and drops it.
    pub(super) fn skip_string(&mut self) -> Result<()> {
        if self.plain_string()?.is_none() {
            self.unescape(&mut Vec::new())?;
        }
        Ok(())
    }

    /// Takes a value and returns its text, checked but not decoded.
    pub(super) fn skip(&mut self, depth: usize) -> Result<&'j [u8]> {
        let node = self.node()?;
        let start = self.at;
        match node {
            Node::String => self.skip_string()?,
            Node::Number => _ = self.number()?,
            Node::Object => self.members(depth, |cursor, depth| {
                cursor.skip_string()?;
                cursor.expect(b':', "a colon is expected")?;
                cursor.skip(depth).map(drop)
            })?,
            Node::Array => self.elements(depth, |cursor, depth| cursor.skip(depth).map(drop))?,
            Node::Boolean if self.peek() == b't' => self.literal(b"true")?,
            Node::Boolean => self.literal(b"false")?,
            Node::Null | Node::Missing => self.literal(b"null")?,
        }
        Ok(self.json.get(start..self.at).unwrap_or_default())
    }

    /// Takes an object; `member` is called with the cursor at each key's opening quote and takes key, colon and value.
    #[inline]
    pub(super) fn members(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<()> {
        self.enter(depth)?;
        if self.next() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.next() != b'"' {
                return Err(self.fail("a key in double quotes is expected"));
            }
            member(self, depth + 1)?;
            match self.next() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.fail("a comma or the end of an object is expected")),
            }
        }
    }

    /// Takes an array; `element` is called with the cursor before each element and takes it.
    #[inline]
    pub(super) fn elements(
        &mut self,
        depth: usize,
        mut element: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<()> {
        self.enter(depth)?;
        if self.next() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self, depth + 1)?;
            match self.next() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.fail("a comma or the end of an array is expected")),
            }
        }
    }

    #[inline]
    fn enter(&mut self, depth: usize) -> Result<()> {
        if depth >= self.limit {
            return Err(self.fail("values nest deeper than 64 levels"));
        }
        self.at += 1;
        Ok(())
    }

    /// After the first value: what follows is ignored, but a scalar must not run into it.
    pub(super) fn end(&self, node: Node) -> Result<()> {
        let next = self.peek();
        let runs_on = match node {
            Node::Number => next > b' ',
            Node::Boolean | Node::Null => next.is_ascii_alphanumeric() || matches!(next, b'_' | b'$') || next >= 0x80,
            _ => false,
        };
        if runs_on { Err(self.fail("a value is followed by something else")) } else { Ok(()) }
    }

    #[cold]
    pub(super) fn fail(&self, what: &'static str) -> Error {
        // The message ends as Kafka Connect's does; what it says of Jackson's exception is said of the cause.
        Error::data("Converting byte[] to Kafka Connect data failed due to serialization error: ")
            .because(format!("{SERIALIZATION}: {what} at byte {}", self.at))
    }
}

/// The class of the cause.
const SERIALIZATION: &str = "org.apache.kafka.common.errors.SerializationException";

/// Number of bytes before the first quote, backslash or control character, and whether those are all ASCII. The flag may be
/// `false` for ASCII text that is followed by something else.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> (usize, bool) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES * 0x22;
    const BACKSLASHES: u64 = ONES * 0x5c;
    const SPACES: u64 = ONES * 0x20;
    let mut seen = 0;
    let mut at = 0;
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = (word ^ QUOTES).wrapping_sub(ONES);
        let backslash = (word ^ BACKSLASHES).wrapping_sub(ONES);
        let control = word.wrapping_sub(SPACES);
        seen |= word;
        // Only the lowest hit is exact: borrows run upwards.
        let stops = (quote | backslash | control) & !word & TOPS;
        if stops != 0 {
            return (at + (stops.trailing_zeros() / 8) as usize, seen & TOPS == 0);
        }
        at += 8;
    }
    for byte in tail {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        seen |= u64::from(*byte);
        at += 1;
    }
    (at, seen & TOPS == 0)
}
