//! Short words for the behaviours: make topics, send, read until something holds.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{
    Appended, Consumer, ConsumerOptions, Event, Log, Offsets, Producer, ProducerOptions, Subscription, TopicPartition,
    TopicSpec,
};

/// Longest a single expectation may take. Generous: a group on a real cluster rebalances within a session timeout.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How long nothing must happen for a test to believe that nothing will.
pub const SILENCE: Duration = Duration::from_millis(700);

/// A record that was read, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Timestamp.
    pub timestamp: i64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Option<Vec<u8>>,
    /// Headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Got {
    fn of(record: &RawRecord<'_>) -> Self {
        Self {
            topic: record.topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    /// The value as text, `-` for null.
    #[must_use]
    pub fn text(&self) -> String {
        self.value.as_ref().map_or_else(|| "-".to_owned(), |value| String::from_utf8_lossy(value).into_owned())
    }
}

/// Values as text, in the order they were read.
#[must_use]
pub fn texts(records: &[Got]) -> Vec<String> {
    records.iter().map(Got::text).collect()
}

/// `prefix0`, `prefix1`, …
#[must_use]
pub fn numbered(prefix: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("{prefix}{n}")).collect()
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    i64::try_from(since.as_millis()).expect("the clock is right")
}

/// Creates a topic that must not exist yet.
pub async fn topic(log: &dyn Log, name: &str, partitions: i32) -> String {
    let spec = TopicSpec { partitions: Some(partitions), replication: Some(1), ..TopicSpec::new(name) };
    assert!(log.create_topic(&spec).await.expect("create"), "{name} existed already");
    name.to_owned()
}

/// A producer without transactions.
pub async fn producer(log: &dyn Log) -> Box<dyn Producer> {
    log.producer(ProducerOptions { client_id: "behaviour".into(), ..ProducerOptions::default() })
        .await
        .expect("producer")
}

/// A producer with transactions.
pub async fn transactional(log: &dyn Log, id: &str) -> Box<dyn Producer> {
    let transactional_id = Some(id.to_owned());
    let options = ProducerOptions { client_id: "behaviour".into(), transactional_id, ..ProducerOptions::default() };
    log.producer(options).await.expect("transactional producer")
}

/// Records with these values for one partition, without keys.
#[must_use]
pub fn batch(topic: &str, partition: i32, values: &[String]) -> RawBatch {
    let mut batch = RawBatch::new();
    for value in values {
        let record = RawRecord { partition, timestamp: now(), ..RawRecord::new(topic, None, Some(value.as_bytes())) };
        batch.push(&record).expect("fits");
    }
    batch
}

/// Sends values to a partition; every one must be accepted.
pub async fn send(producer: &dyn Producer, topic: &str, partition: i32, values: &[String]) -> Vec<Appended> {
    let sent = producer.send(&batch(topic, partition, values)).await.expect("send");
    assert_eq!(sent.len(), values.len(), "one answer per record");
    sent.into_iter().map(|appended| appended.expect("accepted")).collect()
}

/// A member of a group over topics, from the beginning.
pub async fn member(log: &dyn Log, group: &str, topics: &[&str]) -> Box<dyn Consumer> {
    log.consumer(member_options(group, topics)).await.expect("consumer")
}

/// Options for [`member`].
#[must_use]
pub fn member_options(group: &str, topics: &[&str]) -> ConsumerOptions {
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    ConsumerOptions::new("behaviour", group, Subscription::Topics(topics))
}

/// Options for a consumer without a group, with [`Event::EndOfPartition`].
#[must_use]
pub fn reader_options(topic: &str, starts: &[(i32, i64)]) -> ConsumerOptions {
    let starts = starts.iter().map(|(partition, offset)| (TopicPartition::new(topic, *partition), *offset)).collect();
    ConsumerOptions { end_events: true, ..ConsumerOptions::new("behaviour", "", Subscription::Assign(starts)) }
}

/// The next event within [`PATIENCE`]; errors that may pass are waited out.
pub async fn event(consumer: &mut dyn Consumer) -> Event {
    let waiting = async {
        loop {
            match consumer.next().await {
                Ok(event) => return event,
                Err(error) if error.is_retriable() => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => panic!("next: {error:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("something happens to the consumer in time")
}

/// Copies of the records of an event; nothing for the others.
#[must_use]
pub fn records_of(event: &Event) -> Vec<Got> {
    let Event::Records(records) = event else { return Vec::new() };
    let all: Vec<_> = (0..records.len()).map(|index| Got::of(&records.get(index).expect("index below len"))).collect();
    assert!(records.get(records.len()).is_none(), "nothing past the end");
    all
}

/// Reads until there are at least `count` records.
pub async fn take(consumer: &mut dyn Consumer, count: usize) -> Vec<Got> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(records_of(&event(consumer).await));
    }
    all
}

/// Asserts that no record arrives for a while.
pub async fn silent(consumer: &mut dyn Consumer) {
    let until = tokio::time::Instant::now() + SILENCE;
    while let Ok(event) = tokio::time::timeout_at(until, event(consumer)).await {
        let records = records_of(&event);
        assert!(records.is_empty(), "nothing was to be read, but there came {:?}", texts(&records));
    }
}

/// Waits for an answer to be `expected`: what a transaction wrote becomes visible at once, but a moment after its commit was
/// answered.
pub async fn becomes<T: PartialEq + std::fmt::Debug>(answer: impl AsyncFn() -> T, expected: T) {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let now = answer().await;
        if now == expected {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{now:?} did not become {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything in a topic, by partition and offset.
pub async fn read_all(log: &dyn Log, topic: &str, read_committed: bool) -> Vec<Got> {
    let partitions = log.offsets(topic, read_committed).await.expect("topic exists").len();
    let starts: Vec<_> = (0..partitions).map(|partition| (i32::try_from(partition).expect("few"), -2)).collect();
    let options = ConsumerOptions { read_committed, ..reader_options(topic, &starts) };
    let mut consumer = log.consumer(options).await.expect("consumer");
    let (mut all, mut ended) = (Vec::new(), BTreeSet::new());
    while ended.len() < partitions {
        let event = event(&mut *consumer).await;
        all.extend(records_of(&event));
        if let Event::EndOfPartition { partition, .. } = event {
            ended.insert(partition.partition);
        }
    }
    consumer.close().await;
    all.sort_by_key(|got| (got.partition, got.offset));
    all
}

/// Positions of one topic.
#[must_use]
pub fn positions(topic: &str, of: &[(i32, i64)]) -> Offsets {
    of.iter().map(|(partition, offset)| (TopicPartition::new(topic, *partition), *offset)).collect()
}
