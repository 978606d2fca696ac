//! Source tasks.

use std::sync::Arc;

use async_trait::async_trait;

use super::Services;
use crate::batch::RecordBatch;
use crate::config::Props;
use crate::error::Result;

/// A source partition or offset: a flat JSON object of primitives, as Kafka Connect stores them.
pub type Json = serde_json::Map<String, serde_json::Value>;

/// Offsets that were committed before.
#[async_trait]
pub trait OffsetReader: Send + Sync {
    /// The last committed offset of a source partition.
    ///
    /// # Errors
    /// When the offset store is out of reach.
    async fn offset(&self, partition: &Json) -> Result<Option<Json>>;
}

/// Who a source task is.
#[derive(Clone)]
pub struct SourceContext {
    /// Connector.
    pub connector: Arc<str>,
    /// Number of the task.
    pub task: i32,
    /// Committed offsets.
    pub offsets: Arc<dyn OffsetReader>,
    /// Whether each polled batch and its offsets are one transaction (KIP-618). When it is, older instances of this task are
    /// fenced before `start` is called, and what they left open is aborted.
    pub exactly_once: bool,
    /// What the worker lends.
    pub services: Services,
}

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePosition {
    /// Source partition.
    pub partition: Json,
    /// Offset in it.
    pub offset: Json,
}

/// What a poll yields.
#[derive(Debug, Default)]
pub struct SourceBatch {
    /// Records, in order; `origin` is the index in this batch. Partition may be left open.
    pub records: RecordBatch,
    /// Pairs of a number of records and a position: once that many first records are durable (or dropped, or dead-lettered),
    /// the position may be committed. Ascending.
    pub positions: Vec<(usize, SourcePosition)>,
    /// Handed back in [`SourceTask::committed`].
    pub token: u64,
}

/// A source task. Calls come one at a time, except that `committed` may come while a later batch is on its way.
#[async_trait]
pub trait SourceTask: Send {
    /// Starts.
    ///
    /// # Errors
    /// Any; retriable ones are tried again with back-off, others fail the task.
    async fn start(&mut self, context: SourceContext, props: &Props) -> Result<()>;

    /// The next records. Waits until there are some; an empty batch is a sign of life.
    ///
    /// Cancellation: dropping the future must lose nothing; what it would have returned comes with the next call.
    ///
    /// # Errors
    /// Retriable: called again after a back-off. Others fail the task.
    async fn poll(&mut self) -> Result<SourceBatch>;

    /// The batch with this token, and everything before it, is durable together with its positions (invariant 1): the source
    /// may forget it, acknowledge it, answer its client.
    async fn committed(&mut self, _token: u64) {}

    /// Stops. Called once, also after a failed start. Batches that were polled but not reported as committed will be polled
    /// again by the next instance, or their clients told to try again.
    async fn stop(&mut self) {}
}
