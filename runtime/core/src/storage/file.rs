//! The offsets file of a standalone Kafka Connect worker (`offset.storage.file.filename`): a `HashMap<byte[], byte[]>` as Java
//! serializes it. Keys and values are those of the offsets topic, so it is imported by writing its entries there.

use millrace_api::{Error, Result};

use super::Entry;

const MAGIC: u16 = 0xaced;
const VERSION: u16 = 5;
const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS: u8 = 0x72;
const OBJECT: u8 = 0x73;
const ARRAY: u8 = 0x75;
const BLOCK: u8 = 0x77;
const END: u8 = 0x78;

/// The entries of the file. An empty file has none.
///
/// # Errors
/// [`millrace_api::ErrorKind::Data`] when it is something else.
pub fn read_offsets_file(bytes: &[u8]) -> Result<Vec<Entry>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    Reader { bytes }.map().ok_or_else(|| {
        Error::data("the offsets file is not one that a standalone Kafka Connect worker has written; give the file that its offset.storage.file.filename names")
    })
}

/// Just as much of the object serialization stream protocol as such a map takes. `None`: it is something else.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn map(&mut self) -> Option<Vec<Entry>> {
        (self.u16()? == MAGIC && self.u16()? == VERSION && self.u8()? == OBJECT).then_some(())?;
        (self.class()? == b"java.util.HashMap").then_some(())?;
        // Load factor and threshold, then a block of capacity and number of entries.
        self.take(8)?;
        (self.u8()? == BLOCK && self.u8()? == 8).then_some(())?;
        self.take(4)?;
        let count = self.u32()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = self.array()?;
            let value = self.array()?;
            // Kafka Connect has written offsets without a partition's key, which nobody can look up.
            entries.extend(key.map(|key| Entry { key, value }));
        }
        (self.u8()? == END).then_some(entries)
    }

    /// A class description: its name. Fields are read over; there is no super class.
    fn class(&mut self) -> Option<&'a [u8]> {
        (self.u8()? == CLASS).then_some(())?;
        let name = self.text()?;
        // serialVersionUID and flags.
        self.take(9)?;
        for _ in 0..self.u16()? {
            (matches!(self.u8()?, b'F' | b'I')).then_some(())?;
            self.text()?;
        }
        (self.u8()? == END && self.u8()? == NULL).then_some(name)
    }

    /// Bytes or null. Their class is described once and referred to after that.
    #[allow(clippy::option_option, reason = "malformed, null, bytes")]
    fn array(&mut self) -> Option<Option<Vec<u8>>> {
        match self.u8()? {
            NULL => return Some(None),
            ARRAY => {}
            _ => return None,
        }
        if self.bytes.first() == Some(&REFERENCE) {
            self.take(5)?;
        } else {
            (self.class()? == b"[B").then_some(())?;
        }
        let length = usize::try_from(self.u32()?).ok()?;
        Some(Some(self.take(length)?.to_vec()))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}
