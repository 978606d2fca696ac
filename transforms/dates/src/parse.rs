//! Reading a moment out of a text: from its beginning, as far as the pattern goes; what follows is ignored.

use crate::calendar::Day;
use crate::fields::{Field, Fields};
use crate::names::{ERAS, HALVES, MONTHS, WEEKDAYS, ZONES, short};
use crate::pattern::Item;
use crate::{DAY, DateFormat};

impl DateFormat {
    /// Milliseconds since the epoch, or `None` when the text does not match the pattern.
    ///
    /// Years of two digits are placed within 80 years before and 20 years after `now`.
    #[must_use]
    pub fn parse(&self, text: &str, now: i64) -> Option<i64> {
        let mut scan = Scan { text: text.as_bytes(), at: 0, fields: Fields::default(), century: None, now };
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Literal(literal) => scan.literal(literal)?,
                Item::Field(letter, count) => {
                    let adjacent =
                        matches!(self.items.get(index + 1), Some(Item::Field(next, n)) if is_number(*next, *n));
                    scan.field(*letter, *count, adjacent)?;
                }
            }
        }
        // A text of which nothing was used did not match.
        if scan.at == 0 { None } else { scan.finish() }
    }
}

/// Whether a field is read as a number, which ends the one before it by counting digits.
fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' => count <= 2,
        'G' | 'E' | 'a' | 'z' | 'Z' | 'X' => false,
        _ => true,
    }
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
    fields: Fields,
    /// Start of the century in which a year of two digits was placed, when it is the first year of it.
    century: Option<i64>,
    now: i64,
}

impl<'t> Scan<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest().starts_with(literal.as_bytes()).then(|| self.at += literal.len())
    }

    fn field(&mut self, letter: char, count: usize, adjacent: bool) -> Option<()> {
        let start = self.at;
        self.at += self.rest().iter().take_while(|byte| matches!(**byte, b' ' | b'\t')).count();
        self.peek()?;
        let limit = adjacent.then_some(start + count);
        match letter {
            'G' => self.text_of(start, Field::Era, &ERAS, 0),
            'E' => self.text_of(start, Field::DayOfWeek, &WEEKDAYS, 1),
            'a' => self.text_of(start, Field::Half, &HALVES, 0),
            'M' | 'L' if count > 2 => self.text_of(start, Field::Month, &MONTHS, 0),
            'z' | 'Z' => self.zone(),
            'X' => self.iso_zone(count),
            _ => {
                let from = self.at;
                let value = self.number(limit)?;
                self.set(letter, count, value, from);
                Some(())
            }
        }
    }

    fn set(&mut self, letter: char, count: usize, value: i32, from: usize) {
        let (field, value) = match letter {
            'y' | 'Y' => {
                let digits = self.text.get(from..self.at).unwrap_or_default();
                let short = count <= 2 && digits.len() == 2 && digits.iter().all(u8::is_ascii_digit);
                let year = if short { self.in_century(value) } else { value };
                (if letter == 'y' { Field::Year } else { Field::WeekYear }, year)
            }
            'M' | 'L' => (Field::Month, value.wrapping_sub(1)),
            'k' => (Field::HourOfDay, if value == 24 { 0 } else { value }),
            'h' => (Field::Hour, if value == 12 { 0 } else { value }),
            'u' => (Field::DayOfWeek, if (1..=7).contains(&value) { value % 7 + 1 } else { value }),
            'w' => (Field::WeekOfYear, value),
            'W' => (Field::WeekOfMonth, value),
            'D' => (Field::DayOfYear, value),
            'd' => (Field::DayOfMonth, value),
            'F' => (Field::DayOfWeekInMonth, value),
            'H' => (Field::HourOfDay, value),
            'K' => (Field::Hour, value),
            'm' => (Field::Minute, value),
            's' => (Field::Second, value),
            _ => (Field::Milli, value),
        };
        self.fields.set(field, value);
    }

    /// An integer with an optional minus sign, up to `limit`.
    fn number(&mut self, limit: Option<usize>) -> Option<i32> {
        if limit.is_some_and(|limit| limit > self.text.len()) {
            return None;
        }
        let rest = self.text.get(self.at..limit.unwrap_or(self.text.len()))?;
        let negative = rest.first() == Some(&b'-');
        let digits = rest.get(usize::from(negative)..)?;
        let digits = digits.get(..digits.iter().take_while(|byte| byte.is_ascii_digit()).count())?;
        if digits.is_empty() {
            return None;
        }
        self.at += digits.len() + usize::from(negative);
        let text = std::str::from_utf8(digits).ok()?;
        let sign = if negative { -1 } else { 1 };
        Some(match text.parse::<i64>() {
            // `Long.intValue`: the low 32 bits.
            #[allow(clippy::cast_possible_truncation, reason = "Java truncates here")]
            Ok(number) => (sign * number) as i32,
            // `Double.intValue`: the nearest.
            Err(_) if negative => i32::MIN,
            Err(_) => i32::MAX,
        })
    }

    /// The longest of the names that the text goes on with, in any case and in its long or short form. Java looks for it before
    /// the white space it skipped.
    fn text_of(&mut self, start: usize, field: Field, names: &[&'static str], base: i32) -> Option<()> {
        self.at = start;
        let starts =
            |name: &str| self.rest().get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()));
        let find = |form: fn(&'static str) -> &'static str| {
            names.iter().enumerate().filter(|(_, name)| starts(form(name))).max_by_key(|(_, name)| form(name).len())
        };
        let (index, name) = match find(|name| name) {
            Some((index, name)) => (index, *name),
            None => find(short).map(|(index, name)| (index, short(name)))?,
        };
        self.at += name.len();
        self.fields.set(field, i32::try_from(index).ok()? + base);
        Some(())
    }

    /// `+hhmm`, `GMT`, `GMT+h:mm`, or a name.
    fn zone(&mut self) -> Option<()> {
        if let Some(sign) = self.sign() {
            return self.offset(sign, 0, false);
        }
        if self.rest().get(..3).is_some_and(|head| head.eq_ignore_ascii_case(b"GMT")) {
            self.at += 3;
            let Some(sign) = self.sign() else {
                self.fields.set(Field::ZoneOffset, 0);
                return Some(());
            };
            return self.offset(sign, 0, true);
        }
        let starts =
            |name: &str| self.rest().get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()));
        let (name, minutes) = *ZONES.iter().filter(|(name, _)| starts(name)).max_by_key(|(name, _)| name.len())?;
        self.at += name.len();
        self.fields.set(Field::ZoneOffset, minutes * 60_000);
        Some(())
    }

    /// `Z`, `+hh`, `+hhmm` or `+hh:mm`, by the number of letters.
    fn iso_zone(&mut self, count: usize) -> Option<()> {
        if self.peek() == Some(b'Z') {
            self.at += 1;
            self.fields.set(Field::ZoneOffset, 0);
            return Some(());
        }
        let sign = self.sign()?;
        self.offset(sign, count, count == 3)
    }

    fn sign(&mut self) -> Option<i32> {
        let sign = match self.peek()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.at += 1;
        Some(sign)
    }

    /// The digits of an offset. Without a count (of letters X) the hour may have one digit when a colon follows.
    fn offset(&mut self, sign: i32, count: usize, colon: bool) -> Option<()> {
        let mut hours = self.digit()?;
        match self.peek() {
            Some(byte) if byte.is_ascii_digit() => hours = hours * 10 + self.digit()?,
            // One digit is enough before a colon, unless ISO 8601 wants two.
            _ if count == 0 && colon => {}
            _ => return None,
        }
        if hours > 23 {
            return None;
        }
        let mut minutes = 0;
        if count != 1 {
            if colon {
                self.peek().filter(|byte| *byte == b':')?;
                self.at += 1;
            }
            minutes = self.digit()? * 10 + self.digit()?;
            if minutes > 59 {
                return None;
            }
        }
        self.fields.set(Field::ZoneOffset, sign * (hours * 60 + minutes) * 60_000);
        Some(())
    }

    fn digit(&mut self) -> Option<i32> {
        let byte = self.peek().filter(u8::is_ascii_digit)?;
        self.at += 1;
        Some(i32::from(byte - b'0'))
    }

    /// The year that ends in `value` in the century that began 80 years ago.
    fn in_century(&mut self, value: i32) -> i32 {
        let today = Day::of(self.now.div_euclid(DAY));
        let first = i32::try_from(today.year - 80).unwrap_or(1900);
        if value == first % 100 {
            let mut start = Fields::default();
            for (field, part) in
                [(Field::Year, i64::from(first)), (Field::Month, today.month), (Field::DayOfMonth, today.date)]
            {
                start.set(field, i32::try_from(part).unwrap_or(0));
            }
            self.century = start.millis().map(|day| day + self.now.rem_euclid(DAY));
        }
        value + first / 100 * 100 + if value < first % 100 { 100 } else { 0 }
    }

    fn finish(mut self) -> Option<i64> {
        let millis = self.fields.millis()?;
        let field = if self.fields.get(Field::WeekYear).is_some() { Field::WeekYear } else { Field::Year };
        match (self.century, self.fields.get(field)) {
            (Some(start), Some(year)) if millis < start => {
                self.fields.set(field, i32::try_from(year + 100).unwrap_or(i32::MAX));
                self.fields.millis()
            }
            _ => Some(millis),
        }
    }
}
