//! Base64 as Jackson reads it, and integers as `BigInteger` writes them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use millrace_api::value::Tag;

/// Bits past the last byte are ignored, padding is required.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Longest unscaled value of a decimal; text from longer ones would cost its square.
const MAX_DECIMAL_BYTES: usize = 1_000;

/// The bytes of base64 text; white space may stand before each group of four.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    if text.iter().all(|byte| *byte > b' ') {
        return ENGINE.decode(text).ok();
    }
    let mut dense = Vec::with_capacity(text.len());
    for byte in text {
        if *byte > b' ' {
            dense.push(*byte);
        } else if dense.len() % 4 != 0 {
            return None;
        }
    }
    ENGINE.decode(dense).ok()
}

/// Two's complement without redundant leading bytes. `None` when there are no bytes, or too many for a decimal.
pub(super) fn shortest(bytes: &[u8]) -> Option<&[u8]> {
    let redundant = bytes.windows(2).take_while(|pair| matches!(pair, [0, 0..0x80] | [0xff, 0x80..=0xff]));
    let unscaled = bytes.get(redundant.count()..)?;
    (1..=MAX_DECIMAL_BYTES).contains(&unscaled.len()).then_some(unscaled)
}

/// Java class of a value, for messages.
pub(super) fn java_class(tag: Tag) -> &'static str {
    match tag {
        Tag::Null => "null",
        Tag::False | Tag::True => "class java.lang.Boolean",
        Tag::Int8 => "class java.lang.Byte",
        Tag::Int16 => "class java.lang.Short",
        Tag::Int32 => "class java.lang.Integer",
        Tag::Int64 => "class java.lang.Long",
        Tag::Float32 => "class java.lang.Float",
        Tag::Float64 => "class java.lang.Double",
        Tag::String => "class java.lang.String",
        Tag::Bytes => "class [B",
        Tag::Array => "class java.util.ArrayList",
        Tag::Map => "class java.util.HashMap",
        Tag::Struct => "class org.apache.kafka.connect.data.Struct",
        Tag::Decimal => "class java.math.BigDecimal",
        Tag::Date | Tag::Time | Tag::Timestamp => "class java.util.Date",
    }
}
