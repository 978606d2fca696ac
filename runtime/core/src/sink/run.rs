//! The loop of a sink task.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::connector::{Commit, SinkContext, SinkTask};
use millrace_api::log::{Committing, Consumer, Event, Offsets, TopicPartition};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::deliver::{Command, Delivery};
use super::feed::{Fed, Feed, Stages};
use crate::errors::{DeadLetterQueue, OperationLog, Tolerance};
use crate::herder::State;
use crate::metrics::TaskMetrics;
use crate::task::{Backoff, StateListener, TaskId, Wanted};

/// Batches on their way to the connector, beside the one being prepared.
const IN_FLIGHT: usize = 2;

/// Between attempts to reach the log.
const LOG_RETRY: Duration = Duration::from_millis(500);

/// Between attempts to make the last commit before partitions are given up.
const COMMIT_RETRY: Duration = Duration::from_millis(100);

/// How long a member that the group does not know for now may take to be known again.
const FENCED_PATIENCE: Duration = Duration::from_secs(2);

/// Everything a sink task is made of. [`SinkRun::run`] consumes it.
pub struct SinkRun {
    /// Who it is.
    pub id: TaskId,
    /// The connector's task.
    pub task: Box<dyn SinkTask>,
    /// Class of the connector's task, for error reports.
    pub class: Arc<str>,
    /// Its configuration.
    pub props: millrace_api::config::Props,
    /// What it is lent.
    pub context: SinkContext,
    /// Reads the topics.
    pub consumer: Box<dyn Consumer>,
    /// Converters.
    pub converters: crate::convert::Converters,
    /// Transformations.
    pub chain: Box<dyn millrace_api::transform::Chain>,
    /// Topics that the connector made for itself; their records skip converters and transformations.
    pub internal_topics: Vec<String>,
    /// Tolerance of errors.
    pub tolerance: Tolerance,
    /// Dead letter queue.
    pub dlq: Option<DeadLetterQueue>,
    /// Operation log.
    pub oplog: Option<OperationLog>,
    /// Metrics.
    pub metrics: TaskMetrics,
    /// `offset.flush.interval.ms`.
    pub commit_interval: Duration,
    /// How long in-flight batches may take when partitions are taken away or the task stops.
    pub drain_deadline: Duration,
    /// What is wanted of it.
    pub wanted: watch::Receiver<Wanted>,
    /// Who is told about its state.
    pub listener: Arc<dyn StateListener>,
}

impl SinkRun {
    /// Runs until it is stopped or fails. When it is stopped, what is in flight is finished and committed within the deadline.
    ///
    /// # Errors
    /// Why the task failed.
    pub async fn run(mut self) -> Result<()> {
        let mut backoff = Backoff::default();
        self.metrics.progress.starts();
        while let Err(error) = self.task.start(self.context.clone(), &self.props).await {
            if !error.is_retriable() || *self.wanted.borrow() == Wanted::Stopped {
                self.task.stop().await;
                return Err(error);
            }
            tracing::warn!(task = %self.id, %error, "start failed, trying again");
            backoff.wait().await;
        }
        self.metrics.progress.started();
        let (commands, receiver) = mpsc::channel(IN_FLIGHT + 2);
        let (sender, results) = mpsc::channel(IN_FLIGHT + 2);
        let delivery = Delivery {
            task: self.task,
            class: self.class,
            tolerance: self.tolerance,
            dlq: self.dlq,
            oplog: self.oplog,
            metrics: self.metrics.clone(),
            cancel: self.context.services.cancel.clone(),
            positions: Offsets::new(),
            filtered: 0,
        };
        let delivering = tokio::spawn(delivery.run(receiver, sender));
        let stages = Stages {
            converters: self.converters,
            chain: self.chain,
            internal_topics: self.internal_topics,
            metrics: self.metrics.clone(),
        };
        let mut pump = Pump {
            id: self.id,
            feed: Feed::new(self.consumer, stages),
            commands,
            results,
            in_flight: 0,
            assigned: Vec::new(),
            committing: None,
            writing: None,
            committed: Offsets::new(),
            paused: false,
            metrics: self.metrics,
            commit_interval: self.commit_interval,
            drain_deadline: self.drain_deadline,
            wanted: self.wanted,
            listener: self.listener,
        };
        let outcome = pump.work().await;
        // Retries end here; a delivery that is under way may finish within the deadline.
        self.context.services.cancel.cancel();
        let outcome = match outcome {
            Ok(()) => pump.finish().await,
            // What was put before the failure is delivered again: its positions are not committed.
            failed => failed,
        };
        // Ends the delivery task, which stops the connector's. Past the deadline its future is dropped.
        drop(pump.commands);
        let abort = delivering.abort_handle();
        let delivered = tokio::time::timeout(self.drain_deadline, delivering);
        // A group that waits for a member that died answers nobody before that one's session is over; leaving goes on by itself.
        let left = tokio::time::timeout(self.drain_deadline, pump.feed.consumer.close());
        let (delivered, left) = tokio::join!(delivered, left);
        if delivered.is_err() {
            abort.abort();
        }
        if left.is_err() {
            tracing::warn!(task = %pump.id, "the consumer has not left its group yet, which rebalances");
        }
        outcome
    }
}

struct Pump {
    id: TaskId,
    feed: Feed,
    commands: mpsc::Sender<Command>,
    results: mpsc::Receiver<Result<()>>,
    in_flight: usize,
    committing: Option<oneshot::Receiver<Result<Commit>>>,
    /// Positions on their way to the log: records flow meanwhile, however long the log takes.
    writing: Option<(Offsets, Committing)>,
    assigned: Vec<TopicPartition>,
    committed: Offsets,
    paused: bool,
    metrics: TaskMetrics,
    commit_interval: Duration,
    drain_deadline: Duration,
    wanted: watch::Receiver<Wanted>,
    listener: Arc<dyn StateListener>,
}

impl Pump {
    async fn work(&mut self) -> Result<()> {
        let mut commits = tokio::time::interval_at(Instant::now() + self.commit_interval, self.commit_interval);
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.apply_wanted();
        loop {
            if *self.wanted.borrow() == Wanted::Stopped {
                return Ok(());
            }
            tokio::select! {
                fed = self.feed.next(), if self.in_flight < IN_FLIGHT => match fed {
                    Ok(Fed::Batch(prepared)) => self.put(prepared).await?,
                    Ok(Fed::Event(event)) => self.event(event).await?,
                    Err(error) if error.is_retriable() => {
                        tracing::warn!(task = %self.id, %error, "the log is out of reach, trying again");
                        tokio::time::sleep(LOG_RETRY).await;
                    }
                    Err(error) => return Err(error),
                },
                result = self.results.recv(), if self.in_flight > 0 => self.delivered(result)?,
                answer = answered(&mut self.committing), if self.committing.is_some() => {
                    match answer {
                        Ok(answer) => self.commit(answer),
                        // A connector that commits by itself and was replaced must not go on.
                        Err(error) if error.kind() == ErrorKind::Fenced => return Err(error),
                        failed => self.judge_commit(failed.map(drop))?,
                    }
                }
                committed = written(&mut self.writing), if self.writing.is_some() => {
                    let committed = committed.map(|positions| self.note(positions));
                    self.judge_commit(committed)?;
                }
                _ = commits.tick() => {
                    self.note_lag();
                    self.ask_to_commit().await?;
                }
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.apply_wanted(),
                    Err(_) => return Ok(()),
                },
            }
        }
    }

    fn note_lag(&mut self) {
        let lag = self.feed.consumer.lag();
        let behind = lag.iter().map(|(_, records)| u64::try_from(*records).unwrap_or(0)).sum();
        self.metrics.progress.behind(behind, !self.paused);
        self.metrics.set_lag(&lag);
        if let Some(stall) = self.metrics.begins_to_stall() {
            tracing::warn!(task = %self.id, "the task does not move: {stall}");
        }
    }

    async fn put(&mut self, prepared: Box<super::feed::Prepared>) -> Result<()> {
        self.in_flight += 1;
        self.metrics.progress.polled();
        self.metrics.progress.delivers();
        let mut said: Option<&str> = None;
        for topic in prepared.positions.keys().map(|partition| &*partition.topic) {
            if said.replace(topic) != Some(topic) {
                self.listener.topic_used(topic);
            }
        }
        self.send(Command::Put(prepared)).await
    }

    async fn event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Assigned(partitions) => self.assigned(partitions).await,
            Event::Revoked { partitions, lost } => self.revoked(&partitions, lost).await,
            Event::Records(_) | Event::EndOfPartition { .. } => Ok(()),
        }
    }

    async fn assigned(&mut self, partitions: Vec<TopicPartition>) -> Result<()> {
        tracing::info!(task = %self.id, ?partitions, "assigned");
        let (reply, opened) = oneshot::channel();
        self.send(Command::Open { partitions: partitions.clone(), reply }).await?;
        let positions = opened.await.map_err(|_| gone())??;
        for (partition, offset) in &positions {
            self.feed.consumer.seek(partition, *offset).await?;
        }
        if self.paused {
            self.feed.consumer.pause(&partitions);
        }
        self.assigned.extend(partitions);
        Ok(())
    }

    /// Finishes and commits what was read from partitions that are being taken away.
    async fn revoked(&mut self, partitions: &[TopicPartition], lost: bool) -> Result<()> {
        tracing::info!(task = %self.id, ?partitions, lost, "revoked");
        let deadline = Instant::now() + self.drain_deadline;
        let committed = match self.drain(deadline).await {
            Ok(answer) if lost => self.last_commit(answer, Instant::now()).await,
            Ok(answer) => self.last_commit(answer, Instant::now() + self.drain_deadline).await,
            Err(error) if lost || error.kind() == ErrorKind::Fenced => Err(error),
            Err(error) => return Err(error),
        };
        match committed {
            Err(error) if lost || error.kind() == ErrorKind::Fenced || error.is_retriable() => {
                tracing::warn!(task = %self.id, %error, "partitions were lost before the commit; another member reads on from the last one");
            }
            result => result?,
        }
        let (reply, closed) = oneshot::channel();
        self.send(Command::Close { partitions: partitions.to_vec(), reply }).await?;
        closed.await.map_err(|_| gone())?;
        self.assigned.retain(|partition| !partitions.contains(partition));
        self.committed.retain(|partition, _| !partitions.contains(partition));
        Ok(())
    }

    /// Waits until nothing is in flight, and asks the connector what may be committed.
    async fn drain(&mut self, deadline: Instant) -> Result<Commit> {
        let work = async {
            while self.in_flight > 0 {
                let result = self.results.recv().await;
                self.delivered(result)?;
            }
            if self.writing.is_some() {
                let committed = written(&mut self.writing).await.map(|positions| self.note(positions));
                self.judge_commit(committed)?;
            }
            // What was asked before does not know of the last batches.
            if self.committing.is_some() {
                let before = answered(&mut self.committing).await.map(drop);
                self.judge_commit(before)?;
            }
            self.ask_to_commit().await?;
            answered(&mut self.committing).await
        };
        tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| {
            let message = "the sink did not finish its batches in time; they will be delivered again";
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }

    /// Commits before partitions are given up. No later commit makes up for this one, so it is made again until the deadline: what
    /// is not committed is delivered twice. A group that has moved on takes this member's positions once it has joined again.
    async fn last_commit(&mut self, answer: Commit, deadline: Instant) -> Result<()> {
        let Commit::Positions(positions) = answer else { return Ok(()) };
        let mut fenced = None;
        loop {
            self.commit(Commit::Positions(positions.clone()));
            if self.writing.is_none() {
                return Ok(());
            }
            let committed = tokio::time::timeout_at(deadline, written(&mut self.writing)).await.unwrap_or_else(|_| {
                self.writing = None;
                let message =
                    "positions were not committed in time; what came after the last commit is delivered again";
                Err(Error::new(ErrorKind::Timeout, message))
            });
            let committed = committed.map(|positions| self.note(positions));
            let until = match &committed {
                Err(error) if error.kind() == ErrorKind::Fenced => {
                    deadline.min(*fenced.get_or_insert_with(Instant::now) + FENCED_PATIENCE)
                }
                Err(error) if error.is_retriable() => deadline,
                _ => return committed,
            };
            if Instant::now() + COMMIT_RETRY >= until {
                return committed;
            }
            tokio::time::sleep(COMMIT_RETRY).await;
        }
    }

    fn delivered(&mut self, result: Option<Result<()>>) -> Result<()> {
        self.in_flight = self.in_flight.saturating_sub(1);
        result.ok_or_else(gone)??;
        self.metrics.progress.delivered(self.in_flight > 0);
        Ok(())
    }

    /// Asks the connector what may be committed; the answer comes when it has finished what is in flight.
    async fn ask_to_commit(&mut self) -> Result<()> {
        if self.committing.is_none() && self.writing.is_none() {
            let (reply, answer) = oneshot::channel();
            let group = self.feed.consumer.group_metadata();
            self.send(Command::Commit { group, reply }).await?;
            self.committing = Some(answer);
        }
        Ok(())
    }

    /// Begins to commit what was acknowledged (invariant 2), if there is anything new. Positions only go forward.
    fn commit(&mut self, answer: Commit) {
        let Commit::Positions(mut positions) = answer else { return };
        positions.retain(|partition, offset| {
            self.assigned.contains(partition) && self.committed.get(partition).is_none_or(|before| *before < *offset)
        });
        if !positions.is_empty() {
            let committing = self.feed.consumer.commit(&positions);
            self.writing = Some((positions, committing));
        }
    }

    /// Notes what is committed. Partitions that were given up meanwhile may come back with other positions.
    fn note(&mut self, positions: Offsets) {
        self.metrics.progress.committed();
        let ours = positions.into_iter().filter(|(partition, _)| self.assigned.contains(partition));
        self.committed.extend(ours);
    }

    /// A commit that failed for now is made up for by the next one; positions are cumulative. So is one that was refused because the
    /// group has moved on while this member kept its partitions; what it has lost is announced.
    fn judge_commit(&self, committed: Result<()>) -> Result<()> {
        match committed {
            Err(error) if error.is_retriable() || error.kind() == ErrorKind::Fenced => {
                self.metrics.progress.not_committed();
                tracing::warn!(task = %self.id, %error, "positions were not committed, trying again at the next interval");
                Ok(())
            }
            result => result,
        }
    }

    /// Finishes what is in flight and commits it, each within the deadline: while the group rebalances, its coordinator answers to
    /// the commit only when that is over.
    async fn finish(&mut self) -> Result<()> {
        let answer = self.drain(Instant::now() + self.drain_deadline).await?;
        self.last_commit(answer, Instant::now() + self.drain_deadline).await
    }

    fn apply_wanted(&mut self) {
        let wanted = *self.wanted.borrow_and_update();
        match (wanted, self.paused) {
            (Wanted::Paused, false) => self.feed.consumer.pause(&self.assigned),
            (Wanted::Running, true) => self.feed.consumer.resume(&self.assigned),
            _ => {}
        }
        self.paused = wanted == Wanted::Paused;
        match wanted {
            Wanted::Running => self.listener.changed(State::Running),
            Wanted::Paused => self.listener.changed(State::Paused),
            Wanted::Stopped => {}
        }
    }

    async fn send(&mut self, command: Command) -> Result<()> {
        if self.commands.send(command).await.is_ok() {
            return Ok(());
        }
        // The delivery task ended because a put failed: its error waits among the results.
        while let Some(result) = self.results.recv().await {
            result?;
        }
        Err(gone())
    }
}

/// The connector's answer to a commit that was asked for; pending while there is none. Cancel-safe.
async fn answered(committing: &mut Option<oneshot::Receiver<Result<Commit>>>) -> Result<Commit> {
    let Some(answer) = committing else { return std::future::pending().await };
    let result = answer.await;
    *committing = None;
    result.map_err(|_| gone())?
}

/// The positions of a commit that was begun, when it is done; pending while there is none. Cancel-safe.
async fn written(writing: &mut Option<(Offsets, Committing)>) -> Result<Offsets> {
    let Some((_, committing)) = writing else { return std::future::pending().await };
    let result = committing.await;
    let positions = writing.take().map(|(positions, _)| positions).unwrap_or_default();
    result.map(|()| positions)
}

fn gone() -> Error {
    Error::internal("the delivery of a sink task ended without saying why")
}
