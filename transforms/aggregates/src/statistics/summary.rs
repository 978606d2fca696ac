//! The state of [`super::Statistics`].

use std::cmp::Ordering;

use millrace_sdk::prelude::*;

use super::exact::ExactSum;
use super::number::{Number, align};
use crate::bytes::Reader;

/// What is known of the numbers so far. Integers, decimals and floats are summed apart, each exactly.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    ints: Option<i128>,
    /// Unscaled sum and scale.
    decimals: Option<(i128, i32)>,
    floats: Option<ExactSum>,
    count: u64,
    min: Option<Number>,
    max: Option<Number>,
}

const VERSION: u8 = 1;

/// Which parts a state's bytes hold.
mod part {
    pub(super) const INTS: u8 = 1;
    pub(super) const DECIMALS: u8 = 2;
    pub(super) const FLOATS: u8 = 4;
    pub(super) const RANGE: u8 = 8;
}

impl Summary {
    /// Adds a number.
    ///
    /// # Errors
    /// [`Error::data`] when a sum takes more than 38 digits.
    pub fn add(&mut self, number: Number) -> Result<()> {
        match number {
            Number::Int(number) => self.add_int(number)?,
            Number::Decimal(unscaled, scale) => self.add_decimal(unscaled, scale)?,
            Number::Float(number) => self.floats.get_or_insert_default().add(number),
        }
        self.count = self.count.saturating_add(1);
        // NaN is neither small nor large.
        if !matches!(number, Number::Float(number) if number.is_nan()) {
            self.widen(number);
        }
        Ok(())
    }

    /// Adds the numbers of another summary.
    ///
    /// # Errors
    /// As [`Summary::add`].
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if let Some(ints) = other.ints {
            self.add_int(ints)?;
        }
        if let Some((unscaled, scale)) = other.decimals {
            self.add_decimal(unscaled, scale)?;
        }
        if let Some(floats) = &other.floats {
            self.floats.get_or_insert_default().merge(floats);
        }
        self.count = self.count.saturating_add(other.count);
        other.min.into_iter().chain(other.max).for_each(|number| self.widen(number));
        Ok(())
    }

    /// How many numbers there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum: a float when one of them was, else a decimal when one of them was; `None` without any.
    #[must_use]
    pub fn sum(&self) -> Option<Number> {
        let exact = match (self.ints, self.decimals) {
            (Some(ints), Some((unscaled, scale))) => match align(ints, 0, unscaled, scale) {
                Some((a, b, scale)) => a.checked_add(b).map(|sum| Number::Decimal(sum, scale)),
                None => None,
            }
            .or_else(|| Some(Number::Float(Number::Int(ints).float() + Number::Decimal(unscaled, scale).float()))),
            (Some(ints), None) => Some(Number::Int(ints)),
            (None, Some((unscaled, scale))) => Some(Number::Decimal(unscaled, scale)),
            (None, None) => None,
        };
        match (&self.floats, exact) {
            (None, exact) => exact,
            (Some(floats), None) => Some(Number::Float(floats.value())),
            (Some(floats), Some(exact)) => Some(Number::Float(floats.value() + exact.float())),
        }
    }

    /// Sum by count; `None` without any numbers.
    #[must_use]
    pub fn average(&self) -> Option<f64> {
        self.sum().map(|sum| sum.float() / self.count as f64)
    }

    /// The smallest.
    #[must_use]
    pub fn min(&self) -> Option<Number> {
        self.min
    }

    /// The largest.
    #[must_use]
    pub fn max(&self) -> Option<Number> {
        self.max
    }

    fn add_int(&mut self, number: i128) -> Result<()> {
        self.ints = Some(self.ints.unwrap_or(0).checked_add(number).ok_or_else(too_large)?);
        Ok(())
    }

    fn add_decimal(&mut self, unscaled: i128, scale: i32) -> Result<()> {
        let (sum, sum_scale) = self.decimals.unwrap_or((0, scale));
        let (a, b, scale) = align(sum, sum_scale, unscaled, scale).ok_or_else(too_large)?;
        self.decimals = Some((a.checked_add(b).ok_or_else(too_large)?, scale));
        Ok(())
    }

    fn widen(&mut self, number: Number) {
        if self.min.is_none_or(|min| number.order(min) == Ordering::Less) {
            self.min = Some(number);
        }
        if self.max.is_none_or(|max| number.order(max) == Ordering::Greater) {
            self.max = Some(number);
        }
    }
}

fn too_large() -> Error {
    Error::data("a sum has more than 38 digits; convert the field to a float")
}

/// Version, which parts there are, the count, and the parts.
impl State for Summary {
    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_version(bytes, VERSION)?;
        let parts = reader.u8()?;
        let mut state = Self { count: reader.u64()?, ..Self::default() };
        if parts & part::INTS != 0 {
            state.ints = Some(reader.i128()?);
        }
        if parts & part::DECIMALS != 0 {
            state.decimals = Some((reader.i128()?, reader.i32()?));
        }
        if parts & part::FLOATS != 0 {
            let special = reader.f64()?;
            let numbers: Result<Vec<f64>> = (0..reader.u8()?).map(|_| reader.f64()).collect();
            state.floats = Some(ExactSum::of_parts(numbers?, special));
        }
        if parts & part::RANGE != 0 {
            state.min = Some(read_number(&mut reader)?);
            state.max = Some(read_number(&mut reader)?);
        }
        reader.end()?;
        Ok(state)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flag = |bit: u8, set: bool| if set { bit } else { 0 };
        out.push(VERSION);
        out.push(
            flag(part::INTS, self.ints.is_some())
                | flag(part::DECIMALS, self.decimals.is_some())
                | flag(part::FLOATS, self.floats.is_some())
                | flag(part::RANGE, self.min.is_some()),
        );
        out.extend_from_slice(&self.count.to_le_bytes());
        if let Some(ints) = self.ints {
            out.extend_from_slice(&ints.to_le_bytes());
        }
        if let Some((unscaled, scale)) = self.decimals {
            out.extend_from_slice(&unscaled.to_le_bytes());
            out.extend_from_slice(&scale.to_le_bytes());
        }
        if let Some(floats) = &self.floats {
            out.extend_from_slice(&floats.special().to_le_bytes());
            // Floats that do not overlap are at most 40.
            out.push(u8::try_from(floats.parts().len()).unwrap_or(u8::MAX));
            floats.parts().iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        }
        for number in self.min.into_iter().chain(self.max) {
            write_number(number, out);
        }
    }
}

fn read_number(reader: &mut Reader<'_>) -> Result<Number> {
    Ok(match reader.u8()? {
        0 => Number::Int(reader.i64()?.into()),
        1 => Number::Decimal(reader.i128()?, reader.i32()?),
        2 => Number::Float(reader.f64()?),
        _ => return Err(Error::data("a state holds a number of an unknown type")),
    })
}

fn write_number(number: Number, out: &mut Vec<u8>) {
    match number {
        Number::Int(number) => {
            out.push(0);
            // Single integers are those of records: 64 bits.
            out.extend_from_slice(&i64::try_from(number).unwrap_or(i64::MAX).to_le_bytes());
        }
        Number::Decimal(unscaled, scale) => {
            out.push(1);
            out.extend_from_slice(&unscaled.to_le_bytes());
            out.extend_from_slice(&scale.to_le_bytes());
        }
        Number::Float(number) => {
            out.push(2);
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}
