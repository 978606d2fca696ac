//! Numbers of the three families, compared by value.

use std::cmp::Ordering;

use millrace_sdk::prelude::*;

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Any integer.
    Int(i128),
    /// `unscaled / 10^scale`.
    Decimal(i128, i32),
    /// Either float.
    Float(f64),
}

impl Number {
    /// The number a value holds; `None` for what is no number, and for decimals of more than 38 digits.
    pub(crate) fn of(value: Value<'_>) -> Option<Self> {
        if let Some(number) = value.as_i64() {
            return Some(Self::Int(number.into()));
        }
        if let Some(number) = value.as_f64() {
            return Some(Self::Float(number));
        }
        let (scale, unscaled) = value.as_decimal()?;
        let negative = unscaled.first()? & 0x80 != 0;
        let mut bytes = [if negative { 0xff } else { 0 }; 16];
        let at = bytes.len().checked_sub(unscaled.len())?;
        bytes.get_mut(at..)?.copy_from_slice(unscaled);
        Some(Self::Decimal(i128::from_be_bytes(bytes), scale))
    }

    /// Writes a number, null for none. An integer too large for its type becomes a decimal.
    pub(crate) fn write(number: Option<Self>, writer: &mut Writer<'_>) {
        match number {
            None => writer.null(),
            Some(Self::Float(number)) => writer.float64(number),
            Some(Self::Decimal(unscaled, scale)) => writer.decimal_i128(scale, unscaled),
            Some(Self::Int(number)) => match i64::try_from(number) {
                Ok(number) => writer.int64(number),
                Err(_) => writer.decimal_i128(0, number),
            },
        }
    }

    /// The nearest float.
    pub(crate) fn float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
            // Correctly rounded, which dividing by a power of ten is not.
            Self::Decimal(unscaled, scale) => {
                format!("{unscaled}e{}", i64::from(scale).saturating_neg()).parse().unwrap_or(f64::NAN)
            }
        }
    }

    /// Total order: by value, and between equal values of different types by type, so that the smallest of several does not
    /// depend on which came first.
    pub(crate) fn order(self, other: Self) -> Ordering {
        let rank = |number| match number {
            Self::Int(_) => 0,
            Self::Decimal(_, scale) => 1 + i64::from(scale),
            Self::Float(_) => i64::MAX,
        };
        let by_value = match (self, other) {
            (Self::Float(a), Self::Float(b)) => return a.total_cmp(&b),
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Decimal(a, s), Self::Decimal(b, t)) => match align(a, s, b, t) {
                Some((a, b, _)) => a.cmp(&b),
                None => self.float().total_cmp(&other.float()),
            },
            _ => self.float().total_cmp(&other.float()),
        };
        by_value.then(rank(self).cmp(&rank(other)))
    }
}

/// Two decimals at the larger of their scales; `None` when that takes more digits than there are.
pub(crate) fn align(a: i128, a_scale: i32, b: i128, b_scale: i32) -> Option<(i128, i128, i32)> {
    let scale = a_scale.max(b_scale);
    let to_scale = |unscaled: i128, from: i32| {
        unscaled.checked_mul(10i128.checked_pow(u32::try_from(i64::from(scale) - i64::from(from)).ok()?)?)
    };
    Some((to_scale(a, a_scale)?, to_scale(b, b_scale)?, scale))
}
