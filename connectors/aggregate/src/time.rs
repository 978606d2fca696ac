//! Event time and windows.

use chrono::{DateTime, NaiveDateTime};
use millrace_api::{Error, Record, Result};

/// Years 0 to 9999. A time outside of them is no time but a mistake, such as microseconds taken for milliseconds, and would push the
/// watermark so far ahead that every other record is late.
const TIMES: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// The event time of a record in milliseconds since the epoch: of its field, or its own.
pub(crate) fn event_time(record: Record<'_>, field: &str) -> Result<i64> {
    if field.is_empty() {
        let own = record.timestamp().ok_or_else(|| Error::data("the record has no timestamp; set timestamp.field"));
        return own.and_then(|time| check(time, "the record's timestamp"));
    }
    let missing = || Error::data(format!("the record has no field {field}, which timestamp.field names"));
    let value = record.field(field).ok_or_else(missing)?;
    let parsed = value.as_timestamp().or_else(|| value.as_i64()).or_else(|| parse_iso(value.as_str()?));
    let wrong = || {
        Error::data(format!(
            "the field {field} holds no time; it must be ISO 8601 text or milliseconds since the epoch"
        ))
    };
    parsed.ok_or_else(wrong).and_then(|time| check(time, field))
}

fn check(time: i64, what: &str) -> Result<i64> {
    let wrong = || Error::data(format!("{what} is not between the years 0 and 9999; it must be in milliseconds"));
    if TIMES.contains(&time) { Ok(time) } else { Err(wrong()) }
}

/// ISO 8601 with an offset, or without one as UTC.
fn parse_iso(text: &str) -> Option<i64> {
    let text = text.trim();
    let zoned =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    if let Ok(time) = zoned {
        return Some(time.timestamp_millis());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc().timestamp_millis())
}

/// Starts of the windows that hold `time`, latest first.
pub(crate) fn windows(time: i64, size: i64, advance: i64) -> impl Iterator<Item = i64> {
    let last = time - time.rem_euclid(advance);
    (0..).map(move |n| last - n * advance).take_while(move |start| start + size > time)
}

#[cfg(test)]
mod tests {
    use millrace_api::RecordBatch;
    use millrace_api::batch::Row;

    use super::*;

    #[test]
    fn times_that_cannot_be_are_refused() {
        // 2026-11-20T14:00:00Z in milliseconds, and in microseconds.
        for (timestamp, fits) in
            [(1_795_183_200_000, true), (1_795_183_200_000_000, false), (i64::MAX, false), (-1, false)]
        {
            let mut batch = RecordBatch::new();
            batch.push(Row { timestamp, ..Row::EMPTY });
            let time = event_time(batch.get(0).expect("one"), "");
            assert_eq!(time.is_ok(), fits, "{timestamp}");
        }
    }

    #[test]
    fn windows_hold_their_time() {
        assert_eq!(windows(3_599_999, 3_600_000, 3_600_000).collect::<Vec<_>>(), [0]);
        assert_eq!(windows(3_600_000, 3_600_000, 3_600_000).collect::<Vec<_>>(), [3_600_000]);
        assert_eq!(windows(25_000, 60_000, 10_000).collect::<Vec<_>>(), [20_000, 10_000, 0, -10_000, -20_000, -30_000]);
        assert_eq!(windows(-1, 10, 10).collect::<Vec<_>>(), [-10]);
    }

    #[test]
    fn times_are_read() {
        assert_eq!(parse_iso("2026-11-20T14:00:00Z"), Some(1_795_183_200_000));
        assert_eq!(parse_iso("2026-11-20T15:00:00+01:00"), Some(1_795_183_200_000));
        assert_eq!(parse_iso("2026-11-20T15:00:00.250+0100"), Some(1_795_183_200_250));
        assert_eq!(parse_iso("2026-11-20T14:00:00.250"), Some(1_795_183_200_250));
        assert_eq!(parse_iso("2026-11-20 14:00:00"), Some(1_795_183_200_000));
        assert_eq!(parse_iso("yesterday"), None);
    }
}
