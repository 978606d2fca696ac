//! `java.math.BigDecimal` from and to text.

use super::integer;
use crate::value::display::decimal_digits;
use crate::value::validate::MAX_DECIMAL_BYTES;

/// Appends `BigDecimal.toString()`: plain while the exponent is small, `1.23E-10` and `1E+5` else.
pub fn decimal(scale: i32, unscaled: &[u8], out: &mut Vec<u8>) {
    let (negative, digits) = decimal_digits(unscaled);
    let digits = if digits.is_empty() { "0" } else { &digits };
    let scale = i64::from(scale);
    let adjusted = i64::try_from(digits.len()).unwrap_or_default() - 1 - scale;
    if negative {
        out.push(b'-');
    }
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
    } else if scale > 0 && adjusted >= -6 {
        let scale = usize::try_from(scale).unwrap_or_default();
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        out.extend_from_slice(whole.as_bytes());
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    } else {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first.as_bytes());
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest.as_bytes());
        }
        if adjusted != 0 {
            out.extend_from_slice(if adjusted > 0 { b"E+" } else { b"E" });
            integer(adjusted, out);
        }
    }
}

/// `new BigDecimal(text)` as scale and unscaled two's complement. `None` when the text is no decimal number, its scale does not
/// fit an `i32`, or it has more digits than a value may have.
#[must_use]
pub fn parse_decimal(text: &str) -> Option<(i32, Vec<u8>)> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if whole.len() + fraction.len() == 0 || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let scale = i32::try_from(i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?).ok()?;
    let significant = digits().skip_while(|digit| *digit == b'0');
    Some((scale, unscaled(negative, significant)?))
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Base 2^32 from decimal digits, nine at a time, then the shortest two's complement.
fn unscaled(negative: bool, digits: impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits.collect();
    if digits.len() > MAX_DECIMAL_BYTES * 12 / 5 {
        return None;
    }
    let mut limbs: Vec<u32> = Vec::new();
    let first = digits.len() % 9;
    let (head, tail) = digits.split_at(first);
    for chunk in std::iter::once(head).chain(tail.chunks(9)) {
        let mut carry = chunk.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
        let factor = 10u64.pow(u32::try_from(chunk.len()).ok()?);
        for limb in &mut limbs {
            let wide = u64::from(*limb) * factor + carry;
            *limb = u32::try_from(wide & 0xffff_ffff).ok()?;
            carry = wide >> 32;
        }
        if carry > 0 {
            limbs.push(u32::try_from(carry).ok()?);
        }
    }
    let mut bytes = vec![0];
    bytes.extend(limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()));
    if negative {
        negate(&mut bytes);
    }
    let redundant =
        bytes.windows(2).take_while(|pair| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80));
    let start = redundant.count();
    bytes.drain(..start);
    Some(bytes)
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
        (*byte, carry) = (sum, overflow);
    }
}
