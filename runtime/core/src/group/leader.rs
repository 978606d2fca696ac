//! What a leader knows, and the one question it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace_api::connector::ConnectorType;

use super::cooperative::Cooperative;
use super::eager;
use super::protocol::{Assignment, CONFIG_MISMATCH, Protocol, WorkerState};
use crate::task::TaskId;

/// A member as its leader sees it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Member id.
    pub member: String,
    /// What it said when it joined.
    pub state: WorkerState,
    /// Connector classes that it can run, as they are written in configurations. `None`: not known, so all. Nobody says so when joining:
    /// the leader asks.
    pub runs: Option<BTreeSet<Arc<str>>>,
}

/// Everything that is to run somewhere, as the leader reads it in the config topic.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// One more than the offset of the last record read.
    pub offset: i64,
    /// By name.
    pub connectors: BTreeMap<Arc<str>, ConnectorWork>,
}

/// A connector and its tasks.
#[derive(Debug, Clone, Default)]
pub struct ConnectorWork {
    /// `connector.class`, to find members that can run it. `None`: anybody can.
    pub class: Option<Arc<str>>,
    /// Sources and sinks are spread evenly each. `None`: not known.
    pub kind: Option<ConnectorType>,
    /// How many tasks it has, numbered from 0; 0 when their configurations are incomplete.
    pub tasks: u32,
    /// How heavy tasks are, where that is not 1. Measured loads should be rounded roughly, as every change may move tasks.
    pub loads: BTreeMap<i32, u32>,
}

impl ConnectorWork {
    /// The ids of its tasks.
    pub(super) fn ids(&self, name: &Arc<str>) -> impl Iterator<Item = TaskId> {
        let name = Arc::clone(name);
        let tasks = i32::try_from(self.tasks).unwrap_or(i32::MAX);
        (0..tasks).map(move |task| TaskId::new(Arc::clone(&name), task))
    }
}

/// One rebalance, as [`millrace_api::group::GroupEvent::Elected`] brings it.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    /// The generation that is being formed.
    pub generation: i32,
    /// The generation of the last rebalance that this worker saw the end of ([`millrace_api::group::GroupEvent::Joined`]), whoever led it.
    pub completed: Option<i32>,
    /// What everybody speaks.
    pub protocol: Protocol,
    /// Member id of the leader, which is among the peers.
    pub leader: &'a str,
    /// All members.
    pub peers: &'a [Peer],
    /// What is to run. When a peer has read further than this, try to read on before asking.
    pub work: &'a Work,
    /// Monotonic time in milliseconds.
    pub now_ms: i64,
}

/// The leader's side of the protocol. Every worker keeps one for as long as it lives; what one round decides is remembered for the next
/// and forgotten by itself when somebody else has led in between.
#[derive(Debug)]
pub struct Leader {
    cooperative: Cooperative,
    owners: Owners,
}

/// The URL of each connector's and task's worker.
#[derive(Debug, Default)]
struct Owners {
    connectors: BTreeMap<Arc<str>, Arc<str>>,
    tasks: BTreeMap<TaskId, Arc<str>>,
    /// What members still had when they joined; they stop what was taken from them after that, and join again.
    held: BTreeSet<TaskId>,
}

impl Leader {
    /// A leader that waits so long for lost workers (`scheduled.rebalance.max.delay.ms`).
    #[must_use]
    pub fn new(max_delay_ms: i32) -> Self {
        Self { cooperative: Cooperative::new(max_delay_ms), owners: Owners::default() }
    }

    /// Decides: what each member gets, in the order of the peers.
    ///
    /// When a peer has read more of the config topic than the leader, nobody gets anything but [`CONFIG_MISMATCH`].
    pub fn assign(&mut self, round: &Round<'_>) -> Vec<(String, Assignment)> {
        let url = round.peers.iter().find(|peer| peer.member == round.leader).map_or("", |peer| &peer.state.url);
        let read = round.peers.iter().map(|peer| peer.state.offset).max().unwrap_or(round.work.offset);
        if read > round.work.offset {
            tracing::info!(
                read,
                own = round.work.offset,
                "another member has read more of the config topic; everybody joins again"
            );
            self.cooperative.skip(round);
            let mismatch =
                Assignment { error: CONFIG_MISMATCH, ..Assignment::empty(round.protocol, round.leader, url, read) };
            return round.peers.iter().map(|peer| (peer.member.clone(), mismatch.clone())).collect();
        }
        let empty = Assignment::empty(round.protocol, round.leader, url, round.work.offset);
        let decided = match round.protocol {
            Protocol::Eager => eager::assign(round, &empty),
            Protocol::Compatible | Protocol::Sessioned => self.cooperative.assign(round, &empty),
        };
        self.owners = Owners::of(round, &decided);
        decided
    }

    /// For how long work that nobody runs waits for its worker to return, or moving work waits for the group to settle. `None`: nothing
    /// waits. Every member learns the same from [`Assignment::delay_ms`] and joins again then.
    #[must_use]
    pub fn delay_left(&self, now_ms: i64) -> Option<u64> {
        self.cooperative.delay_left(now_ms)
    }

    /// The URL of the worker that runs a connector after the last round. Only meaningful as long as this worker leads.
    #[must_use]
    pub fn connector_url(&self, name: &str) -> Option<&str> {
        self.owners.connectors.get(name).map(AsRef::as_ref)
    }

    /// Whether a task of a connector may not have ended yet, as far as its worker has told. Only meaningful as long as this worker leads.
    #[must_use]
    pub fn runs_tasks_of(&self, name: &str) -> bool {
        let owned = self.owners.tasks.keys();
        owned.chain(&self.owners.held).any(|task| &*task.connector == name)
    }

    /// The URL of the worker that runs a task after the last round.
    #[must_use]
    pub fn task_url(&self, task: &TaskId) -> Option<&str> {
        self.owners.tasks.get(task).map(AsRef::as_ref)
    }
}

impl Owners {
    fn of(round: &Round<'_>, decided: &[(String, Assignment)]) -> Self {
        let mut owners = Self::default();
        for (peer, (_, new)) in round.peers.iter().zip(decided) {
            let url: Arc<str> = peer.state.url.as_str().into();
            let runs = new.clone().after(peer.state.assignment.as_ref());
            owners.held.extend(peer.state.assignment.iter().flat_map(|held| held.tasks.iter().cloned()));
            owners.connectors.extend(runs.connectors.into_iter().map(|name| (name, Arc::clone(&url))));
            owners.tasks.extend(runs.tasks.into_iter().map(|task| (task, Arc::clone(&url))));
        }
        owners
    }
}
