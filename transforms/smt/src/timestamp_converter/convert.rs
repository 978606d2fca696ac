//! From any representation of a timestamp to milliseconds, and from there to the one that is wanted.

use millrace_sdk::api::schema::logical;
use millrace_sdk::prelude::*;

use crate::part::{class_name, shown};
use millrace_dates::{DAY, DateFormat};

/// What a timestamp becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Text,
    Unix,
    Date,
    Time,
    Timestamp,
}

/// Unit of timestamps that are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// Converts timestamps.
pub(super) struct Translator {
    target: Target,
    precision: Precision,
    format: Option<DateFormat>,
    /// Years of two digits are near this moment, in milliseconds.
    now: i64,
    text: String,
}

/// Years of two digits in records without a timestamp: 1946 to 2045.
const WITHOUT_TIMESTAMP: i64 = 1_767_225_600_000;

impl Target {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "string" => Self::Text,
            "unix" => Self::Unix,
            "Date" => Self::Date,
            "Time" => Self::Time,
            _ => Self::Timestamp,
        }
    }
}

impl Precision {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "seconds" => Self::Seconds,
            "microseconds" => Self::Micros,
            "nanoseconds" => Self::Nanos,
            _ => Self::Millis,
        }
    }

    /// What is finer than a millisecond is cut off towards zero; what is too large saturates (`TimeUnit`).
    fn to_millis(self, unix: i64) -> i64 {
        match self {
            Self::Seconds => unix.saturating_mul(1_000),
            Self::Millis => unix,
            Self::Micros => unix / 1_000,
            Self::Nanos => unix / 1_000_000,
        }
    }

    fn of_millis(self, millis: i64) -> i64 {
        match self {
            Self::Seconds => millis / 1_000,
            Self::Millis => millis,
            Self::Micros => millis.saturating_mul(1_000),
            Self::Nanos => millis.saturating_mul(1_000_000),
        }
    }
}

impl Translator {
    pub(super) fn new(target: Target, precision: Precision, format: Option<DateFormat>) -> Self {
        Self { target, precision, format, now: WITHOUT_TIMESTAMP, text: String::new() }
    }

    /// Where years of two digits belong. Java takes the present; the record's own time gives the same at every replay.
    pub(super) fn now(&mut self, timestamp: Option<i64>) {
        self.now = timestamp.unwrap_or(WITHOUT_TIMESTAMP);
    }

    /// The schema of what is written.
    pub(super) fn schema(&self, optional: bool) -> Schema {
        let schema = match self.target {
            Target::Text => Schema::of(Kind::String),
            Target::Unix => Schema::of(Kind::Int64),
            Target::Date => Schema::logical(Kind::Int32, logical::DATE),
            Target::Time => Schema::logical(Kind::Int32, logical::TIME),
            Target::Timestamp => Schema::logical(Kind::Int64, logical::TIMESTAMP),
        };
        Schema { optional, ..schema }
    }

    /// Writes a timestamp as the target type; null stays null.
    pub(super) fn write(&mut self, writer: &mut Writer<'_>, value: Value<'_>) -> Result<()> {
        if value.is_null() {
            writer.null();
            return Ok(());
        }
        let millis = self.millis(value)?;
        match (self.target, &self.format) {
            (Target::Text, Some(format)) => {
                self.text.clear();
                format.format(millis, &mut self.text);
                writer.str(&self.text);
            }
            (Target::Date, _) => {
                let days = i32::try_from(millis.div_euclid(DAY));
                writer.date(days.map_err(|_| Error::data("a timestamp lies past the years that a Date can hold"))?);
            }
            (Target::Time, _) => writer.time(i32::try_from(millis.rem_euclid(DAY)).unwrap_or(0)),
            (Target::Timestamp, _) => writer.timestamp(millis),
            (Target::Unix | Target::Text, _) => writer.int64(self.precision.of_millis(millis)),
        }
        Ok(())
    }

    fn millis(&self, value: Value<'_>) -> Result<i64> {
        if let Some(text) = value.as_str() {
            return self.parse(text);
        }
        let millis = match value.tag() {
            Tag::Int64 => value.as_i64().map(|unix| self.precision.to_millis(unix)),
            Tag::Date => value.as_date().map(|days| i64::from(days) * DAY),
            Tag::Time => value.as_time().map(i64::from),
            _ => value.as_timestamp(),
        };
        millis.ok_or_else(|| {
            let class = class_name(value);
            Error::data(format!("TimestampConverter does not support class {class} objects as timestamps"))
        })
    }

    fn parse(&self, text: &str) -> Result<i64> {
        let Some(format) = &self.format else {
            return Err(Error::data("a timestamp is text but the key format, which tells how to read it, is not set"));
        };
        format.parse(text, self.now).ok_or_else(|| {
            let pattern = format.pattern();
            Error::data(format!("Could not parse timestamp: value does not match pattern ({pattern})"))
        })
    }
}

/// Refuses schemas whose values are no timestamps.
pub(super) fn is_timestamp(schema: &Schema) -> Result<()> {
    let logical = [logical::DATE, logical::TIME, logical::TIMESTAMP].iter().any(|name| schema.is_logical(name));
    if logical || matches!(schema.kind, Kind::String | Kind::Int64) {
        return Ok(());
    }
    let message = format!("Schema {} does not correspond to a known timestamp type format", shown(schema));
    Err(Error::data(message).shown_as("org.apache.kafka.connect.errors.ConnectException"))
}
