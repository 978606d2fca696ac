//! The herder's decisions, without IO and without a clock: `step(now, event) -> effects`.
//!
//! The machine folds the configuration and the status topic, knows what the group's leader gave this worker, and after every event
//! compares what should run here with what does: it starts, stops and pauses the difference. So every order of events ends in the
//! same place.
//!
//! - `membership`: joining, being elected, being given and giving back work.
//! - `reconcile`: connectors and tasks of this worker.
//! - `publish`: task configurations that connectors here have made.
//! - `jobs`: requests that change something; one at a time, answered when the record has been read back.
//! - `report`: states for the status topic.
//! - `restart`: failed work that is started again by itself.
//! - `runs`: which member can run what.
//! - `query`: what is asked without changing anything.

mod jobs;
mod loads;
mod local;
mod membership;
mod publish;
mod query;
mod reconcile;
mod report;
mod restart;
mod runs;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::group::{MemberProtocol, Peer};
use millrace_api::{ErrorKind, Result};

use super::{ConnectorInfo, ConnectorStatus, SessionKey, State, TargetState};
use crate::group::Protocol;
use crate::storage::Entry;
use crate::storage::config::{ClusterConfig, ConfigChange};
use crate::storage::status::{self, StatusView};
use crate::task::{TaskId, Wanted};

use jobs::Jobs;
use loads::Loads;
use local::{LocalConnector, LocalTask};
use membership::Membership;
pub use query::FencingPlan;
pub use restart::RestartPolicy;
use runs::Runs;

/// What a machine is told once.
#[derive(Debug, Clone)]
pub struct Options {
    /// Host and port that others reach the worker under; names it in states.
    pub worker_id: String,
    /// Where its REST API is reached by other workers.
    pub url: String,
    /// `connect.protocol`.
    pub protocol: Protocol,
    /// `scheduled.rebalance.max.delay.ms`.
    pub rebalance_delay_ms: i32,
    /// `inter.worker.key.ttl.ms`; 0 never replaces a key.
    pub key_ttl_ms: i64,
    /// `topic.tracking.enable`.
    pub topic_tracking: bool,
    /// Failed work that is started again by itself.
    pub restart: RestartPolicy,
}

/// What a plugin is, for answers and states.
pub trait Catalogue: Send + Sync {
    /// `source` or `sink`, and the version; `None` when this worker has no such connector.
    fn describe(&self, class: &str) -> Option<(&'static str, String)>;

    /// The classes of all connectors, as they are listed for others.
    fn classes(&self) -> BTreeSet<String>;
}

/// Why something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of error it was.
    pub kind: ErrorKind,
    /// For the status.
    pub trace: String,
}

/// A record of one of the topics, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Offset.
    pub offset: i64,
    /// Key.
    pub key: Vec<u8>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// What happens to the herder.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are named after what they hold")]
pub enum Event {
    /// Records of the configuration topic, in order. `live` is false for those that were there before the worker started.
    Config { records: Vec<Record>, live: bool },
    /// Records of the status topic, in order within each partition.
    Status { records: Vec<Record> },
    /// The member is about to join and waits for [`Effect::AnswerJoining`].
    Joining,
    /// The member was elected and waits for [`Effect::AnswerElected`].
    Elected { generation: i32, leader: String, protocol: String, peers: Vec<Peer> },
    /// Which connectors another member at `url` has; `None` when it does not tell.
    Runs { member: String, url: String, classes: Option<BTreeSet<String>> },
    /// How heavy the tasks of a member are, as far as it has measured; `None` from one that does not.
    Loads { member: String, loads: Option<BTreeMap<TaskId, u32>> },
    /// The rebalance is over.
    Joined { generation: i32, member: String, leader: String, protocol: String, assignment: Vec<u8> },
    /// The group goes on without this member, or may soon. `gone`: the member joins again by itself.
    Lost { gone: bool },
    /// A connector has started and made configurations for its tasks. One that cannot start ends.
    ConnectorStarted { name: String, epoch: u64, tasks: Vec<Props> },
    /// A connector has ended, asked or not.
    ConnectorEnded { name: String, epoch: u64, failure: Option<Failure> },
    /// A task works or holds still.
    TaskChanged { id: TaskId, epoch: u64, state: State },
    /// A task has ended, asked or not.
    TaskEnded { id: TaskId, epoch: u64, failure: Option<Failure> },
    /// A task reads from or writes to a topic for the first time since it was started.
    TopicUsed { id: TaskId, topic: String },
    /// Somebody wants something changed; answered by [`Effect::Reply`] with the same number, at the latest when the deadline passes.
    Request { reply: u64, request: Request, deadline_ms: i64 },
    /// What [`Effect::WriteConfig`] asked for is written and has been read back, or not.
    Written { ticket: u64, outcome: Result<()> },
    /// The leader has taken what [`Effect::SendTaskConfigs`] brought it, or not.
    Sent { name: String, ticket: u64, outcome: Result<()> },
    /// Time has passed.
    Tick,
}

/// What somebody wants changed.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are named after what they hold")]
pub enum Request {
    /// A configuration that is valid.
    Put {
        name: String,
        config: Props,
        target: Option<TargetState>,
        replace: bool,
    },
    Delete {
        name: String,
    },
    Target {
        name: String,
        target: TargetState,
    },
    Restart {
        name: String,
        include_tasks: bool,
        only_failed: bool,
    },
    RestartTask {
        id: TaskId,
    },
    /// From another worker.
    PutTaskConfigs {
        name: String,
        configs: Vec<Props>,
    },
    /// The producers of so many former tasks have been fenced.
    Fenced {
        name: String,
        tasks: usize,
    },
    Level {
        namespace: String,
        level: String,
    },
    ResetTopics {
        name: String,
    },
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The connector, and whether it is new.
    Put(bool, ConnectorInfo),
    /// The states that a restart leads to.
    Planned(ConnectorStatus),
}

/// What is to be done, in order.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are named after what they hold")]
pub enum Effect {
    StartConnector {
        name: String,
        epoch: u64,
        config: Props,
    },
    /// Ends with [`Event::ConnectorEnded`].
    StopConnector {
        name: String,
        epoch: u64,
    },
    StartTask {
        id: TaskId,
        epoch: u64,
        connector: Props,
        config: Props,
        wanted: Wanted,
    },
    /// Ends with [`Event::TaskEnded`].
    StopTask {
        id: TaskId,
        epoch: u64,
    },
    /// Pause or go on.
    Want {
        id: TaskId,
        epoch: u64,
        wanted: Wanted,
    },
    AnswerJoining {
        protocols: Vec<MemberProtocol>,
    },
    AnswerElected {
        assignments: Vec<(String, Vec<u8>)>,
    },
    Rejoin {
        reason: &'static str,
    },
    /// Write the steps one after the other, each when the one before is acknowledged; answer with [`Event::Written`] when all has
    /// been read back.
    WriteConfig {
        ticket: u64,
        steps: Vec<Vec<Entry>>,
    },
    /// As `WriteConfig`, with a new random key.
    WriteSessionKey {
        ticket: u64,
        created: i64,
    },
    /// In this order for each key; nobody waits for it.
    WriteStatus {
        entries: Vec<Entry>,
    },
    /// Answer with [`Event::Sent`].
    SendTaskConfigs {
        name: String,
        ticket: u64,
        leader_url: String,
        configs: Vec<Props>,
    },
    Reply {
        reply: u64,
        outcome: Result<Answer>,
    },
    /// A logger's level of this worker.
    SetLevel {
        namespace: String,
        level: String,
    },
    /// This worker leads now, or no longer: writers of the configuration topic may have to be fenced.
    Leading(bool),
    /// Topics that connectors have used were forgotten on request.
    ForgetTopics,
}

/// See the module documentation.
pub struct Machine {
    options: Options,
    catalogue: Arc<dyn Catalogue>,
    config: ClusterConfig,
    status: StatusView,
    membership: Membership,
    runs: Runs,
    loads: Loads,
    connectors: BTreeMap<String, LocalConnector>,
    tasks: BTreeMap<TaskId, LocalTask>,
    jobs: Jobs,
    /// Keys that came before the present one, newest first.
    former_keys: Vec<SessionKey>,
    /// Number of tasks of each connector, as leaders last had to know.
    shapes: BTreeMap<String, usize>,
    counter: u64,
    now: i64,
    /// Something has changed that decides what runs here.
    dirty: bool,
    effects: Vec<Effect>,
}

impl Machine {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(options: Options, catalogue: Arc<dyn Catalogue>) -> Self {
        let membership = Membership::new(&options);
        Self {
            options,
            catalogue,
            config: ClusterConfig::default(),
            status: StatusView::default(),
            membership,
            runs: Runs::default(),
            loads: Loads::default(),
            connectors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            jobs: Jobs::default(),
            former_keys: Vec::new(),
            shapes: BTreeMap::new(),
            counter: 0,
            now: 0,
            dirty: false,
            effects: Vec::new(),
        }
    }

    /// Decides; what is not carried out of the answer is lost. `now_ms` is Unix time in milliseconds.
    pub fn step(&mut self, now_ms: i64, event: Event) -> Vec<Effect> {
        self.now = now_ms;
        match event {
            Event::Config { records, live } => self.fold_config(&records, live),
            // States decide nothing.
            Event::Status { records } => {
                self.fold_status(&records);
                return std::mem::take(&mut self.effects);
            }
            Event::Joining => self.joining(),
            Event::Elected { generation, leader, protocol, peers } => {
                self.elected(generation, &leader, &protocol, &peers);
            }
            Event::Runs { member, url, classes } => self.learned(&member, url, classes),
            Event::Loads { member, loads } => self.loads.learned(member, loads),
            Event::Joined { generation, member, leader, protocol, assignment } => {
                self.joined(generation, member, &leader, &protocol, &assignment);
            }
            Event::Lost { gone } => self.lost(gone),
            Event::ConnectorStarted { name, epoch, tasks } => self.connector_started(&name, epoch, tasks),
            Event::ConnectorEnded { name, epoch, failure } => self.connector_ended(&name, epoch, failure),
            Event::TaskChanged { id, epoch, state } => self.task_changed(&id, epoch, state),
            Event::TaskEnded { id, epoch, failure } => self.task_ended(&id, epoch, failure),
            Event::TopicUsed { id, topic } => self.topic_used(&id, &topic),
            Event::Request { reply, request, deadline_ms } => self.request(reply, request, deadline_ms),
            Event::Written { ticket, outcome } => self.written(ticket, outcome),
            Event::Sent { name, ticket, outcome } => self.sent(&name, ticket, outcome),
            Event::Tick => {}
        }
        self.settle();
        std::mem::take(&mut self.effects)
    }

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Option<i64> {
        let due = [self.membership.wake_at(), self.publish_at(), self.restart_at(), self.jobs.wake_at(), self.key_at()];
        due.into_iter().flatten().min()
    }

    /// Everything that follows from the state as it is.
    fn settle(&mut self) {
        if self.restart_due() {
            self.dirty = true;
        }
        if std::mem::take(&mut self.dirty) {
            self.reconcile();
        }
        self.look_after_membership();
        self.publish();
        self.rotate_key();
        self.work_on_jobs();
    }

    fn fold_config(&mut self, records: &[Record], live: bool) {
        if live {
            self.config.set_started();
        }
        for record in records {
            let former = self.config.session_key().cloned();
            let change = self.config.apply(&record.key, record.value.as_deref(), record.offset);
            // What the leader gave may be waiting for this offset.
            self.dirty = true;
            match change {
                Some(ConfigChange::SessionKey) => {
                    self.former_keys.splice(0..0, former).for_each(drop);
                    self.former_keys.truncate(2);
                }
                Some(ConfigChange::Restart { name, include_tasks, only_failed }) => {
                    self.restart_here(&name, true, include_tasks, only_failed);
                }
                Some(ConfigChange::Logger { namespace, level }) => {
                    self.effects.push(Effect::SetLevel { namespace, level });
                }
                Some(ConfigChange::Connector { name, .. }) => {
                    self.connector_was_written(&name);
                    self.shape_changed(&name, record.offset + 1);
                }
                Some(ConfigChange::Tasks { name } | ConfigChange::Inconsistent { name }) => {
                    self.shape_changed(&name, record.offset + 1);
                }
                Some(ConfigChange::Target { .. } | ConfigChange::Fencing { .. }) | None => {}
            }
        }
    }

    /// Leaders divide connectors and tasks; what they are configured to do is of no interest to them.
    fn shape_changed(&mut self, name: &str, offset: i64) {
        let now = self.config.connector(name).map(|state| state.tasks().len());
        let before = match now {
            Some(tasks) => self.shapes.insert(name.to_owned(), tasks),
            None => self.shapes.remove(name),
        };
        if before != now {
            self.membership.work_changed(offset, self.now);
        }
    }

    fn fold_status(&mut self, records: &[Record]) {
        let mut forgotten = false;
        for record in records {
            let changed = self.status.apply(&record.key, record.value.as_deref());
            forgotten |= changed && record.value.is_none() && status::is_topic(&record.key);
        }
        if forgotten {
            self.effects.push(Effect::ForgetTopics);
        }
    }

    fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn describe(&self, name: &str) -> Option<(&'static str, String)> {
        let class = self.config.connector(name)?.config.as_ref()?.get("connector.class")?;
        self.catalogue.describe(class)
    }
}
