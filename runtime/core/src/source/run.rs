//! The loop of a source task.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::connector::{SourceBatch, SourceContext, SourceTask};
use millrace_api::log::Producer;
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::prepare::{Prepared, Stages};
use super::send::Sender;
use super::topics::TopicCreation;
use crate::errors::Tolerance;
use crate::herder::State;
use crate::metrics::TaskMetrics;
use crate::offsets::OffsetWriter;
use crate::task::{Backoff, StateListener, TaskId, Wanted, panicked};

/// Between attempts to make the last offsets durable.
const FLUSH_RETRY: Duration = Duration::from_millis(100);

/// Everything a source task is made of. [`SourceRun::run`] consumes it.
pub struct SourceRun {
    /// Who it is.
    pub id: TaskId,
    /// The connector's task.
    pub task: Box<dyn SourceTask>,
    /// Its configuration.
    pub props: Props,
    /// What it is lent.
    pub context: SourceContext,
    /// Converters.
    pub converters: crate::convert::Converters,
    /// Transformations.
    pub chain: Box<dyn millrace_api::transform::Chain>,
    /// Writes records, and with exactly-once their offsets; transactional then.
    pub producer: Arc<dyn Producer>,
    /// Writes offsets when they are not part of the transaction.
    pub offsets: OffsetWriter,
    /// Creates topics.
    pub topics: TopicCreation,
    /// Tolerance of errors.
    pub tolerance: Tolerance,
    /// Metrics.
    pub metrics: TaskMetrics,
    /// `offset.flush.interval.ms`.
    pub flush_interval: Duration,
    /// How long what is in flight may take when the task stops.
    pub drain_deadline: Duration,
    /// What is wanted of it.
    pub wanted: watch::Receiver<Wanted>,
    /// Who is told about its state.
    pub listener: Arc<dyn StateListener>,
}

/// What a send leaves to be told.
struct Sent {
    sender: Sender,
    prepared: Prepared,
    outcome: Result<()>,
}

impl SourceRun {
    /// Runs until it is stopped or fails; then the connector's task is stopped.
    ///
    /// # Errors
    /// Why the task failed.
    pub async fn run(self) -> Result<()> {
        let Self { task, props, context, wanted, drain_deadline, .. } = self;
        let sender = Sender {
            id: self.id.clone(),
            producer: self.producer,
            log: Arc::clone(&context.services.log),
            topics: self.topics,
            offsets: self.offsets.offsets().clone(),
            exactly_once: context.exactly_once,
            tolerance: self.tolerance.clone(),
            metrics: self.metrics.clone(),
        };
        let mut pump = Pump {
            id: self.id,
            task,
            stages: Some(Stages { converters: self.converters, chain: self.chain }),
            preparing: None,
            ready: None,
            sender: Some(sender),
            sending: None,
            unflushed: Vec::new(),
            exactly_once: context.exactly_once,
            offsets: self.offsets,
            tolerance: self.tolerance,
            metrics: self.metrics,
            wanted,
            listener: self.listener,
        };
        let cancel = context.services.cancel.clone();
        let outcome = match pump.start(context, &props).await {
            Ok(()) => pump.work(self.flush_interval).await,
            failed => failed,
        };
        cancel.cancel();
        let outcome = match outcome {
            Ok(()) => tokio::time::timeout(drain_deadline, pump.finish()).await.unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Timeout,
                    "records in flight were not acknowledged in time; they will be polled again",
                ))
            }),
            failed => failed,
        };
        if tokio::time::timeout(drain_deadline, pump.task.stop()).await.is_err() {
            tracing::warn!(task = %pump.id, "the source did not stop in time");
        }
        outcome
    }
}

struct Pump {
    id: TaskId,
    task: Box<dyn SourceTask>,
    stages: Option<Stages>,
    preparing: Option<JoinHandle<(Stages, Result<Prepared>)>>,
    ready: Option<Prepared>,
    /// At home when nothing is on its way.
    sender: Option<Sender>,
    sending: Option<JoinHandle<Sent>>,
    /// Tokens of batches whose records are durable but whose offsets are not yet.
    unflushed: Vec<u64>,
    exactly_once: bool,
    offsets: OffsetWriter,
    tolerance: Tolerance,
    metrics: TaskMetrics,
    wanted: watch::Receiver<Wanted>,
    listener: Arc<dyn StateListener>,
}

impl Pump {
    async fn start(&mut self, context: SourceContext, props: &Props) -> Result<()> {
        let mut backoff = Backoff::default();
        self.metrics.progress.starts();
        while let Err(error) = self.task.start(context.clone(), props).await {
            if !error.is_retriable() || *self.wanted.borrow() == Wanted::Stopped {
                return Err(error);
            }
            tracing::warn!(task = %self.id, %error, "start failed, trying again");
            backoff.wait().await;
        }
        self.metrics.progress.started();
        Ok(())
    }

    async fn work(&mut self, flush_interval: Duration) -> Result<()> {
        let mut flushes = tokio::time::interval_at(Instant::now() + flush_interval, flush_interval);
        flushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut retry = Backoff::default();
        self.announce();
        loop {
            let wanted = *self.wanted.borrow();
            if wanted == Wanted::Stopped {
                return Ok(());
            }
            self.send_ready()?;
            let may_poll = wanted == Wanted::Running && self.preparing.is_none() && self.ready.is_none();
            tokio::select! {
                polled = self.task.poll(), if may_poll => match polled {
                    Ok(batch) => {
                        retry.reset();
                        self.prepare(batch)?;
                    }
                    Err(error) if error.is_retriable() => {
                        tracing::warn!(task = %self.id, %error, "the source asks to try again");
                        self.metrics.retries.inc();
                        retry.wait().await;
                    }
                    Err(error) => return Err(error),
                },
                prepared = joined(&mut self.preparing), if self.preparing.is_some() => self.prepared(prepared)?,
                sent = joined(&mut self.sending), if self.sending.is_some() => self.sent(sent).await?,
                _ = flushes.tick() => {
                    self.flush().await?;
                    if let Some(stall) = self.metrics.begins_to_stall() {
                        tracing::warn!(task = %self.id, "the task does not move: {stall}");
                    }
                }
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.announce(),
                    Err(_) => return Ok(()),
                },
            }
        }
    }

    fn announce(&mut self) {
        match *self.wanted.borrow_and_update() {
            Wanted::Running => self.listener.changed(State::Running),
            Wanted::Paused => self.listener.changed(State::Paused),
            Wanted::Stopped => {}
        }
    }

    fn prepare(&mut self, batch: SourceBatch) -> Result<()> {
        if batch.records.is_empty() && batch.positions.is_empty() {
            return Ok(());
        }
        let Some(mut stages) = self.stages.take() else {
            return Err(Error::internal("the stages of a source task are gone after a panic"));
        };
        self.metrics.records_in.inc_by(batch.records.len() as u64);
        self.metrics.progress.polled();
        let metrics = self.metrics.clone();
        self.preparing = Some(tokio::task::spawn_blocking(move || {
            let started = std::time::Instant::now();
            let prepared = stages.prepare(batch);
            TaskMetrics::observe(&metrics.transform_seconds, started.elapsed());
            (stages, prepared)
        }));
        Ok(())
    }

    fn prepared(&mut self, joined: Result<(Stages, Result<Prepared>)>) -> Result<()> {
        let (stages, prepared) = joined?;
        self.stages = Some(stages);
        let prepared = prepared?;
        for failure in &prepared.failures {
            self.tolerance.judge(failure, None)?;
        }
        self.ready = Some(prepared);
        Ok(())
    }

    /// Sends what is ready, when nothing else is on its way: batches reach the log in the order they were polled.
    fn send_ready(&mut self) -> Result<()> {
        if self.sending.is_some() {
            return Ok(());
        }
        let Some(mut prepared) = self.ready.take() else { return Ok(()) };
        let Some(mut sender) = self.sender.take() else {
            return Err(Error::internal("the sender of a source task is gone after a panic"));
        };
        self.metrics.progress.delivers();
        let metrics = self.metrics.clone();
        self.sending = Some(tokio::spawn(async move {
            let started = std::time::Instant::now();
            let outcome = sender.send(&mut prepared).await;
            TaskMetrics::observe(&metrics.batch_seconds, started.elapsed());
            Sent { sender, prepared, outcome }
        }));
        Ok(())
    }

    async fn sent(&mut self, sent: Result<Sent>) -> Result<()> {
        let Sent { sender, prepared, outcome } = sent?;
        self.sender = Some(sender);
        outcome?;
        self.metrics.progress.delivered(false);
        for topic in prepared.raw.topics() {
            self.listener.topic_used(topic);
        }
        prepared.failures.iter().for_each(|failure| self.metrics.failed_in(failure.stage));
        let failed = prepared.failed();
        self.metrics.records_failed.inc_by(failed as u64);
        self.metrics.records_dropped.inc_by(prepared.dropped as u64);
        self.metrics.records_out.inc_by(prepared.polled.saturating_sub(failed + prepared.dropped) as u64);
        if self.exactly_once || (prepared.positions.is_empty() && self.unflushed.is_empty()) {
            self.metrics.progress.committed();
            self.task.committed(prepared.token).await;
        } else {
            self.offsets.stage(prepared.positions);
            self.unflushed.push(prepared.token);
        }
        Ok(())
    }

    /// Makes offsets durable, then tells the source (invariant 1).
    async fn flush(&mut self) -> Result<()> {
        if self.unflushed.is_empty() {
            return Ok(());
        }
        match self.offsets.flush().await {
            Ok(()) => {
                self.metrics.progress.committed();
                for token in std::mem::take(&mut self.unflushed) {
                    self.task.committed(token).await;
                }
                Ok(())
            }
            Err(error) if error.is_retriable() => {
                self.metrics.progress.not_committed();
                tracing::warn!(task = %self.id, %error, "offsets were not committed, trying again at the next interval");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Sends and commits what was polled.
    async fn finish(&mut self) -> Result<()> {
        loop {
            if self.preparing.is_some() {
                let joined = joined(&mut self.preparing).await;
                self.prepared(joined)?;
            }
            self.send_ready()?;
            if self.sending.is_none() {
                self.flush().await?;
                if self.unflushed.is_empty() {
                    return Ok(());
                }
                // No later flush makes up for this one; the caller has the deadline.
                tokio::time::sleep(FLUSH_RETRY).await;
            }
            if self.sending.is_some() {
                let sent = joined(&mut self.sending).await;
                self.sent(sent).await?;
            }
        }
    }
}

/// Nothing is sent for a task that is gone: the next one polls it again.
impl Drop for Pump {
    fn drop(&mut self) {
        if let Some(sending) = &self.sending {
            sending.abort();
        }
    }
}

/// The result of a spawned piece of work; pending while there is none. Cancel-safe.
async fn joined<T>(handle: &mut Option<JoinHandle<T>>) -> Result<T> {
    let Some(running) = handle else { return std::future::pending().await };
    let result = running.await;
    *handle = None;
    result.map_err(panicked("preparing or sending a batch panicked"))
}
