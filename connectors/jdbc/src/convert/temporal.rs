//! Dates and times: reading ISO 8601, writing SQL.

use std::fmt::{self, Write};

use millrace_api::Value;
use millrace_api::value::Tag;

use super::{Misfit, Unit};

/// Microseconds in a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// First and last day that every database and ISO 8601 can write: 0000-01-01 and 9999-12-31.
const FIRST_DAY: i64 = -719_528;
const LAST_DAY: i64 = 2_932_896;

/// A point in time, in microseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// In UTC.
    Instant(i64),
    /// As a clock shows it; nobody said where.
    Local(i64),
}

/// What a value means in a column of timestamps or dates.
pub(crate) fn moment(value: Value<'_>, unit: Unit) -> Result<Moment, Misfit> {
    const RANGE: Misfit = "it is out of the calendar's range";
    match value.tag() {
        Tag::Timestamp => value.as_timestamp().and_then(|ms| ms.checked_mul(1_000)).map(Moment::Instant).ok_or(RANGE),
        Tag::Date => Ok(Moment::Local(i64::from(value.as_date().unwrap_or_default()) * DAY)),
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => {
            let number = value.as_i64().unwrap_or_default();
            match unit {
                Unit::Millis => number.checked_mul(1_000).map(Moment::Instant).ok_or(RANGE),
                Unit::Micros => Ok(Moment::Instant(number)),
                Unit::Nanos => Ok(Moment::Instant(number.div_euclid(1_000))),
            }
        }
        Tag::String => value.as_str().and_then(parse).ok_or("the text is no ISO 8601 date and time"),
        _ => Err("it is no date and time: a text such as 2026-11-20T14:03:00Z, or milliseconds since the epoch"),
    }
}

/// Microseconds since midnight of a value in a column of times.
pub(crate) fn time_of_day(value: Value<'_>) -> Result<i64, Misfit> {
    let micros = match value.tag() {
        Tag::Time => i64::from(value.as_time().unwrap_or(-1)) * 1_000,
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => {
            value.as_i64().and_then(|ms| ms.checked_mul(1_000)).unwrap_or(-1)
        }
        Tag::Timestamp => value.as_timestamp().unwrap_or_default().rem_euclid(86_400_000) * 1_000,
        Tag::String => {
            let text = value.as_str().unwrap_or_default().as_bytes();
            let mut reader = Reader { rest: text };
            reader.time().filter(|_| reader.rest.is_empty()).ok_or("the text is no time such as 14:03:00")?
        }
        _ => return Err("it is no time: a text such as 14:03:00, or milliseconds since midnight"),
    };
    if (0..DAY).contains(&micros) { Ok(micros) } else { Err("it is not between 00:00 and 24:00") }
}

/// Passes microseconds since the epoch that lie in years 0 to 9999.
pub(crate) fn in_calendar(micros: i64) -> Result<i64, Misfit> {
    days_in_calendar(micros.div_euclid(DAY)).map(|_| micros)
}

/// Passes days since the epoch that lie in years 0 to 9999.
pub(crate) fn days_in_calendar(days: i64) -> Result<i32, Misfit> {
    let known = (FIRST_DAY..=LAST_DAY).contains(&days);
    i32::try_from(days).ok().filter(|_| known).ok_or("it is not in the years 0 to 9999")
}

/// Reads `2026-11-20`, `2026-11-20T14:03`, `2026-11-20 14:03:00.123456`, each with or without `Z`, `+09`, `+0900` or `+09:00`.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let mut reader = Reader { rest: text.trim().as_bytes() };
    let day = reader.date()?;
    let mut micros = day * DAY;
    if reader.rest.is_empty() {
        return Some(Moment::Local(micros));
    }
    reader.any(b"Tt ")?;
    micros += reader.time()?;
    while reader.any(b" ").is_some() {}
    if reader.rest.is_empty() {
        return Some(Moment::Local(micros));
    }
    let offset = reader.offset()?;
    reader.rest.is_empty().then_some(Moment::Instant(micros - offset * 1_000_000))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn any(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, tail) = self.rest.split_first()?;
        wanted.contains(first).then(|| self.rest = tail)?;
        Some(*first)
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, tail) = self.rest.split_at_checked(count)?;
        self.rest = tail;
        digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.digits(4)?;
        self.any(b"-")?;
        let month = self.digits(2)?;
        self.any(b"-")?;
        let day = self.digits(2)?;
        let valid = (1..=12).contains(&month) && day >= 1 && day <= days_of_month(year, month);
        valid.then(|| days_from_civil(year, month, day))
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        self.any(b":")?;
        let minute = self.digits(2)?;
        let mut micros = (hour * 60 + minute) * 60_000_000;
        if self.any(b":").is_some() {
            let second = self.digits(2)?;
            // A leap second is written as the last one of its minute.
            micros += second.min(59) * 1_000_000;
            if second > 60 {
                return None;
            }
            if self.any(b".,").is_some() {
                micros += self.fraction()?;
            }
        }
        (hour < 24 && minute < 60).then_some(micros)
    }

    /// At least one digit; those past microseconds are cut, as Kafka Connect's converters cut.
    fn fraction(&mut self) -> Option<i64> {
        let mut micros = 0;
        let mut scale = 1_000_000;
        let mut digits = 0;
        while let Some(digit) = self.any(b"0123456789") {
            scale /= 10;
            micros += i64::from(digit - b'0') * scale;
            digits += 1;
        }
        (digits > 0).then_some(micros)
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.any(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.digits(2)?;
        let minutes = if self.rest.is_empty() {
            0
        } else {
            self.any(b":");
            self.digits(2)?
        };
        (hours <= 18 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch of a date of the proleptic Gregorian calendar, counted in eras of 400 years that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Appends `2026-11-20`.
pub(crate) fn push_date(out: &mut impl Write, days: i32) {
    let (year, month, day) = civil_from_days(days.into());
    push_digits(out, year, 4);
    push_digits_after(out, "-", month, 2);
    push_digits_after(out, "-", day, 2);
}

/// Appends `14:03:00`, with six digits of a fraction if there is one.
pub(crate) fn push_time(out: &mut impl Write, micros: i64) {
    let seconds = micros.div_euclid(1_000_000);
    push_digits(out, seconds / 3_600, 2);
    push_digits_after(out, ":", seconds / 60 % 60, 2);
    push_digits_after(out, ":", seconds % 60, 2);
    let fraction = micros.rem_euclid(1_000_000);
    if fraction != 0 {
        push_digits_after(out, ".", fraction, 6);
    }
}

/// Appends `2026-11-20 14:03:00`, with six digits of a fraction if there is one.
pub(crate) fn push_timestamp(out: &mut impl Write, micros: i64) {
    push_date(out, i32::try_from(micros.div_euclid(DAY)).unwrap_or_default());
    push_str(out, " ");
    push_time(out, micros.rem_euclid(DAY));
}

fn push_digits_after(out: &mut impl Write, before: &str, number: i64, width: usize) {
    push_str(out, before);
    push_digits(out, number, width);
}

/// Zero-padded, at most six digits.
fn push_digits(out: &mut impl Write, number: i64, width: usize) {
    let mut digits = *b"000000";
    let mut rest = number.unsigned_abs();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let text = digits.get(6 - width.min(6)..).and_then(|digits| std::str::from_utf8(digits).ok());
    push_str(out, text.unwrap_or_default());
}

/// Neither `String` nor [`Small`] fails.
fn push_str(out: &mut impl Write, text: &str) {
    let _ = out.write_str(text);
}

/// A short text on the stack: numbers, dates and times on their way to the driver's buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small {
    bytes: [u8; 40],
    len: usize,
}

impl Small {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 40], len: 0 }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Write for Small {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, Small, civil_from_days, days_from_civil, parse, push_time, push_timestamp};

    /// 2026-11-20T14:03:00Z, from `date -u -d 2026-11-20T14:03:00Z +%s`.
    const SECONDS: i64 = 1_795_183_380;

    #[test]
    fn iso_8601_is_read() {
        let instant = Some(Moment::Instant(SECONDS * 1_000_000));
        for text in [
            "2026-11-20T14:03:00Z",
            "2026-11-20T14:03Z",
            "2026-11-20 14:03:00 +00:00",
            "2026-11-20T23:03:00+09:00",
            "2026-11-20T23:03:00+09",
            "2026-11-20T23:03:00+0900",
            "2026-11-20T09:03:00.000000000-05:00",
        ] {
            assert_eq!(parse(text), instant, "{text}");
        }
        assert_eq!(parse("2026-11-20T14:03:00.1234567Z"), Some(Moment::Instant(SECONDS * 1_000_000 + 123_456)));
        assert_eq!(parse("2026-11-20T14:03:00"), Some(Moment::Local(SECONDS * 1_000_000)));
        assert_eq!(parse("1970-01-01"), Some(Moment::Local(0)));
        assert_eq!(parse("2024-02-29"), Some(Moment::Local(19_782 * 86_400_000_000)));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-00-01",
            "2026-02-30",
            "2025-02-29",
            "2026-11-20T",
            "2026-11-20T24:00",
            "2026-11-20T14:60",
            "2026-11-20T14:03:61",
            "2026-11-20T14:03:00.",
            "2026-11-20T14:03:00x",
            "2026-11-20T14:03:00+9",
            "2026-11-20T14:03:00+99:00",
            "20261120",
            "2026/11/20",
            "１026-11-20",
            "2026-11-20T14:03:00Zjunk",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_and_dates_agree_over_the_whole_calendar() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(0, 1, 1), super::FIRST_DAY);
        assert_eq!(days_from_civil(9999, 12, 31), super::LAST_DAY);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        for days in (super::FIRST_DAY..=super::LAST_DAY).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn timestamps_are_written_as_sql_has_them() {
        let text = |micros| {
            let mut text = Small::new();
            push_timestamp(&mut text, micros);
            text.as_str().to_owned()
        };
        assert_eq!(text(SECONDS * 1_000_000), "2026-11-20 14:03:00");
        assert_eq!(text(SECONDS * 1_000_000 + 5), "2026-11-20 14:03:00.000005");
        assert_eq!(text(-1_000), "1969-12-31 23:59:59.999000");
        let mut time = Small::new();
        push_time(&mut time, 86_399_999_999);
        assert_eq!(time.as_str(), "23:59:59.999999");
    }
}
