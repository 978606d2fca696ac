//! The operation log: one message per delivered or failed record, to a topic that a log sink reads.
//!
//! The key is topic, partition and offset of the record, so a replay writes the same key again and a keyed sink holds each
//! delivery once.

use millrace_api::Result;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::config::Props;
use millrace_api::log::{Log, Producer, ProducerOptions};

use crate::config::SinkConnectorConfig;
use crate::task::TaskId;

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged by the other side.
    Delivered,
    /// At fault.
    Failed(String),
    /// Dropped by a transformation.
    Dropped,
}

/// Writes the operation log of a task.
pub struct OperationLog {
    topic: String,
    service: String,
    statuses: Vec<String>,
    fields: Vec<String>,
    failures_only: bool,
    producer: Box<dyn Producer>,
}

impl OperationLog {
    /// Opens the log of a connector; `None` when none is configured.
    ///
    /// # Errors
    /// When the producer cannot be opened.
    pub async fn open(
        config: &SinkConnectorConfig,
        id: &TaskId,
        overrides: Props,
        log: &dyn Log,
    ) -> Result<Option<Self>> {
        let oplog = &config.operation_log;
        if oplog.topic.is_empty() {
            return Ok(None);
        }
        let client_id = format!("connector-oplog-producer-{id}");
        let producer = log.producer(ProducerOptions { client_id, overrides, ..ProducerOptions::default() }).await?;
        let named = !oplog.service_name.is_empty();
        Ok(Some(Self {
            topic: oplog.topic.clone(),
            service: if named { oplog.service_name.clone() } else { config.common.name.clone() },
            statuses: oplog.statuses.clone(),
            fields: oplog.fields.clone(),
            failures_only: oplog.records == "failures",
            producer,
        }))
    }

    /// Writes one message per record of `raw`, with the outcome that `outcome` gives for its index, and waits until they are
    /// durable.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn write(&self, raw: &dyn RawRecords, outcome: impl Fn(usize) -> Outcome) -> Result<()> {
        let now = crate::time::iso_now();
        let mut batch = RawBatch::new();
        for index in 0..raw.len() {
            let outcome = outcome(index);
            if self.failures_only && !matches!(outcome, Outcome::Failed(_)) {
                continue;
            }
            let Some(record) = raw.get(index) else { continue };
            let key = format!("{}-{}-{}", record.topic, record.partition, record.offset);
            let value = self.message(&now, &outcome);
            batch.push(&RawRecord::new(&self.topic, Some(key.as_bytes()), Some(value.as_bytes())))?;
        }
        for result in self.producer.send(&batch).await? {
            result?;
        }
        Ok(())
    }

    fn message(&self, now: &str, outcome: &Outcome) -> String {
        let (status, reason) = match outcome {
            Outcome::Delivered => (0, None),
            Outcome::Failed(reason) => (1, Some(reason.as_str())),
            Outcome::Dropped => (2, None),
        };
        let status = self.statuses.get(status).map(String::as_str);
        let values = [Some(now), Some(self.service.as_str()), status, reason];
        let fields = self.fields.iter().zip(values).filter(|(name, _)| !name.is_empty());
        let object: serde_json::Map<_, _> = fields.map(|(name, value)| (name.clone(), value.into())).collect();
        serde_json::Value::Object(object).to_string()
    }
}
