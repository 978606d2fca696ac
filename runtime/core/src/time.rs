//! Wall-clock time.

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds since the epoch.
#[must_use]
pub fn now_millis() -> i64 {
    Utc::now().timestamp_millis()
}

/// Now, as `2026-11-20T14:03:00.123Z`.
#[must_use]
pub fn iso_now() -> String {
    DateTime::<Utc>::to_rfc3339_opts(&Utc::now(), SecondsFormat::Millis, true)
}

/// Milliseconds since the epoch as `2026-11-20T14:03:00.123Z`; the epoch itself for times no calendar has.
#[must_use]
pub fn iso(millis: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_moments() {
        assert_eq!(super::iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(super::iso(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(super::iso(1_795_188_180_123), "2026-11-20T15:23:00.123Z");
    }
}
