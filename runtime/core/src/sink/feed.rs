//! Polling, converting and transforming, one batch ahead of delivery.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use millrace_api::batch::raw::RawRecords;
use millrace_api::log::{Consumer, Event, Offsets, TopicPartition};
use millrace_api::transform::Chain;
use millrace_api::{Error, RecordBatch, Result};
use tokio::task::JoinHandle;

use crate::convert::Converters;
use crate::errors::{Failure, Stage};
use crate::metrics::TaskMetrics;
use crate::task::panicked;

/// A batch that is ready for the connector.
pub(super) struct Prepared {
    /// As it was consumed.
    pub(super) raw: Box<dyn RawRecords>,
    /// Converted and transformed.
    pub(super) batch: RecordBatch,
    /// Records at fault so far.
    pub(super) failures: Vec<Failure>,
    /// Origins of records dropped on purpose.
    pub(super) dropped: Vec<u32>,
    /// Positions after the last record of each partition.
    pub(super) positions: Offsets,
}

/// What the feed yields.
pub(super) enum Fed {
    /// A batch.
    Batch(Box<Prepared>),
    /// Anything else that happened to the consumer; every batch polled before it has been yielded.
    Event(Event),
}

/// Converters and transformations of a task; moved to a blocking thread with each batch.
pub(super) struct Stages {
    pub(super) converters: Converters,
    pub(super) chain: Box<dyn Chain>,
    pub(super) internal_topics: Vec<String>,
    pub(super) metrics: TaskMetrics,
}

/// See the module documentation.
pub(super) struct Feed {
    pub(super) consumer: Box<dyn Consumer>,
    stages: Option<Stages>,
    preparing: Option<JoinHandle<(Stages, Result<Prepared>)>>,
}

impl Feed {
    pub(super) fn new(consumer: Box<dyn Consumer>, stages: Stages) -> Self {
        Self { consumer, stages: Some(stages), preparing: None }
    }

    /// The next batch or event. Cancel-safe: what is being prepared goes on and is yielded by the next call.
    pub(super) async fn next(&mut self) -> Result<Fed> {
        if self.preparing.is_none() {
            match self.consumer.next().await? {
                Event::Records(raw) => self.prepare(raw)?,
                event => return Ok(Fed::Event(event)),
            }
        }
        let Some(preparing) = &mut self.preparing else {
            return Err(Error::internal("the stages of a sink task are gone after a failure"));
        };
        let (stages, prepared) = preparing.await.map_err(panicked("converting or transforming a batch panicked"))?;
        self.preparing = None;
        self.stages = Some(stages);
        Ok(Fed::Batch(Box::new(prepared?)))
    }

    fn prepare(&mut self, raw: Box<dyn RawRecords>) -> Result<()> {
        let Some(mut stages) = self.stages.take() else {
            return Err(Error::internal("the stages of a sink task are gone after a panic"));
        };
        self.preparing = Some(tokio::task::spawn_blocking(move || {
            let prepared = stages.prepare(raw);
            (stages, prepared)
        }));
        Ok(())
    }
}

impl Stages {
    fn prepare(&mut self, raw: Box<dyn RawRecords>) -> Result<Prepared> {
        let started = Instant::now();
        let mut batch = RecordBatch::with_capacity(raw.len(), raw.bytes() * 2);
        let mut failures = Vec::new();
        self.converters.decode(&*raw, &self.internal_topics, &mut batch, &mut failures)?;
        let report = self.chain.apply(&mut batch)?;
        refuse_internal(&self.internal_topics, &mut batch, &mut failures);
        copy_internal(&*raw, &self.internal_topics, &mut batch)?;
        failures.extend(report.failed.into_iter().map(|(failed, class)| Failure {
            origin: failed.row.origin,
            stage: Stage::Transformation,
            class,
            error: failed.error,
        }));
        TaskMetrics::observe(&self.metrics.transform_seconds, started.elapsed());
        let positions = positions(&*raw);
        let dropped = dropped_whole(report.dropped, &batch);
        Ok(Prepared { raw, batch, failures, dropped, positions })
    }
}

/// Takes out the records that a transformation routed to an internal topic: a connector trusts what it finds there to be its own.
fn refuse_internal(internal: &[String], batch: &mut RecordBatch, failures: &mut Vec<Failure>) {
    let is_internal = |topic: &str| internal.iter().any(|name| name == topic);
    if !batch.topics().iter().any(|topic| is_internal(topic)) {
        return;
    }
    let topics = batch.topics().to_vec();
    batch.retain(|row| {
        let Some(topic) = topics.get(row.topic as usize).filter(|topic| is_internal(topic)) else { return true };
        let error =
            Error::data("a transformation routed the record to a topic that is the connector's own; use another name")
                .with("topic", topic);
        let class = Arc::from("org.apache.kafka.connect.runtime.TransformationChain");
        failures.push(Failure { origin: row.origin, stage: Stage::Transformation, class, error });
        false
    });
}

/// Appends the records of internal topics as they are. They come after the others; within a partition nothing moves.
fn copy_internal(raw: &dyn RawRecords, internal: &[String], batch: &mut RecordBatch) -> Result<()> {
    if internal.is_empty() {
        return Ok(());
    }
    for index in 0..raw.len() {
        let Some(record) = raw.get(index) else { break };
        if internal.iter().any(|topic| topic == record.topic) {
            crate::convert::copy_bytes(&record, u32::try_from(index).unwrap_or(u32::MAX), batch)?;
        }
    }
    Ok(())
}

/// The dropped records of which nothing is left: a record that was split counts as dropped only when all its pieces were.
fn dropped_whole(mut dropped: Vec<u32>, batch: &RecordBatch) -> Vec<u32> {
    if !dropped.is_empty() {
        dropped.sort_unstable();
        dropped.dedup();
        let left: HashSet<u32> = batch.rows().iter().map(|row| row.origin).collect();
        dropped.retain(|origin| !left.contains(origin));
    }
    dropped
}

/// Positions after the last record of each partition. Records come in runs, so the map is touched once per run.
fn positions(raw: &dyn RawRecords) -> Offsets {
    let mut positions = Offsets::new();
    let mut run: Option<(Arc<str>, i32, i64)> = None;
    for index in 0..raw.len() {
        let Some(record) = raw.get(index) else { break };
        match &mut run {
            Some((topic, partition, next)) if **topic == *record.topic && *partition == record.partition => {
                *next = record.offset + 1;
            }
            _ => {
                let started = (Arc::from(record.topic), record.partition, record.offset + 1);
                if let Some((topic, partition, next)) = run.replace(started) {
                    positions.insert(TopicPartition { topic, partition }, next);
                }
            }
        }
    }
    if let Some((topic, partition, next)) = run {
        positions.insert(TopicPartition { topic, partition }, next);
    }
    positions
}

#[cfg(test)]
mod tests {
    use millrace_api::batch::Row;
    use millrace_api::batch::raw::{RawBatch, RawRecord};

    use super::*;

    #[test]
    fn a_record_routed_to_an_internal_topic_fails_and_the_connectors_own_come_through() {
        let internal = ["sums-repartition".to_owned()];
        let mut raw = RawBatch::new();
        for topic in ["orders", "orders", "sums-repartition"] {
            raw.push(&RawRecord::new(topic, None, Some(b"x"))).unwrap();
        }
        let mut batch = RecordBatch::new();
        for (origin, topic) in [(0, "sums-repartition"), (1, "../orders")] {
            let topic = batch.intern_topic(topic);
            batch.push(Row { topic, origin, ..Row::EMPTY });
        }
        let mut failures = Vec::new();
        refuse_internal(&internal, &mut batch, &mut failures);
        copy_internal(&raw, &internal, &mut batch).unwrap();
        let left: Vec<_> = batch.iter().map(|record| (record.topic(), record.row().origin)).collect();
        assert_eq!(left, [("../orders", 1), ("sums-repartition", 2)]);
        assert_eq!(failures.iter().map(|f| (f.origin, f.stage)).collect::<Vec<_>>(), [(0, Stage::Transformation)]);
        assert!(failures[0].error.to_string().contains("sums-repartition"), "{}", failures[0].error);
    }
}
