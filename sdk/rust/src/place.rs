//! Where the parts of a record lie while it passes the stages of a chain.

use millrace_api::batch::delta::mask;
use millrace_api::batch::{RecordBatch, Row, Slice};

use crate::output::{Pending, bit};
use crate::record::Part;

/// A record between two stages: each part lies in the batch or in the buffer of the stage that wrote it last.
#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(crate) row: Row,
    pub(crate) topic: Slice,
    pub(crate) mask: u32,
    /// Number of the stage that wrote topic, key, value, headers.
    pub(crate) writers: [u16; 4],
    /// The part that is taken apart, and the last stage that edited it.
    pub(crate) open: Option<(Part, u16)>,
}

pub(crate) const TOPIC: usize = 0;
pub(crate) const KEY: usize = 1;
pub(crate) const VALUE: usize = 2;
pub(crate) const HEADERS: usize = 3;
pub(crate) const BITS: [u32; 4] = [mask::TOPIC, mask::KEY, mask::VALUE, mask::HEADERS];

impl Current {
    /// A record as it comes in.
    pub(crate) fn new(row: &Row) -> Self {
        Self { row: *row, topic: Slice::NULL, mask: 0, writers: [0; 4], open: None }
    }

    /// Takes over what the stage numbered `stage` changed.
    pub(crate) fn change(&mut self, stage: usize, pending: &Pending) {
        if pending.mask == 0 {
            return;
        }
        let has = |bit: u32| pending.mask & bit != 0;
        let row = &mut self.row;
        if has(mask::TOPIC) {
            self.topic = pending.topic;
        }
        if has(mask::PARTITION) {
            row.partition = pending.partition;
        }
        if has(mask::TIMESTAMP) {
            row.timestamp = pending.timestamp;
        }
        if has(mask::KEY) {
            (row.key, row.key_schema) = (pending.key, pending.key_schema);
        }
        if has(mask::VALUE) {
            (row.value, row.value_schema) = (pending.value, pending.value_schema);
        }
        if has(mask::HEADERS) {
            row.headers = pending.headers;
        }
        for (writer, bit) in self.writers.iter_mut().zip(BITS) {
            if has(bit) {
                *writer = number(stage);
            }
        }
        self.mask |= pending.mask;
    }

    /// Where key or value lies; when it is taken apart, as it was before.
    pub(crate) fn at(&self, part: Part) -> (usize, Slice) {
        match part {
            Part::Key => (KEY, self.row.key),
            Part::Value => (VALUE, self.row.value),
        }
    }

    /// Number of the schema of key or value.
    pub(crate) fn schema(&self, part: Part) -> u32 {
        match part {
            Part::Key => self.row.key_schema,
            Part::Value => self.row.value_schema,
        }
    }

    /// Key or value was put together by `stage`.
    pub(crate) fn replace(&mut self, part: Part, stage: u16, written: Slice) {
        let (index, at) = match part {
            Part::Key => (KEY, &mut self.row.key),
            Part::Value => (VALUE, &mut self.row.value),
        };
        *at = written;
        self.writers[index] = stage;
        self.mask |= bit(part);
    }

    /// The bytes among which a part lies: the batch's unless a stage wrote it.
    #[inline]
    pub(crate) fn heap<'a>(&self, part: usize, batch: &'a RecordBatch, buffers: &'a [Vec<u8>]) -> &'a [u8] {
        if self.mask & BITS[part] == 0 {
            return batch.heap();
        }
        buffers.get(usize::from(self.writers[part])).map_or(&[], |buffer| buffer)
    }

    /// The bytes of a part.
    #[inline]
    pub(crate) fn part<'a>(
        &self,
        part: usize,
        at: Slice,
        batch: &'a RecordBatch,
        buffers: &'a [Vec<u8>],
    ) -> Option<&'a [u8]> {
        at.of(self.heap(part, batch, buffers))
    }
}

/// Finds the parts of a record. Stages look at few of them, so each is looked for when somebody wants it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) batch: &'a RecordBatch,
    /// What stages changed, and where they wrote it.
    pub(crate) changed: Option<(&'a Current, &'a [Vec<u8>])>,
}

impl<'a> Place<'a> {
    pub(crate) fn topic(&self, row: &Row) -> &'a str {
        match self.changed {
            Some((current, buffers)) if current.mask & mask::TOPIC != 0 => {
                let name = current.part(TOPIC, current.topic, self.batch, buffers);
                name.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
            }
            _ => self.batch.topics().get(row.topic as usize).map_or("", |topic| topic),
        }
    }

    #[inline]
    pub(crate) fn part(&self, row: &Row, part: Part) -> &'a [u8] {
        let (index, at) = match part {
            Part::Key => (KEY, row.key),
            Part::Value => (VALUE, row.value),
        };
        // Nobody looks at a part that is taken apart.
        if self.changed.is_some_and(|(current, _)| current.open.is_some_and(|(open, _)| open == part)) {
            return &[];
        }
        self.bytes(index, at)
    }

    pub(crate) fn headers(&self, row: &Row) -> &'a [u8] {
        self.bytes(HEADERS, row.headers)
    }

    #[inline]
    fn bytes(&self, part: usize, at: Slice) -> &'a [u8] {
        let found = match self.changed {
            Some((current, buffers)) => current.part(part, at, self.batch, buffers),
            None => at.of(self.batch.heap()),
        };
        found.unwrap_or_default()
    }
}

/// Number of a stage as records keep it.
pub(crate) fn number(stage: usize) -> u16 {
    u16::try_from(stage).unwrap_or(u16::MAX)
}
