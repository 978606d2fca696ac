//! `Float.parseFloat` and `Double.parseDouble`.

/// A float; `None` when `text` is no number.
pub(super) fn parse_f32(text: &str) -> Option<f32> {
    match Literal::of(text)? {
        Literal::Decimal(text) => text.parse().ok(),
        #[allow(clippy::cast_possible_truncation, reason = "it has the digits of a float")]
        Literal::Hexadecimal(number) => Some(number.round(24, -149) as f32),
    }
}

/// A double; `None` when `text` is no number.
pub(super) fn parse_f64(text: &str) -> Option<f64> {
    match Literal::of(text)? {
        Literal::Decimal(text) => text.parse().ok(),
        Literal::Hexadecimal(number) => Some(number.round(53, -1074)),
    }
}

/// A number in Java's notation.
enum Literal<'t> {
    /// As Rust reads it, too; also `NaN` and `Infinity`.
    Decimal(&'t str),
    Hexadecimal(Hexadecimal),
}

/// `bits * 2^exponent`. The lowest bit is set when bits below it were lost, so that the number rounds as the whole would.
struct Hexadecimal {
    negative: bool,
    bits: u64,
    exponent: i64,
}

impl<'t> Literal<'t> {
    /// Blanks around a number do not count, and neither does a suffix that tells its type.
    fn of(text: &'t str) -> Option<Self> {
        let text = text.trim_matches(|c| c <= ' ');
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if matches!(unsigned, "NaN" | "Infinity") {
            return Some(Self::Decimal(text));
        }
        let number = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
        if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
            let digits = digits.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(digits);
            return Hexadecimal::of(text.starts_with('-'), digits).map(Self::Hexadecimal);
        }
        // What is left to refuse are the names that Rust has for infinity and what is no number.
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        plain.then_some(Self::Decimal(number))
    }
}

impl Hexadecimal {
    /// `digits [. digits] p exponent`, after the prefix.
    fn of(negative: bool, text: &str) -> Option<Self> {
        let (mantissa, power) = text.split_once(['p', 'P'])?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let mut number = Self { negative, bits: 0, exponent: exponent(power)? };
        for (digits, step) in [(whole, 0), (fraction, -4)] {
            for digit in digits.chars() {
                number.push(digit.to_digit(16)?.into(), step);
            }
        }
        Some(number)
    }

    /// Appends a digit, which lies behind the point when `step` is -4.
    fn push(&mut self, digit: u64, step: i64) {
        if self.bits >> 60 == 0 {
            self.bits = self.bits << 4 | digit;
            self.exponent = self.exponent.saturating_add(step);
        } else {
            self.bits |= u64::from(digit != 0);
            self.exponent = self.exponent.saturating_add(step + 4);
        }
    }

    /// The closest number of `digits` binary digits, none of them worth less than `2^lowest`; half-way the even one.
    fn round(&self, digits: i64, lowest: i64) -> f64 {
        let length = 64 - i64::from(self.bits.leading_zeros());
        let lost = (length - digits).max(lowest.saturating_sub(self.exponent)).max(0);
        let bits = u128::from(self.bits);
        let (bits, exponent) = match u32::try_from(lost) {
            Ok(0) => (bits, self.exponent),
            Ok(lost) if lost <= 64 => {
                let (kept, rest, half) = (bits >> lost, bits & ((1 << lost) - 1), 1 << (lost - 1));
                let up = rest > half || (rest == half && kept & 1 == 1);
                (kept + u128::from(up), self.exponent + i64::from(lost))
            }
            _ => (0, 0),
        };
        let magnitude = scale(bits as f64, exponent);
        if self.negative { -magnitude } else { magnitude }
    }
}

/// `number * 2^exponent`, which is exact: in steps, as powers of two end long before the numbers that they lead to.
fn scale(mut number: f64, exponent: i64) -> f64 {
    let mut rest = exponent.clamp(-4_000, 4_000);
    while rest != 0 {
        let step = rest.clamp(-1_000, 1_000);
        number *= 2f64.powi(i32::try_from(step).unwrap_or(0));
        rest -= step;
    }
    number
}

/// An exponent; one that is too long for a number is too large for any float.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let limit = 1 << 40;
    let magnitude = digits.parse::<i64>().map_or(limit, |exponent| exponent.min(limit));
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}
