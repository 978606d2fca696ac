//! `multipleOf` as people count: in decimal. In binary, as the validator computes it, 8.12 is no multiple of 0.01.

use jsonschema::{Keyword, ValidationError};
use serde_json::{Number, Value};

/// A number as the shortest text that stands for it: `digits` times ten to the power of `exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) digits: i128,
    pub(crate) exponent: i32,
}

impl Decimal {
    /// `None` for more digits than fit.
    pub(crate) fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}").parse().ok()?;
        let places = i32::try_from(fraction.len()).ok()?;
        Some(Self { digits, exponent: exponent.checked_sub(places)? })
    }

    /// Whether it is a whole multiple of `divisor`, which is not zero. Numbers too far apart to tell are not.
    fn is_multiple_of(self, divisor: Self) -> bool {
        if self.digits == 0 {
            return true;
        }
        let common = self.exponent.min(divisor.exponent);
        let scaled = |number: Self| {
            let shift = u32::try_from(number.exponent.checked_sub(common)?).ok()?;
            number.digits.checked_mul(10_i128.checked_pow(shift)?)
        };
        match (scaled(self), scaled(divisor)) {
            (Some(number), Some(divisor)) => number.checked_rem(divisor) == Some(0),
            _ => false,
        }
    }
}

/// The keyword.
pub(crate) struct MultipleOf(pub(crate) Decimal);

impl Keyword for MultipleOf {
    fn validate<'i>(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        let Decimal { digits, exponent } = self.0;
        let divisor = match usize::try_from(exponent.unsigned_abs()) {
            Ok(places) if exponent < 0 => {
                let text = format!("{digits:0>width$}", width = places + 1);
                let (whole, fraction) = text.split_at(text.len() - places);
                format!("{whole}.{fraction}")
            }
            _ if exponent > 0 => format!("{digits}e{exponent}"),
            _ => digits.to_string(),
        };
        Err(ValidationError::custom(format!("value is not a multiple of {divisor}")))
    }

    fn is_valid(&self, instance: &Value) -> bool {
        match instance {
            Value::Number(number) => Decimal::of(number).is_some_and(|number| number.is_multiple_of(self.0)),
            _ => true,
        }
    }
}
