//! Kafka's primitive types, as far as the protocol uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace_api::Result;

use super::malformed;
use crate::task::TaskId;

/// Task number that stands for the connector itself.
const CONNECTOR: i32 = -1;

/// Connectors and tasks.
pub(super) type WorkSet = (BTreeSet<Arc<str>>, BTreeSet<TaskId>);

pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(version: i16) -> Self {
        Self { bytes: version.to_be_bytes().to_vec() }
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend(value.to_be_bytes());
    }

    /// At most 32,767 bytes; what is longer is cut at a character, as there is no way to write it.
    pub(super) fn string(&mut self, text: &str) {
        let max = i16::MAX.unsigned_abs().into();
        let cut = text.get(..text.floor_char_boundary(max)).unwrap_or_default();
        self.i16(i16::try_from(cut.len()).unwrap_or_default());
        self.bytes.extend(cut.as_bytes());
    }

    pub(super) fn nullable_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.i32(-1),
            Some(bytes) => {
                self.length(bytes.len());
                self.bytes.extend(bytes);
            }
        }
    }

    /// An array of {connector, tasks}: first those whose connector itself is in it, then the others, as Kafka Connect writes it.
    pub(super) fn work(&mut self, connectors: &BTreeSet<Arc<str>>, tasks: &BTreeSet<TaskId>) {
        let mut numbers: BTreeMap<&str, Vec<i32>> = connectors.iter().map(|name| (&**name, vec![CONNECTOR])).collect();
        for id in tasks {
            numbers.entry(&id.connector).or_default().push(id.task);
        }
        self.length(numbers.len());
        let (first, then): (Vec<_>, Vec<_>) = numbers.into_iter().partition(|(name, _)| connectors.contains(*name));
        for (name, tasks) in first.into_iter().chain(then) {
            self.string(name);
            self.length(tasks.len());
            for task in tasks {
                self.i32(task);
            }
        }
    }

    fn length(&mut self, length: usize) {
        self.i32(i32::try_from(length).unwrap_or(i32::MAX));
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(|| malformed("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// Any version from 0 on: later ones only add to the end.
    pub(super) fn version(&mut self) -> Result<i16> {
        match self.i16()? {
            version @ 0.. => Ok(version),
            version => Err(malformed("its version is negative").with("version", version)),
        }
    }

    pub(super) fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    pub(super) fn string(&mut self) -> Result<String> {
        self.text().map(str::to_owned)
    }

    fn text(&mut self) -> Result<&'a str> {
        let length = usize::try_from(self.i16()?).map_err(|_| malformed("a text has a negative length"))?;
        std::str::from_utf8(self.slice(length)?).map_err(|_| malformed("a text is not UTF-8"))
    }

    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>> {
        match usize::try_from(self.i32()?) {
            Err(_) => Ok(None),
            Ok(length) => self.slice(length).map(Some),
        }
    }

    /// An array of {connector, tasks}; a missing one and null are empty. Memory is bounded by what the bytes hold, not by the counts they claim.
    pub(super) fn work(&mut self) -> Result<WorkSet> {
        let (mut connectors, mut tasks) = WorkSet::default();
        let groups = if self.is_empty() { 0 } else { self.i32()? };
        for _ in 0..groups.max(0) {
            let name: Arc<str> = self.text()?.into();
            let count = self.i32()?;
            if count < 0 {
                return Err(malformed("an array has a negative length"));
            }
            for _ in 0..count {
                match self.i32()? {
                    CONNECTOR => _ = connectors.insert(Arc::clone(&name)),
                    task => _ = tasks.insert(TaskId::new(Arc::clone(&name), task)),
                }
            }
        }
        Ok((connectors, tasks))
    }
}
