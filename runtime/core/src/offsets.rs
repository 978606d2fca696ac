//! Source offsets, kept in a compacted topic in Kafka Connect's format: key `["connector",{partition}]`, value the offset.
//!
//! Lookups compare the parsed partition; the bytes of a key that was read are kept and written again, so that a Java worker that
//! finds its own bytes keeps finding them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::connector::{Json, OffsetReader, SourcePosition};
use millrace_api::log::{ConsumerOptions, Event, Log, Producer, Subscription, TopicPartition};
use millrace_api::{Error, Result};
use serde_json::Value;

/// Offsets of all source partitions, by connector and canonical partition.
#[derive(Default)]
struct Known {
    offsets: HashMap<(String, String), Json>,
}

/// Reads offsets from the topic.
pub struct OffsetStore {
    topic: String,
    log: Arc<dyn Log>,
}

impl OffsetStore {
    /// The offsets kept in `topic` of `log`.
    pub fn new(topic: impl Into<String>, log: Arc<dyn Log>) -> Self {
        Self { topic: topic.into(), log }
    }

    /// Everything committed by now: reads the topic to its end, committed records only.
    ///
    /// # Errors
    /// When the log is out of reach.
    pub async fn snapshot(&self, connector: &str) -> Result<Arc<dyn OffsetReader>> {
        let mut known = Known::default();
        let ends = self.log.offsets(&self.topic, true).await?;
        let mut left: Vec<(TopicPartition, i64)> = Vec::new();
        for (partition, (begin, end)) in (0i32..).zip(ends) {
            if begin < end {
                left.push((TopicPartition::new(self.topic.as_str(), partition), begin));
            }
        }
        if !left.is_empty() {
            self.read(left, &mut known).await?;
        }
        Ok(Arc::new(Snapshot { connector: connector.to_owned(), known: Mutex::new(known) }))
    }

    async fn read(&self, partitions: Vec<(TopicPartition, i64)>, known: &mut Known) -> Result<()> {
        let mut left: Vec<TopicPartition> = partitions.iter().map(|(partition, _)| partition.clone()).collect();
        let mut options = ConsumerOptions::new("connect-offsets-reader", "", Subscription::Assign(partitions));
        options.end_events = true;
        let mut consumer = self.log.consumer(options).await?;
        while !left.is_empty() {
            match consumer.next().await? {
                Event::Records(records) => known.read(&*records),
                Event::EndOfPartition { partition, .. } => left.retain(|one| *one != partition),
                Event::Assigned(_) | Event::Revoked { .. } => {}
            }
        }
        consumer.close().await;
        Ok(())
    }
}

impl Known {
    fn read(&mut self, records: &dyn RawRecords) {
        for index in 0..records.len() {
            let Some(record) = records.get(index) else { break };
            let Some(Value::Array(key)) = record.key.and_then(|key| serde_json::from_slice(key).ok()) else { continue };
            let [Value::String(connector), Value::Object(partition)] = key.as_slice() else { continue };
            let at = (connector.clone(), canonical(partition));
            match record.value.and_then(|value| serde_json::from_slice(value).ok()) {
                Some(Value::Object(offset)) => self.offsets.insert(at, offset),
                _ => self.offsets.remove(&at),
            };
        }
    }
}

struct Snapshot {
    connector: String,
    known: Mutex<Known>,
}

#[async_trait]
impl OffsetReader for Snapshot {
    async fn offset(&self, partition: &Json) -> Result<Option<Json>> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(known.offsets.get(&(self.connector.clone(), canonical(partition))).cloned())
    }
}

/// Collects positions and writes them to the topic.
pub struct OffsetWriter {
    topic: String,
    connector: Arc<str>,
    producer: Arc<dyn Producer>,
    staged: Vec<SourcePosition>,
}

impl OffsetWriter {
    /// Writes offsets of a connector with a producer of its own.
    pub fn new(topic: impl Into<String>, connector: Arc<str>, producer: Arc<dyn Producer>) -> Self {
        Self { topic: topic.into(), connector, producer, staged: Vec::new() }
    }

    /// The offsets topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Positions whose records are durable; later ones of a partition replace earlier ones.
    pub fn stage(&mut self, positions: Vec<SourcePosition>) {
        for position in positions {
            match self.staged.iter_mut().find(|staged| staged.partition == position.partition) {
                Some(staged) => staged.offset = position.offset,
                None => self.staged.push(position),
            }
        }
    }

    /// Makes the staged positions durable.
    ///
    /// # Errors
    /// When they could not be written; they stay staged.
    pub async fn flush(&mut self) -> Result<()> {
        let records = position_records(&self.topic, &self.connector, &self.staged)?;
        for result in self.producer.send(&records).await? {
            result?;
        }
        self.staged.clear();
        Ok(())
    }
}

/// Positions as records of the offsets topic.
///
/// # Errors
/// When there are more than a batch can hold.
pub fn position_records(topic: &str, connector: &str, positions: &[SourcePosition]) -> Result<RawBatch> {
    let mut batch = RawBatch::new();
    for position in positions {
        let key = serde_json::to_vec(&(connector, &position.partition)).map_err(unwritable)?;
        let value = serde_json::to_vec(&position.offset).map_err(unwritable)?;
        batch.push(&RawRecord::new(topic, Some(&key), Some(&value)))?;
    }
    Ok(batch)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("a source position is no JSON").because(error)
}

/// One text per partition, whatever the order of its keys.
fn canonical(partition: &Json) -> String {
    let mut entries: Vec<(&String, &Value)> = partition.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries.iter().map(|(key, value)| format!("{key:?}:{value}")).collect::<Vec<_>>().join(",")
}
