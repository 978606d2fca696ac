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
