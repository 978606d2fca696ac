//! Dates as text with the rules of `java.text.SimpleDateFormat`: English names, lenient, and UTC unless the text says otherwise.

mod calendar;
mod fields;
mod format;
mod names;
mod parse;
mod pattern;

pub use pattern::DateFormat;

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;
