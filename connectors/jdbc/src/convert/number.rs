//! Numbers, exactly or not at all.

use std::fmt::Write as _;

use millrace_api::Value;
use millrace_api::value::Tag;

use super::Misfit;

/// Longest numeric text that is passed on; databases have fewer digits than this.
const LONGEST_NUMBER: usize = 1_000;

/// A whole number, if that is what the value is.
pub(crate) fn integer(value: Value<'_>) -> Result<i64, Misfit> {
    const RANGE: Misfit = "it is out of the column's range";
    match value.tag() {
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => value.as_i64().ok_or(RANGE),
        Tag::True | Tag::False => Ok(i64::from(value.as_bool() == Some(true))),
        Tag::Float32 | Tag::Float64 => {
            let number = value.as_f64().unwrap_or(f64::NAN);
            if number.fract() != 0.0 {
                return Err("it has a fraction");
            }
            // Beyond 2^53 a double does not say which whole number is meant.
            if number.abs() <= 9_007_199_254_740_992.0 {
                #[allow(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
                return Ok(number as i64);
            }
            Err(RANGE)
        }
        Tag::String => value.as_str().and_then(|text| text.trim().parse().ok()).ok_or("the text is no whole number"),
        Tag::Decimal => whole(value)?.parse().map_err(|_| RANGE),
        _ => Err("it is no number"),
    }
}

/// A whole number from 0 to 2^64 - 1.
pub(crate) fn unsigned(value: Value<'_>) -> Result<u64, Misfit> {
    const RANGE: Misfit = "it is out of the column's range";
    match value.tag() {
        Tag::String => {
            value.as_str().and_then(|text| text.trim().parse().ok()).ok_or("the text is no whole number from 0")
        }
        Tag::Decimal => whole(value)?.parse().map_err(|_| RANGE),
        _ => u64::try_from(integer(value)?).map_err(|_| RANGE),
    }
}

/// Digits of a decimal without a fraction.
fn whole(value: Value<'_>) -> Result<String, Misfit> {
    let text = value.decimal_text().ok_or("its scale is too large")?;
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => Ok(whole.to_owned()),
        Some(_) => Err("it has a fraction"),
        None => Ok(text),
    }
}

/// A floating point number.
pub(crate) fn float(value: Value<'_>) -> Result<f64, Misfit> {
    match value.tag() {
        Tag::Float32 | Tag::Float64 => value.as_f64().ok_or("it is no number"),
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => Ok(value.as_i64().unwrap_or_default() as f64),
        Tag::True | Tag::False => Ok(if value.as_bool() == Some(true) { 1.0 } else { 0.0 }),
        Tag::String => value.as_str().and_then(|text| text.trim().parse().ok()).ok_or("the text is no number"),
        Tag::Decimal => value.decimal_text().and_then(|text| text.parse().ok()).ok_or("its scale is too large"),
        _ => Err("it is no number"),
    }
}

/// A boolean, or what stands for one.
pub(crate) fn boolean(value: Value<'_>) -> Result<bool, Misfit> {
    const NEITHER: Misfit = "it is neither true nor false";
    match value.tag() {
        Tag::True => Ok(true),
        Tag::False => Ok(false),
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => match value.as_i64() {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            _ => Err(NEITHER),
        },
        Tag::String => match value.as_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
            _ => Err(NEITHER),
        },
        _ => Err(NEITHER),
    }
}

/// Appends a float as the shortest decimal that reads back as the same float, without an exponent: 19.99 is 19.99. Returns
/// where it begins.
pub(crate) fn plain(value: Value<'_>, scratch: &mut String) -> Result<usize, Misfit> {
    let start = scratch.len();
    let number = value.as_f64().unwrap_or(f64::NAN);
    if !number.is_finite() {
        return Err("decimals have no NaN and no infinities");
    }
    // A single is written from its own digits: widened first, 0.1 would be 0.10000000149011612.
    let written = match value.as_f32() {
        Some(single) => write!(scratch, "{single}"),
        None => write!(scratch, "{number}"),
    };
    written.map(|()| start).map_err(|_| "it is no number")
}

/// Whether a text is a number as SQL writes it: `-12.50`, `.5`, `1e3`.
pub(crate) fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    // A long exponent is a number no column has, and some databases write all of its zeros first.
    let exponent_fits = exponent.is_none_or(|exponent| (1..=4).contains(&exponent.len()) && digits(exponent));
    mantissa_fits && exponent_fits && text.len() <= LONGEST_NUMBER
}
