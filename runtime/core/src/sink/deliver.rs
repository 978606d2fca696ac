//! Handing batches to the connector, on a task of its own, so that a slow one never keeps the consumer from its group.

use std::sync::Arc;
use std::time::Instant;

use millrace_api::batch::raw::RawRecords;
use millrace_api::connector::{Commit, Report, SinkTask};
use millrace_api::log::{GroupMetadata, Offsets, TopicPartition};
use millrace_api::{Error, ErrorKind, RecordBatch, Result};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::feed::Prepared;
use crate::errors::{DeadLetterQueue, Failure, OperationLog, Outcome, Stage, Tolerance};
use crate::metrics::TaskMetrics;
use crate::task::Backoff;

/// What the loop asks of the delivery task; done one at a time, in order.
pub(super) enum Command {
    Put(Box<Prepared>),
    Commit { group: GroupMetadata, reply: oneshot::Sender<Result<Commit>> },
    Open { partitions: Vec<TopicPartition>, reply: oneshot::Sender<Result<Offsets>> },
    Close { partitions: Vec<TopicPartition>, reply: oneshot::Sender<()> },
}

/// Owns the connector's task, its dead letter queue and its operation log.
pub(super) struct Delivery {
    pub(super) task: Box<dyn SinkTask>,
    pub(super) class: Arc<str>,
    pub(super) tolerance: Tolerance,
    pub(super) dlq: Option<DeadLetterQueue>,
    pub(super) oplog: Option<OperationLog>,
    pub(super) metrics: TaskMetrics,
    pub(super) cancel: CancellationToken,
    /// Positions after everything that was put. Kept here, not in the loop, so that the connector is asked to commit exactly
    /// what it was given, whatever is queued.
    pub(super) positions: Offsets,
    /// Records of the batch being delivered that the connector left out on purpose.
    pub(super) filtered: usize,
}

impl Delivery {
    /// Works until the commands end, then stops the connector's task. Each `Put` is answered on `results`, with the
    /// error that ends the task when it failed.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, results: mpsc::Sender<Result<()>>) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Put(prepared) => {
                    let result = self.deliver(*prepared).await;
                    let failed = result.is_err();
                    if results.send(result).await.is_err() || failed {
                        break;
                    }
                }
                Command::Commit { group, reply } => {
                    let _ = reply.send(self.task.pre_commit(&self.positions, &group).await);
                }
                Command::Open { partitions, reply } => {
                    let _ = reply.send(self.task.open(&partitions).await);
                }
                Command::Close { partitions, reply } => {
                    self.task.close(&partitions).await;
                    self.positions.retain(|partition, _| !partitions.contains(partition));
                    let _ = reply.send(());
                }
            }
        }
        self.task.stop().await;
    }

    async fn deliver(&mut self, prepared: Prepared) -> Result<()> {
        let Prepared { raw, batch, mut failures, dropped, positions } = prepared;
        let started = Instant::now();
        self.metrics.records_in.inc_by(raw.len() as u64);
        for failure in &failures {
            self.judge(failure, &*raw)?;
        }
        if !batch.is_empty() {
            self.put(&batch, &*raw, &mut failures).await?;
        }
        let dead = origins(&failures);
        if let (Some(dlq), false) = (&self.dlq, failures.is_empty()) {
            failures.sort_by_key(|failure| failure.origin);
            self.metrics.records_dead_lettered.inc_by(dlq.write(&failures, &*raw).await?);
        }
        if let Some(oplog) = &self.oplog {
            let outcomes = Outcomes::new(raw.len(), &failures, &dropped);
            oplog.write(&*raw, |index| outcomes.of(index)).await?;
        }
        self.metrics.records_failed.inc_by(dead.len() as u64);
        self.metrics.records_dropped.inc_by(dropped.len() as u64);
        let filtered = std::mem::take(&mut self.filtered);
        self.metrics.records_filtered.inc_by(filtered as u64);
        let left_out = dead.len() + dropped.len() + filtered;
        self.metrics.records_out.inc_by(raw.len().saturating_sub(left_out) as u64);
        self.positions.extend(positions);
        TaskMetrics::observe(&self.metrics.batch_seconds, started.elapsed());
        if let Some(oldest) = batch.rows().iter().map(|row| row.timestamp).filter(|t| *t >= 0).min() {
            let millis = (crate::time::now_millis() - oldest).max(0);
            self.metrics.end_to_end_seconds.observe(millis as f64 / 1e3);
        }
        Ok(())
    }

    /// Puts a batch, trying again while it is the other side's fault, and bisecting while it is a record's.
    async fn put(&mut self, batch: &RecordBatch, raw: &dyn RawRecords, failures: &mut Vec<Failure>) -> Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let mut report = Report::default();
            match self.task.put(batch, &mut report).await {
                Ok(()) => {
                    self.filtered += report.filtered();
                    for (index, error) in report.into_rejected() {
                        let origin = batch.rows().get(index).map_or(0, |row| row.origin);
                        self.reject(origin, error, raw, failures)?;
                    }
                    return Ok(());
                }
                Err(error) if error.is_retriable() => {
                    tracing::warn!(%error, "the sink asks to try again");
                    self.metrics.retries.inc();
                    tokio::select! {
                        () = backoff.wait() => {}
                        () = self.cancel.cancelled() => return Err(error),
                    }
                }
                Err(error) if error.kind() == ErrorKind::Data => {
                    return self.bisect(batch, error, raw, failures).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn bisect(
        &mut self,
        batch: &RecordBatch,
        error: Error,
        raw: &dyn RawRecords,
        failures: &mut Vec<Failure>,
    ) -> Result<()> {
        if batch.len() <= 1 {
            let origin = batch.rows().first().map_or(0, |row| row.origin);
            return self.reject(origin, error, raw, failures);
        }
        let middle = batch.len() / 2;
        for (from, to) in [(0, middle), (middle, batch.len())] {
            let mut half = batch.clone();
            let rows = half.rows_mut();
            rows.truncate(to);
            rows.drain(..from);
            Box::pin(self.put(&half, raw, failures)).await?;
        }
        Ok(())
    }

    fn reject(&self, origin: u32, error: Error, raw: &dyn RawRecords, failures: &mut Vec<Failure>) -> Result<()> {
        let failure = Failure { origin, stage: Stage::TaskPut, class: Arc::clone(&self.class), error };
        self.judge(&failure, raw)?;
        failures.push(failure);
        Ok(())
    }

    fn judge(&self, failure: &Failure, raw: &dyn RawRecords) -> Result<()> {
        self.metrics.failed_in(failure.stage);
        self.tolerance.judge(failure, raw.get(failure.origin as usize).as_ref())
    }
}

/// The records that failed, each once.
fn origins(failures: &[Failure]) -> Vec<u32> {
    let mut origins: Vec<u32> = failures.iter().map(|failure| failure.origin).collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

/// What became of each record, by index.
struct Outcomes {
    by_index: Vec<Outcome>,
}

impl Outcomes {
    fn new(records: usize, failures: &[Failure], dropped: &[u32]) -> Self {
        let mut by_index = vec![Outcome::Delivered; records];
        let mut set = |origin: u32, outcome: Outcome| {
            if let Some(slot) = by_index.get_mut(origin as usize) {
                *slot = outcome;
            }
        };
        for origin in dropped {
            set(*origin, Outcome::Dropped);
        }
        for failure in failures {
            set(failure.origin, Outcome::Failed(failure.error.line()));
        }
        Self { by_index }
    }

    fn of(&self, index: usize) -> Outcome {
        self.by_index.get(index).cloned().unwrap_or(Outcome::Delivered)
    }
}
