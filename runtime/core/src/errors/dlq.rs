//! The dead letter queue of a sink connector (KIP-298): the record as it was consumed, with the reason in its headers.

use millrace_api::batch::NO_PARTITION;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::config::Props;
use millrace_api::log::{Log, Producer, ProducerOptions, TopicSpec};
use millrace_api::{Error, ErrorKind, Result};

use super::Failure;
use crate::config::SinkConnectorConfig;
use crate::task::TaskId;

/// Writes records at fault to a topic.
pub struct DeadLetterQueue {
    topic: String,
    headers: bool,
    id: TaskId,
    producer: Box<dyn Producer>,
}

impl DeadLetterQueue {
    /// Opens the queue of a connector, creating its topic; `None` when none is configured. `overrides` are the connector's settings
    /// of its producer.
    ///
    /// # Errors
    /// When the topic cannot be created or the producer not opened.
    pub async fn open(
        config: &SinkConnectorConfig,
        id: &TaskId,
        overrides: Props,
        log: &dyn Log,
    ) -> Result<Option<Self>> {
        if config.dlq_topic.is_empty() {
            return Ok(None);
        }
        create_topic(config, log).await?;
        let client_id = format!("connector-dlq-producer-{id}");
        let producer = log.producer(ProducerOptions { client_id, overrides, ..ProducerOptions::default() }).await?;
        Ok(Some(Self {
            topic: config.dlq_topic.clone(),
            headers: config.dlq_context_headers,
            id: id.clone(),
            producer,
        }))
    }

    /// Writes the failed records and waits until they are durable; only then may their positions be committed.
    ///
    /// # Errors
    /// When a record cannot be written; the task fails rather than lose it.
    pub async fn write(&self, failures: &[Failure], raw: &dyn RawRecords) -> Result<u64> {
        let mut batch = RawBatch::new();
        let mut last = None;
        for failure in failures {
            // One record may fail in several of the pieces it was split into; it is dead-lettered once.
            if last.replace(failure.origin) == Some(failure.origin) {
                continue;
            }
            if let Some(record) = raw.get(failure.origin as usize) {
                self.push(&mut batch, record, failure)?;
            }
        }
        let written = batch.len() as u64;
        for result in self.producer.send(&batch).await? {
            result.map_err(|error| self.failed(error))?;
        }
        Ok(written)
    }

    fn push(&self, batch: &mut RawBatch, record: RawRecord<'_>, failure: &Failure) -> Result<()> {
        let (topic, partition, offset) = (record.topic, record.partition.to_string(), record.offset.to_string());
        let task = self.id.task.to_string();
        let stacktrace = failure.error.trace();
        let context: [(&str, &str); 10] = [
            ("__connect.errors.topic", topic),
            ("__connect.errors.partition", &partition),
            ("__connect.errors.offset", &offset),
            ("__connect.errors.connector.name", &self.id.connector),
            ("__connect.errors.task.id", &task),
            ("__connect.errors.stage", failure.stage.name()),
            ("__connect.errors.class.name", &failure.class),
            ("__connect.errors.exception.class.name", failure.error.java_class()),
            ("__connect.errors.exception.message", failure.error.message()),
            ("__connect.errors.exception.stacktrace", &stacktrace),
        ];
        let mut dead = RawRecord { topic: &self.topic, partition: NO_PARTITION, offset: -1, ..record };
        if self.headers {
            dead.headers.extend(context.iter().map(|(name, text)| (*name, Some(text.as_bytes()))));
        }
        batch.push(&dead)
    }

    fn failed(&self, error: Error) -> Error {
        Error::new(
            error.kind(),
            "a record at fault could not be written to the dead letter queue, so the task stops before losing it",
        )
        .with("topic", &self.topic)
        .because(error)
    }
}

async fn create_topic(config: &SinkConnectorConfig, log: &dyn Log) -> Result<()> {
    let mut spec = TopicSpec { partitions: Some(1), ..TopicSpec::new(&config.dlq_topic) };
    spec.replication = Some(config.dlq_replication);
    match log.create_topic(&spec).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Retriable => Err(error),
        Err(error) => {
            // The default of 3 replicas fails on smaller clusters; the broker's own default is better than no queue.
            tracing::warn!(topic = config.dlq_topic, replicas = config.dlq_replication, %error, "dead letter queue: using the broker's default replication factor");
            spec.replication = None;
            log.create_topic(&spec).await.map(|_| ())
        }
    }
}
