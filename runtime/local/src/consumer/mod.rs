//! Consumers. Everything a call to `next` starts is kept in the consumer, so a future that is dropped loses nothing.

mod fetch;
mod reader;
mod records;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use millrace_api::log::{
    Committing, Consumer, ConsumerOptions, Event, GroupMetadata, Offsets, Subscription, TopicPartition,
};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::check;
use crate::error::{closed, no_topic};
use crate::group::{Interest, MemberId, Step};
use crate::keys;
use crate::log::Shared;
use crate::writer::Command;
use fetch::{Fetched, Wanted};
use reader::Reader;

/// `max.poll.interval.ms` of a consumer that does not say.
const MAX_POLL: Duration = Duration::from_mins(5);

/// Most bytes read at once, so that the first records of a long read come soon.
const FETCH_BYTES: usize = 2 << 20;

/// A consumer.
pub(crate) struct LocalConsumer {
    shared: Arc<Shared>,
    options: ConsumerOptions,
    member: Arc<MemberId>,
    /// What happens to a partition without a usable position.
    reset: Reset,
    wake: Arc<Notify>,
    /// Assigned partitions, in the order in which they take turns.
    readers: VecDeque<Reader>,
    /// Numbers the readers.
    count: u64,
    /// Partitions that were just assigned, while their positions are looked up.
    starting: Option<Task<Vec<Start>>>,
    /// A read under way. At most one.
    fetching: Option<Task<Vec<Fetched>>>,
}

/// Work under way.
type Task<T> = JoinHandle<Result<T>>;

/// A partition that was assigned and its committed position.
type Start = (TopicPartition, Option<i64>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reset {
    Earliest,
    Latest,
    Refuse,
}

impl LocalConsumer {
    /// Opens a consumer; a member joins its group now and learns of its partitions in `next`.
    pub(crate) fn open(shared: Arc<Shared>, options: ConsumerOptions) -> Result<Self> {
        check::overrides(&options.overrides)?;
        let setting = |key: &str| options.overrides.get(key).map(String::as_str);
        let reset = match setting("auto.offset.reset") {
            Some("latest") => Reset::Latest,
            Some("none") => Reset::Refuse,
            None if options.from_latest => Reset::Latest,
            _ => Reset::Earliest,
        };
        let max_poll = setting("max.poll.interval.ms").and_then(|value| value.parse().ok());
        let max_poll = max_poll.map_or(MAX_POLL, Duration::from_millis);
        let read_committed =
            setting("isolation.level").map_or(options.read_committed, |level| level == "read_committed");
        let wake = Arc::new(Notify::new());
        let mut readers = VecDeque::new();
        let number = match &options.subscription {
            Subscription::Assign(starts) => {
                if !options.group.is_empty() {
                    check::name("group.id", &options.group)?;
                }
                for (number, (name, offset)) in (0..).zip(starts) {
                    let topic = shared.registry.find(&name.topic)?;
                    let partition = topic.partition(name.partition).ok_or_else(|| no_topic(&name.to_string()))?;
                    let reader = Reader::new(Arc::clone(partition), number, read_committed, &wake);
                    readers.push_back(reader.starting_at(*offset));
                }
                None
            }
            Subscription::Topics(topics) => {
                check::name("group.id", &options.group)?;
                let interest = Interest::Topics(topics.iter().cloned().collect());
                shared.coordinator.join(&options.group, interest, max_poll, Arc::clone(&wake)).number
            }
            Subscription::Pattern(pattern) => {
                check::name("group.id", &options.group)?;
                let interest = Interest::pattern(pattern)?;
                shared.coordinator.join(&options.group, interest, max_poll, Arc::clone(&wake)).number
            }
        };
        let member = Arc::new(MemberId { group: options.group.clone(), number });
        let options = ConsumerOptions { read_committed, max_records: options.max_records.max(1), ..options };
        let count = readers.len() as u64;
        Ok(Self { shared, options, member, reset, wake, readers, count, starting: None, fetching: None })
    }

    /// Asks the coordinator what to do and does it. `None`: go on reading, until the instant at the latest.
    fn coordinate(&mut self) -> Result<Event, Option<Instant>> {
        match self.shared.coordinator.poll(&self.member) {
            Step::Idle(until) => Err(until),
            Step::Lost(partitions) => Ok(self.forget(partitions, true)),
            Step::Revoked(partitions) => Ok(self.forget(partitions, false)),
            Step::Assigned(partitions) => {
                self.starting = Some(self.look_up(partitions));
                Err(None)
            }
        }
    }

    fn forget(&mut self, partitions: Vec<TopicPartition>, lost: bool) -> Event {
        self.readers.retain(|reader| !partitions.contains(&reader.partition.name()));
        Event::Revoked { partitions, lost }
    }

    /// Looks up committed positions behind every commit that came before the partitions changed hands.
    fn look_up(&self, partitions: Vec<TopicPartition>) -> Task<Vec<Start>> {
        let settled = self.shared.writer.call(|done| Command::Settle { done });
        let (store, group) = (Arc::clone(&self.shared.store), self.options.group.clone());
        tokio::spawn(async move {
            settled.await?;
            let committed = |partition: TopicPartition| {
                let value = store.meta(&keys::position(&group, &partition))?;
                Ok((partition, value.and_then(|value| keys::number(&value))))
            };
            partitions.into_iter().map(committed).collect()
        })
    }

    /// Starts to read partitions that were assigned.
    fn start(&mut self, positions: Vec<Start>) -> Result<Event> {
        let mut assigned = Vec::with_capacity(positions.len());
        for (name, position) in positions {
            let topic = self.shared.registry.get(&name.topic);
            // A topic that was deleted meanwhile is reported as lost by the next poll.
            if let Some(partition) = topic.as_ref().and_then(|topic| topic.partition(name.partition)) {
                self.count += 1;
                let reader = Reader::new(Arc::clone(partition), self.count, self.options.read_committed, &self.wake);
                let start = match (position, self.reset) {
                    (Some(position), _) => position,
                    (None, Reset::Earliest) => -2,
                    (None, Reset::Latest) => -1,
                    (None, Reset::Refuse) => return Err(no_position(&name)),
                };
                self.readers.push_back(reader.starting_at(start));
            }
            assigned.push(name);
        }
        Ok(Event::Assigned(assigned))
    }

    /// Finds readers that cannot go on, and moves those whose position was removed by retention, or lies behind the end.
    fn check_positions(&mut self) -> Result<()> {
        for reader in &mut self.readers {
            if self.member.number.is_none() && reader.partition.is_deleted() {
                return Err(no_topic(&reader.partition.topic));
            }
            if reader.is_out_of_range() {
                match self.reset {
                    Reset::Earliest => reader.seek(-2),
                    Reset::Latest => reader.seek(-1),
                    Reset::Refuse => return Err(no_position(&reader.partition.name())),
                }
            }
        }
        Ok(())
    }

    /// Starts a read when there is something to read and room for it.
    fn prefetch(&mut self) {
        let buffered: usize = self.readers.iter().map(Reader::buffered_bytes).sum();
        if self.fetching.is_some() || buffered > self.options.buffer_bytes / 2 {
            return;
        }
        let wanted: Vec<Wanted> = self.readers.iter().filter_map(Reader::wanted).collect();
        if !wanted.is_empty() {
            let budget = (self.options.buffer_bytes - buffered).min(FETCH_BYTES);
            self.fetching = Some(fetch::start(Arc::clone(&self.shared.store), wanted, budget));
        }
    }

    fn take_in(&mut self, fetched: Vec<Fetched>) {
        for fetched in fetched {
            if let Some(reader) = self.readers.iter_mut().find(|reader| reader.number == fetched.number) {
                reader.take_in(fetched);
            }
        }
    }

    /// Records or an end that can be handed out without waiting.
    fn ready(&mut self) -> Option<Event> {
        let records = records::gather(&mut self.readers, self.options.max_records);
        if let Some(records) = records {
            self.prefetch();
            return Some(Event::Records(Box::new(records)));
        }
        if !self.options.end_events {
            return None;
        }
        self.readers.iter_mut().find_map(Reader::end_event)
    }

    fn reader(&mut self, partition: &TopicPartition) -> Option<&mut Reader> {
        self.readers.iter_mut().find(|reader| reader.is_of(partition))
    }
}

fn no_position(partition: &TopicPartition) -> Error {
    let message = "There is no usable position in this partition and auto.offset.reset is none";
    Error::new(ErrorKind::External, message).with("partition", partition)
}

/// Waits for a task without taking it from where it is kept, so that a dropped future does not lose it.
async fn finished<T>(task: &mut Option<Task<T>>) -> Result<T> {
    let Some(running) = task else { return std::future::pending().await };
    let outcome = running.await;
    *task = None;
    outcome.unwrap_or_else(|_| Err(closed()))
}

#[async_trait]
impl Consumer for LocalConsumer {
    async fn next(&mut self) -> Result<Event> {
        loop {
            if self.starting.is_some() {
                let positions = finished(&mut self.starting).await?;
                return self.start(positions);
            }
            let deadline = match self.coordinate() {
                Ok(event) => return Ok(event),
                Err(_) if self.starting.is_some() => continue,
                Err(deadline) => deadline,
            };
            self.check_positions()?;
            if let Some(event) = self.ready() {
                return Ok(event);
            }
            self.prefetch();
            let wake = Arc::clone(&self.wake);
            let late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                fetched = finished(&mut self.fetching) => self.take_in(fetched?),
                () = wake.notified() => {}
                () = late => {}
            }
        }
    }

    fn commit(&self, offsets: &Offsets) -> Committing {
        if offsets.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let named = check::name("group.id", &self.options.group);
        let (shared, member, offsets) = (Arc::clone(&self.shared), Arc::clone(&self.member), offsets.clone());
        Box::pin(async move {
            named?;
            shared.writer.call(|done| Command::CommitPositions { member, offsets, done }).await
        })
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.reader(partition).into_iter().for_each(Reader::pause);
        }
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.reader(partition).into_iter().for_each(Reader::resume);
        }
    }

    async fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        let Some(reader) = self.reader(partition) else {
            let message = "Only a partition that is assigned can be read from another offset";
            return Err(Error::new(ErrorKind::Conflict, message).with("partition", partition));
        };
        reader.seek(offset);
        Ok(())
    }

    fn group_metadata(&self) -> GroupMetadata {
        GroupMetadata(Arc::clone(&self.member) as Arc<dyn std::any::Any + Send + Sync>)
    }

    fn lag(&self) -> Vec<(TopicPartition, i64)> {
        self.readers.iter().map(|reader| (reader.partition.name(), reader.lag())).collect()
    }

    async fn close(self: Box<Self>) {}
}

impl Drop for LocalConsumer {
    fn drop(&mut self) {
        self.shared.coordinator.leave(&self.member);
    }
}
