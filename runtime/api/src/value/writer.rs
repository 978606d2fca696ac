//! Writing tagged values in one pass.

use super::{CONTAINER_HEADER, Tag, Value};

/// Appends encoded values to a buffer, usually the heap of a batch.
///
/// Containers are opened and closed; their length and count are patched when they close, so nothing is built beforehand:
///
/// ```
/// # use millrace_api::{Value, Writer};
/// let mut bytes = Vec::new();
/// let mut writer = Writer::new(&mut bytes);
/// let order = writer.begin_map();
/// writer.str("orderId");
/// writer.int64(7);
/// writer.end(order, 1);
/// assert_eq!(Value::of(&bytes).get("orderId").and_then(Value::as_i64), Some(7));
/// ```
pub struct Writer<'b> {
    pub(super) out: &'b mut Vec<u8>,
}

/// An open container; give it back to [`Writer::end`].
#[must_use = "a container must be closed with Writer::end"]
#[derive(Debug)]
pub struct Open {
    pub(super) at: usize,
}

impl<'b> Writer<'b> {
    /// A writer that appends to `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Bytes in the buffer so far; with [`Writer::truncate`] it undoes a failed value.
    #[must_use]
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Drops everything after `position`.
    pub fn truncate(&mut self, position: usize) {
        self.out.truncate(position);
    }

    /// Null.
    #[inline]
    pub fn null(&mut self) {
        self.out.push(Tag::Null as u8);
    }

    /// A boolean.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { Tag::True } else { Tag::False } as u8);
    }

    /// An 8-bit integer.
    pub fn int8(&mut self, value: i8) {
        self.tagged(Tag::Int8, &value.to_le_bytes());
    }

    /// A 16-bit integer.
    pub fn int16(&mut self, value: i16) {
        self.tagged(Tag::Int16, &value.to_le_bytes());
    }

    /// A 32-bit integer.
    pub fn int32(&mut self, value: i32) {
        self.tagged(Tag::Int32, &value.to_le_bytes());
    }

    /// A 64-bit integer.
    #[inline]
    pub fn int64(&mut self, value: i64) {
        self.tagged(Tag::Int64, &value.to_le_bytes());
    }

    /// A single.
    pub fn float32(&mut self, value: f32) {
        self.tagged(Tag::Float32, &value.to_le_bytes());
    }

    /// A double.
    #[inline]
    pub fn float64(&mut self, value: f64) {
        self.tagged(Tag::Float64, &value.to_le_bytes());
    }

    /// Text.
    #[inline]
    pub fn str(&mut self, value: &str) {
        self.prefixed(Tag::String, value.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.prefixed(Tag::Bytes, value);
    }

    /// A decimal from its scale and unscaled big-endian two's complement; see [`Writer::decimal_i128`].
    pub fn decimal(&mut self, scale: i32, unscaled: &[u8]) {
        self.out.push(Tag::Decimal as u8);
        self.out.extend_from_slice(&length(unscaled.len() + 4));
        self.out.extend_from_slice(&scale.to_le_bytes());
        self.out.extend_from_slice(unscaled);
    }

    /// A decimal whose unscaled value fits 128 bits, in the shortest form (as `BigInteger.toByteArray`).
    pub fn decimal_i128(&mut self, scale: i32, unscaled: i128) {
        let bytes = unscaled.to_be_bytes();
        let mut start = 0;
        while start < 15 {
            let redundant = if bytes[start] == 0 {
                bytes[start + 1] < 0x80
            } else {
                bytes[start] == 0xff && bytes[start + 1] >= 0x80
            };
            if !redundant {
                break;
            }
            start += 1;
        }
        self.decimal(scale, &bytes[start..]);
    }

    /// Days since the epoch.
    pub fn date(&mut self, days: i32) {
        self.tagged(Tag::Date, &days.to_le_bytes());
    }

    /// Milliseconds since midnight.
    pub fn time(&mut self, millis: i32) {
        self.tagged(Tag::Time, &millis.to_le_bytes());
    }

    /// Milliseconds since the epoch.
    pub fn timestamp(&mut self, millis: i64) {
        self.tagged(Tag::Timestamp, &millis.to_le_bytes());
    }

    /// A value as it is.
    #[inline]
    pub fn value(&mut self, value: Value<'_>) {
        copy(value.bytes(), self.out);
    }

    /// Encoded values as they are, for instance most of the body of a container that is being changed.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        copy(encoded, self.out);
    }

    /// As [`Writer::raw`] for `len` bytes of `from` that start at `start`. This is faster for a few bytes that others follow, as
    /// those may be copied as well and dropped again.
    #[inline]
    pub fn raw_part(&mut self, from: &[u8], start: usize, len: usize) {
        let bytes = from.get(start..).unwrap_or_default();
        let end = self.out.len().saturating_add(len);
        if let (Some(block), true) = (bytes.first_chunk::<32>(), len <= 32) {
            self.out.extend_from_slice(block);
            self.out.truncate(end);
        } else if let (Some(block), true) = (bytes.first_chunk::<64>(), len <= 64) {
            self.out.extend_from_slice(block);
            self.out.truncate(end);
        } else {
            self.raw(bytes.get(..len).unwrap_or_default());
        }
    }

    /// Opens an array; then its elements.
    pub fn begin_array(&mut self) -> Open {
        self.begin(Tag::Array)
    }

    /// Opens a map; then key and value in turn.
    #[inline]
    pub fn begin_map(&mut self) -> Open {
        self.begin(Tag::Map)
    }

    /// Opens a struct; then its fields in the order of its schema.
    pub fn begin_struct(&mut self) -> Open {
        self.begin(Tag::Struct)
    }

    /// Closes a container with `count` elements, entries or fields.
    #[inline]
    #[allow(clippy::needless_pass_by_value, reason = "what is closed is gone: nobody closes it twice")]
    pub fn end(&mut self, open: Open, count: usize) {
        let body = self.out.len().saturating_sub(open.at + 5);
        if let Some(header) = self.out.get_mut(open.at + 1..open.at + CONTAINER_HEADER) {
            header[..4].copy_from_slice(&length(body));
            header[4..].copy_from_slice(&length(count));
        }
    }

    #[inline]
    fn begin(&mut self, tag: Tag) -> Open {
        let at = self.out.len();
        self.out.extend_from_slice(&[tag as u8, 0, 0, 0, 0, 0, 0, 0, 0]);
        Open { at }
    }

    #[inline]
    fn tagged(&mut self, tag: Tag, payload: &[u8]) {
        self.out.push(tag as u8);
        self.out.extend_from_slice(payload);
    }

    #[inline]
    fn prefixed(&mut self, tag: Tag, payload: &[u8]) {
        self.out.push(tag as u8);
        self.out.extend_from_slice(&length(payload.len()));
        copy(payload, self.out);
    }
}

/// Appends bytes. In a guest a copy of unknown length is a slow function, so short ones go block by block.
#[inline]
pub(crate) fn copy(bytes: &[u8], out: &mut Vec<u8>) {
    const SHORT: usize = 128;
    if cfg!(not(target_arch = "wasm32")) {
        out.extend_from_slice(bytes);
    } else if bytes.len() > SHORT {
        bulk(bytes, out);
    } else {
        blocks(bytes, out);
    }
}

#[inline]
pub(super) fn blocks(bytes: &[u8], out: &mut Vec<u8>) {
    let end = out.len() + bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
        out.extend_from_slice(first);
        for block in bytes.get(16..).unwrap_or_default().as_chunks::<16>().0 {
            out.extend_from_slice(block);
        }
        // The last block may overlap the one before.
        out.truncate(end - 16);
        out.extend_from_slice(last);
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        out.extend_from_slice(first);
        out.truncate(end - 8);
        out.extend_from_slice(last);
    } else {
        for byte in bytes {
            out.push(*byte);
        }
    }
}

/// Appends many bytes: in a guest with the host's copy, which is dear to call and fast then.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "bulk-memory"))]
#[inline(never)]
fn bulk(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
}

/// A length as it is stored. Batches refuse to grow past [`crate::batch::MAX_HEAP`], far below `u32::MAX`.
#[inline]
fn length(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}
