//! Records as a consumer hands them out: ranges of shared blocks.

use std::collections::VecDeque;

use millrace_api::batch::raw::{RawRecord, RawRecords};

use super::fetch::Chunk;
use super::reader::Reader;

/// Records of some blocks.
pub(super) struct LocalRecords {
    chunks: Vec<Chunk>,
    /// Number of records up to and with each chunk.
    ends: Vec<usize>,
    bytes: usize,
}

/// Takes up to `limit` records from what is buffered. The reader that gave goes to the back of the queue, so a partition with much to
/// read does not starve the others.
pub(super) fn gather(readers: &mut VecDeque<Reader>, limit: usize) -> Option<LocalRecords> {
    let mut records = LocalRecords { chunks: Vec::new(), ends: Vec::new(), bytes: 0 };
    for _ in 0..readers.len() {
        if records.len() >= limit {
            break;
        }
        let Some(mut reader) = readers.pop_front() else { break };
        while records.len() < limit
            && let Some(chunk) = reader.hand_out(limit - records.len())
        {
            records.push(chunk);
        }
        readers.push_back(reader);
    }
    (!records.is_empty()).then_some(records)
}

impl LocalRecords {
    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes();
        self.ends.push(self.len() + chunk.len());
        self.chunks.push(chunk);
    }
}

impl RawRecords for LocalRecords {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn get(&self, index: usize) -> Option<RawRecord<'_>> {
        let number = self.ends.partition_point(|end| *end <= index);
        let before = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let chunk = self.chunks.get(number)?;
        chunk.block.get(chunk.from + (index - before))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
