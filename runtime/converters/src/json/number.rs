//! JSON numbers, read once and converted as Jackson's nodes convert.

use millrace_api::Result;
use millrace_api::value::java::parse_decimal;

use super::cursor::Cursor;

/// Jackson's limit for the length of a number.
const MAX_LEN: usize = 1_000;

/// A number and its text.
pub(super) struct Number<'j> {
    text: &'j [u8],
    negative: bool,
    /// The digits without sign, point and exponent, modulo 2^64.
    digits: u64,
    /// How many of them there are after leading zeros; up to 19 `digits` is exact.
    significant: usize,
    /// Neither point nor exponent.
    integral: bool,
    /// Power of ten that `digits` is multiplied with.
    exponent: i64,
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

impl<'j> Number<'j> {
    #[inline]
    pub(super) fn read(cursor: &mut Cursor<'j>) -> Result<Self> {
        let start = cursor.at;
        let negative = cursor.peek() == b'-';
        cursor.at += usize::from(negative);
        let mut number = Self { text: &[], negative, digits: 0, significant: 0, integral: true, exponent: 0 };
        if number.digits(cursor) == 0 {
            return Err(cursor.fail("a digit is expected"));
        }
        if matches!(cursor.peek(), b'.' | b'e' | b'E') {
            number.rest(cursor)?;
        }
        number.text = cursor.json.get(start..cursor.at).unwrap_or_default();
        let len = cursor.at - start;
        if len > MAX_LEN && len > MAX_LEN + usize::from(negative) + usize::from(!number.integral) {
            return Err(cursor.fail("a number has more than 1,000 digits"));
        }
        Ok(number)
    }

    #[inline]
    fn digits(&mut self, cursor: &mut Cursor<'j>) -> usize {
        let start = cursor.at;
        loop {
            let digit = cursor.peek().wrapping_sub(b'0');
            if digit > 9 {
                return cursor.at - start;
            }
            self.digits = self.digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.significant += usize::from(self.significant > 0 || digit > 0);
            cursor.at += 1;
        }
    }

    fn rest(&mut self, cursor: &mut Cursor<'j>) -> Result<()> {
        self.integral = false;
        let mut fraction = 0;
        if cursor.peek() == b'.' {
            cursor.at += 1;
            fraction = self.digits(cursor);
            if fraction == 0 {
                return Err(cursor.fail("a digit is expected after the point"));
            }
        }
        let mut exponent = 0i64;
        if matches!(cursor.peek(), b'e' | b'E') {
            cursor.at += 1;
            let negative = cursor.peek() == b'-';
            cursor.at += usize::from(matches!(cursor.peek(), b'+' | b'-'));
            let start = cursor.at;
            while cursor.peek().is_ascii_digit() {
                exponent = exponent.saturating_mul(10).saturating_add(i64::from(cursor.peek() - b'0'));
                cursor.at += 1;
            }
            if cursor.at == start {
                return Err(cursor.fail("a digit is expected in the exponent"));
            }
            if negative {
                exponent = -exponent;
            }
        }
        // As a decimal has it: the negated exponent must fit 32 bits.
        let scale = i64::try_from(fraction).unwrap_or(i64::MAX).saturating_sub(exponent);
        if i32::try_from(scale).is_err() || i32::try_from(exponent).is_err() {
            return Err(cursor.fail("an exponent is out of range"));
        }
        self.exponent = -scale;
        Ok(())
    }

    /// Whether it has neither point nor exponent.
    #[inline]
    pub(super) fn is_integral(&self) -> bool {
        self.integral
    }

    /// Whether it is an integer of 32 bits (`JsonNode.isInt`).
    pub(super) fn is_int(&self) -> bool {
        self.integral && self.significant <= 19 && i32::try_from(self.signed_digits()).is_ok()
    }

    fn signed_digits(&self) -> i128 {
        let digits = i128::from(self.digits);
        if self.negative { -digits } else { digits }
    }

    /// `JsonNode.longValue`: the lowest 64 bits of the whole part.
    #[inline]
    pub(super) fn long(&self) -> i64 {
        let whole = if self.integral { self.digits } else { self.whole_part() };
        (if self.negative { whole.wrapping_neg() } else { whole }).cast_signed()
    }

    /// The whole part modulo 2^64. Past 10^64 nothing is left of it, as 2^64 divides that.
    fn whole_part(&self) -> u64 {
        if self.exponent >= 0 {
            let power = u32::try_from(self.exponent.min(64)).unwrap_or(64);
            return self.digits.wrapping_mul(10u64.wrapping_pow(power));
        }
        let mantissa = self.text.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or_default();
        let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit());
        let dropped = usize::try_from(-self.exponent).unwrap_or(usize::MAX);
        let kept = digits.clone().count().saturating_sub(dropped);
        digits.take(kept).fold(0, |n, digit| n.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
    }

    /// `JsonNode.doubleValue`: correctly rounded; zeros have no sign, as decimals have none.
    #[inline]
    pub(super) fn double(&self) -> f64 {
        if self.significant <= 15 {
            // Both factors are exact, so one operation rounds correctly.
            let digits = self.digits as f64;
            let power = usize::try_from(self.exponent.unsigned_abs()).ok().and_then(|power| POWERS.get(power));
            let magnitude = match power {
                Some(power) if self.exponent < 0 => Some(digits / power),
                Some(power) => Some(digits * power),
                None => (self.digits == 0).then_some(0.0),
            };
            if let Some(magnitude) = magnitude {
                return if self.negative && self.digits > 0 { -magnitude } else { magnitude };
            }
        }
        self.as_str().parse().unwrap_or(f64::NAN)
    }

    /// `JsonNode.floatValue`: rounded once, from the text.
    pub(super) fn float(&self) -> f32 {
        if self.significant == 0 { 0.0 } else { self.as_str().parse().unwrap_or(f32::NAN) }
    }

    /// `JsonNode.decimalValue` as scale and unscaled value.
    pub(super) fn decimal(&self) -> Option<(i32, Vec<u8>)> {
        parse_decimal(self.as_str())
    }

    fn as_str(&self) -> &'j str {
        std::str::from_utf8(self.text).unwrap_or_default()
    }
}
