//! Sink tasks.

use std::sync::Arc;

use async_trait::async_trait;

use super::Services;
use crate::batch::RecordBatch;
use crate::config::Props;
use crate::error::{Error, Result};
use crate::log::{GroupMetadata, Offsets, TopicPartition};

/// Who a sink task is.
#[derive(Clone)]
pub struct SinkContext {
    /// Connector.
    pub connector: Arc<str>,
    /// Number of the task.
    pub task: i32,
    /// Consumer group, `connect-<name>` unless overridden.
    pub group: String,
    /// What the worker lends.
    pub services: Services,
}

/// Collects the records of a batch that the other side refused, each with its reason (Kafka Connect's `ErrantRecordReporter`,
/// KIP-610). With `errors.tolerance=none` the first one fails the task; with `all` they go to the dead letter queue.
#[derive(Debug, Default)]
pub struct Report {
    rejected: Vec<(usize, Error)>,
    filtered: usize,
}

impl Report {
    /// The record at `index` of the batch was refused; the rest of the batch is unaffected.
    pub fn reject(&mut self, index: usize, error: Error) {
        self.rejected.push((index, error));
    }

    /// `count` records were not written on purpose, so that they are counted as such (invariant 3): the other side holds the
    /// same or something newer, or the connector's configuration leaves them out.
    pub fn filter(&mut self, count: usize) {
        self.filtered += count;
    }

    /// How many were not written on purpose.
    #[must_use]
    pub fn filtered(&self) -> usize {
        self.filtered
    }

    /// What was refused, for the runtime.
    #[must_use]
    pub fn into_rejected(self) -> Vec<(usize, Error)> {
        self.rejected
    }
}

/// Who commits positions.
pub enum Commit {
    /// The worker commits these: everything before them is acknowledged by the other side (invariant 2).
    Positions(Offsets),
    /// The task has committed everything it wanted to in a transaction of its own.
    Done,
}

/// A sink task. Calls come one at a time. The runtime retries `put` with the same batch after a retriable error, so a task
/// that wrote half of it must cope with seeing it again.
#[async_trait]
pub trait SinkTask: Send {
    /// Starts.
    ///
    /// # Errors
    /// Any; retriable ones are tried again with back-off, others fail the task.
    async fn start(&mut self, context: SinkContext, props: &Props) -> Result<()>;

    /// Partitions were assigned. Returns positions to start from when the task keeps them itself.
    ///
    /// # Errors
    /// As [`SinkTask::start`].
    async fn open(&mut self, _partitions: &[TopicPartition]) -> Result<Offsets> {
        Ok(Offsets::new())
    }

    /// Delivers a batch. Returning `Ok` means every record is written, buffered or in `report`; what is only buffered is
    /// held back in [`SinkTask::pre_commit`].
    ///
    /// Cancellation: the future is dropped when the task must stop and the deadline has passed; nothing that was not
    /// acknowledged may be assumed written or not written.
    ///
    /// # Errors
    /// Retriable: the same batch comes again. `Data`: the batch as a whole is refused, and the runtime bisects it. Others
    /// fail the task.
    async fn put(&mut self, batch: &RecordBatch, report: &mut Report) -> Result<()>;

    /// Before positions are committed: `positions` are those after everything that was put. Write out what is buffered, or
    /// return lower ones. Also called when `put` has had nothing for the commit interval, so time-driven work goes here.
    ///
    /// # Errors
    /// As [`SinkTask::put`]; no position is committed then.
    async fn pre_commit(&mut self, positions: &Offsets, _group: &GroupMetadata) -> Result<Commit> {
        Ok(Commit::Positions(positions.clone()))
    }

    /// Partitions were taken away, after a last [`SinkTask::pre_commit`]. Forget what is buffered for them.
    async fn close(&mut self, _partitions: &[TopicPartition]) {}

    /// Stops. Called once, also after a failed start.
    async fn stop(&mut self) {}
}
