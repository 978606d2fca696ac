//! The thread that owns a consumer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::error::{Error, ErrorKind, Result};
use millrace_api::log::{CONTROL_TIMEOUT, Event, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::oneshot;

use super::Native;
use super::config::ThreadPlan;
use super::context::{Callbacks, Rebalance};
use super::shared::{Command, Shared};
use crate::ffi::Failure;
use crate::{error, list};

/// How long the thread sleeps when nothing wakes it. Everything does; librdkafka also wants to be polled once in a while.
const IDLE: Duration = Duration::from_millis(500);
/// How often a partition that has been assigned is asked whether it can seek already.
const SEEK_AGAIN: Duration = Duration::from_millis(5);
/// How long leaving a group may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often topics that do not exist yet are looked for, at first and in the end.
const LOOK_FIRST: Duration = Duration::from_millis(500);
const LOOK_LAST: Duration = Duration::from_secs(30);

/// A consumer's thread before and while it runs.
pub(super) struct Worker {
    native: Arc<Native>,
    shared: Arc<Shared>,
    plan: ThreadPlan,
    /// When to look for missing topics, and how long to wait after that.
    look: Option<(Instant, Duration)>,
    /// Dropped when the thread has left the group.
    _ending: oneshot::Sender<()>,
}

impl Worker {
    pub(super) fn new(native: Arc<Native>, shared: Arc<Shared>, plan: ThreadPlan, ending: oneshot::Sender<()>) -> Self {
        Self { native, shared, plan, look: None, _ending: ending }
    }

    pub(super) fn start(self) -> Result<()> {
        let spawned = std::thread::Builder::new().name("kafka-consumer".to_owned()).spawn(move || self.run());
        spawned.map(drop).map_err(error::thread)
    }

    fn run(mut self) {
        self.native.wake_this_thread();
        self.shared.serve_on_this_thread();
        let native = Arc::clone(&self.native);
        if let Some(base) = native.base() {
            let mut buffer = Vec::new();
            while self.fulfil(base) {
                self.serve();
                while let Some(rebalance) = base.context().take() {
                    self.rebalance(base, rebalance);
                }
                self.look_for_topics(base);
                if !self.pull(&mut buffer) {
                    std::thread::park_timeout(IDLE);
                }
            }
            self.close(base);
        }
    }

    /// Fulfils the task's wishes; `false` when it wishes to end.
    fn fulfil(&mut self, base: &BaseConsumer<Callbacks>) -> bool {
        loop {
            let command = self.shared.lock().commands.pop_front();
            match command {
                Some(Command::Stop) => return false,
                Some(Command::Seek { partition, offset, reply }) => {
                    let _ = reply.send(self.seek_for_task(base, &partition, offset));
                }
                None => break,
            }
        }
        self.pause_and_resume(base);
        true
    }

    /// Takes a batch if there is room for it; `false` when there was none to take.
    fn pull(&mut self, buffer: &mut Vec<*mut rdkafka::bindings::rd_kafka_message_t>) -> bool {
        if !self.shared.lock().has_room() {
            return false;
        }
        let pulled = self.native.pull(self.plan.max_records, buffer);
        for (partition, failure) in &pulled.failures {
            self.partition_failed(partition, failure);
        }
        let found = super::size(&pulled.batch).is_some() || !pulled.ends.is_empty();
        if found {
            if let Some(base) = self.native.base() {
                base.context().refusals.clear();
            }
            self.shared.push(pulled.batch, pulled.ends, self.plan.max_records);
        }
        found || !pulled.failures.is_empty()
    }

    /// Serves everything but records.
    fn serve(&mut self) {
        while let Some(served) = self.native.serve(Duration::ZERO) {
            if let Err(failure) = served {
                self.failed(&failure);
            }
        }
    }

    // Rebalances.

    fn rebalance(&mut self, base: &BaseConsumer<Callbacks>, rebalance: Rebalance) {
        match rebalance {
            Rebalance::Assign(list) => self.assign(base, &list),
            Rebalance::Revoke { partitions, lost } => self.revoke(base, &partitions, lost),
        }
    }

    fn assign(&mut self, base: &BaseConsumer<Callbacks>, list: &TopicPartitionList) {
        let partitions = list::taken(list);
        for partition in &partitions {
            self.native.attach(partition);
        }
        self.shared.lock().assigned.extend(partitions.iter().cloned());
        if !partitions.is_empty() {
            self.shared.announce(Ok(Event::Assigned(partitions)));
        }
        let done = match base.rebalance_protocol() {
            RebalanceProtocol::Cooperative => base.incremental_assign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => base.assign(list),
        };
        if let Err(failure) = done {
            self.shared.announce(Err(error::of_kafka(&failure, "take over partitions")));
        }
    }

    /// Gives partitions back once the task has come back for more after seeing that they are taken away; it commits in between.
    fn revoke(&mut self, base: &BaseConsumer<Callbacks>, revoked: &TopicPartitionList, lost: bool) {
        let partitions = list::taken(revoked);
        if !partitions.is_empty() {
            if lost {
                self.forget(base, &partitions);
            }
            self.shared.announce_revocation(partitions.clone(), lost);
            self.wait_for_task(base);
            self.forget(base, &partitions);
        }
        let done = match base.rebalance_protocol() {
            RebalanceProtocol::Cooperative => base.incremental_unassign(revoked),
            RebalanceProtocol::Eager | RebalanceProtocol::None => base.unassign(),
        };
        if let Err(failure) = done {
            self.shared.announce(Err(error::of_kafka(&failure, "give partitions back")));
        }
    }

    fn wait_for_task(&mut self, base: &BaseConsumer<Callbacks>) {
        let deadline = Instant::now() + self.plan.revoke_wait;
        while self.shared.lock().is_revoking() {
            let stopping = self.shared.lock().commands.iter().any(|command| matches!(command, Command::Stop));
            let left = deadline.saturating_duration_since(Instant::now());
            if stopping || left.is_zero() || base.assignment_lost() {
                if !stopping {
                    tracing::warn!("a task did not finish with revoked partitions in time; another member takes over");
                }
                self.shared.lock().end_revocation();
                return;
            }
            self.serve();
            std::thread::park_timeout(left.min(IDLE));
        }
    }

    fn forget(&self, base: &BaseConsumer<Callbacks>, partitions: &[TopicPartition]) {
        let mut state = self.shared.lock();
        let mut resumed = Vec::new();
        for partition in partitions {
            state.assigned.remove(partition);
            state.drop_held(partition);
            if state.paused.remove(partition).is_some_and(|pause| pause.applied) {
                resumed.push(partition.clone());
            }
        }
        drop(state);
        // librdkafka keeps a partition paused when it comes back, Kafka does not.
        if let Ok(list) = list::partitions(&resumed) {
            let _ = base.resume(&list);
        }
    }

    // Pausing and seeking.

    fn pause_and_resume(&self, base: &BaseConsumer<Callbacks>) {
        let paused = self.shared.lock().paused.clone();
        for (partition, pause) in paused {
            let Ok(list) = list::partitions([&partition]) else { continue };
            if pause.wanted && !pause.applied {
                let _ = base.pause(&list);
                if let Some(pause) = self.shared.lock().paused.get_mut(&partition) {
                    pause.applied = true;
                }
            } else if !pause.wanted {
                if let Some(offset) = pause.rewind
                    && let Err(failure) = seek(base, &partition, offset)
                {
                    self.shared.announce(Err(failure));
                }
                let mut state = self.shared.lock();
                let still_unwanted = state.paused.get(&partition).is_some_and(|pause| !pause.wanted);
                if still_unwanted {
                    state.paused.remove(&partition);
                } else if let Some(pause) = state.paused.get_mut(&partition) {
                    pause.rewind = None;
                }
                drop(state);
                if still_unwanted && pause.applied {
                    let _ = base.resume(&list);
                }
            }
        }
    }

    fn seek_for_task(&self, base: &BaseConsumer<Callbacks>, partition: &TopicPartition, offset: i64) -> Result<()> {
        let mut state = self.shared.lock();
        if !state.assigned.contains(partition) {
            return Err(Error::new(
                ErrorKind::Fenced,
                "the partition to be read from elsewhere is not assigned to this consumer",
            )
            .with("partition", partition));
        }
        state.drop_held(partition);
        if let Some(pause) = state.paused.get_mut(partition) {
            pause.rewind = Some(offset);
            return Ok(());
        }
        drop(state);
        seek(base, partition, offset)
    }

    // Failures.

    /// librdkafka reads on by itself, except where somebody has to decide something.
    fn partition_failed(&self, partition: &TopicPartition, failure: &Failure) {
        match failure.code {
            Code::AutoOffsetReset | Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed => {
                let failure = error::of_failure(failure, "read a partition").with("partition", partition);
                self.shared.announce(Err(failure));
            }
            code => tracing::warn!(%partition, ?code, "{}", failure.text),
        }
    }

    fn failed(&mut self, failure: &KafkaError) {
        let code = failure.rdkafka_error_code().unwrap_or(Code::Unknown);
        match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic => {
                self.look = Some((Instant::now() + LOOK_FIRST, LOOK_FIRST));
            }
            // Often all brokers are down because of a refusal, which says more.
            Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL | Code::AllBrokersDown => {
                let refusal = self.native.base().and_then(|base| base.context().refusals.error());
                self.shared.announce(Err(refusal.unwrap_or_else(|| error::of_kafka(failure, "read records"))));
            }
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::FencedInstanceId
            | Code::InconsistentGroupProtocol
            | Code::InvalidSessionTimeout
            | Code::InvalidGroupId
            | Code::GroupMaxSizeReached
            | Code::Fatal => self.shared.announce(Err(error::of_kafka(failure, "read records"))),
            _ if matches!(failure, KafkaError::MessageConsumptionFatal(_)) => {
                self.shared.announce(Err(error::of_kafka(failure, "read records")));
            }
            // librdkafka goes on by itself; the reason has been logged.
            _ => {}
        }
    }

    /// Kafka's own consumer starts reading a topic soon after it was created. librdkafka would notice at the next refresh of its
    /// metadata, minutes later; a list of all topics makes it look again.
    fn look_for_topics(&mut self, base: &BaseConsumer<Callbacks>) {
        let Some((at, wait)) = self.look else { return };
        if Instant::now() < at {
            return;
        }
        let found = base.fetch_metadata(None, Duration::from_secs(1)).is_ok_and(|metadata| {
            let names: BTreeSet<_> = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name).collect();
            self.plan.topics.iter().all(|topic| names.contains(topic.as_str()))
        });
        let wait = (wait * 2).min(LOOK_LAST);
        self.look = (!found).then(|| (Instant::now() + wait, wait));
    }

    // The end.

    fn close(&mut self, base: &BaseConsumer<Callbacks>) {
        // A cooperative member without partitions that is closed sends no LeaveGroup (librdkafka 2.12.1,
        // `rd_kafka_cgrp_revoke_all_rejoin`), and the group's next rebalance waits for it until its session is over. One that gives
        // up its subscription first does send it.
        if matches!(base.rebalance_protocol(), RebalanceProtocol::Cooperative) {
            base.unsubscribe();
        }
        if let Err(failure) = base.close_queue() {
            tracing::debug!(%failure, "a consumer could not leave its group in an orderly way");
            return;
        }
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while !base.closed() && Instant::now() < deadline {
            let _ = self.native.serve(Duration::from_millis(20));
            while let Some(rebalance) = base.context().take() {
                let _ = match (rebalance, base.rebalance_protocol()) {
                    (Rebalance::Revoke { partitions, .. }, RebalanceProtocol::Cooperative) => {
                        base.incremental_unassign(&partitions)
                    }
                    _ => base.unassign(),
                };
            }
        }
    }
}

/// However the thread ends, the task is not left waiting.
impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// Reads a partition from elsewhere. One that was assigned a moment ago cannot do that until its position is known.
fn seek(base: &BaseConsumer<Callbacks>, partition: &TopicPartition, offset: i64) -> Result<()> {
    let what = "read a partition from elsewhere";
    let deadline = Instant::now() + CONTROL_TIMEOUT;
    loop {
        let list = list::offsets([(partition, offset)])?;
        let code = match base.seek_partitions(list, CONTROL_TIMEOUT) {
            Ok(list) => match list.elements().first().map(rdkafka::topic_partition_list::TopicPartitionListElem::error)
            {
                Some(Err(failure)) => failure.rdkafka_error_code().unwrap_or(Code::Unknown),
                _ => return Ok(()),
            },
            Err(failure) => return Err(error::of_kafka(&failure, what).with("partition", partition)),
        };
        let not_yet = matches!(code, Code::State | Code::PreviousInProgress);
        if !not_yet || Instant::now() > deadline {
            return Err(error::of_code(code, what).with("partition", partition));
        }
        std::thread::sleep(SEEK_AGAIN);
    }
}
