//! What a task and its consumer's thread share: events on the way to the task, wishes on the way to the thread.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use millrace_api::batch::raw::RawRecords;
use millrace_api::error::{Error, ErrorKind, Result};
use millrace_api::log::{Event, Offsets, TopicPartition};
use tokio::sync::{Notify, oneshot};

use crate::ffi::batch::KafkaBatch;

/// Shared between one task and one thread.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told when there may be an event.
    ready: Notify,
    /// The consumer's thread, once it runs.
    thread: OnceLock<Thread>,
}

/// The state, under one lock that is never held across anything slow.
pub(super) struct State {
    /// Assignments, revocations and errors: handed out before records, so that a rebalance does not wait for a full buffer.
    control: VecDeque<Result<Event>>,
    /// Records and ends of partitions, in order.
    data: VecDeque<Item>,
    /// Bytes of the records in `data`.
    bytes: usize,
    /// Most bytes of records in `data` at which more are taken.
    budget: usize,
    /// Partitions of this consumer. A partition that is being revoked stays until the task has seen it.
    pub(super) assigned: BTreeSet<TopicPartition>,
    /// Partitions that are paused or about to be paused or resumed.
    pub(super) paused: BTreeMap<TopicPartition, Pause>,
    revocation: Revocation,
    /// For the thread.
    pub(super) commands: VecDeque<Command>,
    /// The thread has ended.
    ended: bool,
}

enum Item {
    Records(KafkaBatch),
    End { partition: TopicPartition, offset: i64 },
}

/// A paused partition.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    /// Whether the task wants it paused.
    pub(super) wanted: bool,
    /// Whether librdkafka knows.
    pub(super) applied: bool,
    /// Where to go on when resumed, when records were dropped that had been fetched but not handed out.
    pub(super) rewind: Option<i64>,
}

/// How far the task is with a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revocation {
    None,
    /// It is in `control`.
    Announced,
    /// The task has it and is committing.
    HandedOut,
}

/// Wishes that the thread fulfils.
pub(super) enum Command {
    Seek { partition: TopicPartition, offset: i64, reply: oneshot::Sender<Result<()>> },
    Stop,
}

/// The consumer ended.
pub(super) fn ended() -> Error {
    Error::new(ErrorKind::Cancelled, "the consumer was closed")
}

impl Shared {
    pub(super) fn new(budget: usize) -> Self {
        Self {
            state: Mutex::new(State {
                control: VecDeque::new(),
                data: VecDeque::new(),
                bytes: 0,
                budget,
                assigned: BTreeSet::new(),
                paused: BTreeMap::new(),
                revocation: Revocation::None,
                commands: VecDeque::new(),
                ended: false,
            }),
            ready: Notify::new(),
            thread: OnceLock::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the calling thread the one that fulfils wishes.
    pub(super) fn serve_on_this_thread(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    fn wake_thread(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    // The task's side.

    /// The next event. Nothing is taken before it is returned, so it may be cancelled.
    pub(super) async fn next(&self) -> Result<Event> {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            self.ready.notified().await;
        }
    }

    fn take(&self) -> Option<Result<Event>> {
        let mut state = self.lock();
        if state.revocation == Revocation::HandedOut {
            state.revocation = Revocation::None;
            self.wake_thread();
        }
        if let Some(event) = state.control.pop_front() {
            if matches!(event, Ok(Event::Revoked { .. })) && state.revocation == Revocation::Announced {
                state.revocation = Revocation::HandedOut;
            }
            return Some(event);
        }
        let was_full = !state.has_room();
        let item = state.data.pop_front();
        if let Some(Item::Records(batch)) = &item {
            state.bytes -= batch.bytes().min(state.bytes);
        }
        if was_full && state.has_room() {
            self.wake_thread();
        }
        match item {
            Some(Item::Records(batch)) => Some(Ok(Event::Records(Box::new(batch)))),
            Some(Item::End { partition, offset }) => Some(Ok(Event::EndOfPartition { partition, offset })),
            None => state.ended.then(|| Err(ended())),
        }
    }

    pub(super) fn command(&self, command: Command) {
        let mut state = self.lock();
        if !state.ended {
            state.commands.push_back(command);
        }
        drop(state);
        self.wake_thread();
    }

    pub(super) fn pause(&self, partitions: &[TopicPartition]) {
        let mut state = self.lock();
        for partition in
            partitions.iter().filter(|partition| state.assigned.contains(*partition)).cloned().collect::<Vec<_>>()
        {
            let dropped = state.drop_held(&partition);
            let pause = state.paused.entry(partition).or_default();
            pause.wanted = true;
            pause.rewind = pause.rewind.or(dropped);
        }
        drop(state);
        self.wake_thread();
    }

    pub(super) fn resume(&self, partitions: &[TopicPartition]) {
        let mut state = self.lock();
        for partition in partitions {
            if let Some(pause) = state.paused.get_mut(partition) {
                pause.wanted = false;
            }
        }
        drop(state);
        self.wake_thread();
    }

    /// Refuses positions of partitions that are not this consumer's.
    pub(super) fn check_assigned(&self, offsets: &Offsets) -> Result<()> {
        let state = self.lock();
        match offsets.keys().find(|partition| !state.assigned.contains(*partition)) {
            Some(lost) => {
                Err(Error::new(ErrorKind::Fenced, "the partition belongs to another member of the group by now")
                    .with("partition", lost))
            }
            None => Ok(()),
        }
    }

    // The thread's side.

    /// Queues records and ends of partitions for the task.
    pub(super) fn push(&self, mut batch: KafkaBatch, ends: Vec<(TopicPartition, i64)>, max_records: usize) {
        let mut state = self.lock();
        state.hold_back(&mut batch);
        let ends = ends.into_iter().filter(|end| state.is_end(&batch, end)).collect::<Vec<_>>();
        if let Some(bytes) = super::size(&batch) {
            state.bytes += bytes;
            match state.data.back_mut() {
                Some(Item::Records(last)) if last.len() + batch.len() <= max_records => last.append(batch),
                _ => state.data.push_back(Item::Records(batch)),
            }
        }
        state.data.extend(ends.into_iter().map(|(partition, offset)| Item::End { partition, offset }));
        drop(state);
        self.ready.notify_one();
    }

    /// Queues an event that does not wait for records.
    pub(super) fn announce(&self, event: Result<Event>) {
        self.lock().control.push_back(event);
        self.ready.notify_one();
    }

    /// Drops what is held of partitions that are being taken away, and tells the task.
    pub(super) fn announce_revocation(&self, partitions: Vec<TopicPartition>, lost: bool) {
        let mut state = self.lock();
        for partition in &partitions {
            state.drop_held(partition);
        }
        state.revocation = if lost { Revocation::None } else { Revocation::Announced };
        state.control.push_back(Ok(Event::Revoked { partitions, lost }));
        drop(state);
        self.ready.notify_one();
    }

    /// The thread's last words.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.commands.clear();
        drop(state);
        self.ready.notify_one();
    }
}

impl State {
    /// Whether more records may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.bytes == 0 || self.bytes < self.budget
    }

    /// Whether the task has not yet come back from a revocation.
    pub(super) fn is_revoking(&self) -> bool {
        self.revocation != Revocation::None
    }

    /// Gives up waiting for the task to come back from a revocation.
    pub(super) fn end_revocation(&mut self) {
        self.revocation = Revocation::None;
    }

    /// The offset of the first thing held of a partition.
    pub(super) fn first_held(&self, partition: &TopicPartition) -> Option<i64> {
        let paused = self.paused.get(partition).and_then(|pause| pause.rewind);
        paused.or_else(|| self.data.iter().find_map(|item| item.first_offset(partition)))
    }

    /// Drops what is held of a partition and returns the offset of the first of it.
    pub(super) fn drop_held(&mut self, partition: &TopicPartition) -> Option<i64> {
        let mut first = None;
        self.data.retain_mut(|item| {
            let dropped = item.discard(partition);
            first = first.or(dropped);
            !item.is_empty()
        });
        self.bytes = self.data.iter().map(Item::bytes).sum();
        first
    }

    /// Takes the records of paused partitions out of a batch and notes where to go on.
    fn hold_back(&mut self, batch: &mut KafkaBatch) {
        for (partition, pause) in &mut self.paused {
            let dropped = batch.discard(partition);
            pause.rewind = pause.rewind.or(dropped);
        }
    }

    /// Whether the end of a partition is to be reported: not when records came after it, for then another end follows; nor when
    /// the partition is paused, for it is read again when resumed.
    fn is_end(&mut self, batch: &KafkaBatch, (partition, offset): &(TopicPartition, i64)) -> bool {
        if let Some(pause) = self.paused.get_mut(partition) {
            pause.rewind = pause.rewind.or(Some(*offset));
            return false;
        }
        batch.last_offset(partition).is_none_or(|last| last < *offset)
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Records(batch) => batch.bytes(),
            Self::End { .. } => 0,
        }
    }

    /// Whether nothing is left.
    fn is_empty(&self) -> bool {
        match self {
            Self::Records(batch) => batch.is_empty(),
            Self::End { offset, .. } => *offset < 0,
        }
    }

    fn first_offset(&self, of: &TopicPartition) -> Option<i64> {
        match self {
            Self::Records(batch) => batch.first_offset(of),
            Self::End { partition, offset } => (partition == of).then_some(*offset),
        }
    }

    /// Empties it of a partition and returns the first offset of that.
    fn discard(&mut self, of: &TopicPartition) -> Option<i64> {
        match self {
            Self::Records(batch) => batch.discard(of),
            Self::End { partition, offset } => (partition == of).then(|| std::mem::replace(offset, -1)),
        }
    }
}
