//! Producers: records are encoded here, on the caller's task, and handed to the writer in the first poll of `send`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use async_trait::async_trait;
use millrace_api::batch::raw::{RawRecord, RawRecords};
use millrace_api::batch::{NO_PARTITION, NO_TIMESTAMP};
use millrace_api::log::{Appended, GroupMetadata, Offsets, Producer};
use millrace_api::{Error, ErrorKind, Result};

use crate::block::{Builder, TARGET_BYTES, size_of_parts};
use crate::check::now;
use crate::error::no_topic;
use crate::group::MemberId;
use crate::log::Shared;
use crate::partitioner::partition_of;
use crate::topic::{Partition, Topic};
use crate::writer::{Append, Command, Owner, Part};

/// Parts below this are left open, so that the writer can put many of them into one block.
const SMALL_BYTES: usize = 16 << 10;

/// What a record takes beside its parts, counted as Kafka's record batches do, generously.
const RECORD_OVERHEAD: usize = 61 + 20;

/// A producer.
pub(crate) struct LocalProducer {
    shared: Arc<Shared>,
    owner: Option<Owner>,
    /// Partition for the next send's records without a key.
    turn: AtomicI32,
}

impl LocalProducer {
    pub(crate) fn new(shared: Arc<Shared>, owner: Option<Owner>) -> Self {
        Self { shared, owner, turn: AtomicI32::new(0) }
    }

    fn owner(&self) -> Result<Owner> {
        self.owner.clone().ok_or_else(|| {
            Error::new(ErrorKind::Conflict, "This producer has no transactional.id, so it has no transactions")
        })
    }

    /// Encodes records by partition. Errors of single records stand in the plan.
    fn plan(&self, records: &dyn RawRecords) -> Plan {
        let mut plan = Plan::default();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut topics: BTreeMap<String, Result<Arc<Topic>>> = BTreeMap::new();
        let now = now();
        for record in (0..records.len()).filter_map(|index| records.get(index)) {
            if !topics.contains_key(record.topic) {
                topics.insert(record.topic.to_owned(), self.shared.topic_for_append(record.topic));
            }
            let placed = match topics.get(record.topic) {
                Some(Ok(topic)) => plan.place(topic, &record, turn, now),
                Some(Err(error)) => {
                    Err(Error::new(error.kind(), error.message().to_owned()).with("topic", record.topic))
                }
                None => Err(no_topic(record.topic)),
            };
            plan.records.push(placed);
        }
        plan
    }
}

/// Where every record of a send goes.
#[derive(Default)]
struct Plan {
    /// Part and place in it of each record, or why it was refused.
    records: Vec<Result<(usize, u32)>>,
    parts: Vec<(Arc<Partition>, Builder)>,
    /// The part that takes a partition's next record.
    current: BTreeMap<(u32, i32), usize>,
}

impl Plan {
    fn place(&mut self, topic: &Topic, record: &RawRecord<'_>, turn: i32, now: i64) -> Result<(usize, u32)> {
        let partition = choose(topic, record, turn)?;
        let size = size_of_parts(record);
        if size.saturating_add(RECORD_OVERHEAD) > topic.config.max_message_bytes {
            return Err(Error::data(format!(
                "A record of {size} bytes is larger than the topic's max.message.bytes of {}. Make records smaller or raise it",
                topic.config.max_message_bytes
            ))
            .with("topic", &topic.name));
        }
        if topic.config.compact && record.key.is_none() {
            let message = "A compacted topic (cleanup.policy=compact) cannot take a record without a key";
            return Err(Error::data(message).with("topic", &topic.name));
        }
        let log_append_time = topic.config.log_append_time;
        let timestamp = if log_append_time || record.timestamp == NO_TIMESTAMP { now } else { record.timestamp };
        let place = (partition.topic_id, partition.index);
        let part = match self.current.get(&place) {
            Some(part) if self.parts.get(*part).is_some_and(|(_, builder)| builder.len() < TARGET_BYTES) => *part,
            _ => {
                self.parts.push((Arc::clone(partition), Builder::default()));
                self.current.insert(place, self.parts.len() - 1);
                self.parts.len() - 1
            }
        };
        let Some((_, builder)) = self.parts.get_mut(part) else {
            return Err(Error::internal("a part of a send is missing"));
        };
        let index = builder.span();
        if builder.push(record, timestamp, log_append_time) {
            Ok((part, index))
        } else {
            Err(Error::data("A record is too large to be stored"))
        }
    }
}

fn choose<'a>(topic: &'a Topic, record: &RawRecord<'_>, turn: i32) -> Result<&'a Arc<Partition>> {
    let index = match (record.partition, record.key) {
        (NO_PARTITION, Some(key)) => partition_of(key, topic.count()),
        // One partition per send makes few blocks, another for the next send spreads the load (KIP-480).
        (NO_PARTITION, None) => turn.rem_euclid(topic.count().max(1)),
        (index, _) => index,
    };
    topic.partition(index).ok_or_else(|| {
        Error::data(format!("The topic has no partition {index}; it has {}", topic.count())).with("topic", &topic.name)
    })
}

#[async_trait]
impl Producer for LocalProducer {
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let Plan { records, parts, .. } = self.plan(records);
        let partitions: Vec<_> = parts.iter().map(|(partition, _)| Arc::clone(partition)).collect();
        let close = |builder: Builder| {
            if builder.len() < SMALL_BYTES { Part::Open(builder) } else { Part::Closed(builder.finish()) }
        };
        let parts = parts.into_iter().map(|(partition, builder)| (partition, close(builder))).collect();
        let owner = self.owner.clone();
        let bases = self.shared.writer.call(|done| Command::Append(Append { owner, parts, done })).await?;
        let appended = |(part, index): (usize, u32)| {
            let partition = partitions.get(part).ok_or_else(|| Error::internal("a part of a send is missing"))?;
            let base = bases.get(part).copied().flatten().ok_or_else(|| no_topic(&partition.topic))?;
            Ok(Appended { partition: partition.index, offset: base + i64::from(index) })
        };
        Ok(records.into_iter().map(|placed| placed.and_then(appended)).collect())
    }

    async fn begin(&self) -> Result<()> {
        let owner = self.owner()?;
        self.shared.writer.call(|done| Command::Begin { owner, done }).await
    }

    async fn send_offsets(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()> {
        let owner = self.owner()?;
        let member = Arc::clone(&group.0).downcast::<MemberId>().map_err(|_| {
            Error::new(
                ErrorKind::Conflict,
                "These positions belong to a consumer of another log; a transaction cannot span two",
            )
        })?;
        let offsets = offsets.clone();
        self.shared.writer.call(|done| Command::SendOffsets { owner, member, offsets, done }).await
    }

    async fn commit(&self) -> Result<()> {
        let owner = self.owner()?;
        self.shared.writer.call(|done| Command::Commit { owner, done }).await
    }

    async fn abort(&self) -> Result<()> {
        let owner = self.owner()?;
        self.shared.writer.call(|done| Command::Abort { owner, done }).await
    }
}

/// A transaction that nobody can commit any more must not hold back readers.
impl Drop for LocalProducer {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            // Nobody waits for the answer; a newer producer may have fenced this one, which is fine too.
            drop(self.shared.writer.call(|done| Command::Abort { owner, done }));
        }
    }
}
