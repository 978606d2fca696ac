//! One value as another type.

use std::str::FromStr;

use millrace_sdk::api::schema::logical;
use millrace_sdk::api::value::java;
use millrace_sdk::prelude::*;

use super::float::{parse_f32, parse_f64};
use crate::part::class_name;

/// What is cast, in Java's terms.
enum Source<'v> {
    Bool(bool),
    Whole(i64),
    Float(f64),
    /// Its low 64 bits without the fraction (`BigDecimal.longValue`), and its text.
    Decimal(i64, String),
    Text(&'v str),
}

/// Writes `value` as the type `target`; null stays null. Without a schema there are no logical types.
///
/// # Errors
/// [`Error::data`] when it cannot be, in Kafka Connect's words.
pub(super) fn cast(writer: &mut Writer<'_>, value: Value<'_>, schema: Option<&Schema>, target: Kind) -> Result<()> {
    if value.is_null() {
        writer.null();
        return Ok(());
    }
    let kind = schema.map_or_else(|| kind_of(value), |schema| Ok(schema.kind))?;
    if matches!(kind, Kind::Array | Kind::Map | Kind::Struct) {
        return Err(unsupported(kind));
    }
    if target == Kind::String {
        text(writer, value);
        return Ok(());
    }
    let source = source(value)?;
    match target {
        Kind::Int8 => writer.int8(source.integer()?),
        Kind::Int16 => writer.int16(source.integer()?),
        Kind::Int32 => writer.int32(source.integer()?),
        Kind::Int64 => writer.int64(source.integer()?),
        Kind::Float32 => writer.float32(source.float32()?),
        Kind::Float64 => writer.float64(source.float64()?),
        _ => writer.bool(source.bool()),
    }
    Ok(())
}

/// The refusal of values of a type that nothing is cast from.
pub(super) fn unsupported(kind: Kind) -> Error {
    let kind = kind.name();
    Error::data(format!(
        "Cast transformation does not support casting from {kind}; supported types are [INT8, INT16, INT32, INT64, FLOAT32, \
         FLOAT64, BOOLEAN, STRING, BYTES]"
    ))
}

/// Whether values of the schema have a class of their own in Java.
pub(super) fn is_logical(schema: &Schema) -> bool {
    [logical::DECIMAL, logical::DATE, logical::TIME, logical::TIMESTAMP].iter().any(|name| schema.is_logical(name))
}

/// `ConnectSchema.schemaType`.
fn kind_of(value: Value<'_>) -> Result<Kind> {
    Ok(match value.tag() {
        Tag::Array => Kind::Array,
        Tag::Map => Kind::Map,
        Tag::Struct => Kind::Struct,
        Tag::Decimal | Tag::Date | Tag::Time | Tag::Timestamp => {
            let class = class_name(value);
            return Err(Error::data(format!(
                "Cast transformation was passed a value of type class {class} which is not supported by Connect's data API"
            )));
        }
        // The others are all cast, and alike.
        _ => Kind::String,
    })
}

fn text(writer: &mut Writer<'_>, value: Value<'_>) {
    let mut text = Vec::new();
    let millis = match value.tag() {
        Tag::String => return writer.value(value),
        Tag::Date => value.as_date().map(|days| i64::from(days) * millrace_dates::DAY),
        Tag::Time => value.as_time().map(i64::from),
        _ => value.as_timestamp(),
    };
    match millis {
        Some(millis) => millrace_literals::iso(millis, &mut text),
        None => java::text(value, None, &mut text),
    }
    writer.str(&String::from_utf8_lossy(&text));
}

fn source(value: Value<'_>) -> Result<Source<'_>> {
    let source = match value.tag() {
        Tag::False | Tag::True => value.as_bool().map(Source::Bool),
        Tag::Float32 | Tag::Float64 => value.as_f64().map(Source::Float),
        Tag::String => value.as_str().map(Source::Text),
        Tag::Decimal => Some(decimal(value)),
        Tag::Date => value.as_date().map(|days| Source::Whole(days.into())),
        Tag::Time => Some(Source::Whole(time(value)?)),
        Tag::Timestamp => value.as_timestamp().map(Source::Whole),
        _ => value.as_i64().map(Source::Whole),
    };
    source.ok_or_else(|| {
        let class = class_name(value);
        Error::data(format!("Unexpected type in Cast transformation: class {class}"))
    })
}

/// `Time.fromLogical`.
fn time(value: Value<'_>) -> Result<i64> {
    let millis = value.as_time().map_or(0, i64::from);
    if (0..=millrace_dates::DAY).contains(&millis) {
        return Ok(millis);
    }
    Err(Error::data("Kafka Connect Time type should not have any date fields set to non-zero values."))
}

fn decimal(value: Value<'_>) -> Source<'_> {
    // Scales for which there is no plain text are so large that no digit, or so small that no bit, is left of the number.
    let plain = value.decimal_text().unwrap_or_default();
    let whole = plain.split('.').next().unwrap_or_default();
    let digits = whole.bytes().filter(u8::is_ascii_digit).map(|digit| i64::from(digit - b'0'));
    let magnitude = digits.fold(0i64, |number, digit| number.wrapping_mul(10).wrapping_add(digit));
    let mut exact = Vec::new();
    java::text(value, None, &mut exact);
    let number = if plain.starts_with('-') { magnitude.wrapping_neg() } else { magnitude };
    Source::Decimal(number, String::from_utf8_lossy(&exact).into_owned())
}

/// Integers that numbers are narrowed to as Java does it.
trait Narrow: FromStr {
    fn of_integer(number: i64) -> Self;
    fn of_float(number: f64) -> Self;
}

macro_rules! narrow {
    ($($integer:ty, $through:ty;)*) => {$(
        #[allow(clippy::cast_possible_truncation, reason = "Java narrows the number")]
        impl Narrow for $integer {
            fn of_integer(number: i64) -> Self {
                number as Self
            }

            fn of_float(number: f64) -> Self {
                number as $through as Self
            }
        }
    )*};
}
narrow! { i8, i32; i16, i32; i32, i32; i64, i64; }

/// Java's message shows the value.
fn out_of_range() -> Error {
    Error::data("Value was out of range for requested data type")
}

impl Source<'_> {
    /// As an integer: what is too wide wraps, except that floats saturate at 32 bits, or 64 for a `long`.
    fn integer<T: Narrow>(&self) -> Result<T> {
        Ok(match self {
            Self::Bool(flag) => T::of_integer(i64::from(*flag)),
            Self::Whole(number) | Self::Decimal(number, _) => T::of_integer(*number),
            Self::Float(number) => T::of_float(*number),
            Self::Text(text) => return text.parse().map_err(|_| out_of_range()),
        })
    }

    #[allow(clippy::cast_possible_truncation, reason = "Java narrows the number")]
    fn float32(&self) -> Result<f32> {
        Ok(match self {
            Self::Bool(flag) => f32::from(u8::from(*flag)),
            Self::Whole(number) => *number as f32,
            Self::Float(number) => *number as f32,
            Self::Decimal(_, text) => text.parse().unwrap_or_default(),
            Self::Text(text) => return parse_f32(text).ok_or_else(out_of_range),
        })
    }

    fn float64(&self) -> Result<f64> {
        Ok(match self {
            Self::Bool(flag) => f64::from(u8::from(*flag)),
            Self::Whole(number) => *number as f64,
            Self::Float(number) => *number,
            Self::Decimal(_, text) => text.parse().unwrap_or_default(),
            Self::Text(text) => return parse_f64(text).ok_or_else(out_of_range),
        })
    }

    #[allow(clippy::cast_possible_truncation, reason = "Java narrows the number")]
    fn bool(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            Self::Whole(number) | Self::Decimal(number, _) => *number != 0,
            Self::Float(number) => *number as i64 != 0,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
        }
    }
}
