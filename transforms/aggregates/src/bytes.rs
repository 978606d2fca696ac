//! States as bytes: a version, then little-endian fields.

use millrace_sdk::prelude::*;

/// Reads a state forward.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the version, which must be one this crate knows.
    ///
    /// # Errors
    /// When it is not: a newer worker wrote the state.
    pub(crate) fn of_version(bytes: &'a [u8], version: u8) -> Result<Self> {
        match bytes.split_first() {
            Some((found, rest)) if *found == version => Ok(Self { rest }),
            found => Err(Error::data(format!(
                "a state of version {} cannot be read, only version {version}: it was written by another version of the \
                 aggregate; upgrade this worker or reset the aggregate's state",
                found.map_or(0, |(found, _)| *found)
            ))),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| Error::data("a state is cut short"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn i128(&mut self) -> Result<i128> {
        self.array().map(i128::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::data("a state is longer than it should be")) }
    }
}
