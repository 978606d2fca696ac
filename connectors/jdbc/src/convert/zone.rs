//! `db.timezone`.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use millrace_api::config::{FromConfig, Parsed};

use super::temporal::Moment;

/// A time zone: of the tz database, or a fixed offset.
#[derive(Debug, Clone)]
pub(crate) enum Zone {
    Fixed { seconds: i64 },
    Named(TimeZone),
}

impl FromConfig for Zone {
    /// A text that [`Zone::check`] refuses becomes UTC; parsing a configuration checks first.
    fn from_config(value: Parsed) -> Self {
        let Parsed::Text(text) = value else { return Self::UTC };
        Self::parse(&text).unwrap_or(Self::UTC)
    }
}

impl Zone {
    pub(crate) const UTC: Self = Self::Fixed { seconds: 0 };

    /// Whether `text` is a time zone.
    ///
    /// # Errors
    /// The cause, for `ConfigDef`.
    pub(crate) fn check(text: &str) -> Result<(), String> {
        match Self::parse(text) {
            Some(_) => Ok(()),
            None => {
                Err("Not a time zone; write a name of the tz database such as Asia/Seoul, or an offset such as +09:00"
                    .to_owned())
            }
        }
    }

    /// `UTC`, `Asia/Seoul`, `+09:00`, and Java's `GMT+9`.
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("GMT").or_else(|| text.strip_prefix("UTC")).unwrap_or(text);
        if rest.is_empty() || text == "Z" {
            return (!text.is_empty()).then_some(Self::UTC);
        }
        if let Some(sign) =
            rest.strip_prefix('+').map(|rest| (1, rest)).or_else(|| rest.strip_prefix('-').map(|rest| (-1, rest)))
        {
            return Self::offset(sign.0, sign.1);
        }
        let zone = TimeZone::get(text).ok()?;
        match zone.to_fixed_offset() {
            Ok(offset) => Some(Self::Fixed { seconds: offset.seconds().into() }),
            Err(_) => Some(Self::Named(zone)),
        }
    }

    fn offset(sign: i64, text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (hours, minutes) = match digits.len() {
            1 | 2 => (digits.as_str(), "0"),
            3 | 4 => digits.split_at(digits.len() - 2),
            _ => return None,
        };
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 18 && minutes < 60).then_some(Self::Fixed { seconds: sign * (hours * 3_600 + minutes * 60) })
    }

    /// Microseconds since the epoch, UTC.
    pub(crate) fn instant(&self, moment: Moment) -> i64 {
        match (moment, self) {
            (Moment::Instant(micros), _) => micros,
            (Moment::Local(micros), Self::Fixed { seconds }) => micros.saturating_sub(seconds * 1_000_000),
            (Moment::Local(micros), Self::Named(zone)) => {
                let Ok(clock) = Timestamp::from_microsecond(micros) else { return micros };
                // A time that a clock skips is moved forward, one it shows twice is the first: Java's rule too.
                let instant = zone.to_ambiguous_timestamp(Offset::UTC.to_datetime(clock)).compatible();
                instant.map_or(micros, Timestamp::as_microsecond)
            }
        }
    }

    /// Microseconds since the epoch as a clock in this zone shows them.
    pub(crate) fn local(&self, moment: Moment) -> i64 {
        match (moment, self) {
            (Moment::Local(micros), _) => micros,
            (Moment::Instant(micros), Self::Fixed { seconds }) => micros.saturating_add(seconds * 1_000_000),
            (Moment::Instant(micros), Self::Named(zone)) => {
                let Ok(instant) = Timestamp::from_microsecond(micros) else { return micros };
                micros.saturating_add(i64::from(zone.to_offset(instant).seconds()) * 1_000_000)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, Zone};

    #[test]
    fn names_and_offsets_are_time_zones() {
        let winter = 1_763_647_380_000_000; // 2025-11-20T14:03:00Z
        let offset = |text| {
            let zone = Zone::parse(text).unwrap_or_else(|| panic!("{text}"));
            (zone.local(Moment::Instant(winter)) - winter) / 60_000_000
        };
        assert_eq!(offset("UTC"), 0);
        assert_eq!(offset("Z"), 0);
        assert_eq!(offset("Asia/Seoul"), 9 * 60);
        assert_eq!(offset("+09:00"), 9 * 60);
        assert_eq!(offset("-0330"), -210);
        assert_eq!(offset("GMT+9"), 9 * 60);
        assert_eq!(offset("America/New_York"), -5 * 60);
        for text in ["", "Mars/Olympus", "+25:00", "+1:2:3:4:5", "UTC+x"] {
            assert!(Zone::check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn summer_time_counts() {
        let zone = Zone::parse("America/New_York").expect("zone");
        let july = 1_752_000_000_000_000; // 2025-07-08T18:40:00Z
        assert_eq!(zone.local(Moment::Instant(july)), july - 4 * 3_600_000_000);
        assert_eq!(zone.instant(Moment::Local(july - 4 * 3_600_000_000)), july);
    }
}
