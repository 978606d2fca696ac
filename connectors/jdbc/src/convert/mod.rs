//! Values of records into values of columns, by the type of the column.

mod json;
mod literal;
mod number;
mod temporal;
mod zone;

use std::fmt::Write as _;

use millrace_api::Value;
use millrace_api::schema::Schema;
use millrace_api::value::Tag;

pub(crate) use temporal::{Small, push_date, push_time, push_timestamp};
pub(crate) use zone::Zone;

use crate::column::Kind;
use temporal::Moment;

/// A value ready to be bound. Text and bytes are those of the record, or lie in the scratch text of their batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Text in the scratch.
    Scratch {
        start: u32,
        len: u32,
    },
    /// Days since the epoch.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since the epoch: UTC for columns with a zone, else of the clock in `db.timezone`.
    Timestamp(i64),
}

impl<'a> Cell<'a> {
    /// The text of a text cell.
    pub(crate) fn text(self, scratch: &'a str) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Scratch { start, len } => {
                let start = usize::try_from(start).ok()?;
                scratch.get(start..start + usize::try_from(len).ok()?)
            }
            _ => None,
        }
    }

    /// Bytes it takes on the wire, about.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Text(text) => text.len() + 5,
            Self::Bytes(bytes) => bytes.len() + 5,
            Self::Scratch { len, .. } => usize::try_from(len).unwrap_or(usize::MAX).saturating_add(5),
            Self::Date(_) | Self::Time(_) | Self::Timestamp(_) => 28,
            _ => 9,
        }
    }
}

/// Why a value does not fit its column; part of a sentence.
pub(crate) type Misfit = &'static str;

/// How to convert.
#[derive(Debug, Clone)]
pub(crate) struct Convert {
    pub(crate) zone: Zone,
    /// Whether the database has NaN and the infinities.
    pub(crate) infinities: bool,
}

impl Convert {
    /// The cell of `value` for a column of `kind`; `unit` is what whole numbers count in a column of timestamps.
    pub(crate) fn cell<'a>(
        &self,
        value: Value<'a>,
        schema: Option<&Schema>,
        kind: Kind,
        unit: Unit,
        scratch: &mut String,
    ) -> Result<Cell<'a>, Misfit> {
        if value.is_null() {
            return Ok(Cell::Null);
        }
        match kind {
            Kind::Text | Kind::Other => self.text(value, schema, scratch),
            Kind::Int { min, max } => Self::int(value, unit).and_then(|number| {
                if (min..=max).contains(&number) {
                    Ok(Cell::Int(number))
                } else {
                    Err("it is out of the column's range")
                }
            }),
            Kind::UInt => number::unsigned(value).map(Cell::UInt),
            Kind::Decimal => Self::decimal(value, scratch),
            Kind::Float => self.float(value),
            Kind::Bool => number::boolean(value).map(Cell::Bool),
            Kind::Timestamp { zoned } => {
                let moment = temporal::moment(value, unit)?;
                let micros = if zoned { self.zone.instant(moment) } else { self.zone.local(moment) };
                temporal::in_calendar(micros).map(Cell::Timestamp)
            }
            Kind::Date => self.date(value, unit),
            Kind::Time => temporal::time_of_day(value).map(Cell::Time),
            Kind::Bytes => bytes(value),
            Kind::Json => Ok(json_text(value, schema, scratch)),
            Kind::Array => Self::array(value, schema, scratch),
            Kind::Any => self.any(value, schema, scratch),
        }
    }

    /// A number as text.
    pub(crate) fn written<'a>(number: i64, scratch: &mut String) -> Cell<'a> {
        let start = scratch.len();
        let _ = write!(scratch, "{number}");
        put(start, scratch)
    }

    fn int(value: Value<'_>, unit: Unit) -> Result<i64, Misfit> {
        match value.tag() {
            Tag::Date | Tag::Time | Tag::Timestamp => Self::epoch_millis(value, unit),
            _ => number::integer(value),
        }
    }

    /// Logical dates and times in columns of numbers, as JDBC drivers write them: milliseconds since the epoch.
    fn epoch_millis(value: Value<'_>, unit: Unit) -> Result<i64, Misfit> {
        match value.tag() {
            Tag::Time => Ok(value.as_time().unwrap_or_default().into()),
            _ => match temporal::moment(value, unit)? {
                Moment::Instant(micros) | Moment::Local(micros) => Ok(micros.div_euclid(1_000)),
            },
        }
    }

    fn decimal<'a>(value: Value<'a>, scratch: &mut String) -> Result<Cell<'a>, Misfit> {
        match value.tag() {
            Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => Ok(Cell::Int(value.as_i64().unwrap_or_default())),
            Tag::Float64 | Tag::Float32 => number::plain(value, scratch).map(|range| put(range, scratch)),
            Tag::String => match value.as_str() {
                Some(text) if number::is_decimal(text) => Ok(Cell::Text(text)),
                _ => Err("the text is no number"),
            },
            Tag::Decimal => {
                let start = scratch.len();
                scratch.push_str(&value.decimal_text().ok_or("its scale is too large")?);
                Ok(put(start, scratch))
            }
            Tag::True | Tag::False => Ok(Cell::Int(i64::from(value.as_bool() == Some(true)))),
            Tag::Date | Tag::Time | Tag::Timestamp => Self::epoch_millis(value, Unit::Millis).map(Cell::Int),
            _ => Err("it is no number"),
        }
    }

    fn float<'a>(&self, value: Value<'_>) -> Result<Cell<'a>, Misfit> {
        let number = number::float(value)?;
        if number.is_finite() || self.infinities {
            Ok(Cell::Float(number))
        } else {
            Err("the database has no NaN and no infinities")
        }
    }

    fn date<'a>(&self, value: Value<'_>, unit: Unit) -> Result<Cell<'a>, Misfit> {
        if let Some(days) = value.as_date() {
            return temporal::days_in_calendar(days.into()).map(Cell::Date);
        }
        let local = match temporal::moment(value, unit)? {
            // A date in a text stands for itself; so does midnight UTC, which is how systems without dates write them.
            Moment::Local(micros) => micros,
            Moment::Instant(micros) if micros.rem_euclid(temporal::DAY) == 0 => micros,
            instant @ Moment::Instant(_) => self.zone.local(instant),
        };
        temporal::days_in_calendar(local.div_euclid(temporal::DAY)).map(Cell::Date)
    }

    fn text<'a>(&self, value: Value<'a>, schema: Option<&Schema>, scratch: &mut String) -> Result<Cell<'a>, Misfit> {
        let start = scratch.len();
        match value.tag() {
            Tag::String => return value.as_str().map(Cell::Text).ok_or("it is not UTF-8"),
            Tag::Bytes => {
                let text = value.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
                return text.map(Cell::Text).ok_or("its bytes are not UTF-8");
            }
            Tag::Timestamp => {
                push_timestamp(scratch, self.zone.local(temporal::moment(value, Unit::Millis)?));
            }
            Tag::Date => push_date(scratch, value.as_date().unwrap_or_default()),
            Tag::Time => push_time(scratch, i64::from(value.as_time().unwrap_or_default()) * 1_000),
            _ => json::push(scratch, value, schema),
        }
        Ok(put(start, scratch))
    }

    fn array<'a>(value: Value<'a>, schema: Option<&Schema>, scratch: &mut String) -> Result<Cell<'a>, Misfit> {
        match value.tag() {
            Tag::Array => {
                let start = scratch.len();
                literal::push_array(scratch, value, schema)?;
                Ok(put(start, scratch))
            }
            Tag::String => value.as_str().map(Cell::Text).ok_or("it is not UTF-8"),
            _ => Err("it is no array"),
        }
    }

    fn any<'a>(&self, value: Value<'a>, schema: Option<&Schema>, scratch: &mut String) -> Result<Cell<'a>, Misfit> {
        match value.tag() {
            Tag::True | Tag::False => Ok(Cell::Bool(value.as_bool() == Some(true))),
            Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => Ok(Cell::Int(value.as_i64().unwrap_or_default())),
            Tag::Float32 | Tag::Float64 => self.float(value),
            Tag::Bytes => bytes(value),
            Tag::Date | Tag::Time | Tag::Timestamp => Self::epoch_millis(value, Unit::Millis).map(Cell::Int),
            _ => self.text(value, schema, scratch),
        }
    }
}

/// What whole numbers count in a column of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Micros,
    Nanos,
}

fn bytes(value: Value<'_>) -> Result<Cell<'_>, Misfit> {
    if let Some(bytes) = value.as_bytes() {
        return Ok(Cell::Bytes(bytes));
    }
    value.as_str().map(|text| Cell::Bytes(text.as_bytes())).ok_or("it is neither bytes nor text")
}

/// Text is taken to be JSON already, as a converter without schemas leaves it.
fn json_text<'a>(value: Value<'a>, schema: Option<&Schema>, scratch: &mut String) -> Cell<'a> {
    if let Some(text) = value.as_str() {
        return Cell::Text(text);
    }
    let start = scratch.len();
    json::push(scratch, value, schema);
    put(start, scratch)
}

/// The cell of what was appended to the scratch since `start`. A batch's heap is below 1 GiB, and so is what is made of it.
fn put<'a>(start: usize, scratch: &str) -> Cell<'a> {
    let len = u32::try_from(scratch.len() - start).unwrap_or(0);
    u32::try_from(start).map_or(Cell::Null, |start| Cell::Scratch { start, len })
}

/// Text of a cell whatever it is, for parameters that are text.
pub(crate) fn push_text(out: &mut Small, cell: Cell<'_>, zoned: bool) {
    // Writing to `Small` cannot fail: it is larger than any of these.
    let _ = match cell {
        Cell::Int(number) => write!(out, "{number}"),
        Cell::UInt(number) => write!(out, "{number}"),
        Cell::Float(number) => write!(out, "{number:?}"),
        Cell::Bool(on) => out.write_str(if on { "true" } else { "false" }),
        Cell::Date(days) => {
            push_date(out, days);
            Ok(())
        }
        Cell::Time(micros) => {
            push_time(out, micros);
            Ok(())
        }
        Cell::Timestamp(micros) => {
            push_timestamp(out, micros);
            if zoned { out.write_str("+00") } else { Ok(()) }
        }
        Cell::Null | Cell::Text(_) | Cell::Bytes(_) | Cell::Scratch { .. } => Ok(()),
    };
}

#[cfg(test)]
mod tests;
