//! The `replacement` of `MaskField`, converted to each type once.

use millrace_sdk::prelude::*;

use crate::part::class_name;

/// A text that takes the place of text and numbers.
pub(crate) struct Replacement {
    text: String,
    number: Option<Number>,
}

/// A number as `java.math.BigDecimal` reads it.
#[derive(Debug, Clone, Copy)]
struct Number {
    /// `unscaled / 10^scale`; `None` when that has more digits than 38.
    exact: Option<(i128, i32)>,
    /// `BigDecimal.longValue`: without the fraction, and the low 64 bits of what is left.
    integer: i64,
    float: f64,
}

impl Replacement {
    pub(crate) fn new(text: String) -> Self {
        Self { number: Number::read(&text), text }
    }

    /// Writes the replacement as a value of the type of `value`.
    pub(crate) fn write(&self, writer: &mut Writer<'_>, value: Value<'_>) -> Result<()> {
        match value.tag() {
            Tag::String => writer.str(&self.text),
            Tag::Int8 => writer.int8(self.number()?.integer.to_le_bytes()[0].cast_signed()),
            Tag::Int16 => {
                let [low, high, ..] = self.number()?.integer.to_le_bytes();
                writer.int16(i16::from_le_bytes([low, high]));
            }
            Tag::Int32 => {
                let [a, b, c, d, ..] = self.number()?.integer.to_le_bytes();
                writer.int32(i32::from_le_bytes([a, b, c, d]));
            }
            Tag::Int64 => writer.int64(self.number()?.integer),
            #[allow(clippy::cast_possible_truncation, reason = "Java narrows the double")]
            Tag::Float32 => writer.float32(self.number()?.float as f32),
            Tag::Float64 => writer.float64(self.number()?.float),
            Tag::Decimal => {
                let (unscaled, scale) = self.decimal(value.as_decimal().map_or(0, |(scale, _)| scale))?;
                writer.decimal_i128(scale, unscaled);
            }
            _ => {
                let class = class_name(value);
                return Err(Error::data(format!("Cannot mask value of type class {class} with custom replacement.")));
            }
        }
        Ok(())
    }

    fn number(&self) -> Result<Number> {
        let text = &self.text;
        self.number.ok_or_else(|| Error::data(format!("Unable to convert {text} (class java.lang.String) to a number")))
    }

    /// The number at the scale of the field, which its schema prescribes; at its own when it has more digits than that.
    fn decimal(&self, wanted: i32) -> Result<(i128, i32)> {
        let (unscaled, scale) = self.number()?.exact.ok_or_else(|| {
            let text = &self.text;
            Error::data(format!(
                "Unable to convert {text} (class java.lang.String) to a number: it has more than 38 digits"
            ))
        })?;
        let zeros = u32::try_from(i64::from(wanted) - i64::from(scale)).ok();
        let longer = zeros.and_then(|zeros| unscaled.checked_mul(10i128.checked_pow(zeros)?));
        Ok(longer.map_or((unscaled, scale), |unscaled| (unscaled, wanted)))
    }
}

impl Number {
    /// `[+-] digits [. digits] [e [+-] digits]` with at least one digit.
    fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                (mantissa, exponent.parse::<i32>().ok().filter(|_| valid)?)
            }
            None => (text, 0),
        };
        let digits = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let valid = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !(valid(whole) && valid(fraction)) || whole.len() + fraction.len() == 0 {
            return None;
        }
        let negative = mantissa.starts_with('-');
        let digits = || whole.bytes().chain(fraction.bytes()).map(|byte| i128::from(byte - b'0'));
        let unscaled = digits().try_fold(0i128, |number, digit| number.checked_mul(10)?.checked_add(digit));
        let signed = unscaled.map(|unscaled| if negative { -unscaled } else { unscaled });
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let before_point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
        let mut integer = 0i64;
        for (digit, _) in digits().zip(0..before_point) {
            integer = integer.wrapping_mul(10).wrapping_add(i64::try_from(digit).unwrap_or(0));
        }
        let zeros = before_point - i64::try_from(digits().count()).ok()?;
        integer = integer.wrapping_mul(10i64.wrapping_pow(u32::try_from(zeros).unwrap_or(0)));
        Some(Self {
            exact: signed.map(|unscaled| (unscaled, scale)),
            integer: if negative { integer.wrapping_neg() } else { integer },
            float: text.parse().ok()?,
        })
    }
}
