//! A partition as one consumer reads it.

use std::collections::VecDeque;
use std::sync::Arc;

use millrace_api::log::{Event, TopicPartition};
use tokio::sync::Notify;

use super::fetch::{Chunk, Fetched, Wanted};
use crate::topic::Partition;

/// An assigned partition.
pub(super) struct Reader {
    /// The partition.
    pub(super) partition: Arc<Partition>,
    /// Tells a fetch for this reader from one for an earlier reader of the partition.
    pub(super) number: u64,
    /// Nothing is handed out and nothing fetched.
    paused: bool,
    /// Counts the seeks, so that what was fetched before one is dropped.
    version: u64,
    /// Next offset to be handed out.
    position: i64,
    /// Next offset to be fetched.
    fetched: i64,
    buffer: VecDeque<Chunk>,
    buffered: usize,
    /// End that was reported last.
    reported: Option<i64>,
    read_committed: bool,
    wake: Arc<Notify>,
}

impl Reader {
    /// A reader that wakes `wake` when there may be more.
    pub(super) fn new(partition: Arc<Partition>, number: u64, read_committed: bool, wake: &Arc<Notify>) -> Self {
        partition.wait(wake);
        let wake = Arc::clone(wake);
        Self {
            partition,
            number,
            paused: false,
            version: 0,
            position: 0,
            fetched: 0,
            buffer: VecDeque::new(),
            buffered: 0,
            reported: None,
            read_committed,
            wake,
        }
    }

    pub(super) fn starting_at(mut self, offset: i64) -> Self {
        self.seek(offset);
        self
    }

    pub(super) fn is_of(&self, partition: &TopicPartition) -> bool {
        self.partition.index == partition.partition && self.partition.topic == partition.topic
    }

    /// Goes to an offset; -2 is the beginning, -1 the end.
    pub(super) fn seek(&mut self, offset: i64) {
        let position = match offset {
            -2 => self.partition.start(),
            -1 => self.end(),
            offset => offset,
        };
        self.version += 1;
        (self.position, self.fetched) = (position, position);
        self.buffer.clear();
        self.buffered = 0;
        self.reported = None;
    }

    /// Stops. What was fetched is fetched again after [`Reader::resume`], so that it does not take room from others.
    pub(super) fn pause(&mut self) {
        let (position, reported) = (self.position, self.reported);
        self.seek(position);
        self.reported = reported;
        self.paused = true;
    }

    /// Goes on.
    pub(super) fn resume(&mut self) {
        self.paused = false;
    }

    /// Where it may read to.
    fn end(&self) -> i64 {
        self.partition.end(self.read_committed)
    }

    /// Whether retention removed what comes next, or the position never existed. The last stable offset does not count: a
    /// position behind it may have been committed by a read-uncommitted consumer.
    pub(super) fn is_out_of_range(&self) -> bool {
        self.buffer.is_empty() && (self.fetched < self.partition.start() || self.fetched > self.partition.end(false))
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered
    }

    /// What a fetch should bring.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let end = self.end();
        let more = !self.paused && self.fetched < end && !self.partition.is_deleted();
        more.then(|| Wanted {
            partition: Arc::clone(&self.partition),
            number: self.number,
            version: self.version,
            from: self.fetched,
            end,
        })
    }

    /// Takes in what a fetch brought.
    pub(super) fn take_in(&mut self, fetched: Fetched) {
        if fetched.version != self.version {
            return;
        }
        self.fetched = fetched.next;
        self.buffered += fetched.chunks.iter().map(Chunk::bytes).sum::<usize>();
        self.buffer.extend(fetched.chunks);
        self.skip_gap();
    }

    /// Hands out the next records, at most `limit`, all from one block.
    pub(super) fn hand_out(&mut self, limit: usize) -> Option<Chunk> {
        if self.paused {
            return None;
        }
        let mut first = self.buffer.pop_front()?;
        self.buffered -= first.bytes();
        if let Some(rest) = first.split_off(limit) {
            self.buffered += rest.bytes();
            self.buffer.push_front(rest);
        }
        self.position = first.next_offset();
        self.skip_gap();
        Some(first)
    }

    /// What compaction or an abort left out is behind us once there is nothing buffered before it.
    fn skip_gap(&mut self) {
        if self.buffer.is_empty() {
            self.position = self.fetched;
        }
    }

    pub(super) fn lag(&self) -> i64 {
        (self.end() - self.position).max(0)
    }

    /// The end, once each time it is reached.
    pub(super) fn end_event(&mut self) -> Option<Event> {
        let at_end = !self.paused && self.buffer.is_empty() && self.fetched >= self.end();
        if !at_end || self.reported == Some(self.position) {
            return None;
        }
        self.reported = Some(self.position);
        Some(Event::EndOfPartition { partition: self.partition.name(), offset: self.position })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.partition.leave(&self.wake);
    }
}
