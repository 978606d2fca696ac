//! Base64 as Jackson reads it, and integers as `BigInteger` writes them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

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
