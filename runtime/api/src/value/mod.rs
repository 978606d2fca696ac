//! Tagged values: the encoded form in which keys, values and headers travel from converter to sink.
//!
//! One byte of tag, then the payload, little-endian. Everything of variable size carries its length in bytes first, so a
//! reader skips what it does not want without looking inside:
//!
//! | tag | payload |
//! |---|---|
//! | `Null`, `False`, `True` | none |
//! | `Int8` `Int16` `Int32` `Int64` `Float32` `Float64` | 1, 2, 4, 8, 4, 8 bytes |
//! | `String`, `Bytes` | u32 length, bytes (UTF-8 for strings) |
//! | `Array` | u32 length of the rest, u32 count, values |
//! | `Map` | u32 length of the rest, u32 count of entries, key and value in turn |
//! | `Struct` | u32 length of the rest, u32 count of fields, values in the order of the schema's fields |
//! | `Decimal` | u32 length of the rest, i32 scale, unscaled value as big-endian two's complement |
//! | `Date` (i32 days) `Time` (i32 ms) `Timestamp` (i64 ms) | since the epoch or midnight, UTC |
//!
//! This format is shared with guests and is frozen with `millrace:connect@0.1.0` (invariant 7).

mod cursor;
mod display;
mod distinct;
pub mod java;
mod validate;
mod writer;

pub use cursor::{Entries, Value, Values, same};
pub use validate::{MAX_DEPTH, validate};
pub(crate) use writer::copy;
pub use writer::{Open, Writer};

/// Bytes before the first element of an array, map or struct: tag, length, count.
pub(crate) const CONTAINER_HEADER: usize = 9;

/// First byte of every encoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tag {
    /// No value.
    Null = 0,
    /// Boolean false.
    False = 1,
    /// Boolean true.
    True = 2,
    /// Signed 8-bit integer.
    Int8 = 3,
    /// Signed 16-bit integer.
    Int16 = 4,
    /// Signed 32-bit integer.
    Int32 = 5,
    /// Signed 64-bit integer.
    Int64 = 6,
    /// IEEE 754 single.
    Float32 = 7,
    /// IEEE 754 double.
    Float64 = 8,
    /// UTF-8 text.
    String = 9,
    /// Bytes.
    Bytes = 10,
    /// Values of one schema, or of any without a schema.
    Array = 11,
    /// Key-value pairs in order.
    Map = 12,
    /// Fields by position; names live in the schema.
    Struct = 13,
    /// Arbitrary-precision decimal.
    Decimal = 14,
    /// Days since the epoch.
    Date = 15,
    /// Milliseconds since midnight.
    Time = 16,
    /// Milliseconds since the epoch.
    Timestamp = 17,
}

/// In [`SIZES`]: the payload carries its own length.
pub(crate) const PREFIXED: u8 = 0;

/// Bytes of a value with its tag, by tag; [`PREFIXED`] when the value says.
pub(crate) const SIZES: [u8; 18] =
    [1, 1, 1, 2, 3, 5, 9, 5, 9, PREFIXED, PREFIXED, PREFIXED, PREFIXED, PREFIXED, PREFIXED, 5, 5, 9];

impl Tag {
    /// The tag of a byte, or `None` for a byte that is no tag.
    #[must_use]
    #[inline]
    pub fn from_byte(byte: u8) -> Option<Self> {
        // The compiler sees that this is the byte itself, and looks nothing up.
        Some(match byte {
            0 => Tag::Null,
            1 => Tag::False,
            2 => Tag::True,
            3 => Tag::Int8,
            4 => Tag::Int16,
            5 => Tag::Int32,
            6 => Tag::Int64,
            7 => Tag::Float32,
            8 => Tag::Float64,
            9 => Tag::String,
            10 => Tag::Bytes,
            11 => Tag::Array,
            12 => Tag::Map,
            13 => Tag::Struct,
            14 => Tag::Decimal,
            15 => Tag::Date,
            16 => Tag::Time,
            17 => Tag::Timestamp,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
