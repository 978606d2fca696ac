//! Values as text, for people: JSON-like, cut to a length.

use std::fmt;

use super::{Tag, Value};

const MAX_SCALE: u32 = 10_000;

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag() {
            Tag::Null => f.write_str("null"),
            Tag::False => f.write_str("false"),
            Tag::True => f.write_str("true"),
            Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => write!(f, "{}", self.as_i64().unwrap_or_default()),
            Tag::Float32 => write!(f, "{:?}", self.as_f32().unwrap_or_default()),
            Tag::Float64 => write!(f, "{:?}", self.as_f64().unwrap_or_default()),
            Tag::String => write!(f, "{:?}", self.as_str().unwrap_or_default()),
            Tag::Bytes => write!(f, "<{} bytes>", self.as_bytes().map_or(0, <[u8]>::len)),
            Tag::Array | Tag::Struct => {
                f.write_str("[")?;
                for (i, element) in self.elements().enumerate() {
                    write!(f, "{}{element}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Tag::Map => {
                f.write_str("{")?;
                for (i, (key, value)) in self.entries().enumerate() {
                    write!(f, "{}{key}:{value}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("}")
            }
            Tag::Decimal => f.write_str(&self.decimal_text().unwrap_or_default()),
            Tag::Date => write!(f, "date({})", self.as_date().unwrap_or_default()),
            Tag::Time => write!(f, "time({})", self.as_time().unwrap_or_default()),
            Tag::Timestamp => write!(f, "timestamp({})", self.as_timestamp().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {self}", self.tag())
    }
}

impl Value<'_> {
    /// A decimal in plain notation (`BigDecimal.toPlainString`), exact; `None` for other types and for scales past 10,000,
    /// whose zeros would fill the memory.
    #[must_use]
    pub fn decimal_text(self) -> Option<String> {
        let (scale, unscaled) = self.as_decimal()?;
        if scale.unsigned_abs() > MAX_SCALE {
            return None;
        }
        let (negative, digits) = decimal_digits(unscaled);
        let mut text = digits;
        if scale > 0 {
            let scale = usize::try_from(scale).ok()?;
            if text.len() <= scale {
                text.insert_str(0, &"0".repeat(scale + 1 - text.len()));
            }
            text.insert(text.len() - scale, '.');
        } else if scale < 0 && text != "0" {
            text.push_str(&"0".repeat(usize::try_from(scale.unsigned_abs()).ok()?));
        }
        if negative {
            text.insert(0, '-');
        }
        Some(text)
    }
}

/// Sign and decimal digits of a big-endian two's complement integer, by repeated division: quadratic, but values are short.
pub(super) fn decimal_digits(unscaled: &[u8]) -> (bool, String) {
    if let Some(small) = to_i128(unscaled) {
        return (small < 0, small.unsigned_abs().to_string());
    }
    let negative = unscaled.first().is_some_and(|b| b & 0x80 != 0);
    let mut magnitude = unscaled.to_vec();
    if negative {
        for byte in &mut magnitude {
            *byte = !*byte;
        }
        for byte in magnitude.iter_mut().rev() {
            let (sum, carry) = byte.overflowing_add(1);
            *byte = sum;
            if !carry {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|b| *b != 0) {
        let mut remainder = 0u32;
        for byte in &mut magnitude {
            let current = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(current / 10).unwrap_or(0);
            remainder = current % 10;
        }
        digits.push(b'0' + u8::try_from(remainder).unwrap_or(0));
    }
    digits.reverse();
    (negative, String::from_utf8(digits).unwrap_or_default())
}

/// A big-endian two's complement integer of at most 16 bytes.
pub(crate) fn to_i128(bytes: &[u8]) -> Option<i128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let fill = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
    let mut wide = [fill; 16];
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}
