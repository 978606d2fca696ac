//! Lazy reading of tagged values in place.

use super::{CONTAINER_HEADER, PREFIXED, SIZES, Tag};
use crate::schema::Schema;

/// One encoded value, read in place. Copying it copies a pointer.
///
/// Reading never panics and never leaves the slice, whatever the bytes are. Bytes that come from outside (a guest, a disk)
/// pass [`super::validate`] at the boundary; past it, an accessor that returns `None` means "another type".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value<'a> {
    /// Tag and payload of exactly this value; never empty.
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    /// The null value.
    pub const NULL: Value<'static> = Value { bytes: &[Tag::Null as u8] };

    /// The value that `bytes` starts with, and the bytes after it. `None` when the tag is unknown or bytes are missing.
    #[must_use]
    #[inline]
    pub fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (value, rest) = bytes.split_at_checked(Self::end(bytes, 0)?)?;
        Some((Self { bytes: value }, rest))
    }

    /// Where the value ends that starts at `start`, which is within `bytes`. `None` as for [`Value::split`].
    #[must_use]
    #[inline]
    pub fn end(bytes: &[u8], start: usize) -> Option<usize> {
        // One look into a table, no branch per tag: this is where readers spend their time.
        let size = match *SIZES.get(usize::from(*bytes.get(start)?))? {
            PREFIXED => 5usize.checked_add(read_u32(bytes, start.checked_add(1)?)? as usize)?,
            size => usize::from(size),
        };
        start.checked_add(size).filter(|end| *end <= bytes.len())
    }

    /// The value that is all of `bytes`; an empty slice is null.
    #[must_use]
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Value::NULL);
        }
        match Self::split(bytes)? {
            (value, []) => Some(value),
            _ => None,
        }
    }

    /// Like [`Value::parse`] for bytes that passed a boundary: malformed bytes read as null.
    #[must_use]
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self::parse(bytes).unwrap_or(Value::NULL)
    }

    /// The encoded bytes, tag included: what a writer copies to keep the value as it is.
    #[must_use]
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The tag.
    #[must_use]
    #[inline]
    pub fn tag(self) -> Tag {
        self.bytes.first().copied().and_then(Tag::from_byte).unwrap_or(Tag::Null)
    }

    /// Whether it is null.
    #[must_use]
    #[inline]
    pub fn is_null(self) -> bool {
        self.tag() == Tag::Null
    }

    /// A boolean.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.tag() {
            Tag::True => Some(true),
            Tag::False => Some(false),
            _ => None,
        }
    }

    /// Any of the four integer types, widened. Logical types are not integers: see [`Value::as_date`] and its kin.
    #[must_use]
    #[inline]
    pub fn as_i64(self) -> Option<i64> {
        match self.tag() {
            Tag::Int8 => self.fixed().map(|b: [u8; 1]| i64::from(i8::from_le_bytes(b))),
            Tag::Int16 => self.fixed().map(|b| i64::from(i16::from_le_bytes(b))),
            Tag::Int32 => self.fixed().map(|b| i64::from(i32::from_le_bytes(b))),
            Tag::Int64 => self.fixed().map(i64::from_le_bytes),
            _ => None,
        }
    }

    /// Either float type, widened.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        match self.tag() {
            Tag::Float32 => self.fixed().map(|b| f64::from(f32::from_le_bytes(b))),
            Tag::Float64 => self.fixed().map(f64::from_le_bytes),
            _ => None,
        }
    }

    /// A `Float32` exactly.
    #[must_use]
    pub fn as_f32(self) -> Option<f32> {
        (self.tag() == Tag::Float32).then(|| self.fixed().map(f32::from_le_bytes)).flatten()
    }

    /// Text.
    #[must_use]
    #[inline]
    pub fn as_str(self) -> Option<&'a str> {
        if self.tag() != Tag::String {
            return None;
        }
        std::str::from_utf8(self.bytes.get(5..)?).ok()
    }

    /// Bytes of a `Bytes` value.
    #[must_use]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        if self.tag() == Tag::Bytes { self.bytes.get(5..) } else { None }
    }

    /// Scale and unscaled big-endian two's complement of a `Decimal`.
    #[must_use]
    pub fn as_decimal(self) -> Option<(i32, &'a [u8])> {
        if self.tag() != Tag::Decimal {
            return None;
        }
        let scale = i32::from_le_bytes(self.bytes.get(5..9)?.try_into().ok()?);
        Some((scale, self.bytes.get(9..)?))
    }

    /// Days since the epoch of a `Date`.
    #[must_use]
    pub fn as_date(self) -> Option<i32> {
        (self.tag() == Tag::Date).then(|| self.fixed().map(i32::from_le_bytes)).flatten()
    }

    /// Milliseconds since midnight of a `Time`.
    #[must_use]
    pub fn as_time(self) -> Option<i32> {
        (self.tag() == Tag::Time).then(|| self.fixed().map(i32::from_le_bytes)).flatten()
    }

    /// Milliseconds since the epoch of a `Timestamp`.
    #[must_use]
    pub fn as_timestamp(self) -> Option<i64> {
        (self.tag() == Tag::Timestamp).then(|| self.fixed().map(i64::from_le_bytes)).flatten()
    }

    /// Number of elements, entries or fields of a container; `None` for anything else.
    #[must_use]
    pub fn count(self) -> Option<usize> {
        match self.tag() {
            Tag::Array | Tag::Map | Tag::Struct => read_u32(self.bytes, 5).map(|n| n as usize),
            _ => None,
        }
    }

    /// Elements of an array or fields of a struct, in order; nothing for other types.
    #[must_use]
    pub fn elements(self) -> Values<'a> {
        match self.tag() {
            Tag::Array | Tag::Struct => Values { rest: self.body() },
            _ => Values { rest: &[] },
        }
    }

    /// Key and value of each entry of a map, in order; nothing for other types.
    #[must_use]
    pub fn entries(self) -> Entries<'a> {
        Entries { values: Values { rest: if self.tag() == Tag::Map { self.body() } else { &[] } } }
    }

    /// The encoded elements of a container, without its header.
    #[must_use]
    #[inline]
    pub fn body(self) -> &'a [u8] {
        self.bytes.get(CONTAINER_HEADER..).unwrap_or(&[])
    }

    /// The value under a string key of a map. Keys are compared as bytes, without decoding what is skipped.
    #[must_use]
    #[inline]
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        if self.tag() != Tag::Map {
            return None;
        }
        let mut rest = self.body();
        while !rest.is_empty() {
            let (name, after) = Self::split(rest)?;
            let (value, next) = Self::split(after)?;
            if name.bytes.len() == key.len() + 5 && name.tag() == Tag::String && same(&name.bytes[5..], key.as_bytes())
            {
                return Some(value);
            }
            rest = next;
        }
        None
    }

    /// The field at `index` of a struct.
    #[must_use]
    pub fn field_at(self, index: usize) -> Option<Value<'a>> {
        if self.tag() != Tag::Struct {
            return None;
        }
        self.elements().nth(index)
    }

    /// The field called `name`: of a struct through its schema, of a map by key.
    #[must_use]
    pub fn field(self, schema: Option<&Schema>, name: &str) -> Option<Value<'a>> {
        match self.tag() {
            Tag::Struct => self.field_at(schema?.field_index(name)?),
            _ => self.get(name),
        }
    }

    #[inline]
    fn fixed<const N: usize>(self) -> Option<[u8; N]> {
        self.bytes.get(1..1 + N)?.try_into().ok()
    }
}

/// Values one after another; stops at the end or at the first malformed one.
#[derive(Clone)]
pub struct Values<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        let (value, rest) = Value::split(self.rest)?;
        self.rest = rest;
        Some(value)
    }
}

/// Entries of a map.
#[derive(Clone)]
pub struct Entries<'a> {
    values: Values<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Value<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.values.next()?, self.values.next()?))
    }
}

/// Whether two slices are equal. Names are short, and in a guest the comparison that the compiler calls goes byte by byte.
#[must_use]
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let word = |chunk: Option<&[u8; 8]>| chunk.map(|chunk| u64::from_le_bytes(*chunk));
    if a.len() < 8 {
        return a.iter().zip(b).all(|(x, y)| x == y);
    }
    // The last word may overlap the one before.
    word(a.first_chunk()) == word(b.first_chunk())
        && word(a.last_chunk()) == word(b.last_chunk())
        && (a.len() <= 16
            || a.chunks_exact(8).zip(b.chunks_exact(8)).all(|(x, y)| word(x.first_chunk()) == word(y.first_chunk())))
}

#[inline]
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
