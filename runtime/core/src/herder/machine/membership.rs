//! The group: what this worker was given, and when it asks for more or gives back.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_api::connector::ConnectorType;
use millrace_api::group::Peer;

use super::local::Phase;
use super::{Effect, Machine, Options};
use crate::group::Peer as Member;
use crate::group::{Assignment, ConnectorWork, Leader, Protocol, Round, Work, WorkerState};
use crate::task::TaskId;

/// Between a change and the rebalance that divides it: what changes meanwhile is divided with it, and requests go on, as the leader
/// stays known.
const GATHER_MS: i64 = 50;

/// Between attempts to agree on the configuration topic: 100 ms doubling to 6.4 s.
const MISMATCH_BACKOFF_MS: i64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not in the group, or asked to join again.
    Apart,
    /// The member waits for an answer.
    Joining,
    /// It has the answer.
    Answered,
    Member,
}

pub(super) struct Membership {
    stage: Stage,
    protocol: Protocol,
    /// What this worker holds, as it tells the leader when it joins.
    held: Option<Assignment>,
    /// Something was revoked: once it has ended, the worker joins again so that others may have it.
    revoked: bool,
    generation: i32,
    member: String,
    /// The last generation that was completed with this worker.
    completed: Option<i32>,
    /// Offset behind the last change that leaders must divide work for.
    changed: i64,
    /// When the first change came that has not been divided.
    changed_at: Option<i64>,
    rejoin_at: Option<i64>,
    mismatches: u32,
    leader: Leader,
    led: bool,
    /// This worker became leader and has not yet looked for states of what is gone.
    sweep: bool,
}

/// Who answers requests that only the leader may answer.
pub(super) enum Leadership {
    Here,
    /// Its URL; `None` when it said none.
    There(Option<String>),
    /// A rebalance is under way.
    Unknown,
}

impl Membership {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            stage: Stage::Apart,
            protocol: options.protocol,
            held: None,
            revoked: false,
            generation: 0,
            member: String::new(),
            completed: None,
            changed: -1,
            changed_at: None,
            rejoin_at: None,
            mismatches: 0,
            leader: Leader::new(options.rebalance_delay_ms),
            led: false,
            sweep: false,
        }
    }

    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn is_member(&self) -> bool {
        self.stage == Stage::Member
    }

    pub(super) fn leads(&self) -> bool {
        self.is_member() && self.held.as_ref().is_some_and(|held| held.leader == self.member)
    }

    /// Whether this worker led when the rebalance began that is under way. The coordinator keeps a leader that joins again, and one
    /// that it has lost is told ([`Machine::lost`]), so what users ask for need not wait; what it changes is divided by the next
    /// rebalance. In an eager group the leader has given everything back.
    pub(super) fn leads_still(&self, offset: i64) -> bool {
        let rebalances = !self.is_member() && self.protocol.is_cooperative();
        let led = |held: &Assignment| held.leader == self.member && !held.failed() && offset >= held.offset;
        rebalances && self.held.as_ref().is_some_and(led)
    }

    /// Whether the configuration has been read as far as the leader had when it decided, so that what it gave may be started.
    pub(super) fn is_settled(&self, offset: i64) -> bool {
        self.is_member() && self.held.as_ref().is_some_and(|held| !held.failed() && offset >= held.offset)
    }

    pub(super) fn holds_connector(&self, name: &str) -> bool {
        self.held.as_ref().is_some_and(|held| held.connectors.contains(name))
    }

    pub(super) fn holds_task(&self, id: &TaskId) -> bool {
        self.held.as_ref().is_some_and(|held| held.tasks.contains(id))
    }

    pub(super) fn held_connectors(&self) -> Vec<Arc<str>> {
        self.held.iter().flat_map(|held| held.connectors.iter().cloned()).collect()
    }

    pub(super) fn held_tasks(&self) -> Vec<TaskId> {
        self.held.iter().flat_map(|held| held.tasks.iter().cloned()).collect()
    }

    pub(super) fn work_changed(&mut self, offset: i64, now: i64) {
        self.changed = self.changed.max(offset);
        self.changed_at.get_or_insert(now);
    }

    pub(super) fn wake_at(&self) -> Option<i64> {
        let due = [self.rejoin_at, self.divide_at()];
        due.into_iter().flatten().min().filter(|_| self.is_member())
    }

    /// When what has changed is to be divided.
    fn divide_at(&self) -> Option<i64> {
        let held = self.held.as_ref()?;
        (self.changed > held.offset).then(|| self.changed_at.map_or(0, |at| at + GATHER_MS))
    }

    pub(super) fn leader_url(&self) -> Option<&str> {
        self.held.as_ref().map(|held| held.leader_url.as_str()).filter(|url| !url.is_empty())
    }

    pub(super) fn connector_url(&self, name: &str) -> Option<String> {
        self.leader.connector_url(name).map(str::to_owned)
    }

    pub(super) fn runs_tasks_of(&self, name: &str) -> bool {
        self.leader.runs_tasks_of(name)
    }

    pub(super) fn task_url(&self, id: &TaskId) -> Option<String> {
        self.leader.task_url(id).map(str::to_owned)
    }

    /// Once per term of a leader that knows the configuration.
    pub(super) fn take_sweep(&mut self, offset: i64) -> bool {
        self.sweep && self.leads() && self.is_settled(offset) && std::mem::take(&mut self.sweep)
    }
}

impl Machine {
    pub(super) fn leadership(&self) -> Leadership {
        let group = &self.membership;
        if !group.is_settled(self.config.offset()) {
            Leadership::Unknown
        } else if group.leads() {
            Leadership::Here
        } else {
            Leadership::There(group.leader_url().map(str::to_owned))
        }
    }

    /// In an eager group everything is given back before the answer.
    pub(super) fn joining(&mut self) {
        self.membership.stage = Stage::Joining;
        self.lead(false);
        if !self.membership.protocol.is_cooperative() {
            self.membership.held = None;
            self.dirty = true;
        }
    }

    pub(super) fn elected(&mut self, generation: i32, leader: &str, protocol: &str, peers: &[Peer]) {
        let protocol = Protocol::from_name(protocol).unwrap_or(self.membership.protocol);
        self.loads.retain(|id| self.config.connector(&id.connector).is_some(), peers);
        let work = self.work();
        self.begin_decision(peers.iter().map(|peer| peer.member.as_str()), leader);
        let read = |peer: &Peer| match WorkerState::decode(&peer.metadata) {
            Ok(state) => {
                Some(Member { member: peer.member.clone(), state, runs: self.runs_of(&peer.member, leader, &work) })
            }
            Err(error) => {
                tracing::warn!(member = peer.member, %error, "a member of the group cannot be understood and gets nothing");
                None
            }
        };
        let peers: Vec<Member> = peers.iter().filter_map(read).collect();
        let decided = self.membership.leader.assign(&Round {
            generation,
            completed: self.membership.completed,
            protocol,
            leader,
            peers: &peers,
            work: &work,
            now_ms: self.now,
        });
        let encode = |(member, assignment): (String, Assignment)| (member, assignment.encode(protocol));
        self.effects.push(Effect::AnswerElected { assignments: decided.into_iter().map(encode).collect() });
    }

    /// Everything that is to run in the group.
    pub(super) fn work(&self) -> Work {
        let mut connectors = BTreeMap::new();
        for (name, state) in self.config.connectors() {
            let class = state.config.as_ref().and_then(|config| config.get("connector.class"));
            let kind = class.and_then(|class| self.catalogue.describe(class)).map(|(kind, _)| match kind {
                "source" => ConnectorType::Source,
                _ => ConnectorType::Sink,
            });
            let work = ConnectorWork {
                class: class.map(|class| class.as_str().into()),
                kind,
                tasks: u32::try_from(state.tasks().len()).unwrap_or(u32::MAX),
                loads: self.loads.of_connector(name),
            };
            connectors.insert(Arc::from(name), work);
        }
        Work { offset: self.config.offset(), connectors }
    }

    pub(super) fn joined(&mut self, generation: i32, member: String, leader: &str, protocol: &str, bytes: &[u8]) {
        let group = &mut self.membership;
        group.protocol = Protocol::from_name(protocol).unwrap_or(group.protocol);
        let empty = || Assignment::empty(group.protocol, leader, "", -1);
        // A leader that gave nothing at all left no bytes.
        let given = if bytes.is_empty() { Ok(empty()) } else { Assignment::decode(bytes) };
        let given = given.unwrap_or_else(|error| {
            tracing::error!(%error, "what the leader gave cannot be understood");
            Assignment { error: crate::group::CONFIG_MISMATCH, ..empty() }
        });
        let delay = i64::from(given.delay_ms);
        group.revoked = given.revokes();
        group.rejoin_at = (delay > 0).then(|| self.now + delay);
        if given.failed() {
            let wait = MISMATCH_BACKOFF_MS << group.mismatches.min(6);
            group.mismatches = group.mismatches.saturating_add(1);
            group.rejoin_at = Some(self.now + wait);
        } else {
            group.mismatches = 0;
        }
        let mut held = given.after(group.held.as_ref());
        held.revoked_connectors.clear();
        held.revoked_tasks.clear();
        tracing::info!(
            generation,
            protocol = group.protocol.name(),
            leader = held.leader_url,
            connectors = held.connectors.len(),
            tasks = held.tasks.len(),
            delay,
            "joined the group"
        );
        // What came too late for this rebalance begins to wait for more now.
        group.changed_at = (group.changed > held.offset).then_some(self.now);
        group.held = Some(held);
        (group.stage, group.generation, group.member) = (Stage::Member, generation, member);
        group.completed = Some(generation);
        self.dirty = true;
        let leads = self.membership.leads();
        self.membership.sweep = leads;
        self.lead(leads);
    }

    /// Others may be given this worker's work, so it ends.
    pub(super) fn lost(&mut self, gone: bool) {
        self.membership.stage = Stage::Apart;
        self.membership.held = None;
        self.membership.revoked = false;
        self.membership.rejoin_at = None;
        self.dirty = true;
        self.lead(false);
        if !gone {
            self.effects.push(Effect::Rejoin { reason: "the coordinator could not be reached" });
        }
    }

    fn lead(&mut self, leads: bool) {
        if std::mem::replace(&mut self.membership.led, leads) != leads {
            self.effects.push(Effect::Leading(leads));
        }
    }

    /// Whether something that is no longer this worker's has not ended yet.
    fn gives_back(&self) -> bool {
        let group = &self.membership;
        self.tasks.iter().any(|(id, task)| task.phase == Phase::Stopping && !group.holds_task(id))
            || self
                .connectors
                .iter()
                .any(|(name, connector)| connector.phase == Phase::Stopping && !group.holds_connector(name))
    }

    pub(super) fn look_after_membership(&mut self) {
        match self.membership.stage {
            Stage::Joining if !self.gives_back() => {
                let state = WorkerState {
                    url: self.options.url.clone(),
                    offset: self.config.offset(),
                    assignment: self.membership.held.clone(),
                };
                self.membership.stage = Stage::Answered;
                self.effects.push(Effect::AnswerJoining { protocols: self.options.protocol.offers(&state) });
            }
            Stage::Member => {
                if let Some(reason) = self.reason_to_rejoin() {
                    self.membership.stage = Stage::Apart;
                    self.membership.rejoin_at = None;
                    self.effects.push(Effect::Rejoin { reason });
                }
            }
            _ => {}
        }
        if self.membership.take_sweep(self.config.offset()) {
            self.sweep_status();
        }
    }

    fn reason_to_rejoin(&self) -> Option<&'static str> {
        let group = &self.membership;
        let held = group.held.as_ref()?;
        let due = group.rejoin_at.is_some_and(|at| at <= self.now);
        if held.failed() {
            return (due && self.config.offset() >= held.offset)
                .then_some("the group did not agree on the configuration");
        }
        if group.revoked {
            return (!self.gives_back()).then_some("work was given back");
        }
        if group.divide_at().is_some_and(|at| at <= self.now) {
            return Some("connectors or tasks were added or removed");
        }
        if group.leads() && self.runs.is_news() {
            return Some("a worker has said which connectors it has");
        }
        due.then_some("the leader's delay has passed")
    }
}
