//! Topics of a log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::batch::raw::{RawBatch, RawRecords};
use millrace_api::log::{
    Appended, CONTROL_TIMEOUT, Consumer, ConsumerOptions, Event, Log, Producer, ProducerOptions, Subscription,
    TopicPartition,
};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::{PAGE_BYTES, Page, Topic, TopicAccess, TopicReader};

/// Shown to brokers.
const CLIENT_ID: &str = "millrace-topics";

/// [`TopicAccess`] over a log.
pub struct LogTopics {
    log: Arc<dyn Log>,
    /// Opened by the first append, and again after it failed.
    producer: Mutex<Option<Arc<dyn Producer>>>,
}

impl LogTopics {
    /// Topics of `log`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log, producer: Mutex::default() }
    }

    async fn producer(&self) -> Result<Arc<dyn Producer>> {
        let mut producer = self.producer.lock().await;
        if let Some(open) = &*producer {
            return Ok(Arc::clone(open));
        }
        let options = ProducerOptions { client_id: CLIENT_ID.to_owned(), ..ProducerOptions::default() };
        let opened: Arc<dyn Producer> = Arc::from(self.log.producer(options).await?);
        Ok(Arc::clone(producer.insert(opened)))
    }

    /// Where reading starts: not before the beginning, and not behind the end.
    async fn starts(&self, topic: &str, from: &[(i32, i64)]) -> Result<BTreeMap<i32, i64>> {
        let known = self.log.offsets(topic, false).await.map_err(named(topic))?;
        let start = |(partition, offset): &(i32, i64)| {
            let found = usize::try_from(*partition).ok().and_then(|index| known.get(index));
            let (begin, end) = found.ok_or_else(|| no_partition(topic, *partition, known.len()))?;
            if offset > end {
                return Err(Error::config(format!(
                    "Invalid value {offset} for parameter offset: partition {partition} of {topic} ends at {end}"
                )));
            }
            Ok((*partition, *offset.max(begin)))
        };
        from.iter().map(start).collect()
    }
}

/// "Topic X not found", as Kafka Connect words it for connectors.
fn named(topic: &str) -> impl Fn(Error) -> Error + '_ {
    move |error| match error.kind() {
        ErrorKind::NotFound => Error::new(ErrorKind::NotFound, format!("Topic {topic} not found")),
        _ => error,
    }
}

pub(super) fn no_partition(topic: &str, partition: i32, count: usize) -> Error {
    Error::config(format!(
        "Invalid value {partition} for parameter partition: {topic} has {count} partitions, counted from 0"
    ))
}

#[async_trait]
impl TopicAccess for LogTopics {
    async fn topics(&self) -> Result<Vec<Topic>> {
        let mut topics = Vec::new();
        for topic in self.log.topics().await? {
            match self.log.offsets(&topic.name, true).await {
                Ok(offsets) => topics.push(Topic {
                    name: topic.name,
                    partitions: topic.partitions,
                    records: offsets.iter().map(|(begin, end)| end - begin).sum(),
                    internal: topic.internal,
                }),
                // Deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(topics)
    }

    async fn offsets(&self, topic: &str) -> Result<Vec<(i64, i64)>> {
        self.log.offsets(topic, true).await.map_err(named(topic))
    }

    async fn read(&self, topic: &str, from: &[(i32, i64)]) -> Result<Box<dyn TopicReader>> {
        let next = self.starts(topic, from).await?;
        let assigned = next.iter().map(|(partition, offset)| (TopicPartition::new(topic, *partition), *offset));
        let mut options = ConsumerOptions::new(CLIENT_ID, "", Subscription::Assign(assigned.collect()));
        options.end_events = true;
        options.buffer_bytes = PAGE_BYTES;
        let consumer = self.log.consumer(options).await.map_err(named(topic))?;
        let unread = next.keys().copied().collect();
        Ok(Box::new(LogReader { topic: topic.to_owned(), consumer, next, unread, held: None }))
    }

    async fn append(&self, topic: &str, records: &RawBatch) -> Result<Vec<Result<Appended>>> {
        let appended = self.producer().await?.send(records).await;
        if appended.is_err() {
            *self.producer.lock().await = None;
        }
        appended.map_err(named(topic))
    }
}

fn is_full(page: &RawBatch, limit: usize) -> bool {
    page.len() >= limit || page.bytes() >= PAGE_BYTES
}

/// A consumer of some partitions.
struct LogReader {
    topic: String,
    consumer: Box<dyn Consumer>,
    /// Position in each partition.
    next: BTreeMap<i32, i64>,
    /// Partitions whose end has not been reached yet.
    unread: BTreeSet<i32>,
    /// Records that did not fit into the page before, and the first of them.
    held: Option<(Box<dyn RawRecords>, usize)>,
}

impl LogReader {
    /// Moves what is held into a page until it is full.
    fn take_held(&mut self, page: &mut RawBatch, limit: usize) -> Result<()> {
        let Some((records, first)) = &mut self.held else { return Ok(()) };
        while let Some(record) = records.get(*first) {
            if is_full(page, limit) {
                return Ok(());
            }
            page.push(&record)?;
            self.next.insert(record.partition, record.offset + 1);
            *first += 1;
        }
        self.held = None;
        Ok(())
    }

    fn at_end(&self) -> bool {
        self.unread.is_empty() && self.held.is_none()
    }

    fn page_of(&self, records: RawBatch) -> Page {
        let next = self.next.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        Page { records, next, end: self.at_end() }
    }
}

#[async_trait]
impl TopicReader for LogReader {
    async fn page(&mut self, limit: usize, wait: Duration) -> Result<Page> {
        let waits_until = Instant::now() + wait;
        // A log out of reach says so late, or never.
        let gives_up = waits_until + CONTROL_TIMEOUT;
        let mut records = RawBatch::new();
        loop {
            self.take_held(&mut records, limit)?;
            if is_full(&records, limit) || (self.at_end() && !records.is_empty()) {
                return Ok(self.page_of(records));
            }
            let deadline = if self.at_end() { waits_until } else { gives_up };
            match timeout_at(deadline, self.consumer.next()).await {
                Ok(event) => match event.map_err(named(&self.topic))? {
                    Event::Records(records) => self.held = Some((records, 0)),
                    Event::EndOfPartition { partition, offset } => {
                        self.next.entry(partition.partition).and_modify(|next| *next = offset.max(*next));
                        self.unread.remove(&partition.partition);
                    }
                    Event::Assigned(_) | Event::Revoked { .. } => {}
                },
                Err(_) if self.at_end() || !records.is_empty() => return Ok(self.page_of(records)),
                Err(_) => return Err(Error::new(ErrorKind::Timeout, "The log did not answer in time")),
            }
        }
    }
}
