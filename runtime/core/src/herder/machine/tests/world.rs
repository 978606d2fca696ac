//! Workers, their topics, and what may happen next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::local::Phase;
use super::coordinator::{Coordinator, Told};
use super::{
    Answer, Effect, Entry, ErrorKind, Event, Failure, Machine, Options, Props, Protocol, Record, Request,
    RestartPolicy, Rng, Sinks, State, TaskId, Wanted, props,
};
use millrace_api::{Error, Result};

/// A task or connector of a worker's process.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) epoch: u64,
    pub(super) connector: Props,
    pub(super) config: Props,
    pub(super) wanted: Wanted,
    /// It has said that it is up, with what was wanted then.
    said: Option<Wanted>,
    stopping: bool,
    /// The membership it was started in: once the coordinator has forgotten that, others may run the same.
    pub(super) member: String,
}

/// Records on their way to the configuration topic.
struct Writing {
    ticket: u64,
    steps: VecDeque<Vec<Entry>>,
    /// The end of the topic behind the last of them.
    end: usize,
}

pub(super) struct Worker {
    pub(super) machine: Machine,
    pub(super) member: String,
    /// What the coordinator has told it and it has not yet heard.
    inbox: VecDeque<Told>,
    config_at: usize,
    status_at: usize,
    pub(super) tasks: BTreeMap<TaskId, Run>,
    pub(super) connectors: BTreeMap<String, Run>,
    writing: VecDeque<Writing>,
    sending: VecDeque<(String, u64, String, Vec<Props>)>,
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: i64,
    config: Vec<Entry>,
    status: Vec<Entry>,
    pub(super) coordinator: Coordinator,
    pub(super) workers: Vec<Option<Worker>>,
    protocols: Vec<Protocol>,
    incarnations: usize,
    /// Requests without an answer, and who was asked.
    pub(super) open: BTreeMap<u64, usize>,
    replies: u64,
    /// Task configurations that wait for the leader's answer, by request.
    forwarded: BTreeMap<u64, (usize, String, u64)>,
    /// Faults are injected.
    pub(super) rough: bool,
    pub(super) answered: usize,
    pub(super) elsewhere: usize,
}

/// A connector nobody changes: its tasks are only stopped when they move.
pub(super) const BYSTANDER: &str = "bystander";

/// What the connectors of the simulation make of their configuration.
pub(super) fn made(config: &Props) -> Vec<Props> {
    let tasks: usize = config["n"].parse().unwrap();
    (0..tasks).map(|task| props(&[("task", &task.to_string()), ("v", &config["v"])])).collect()
}

impl World {
    pub(super) fn new(seed: u64, protocols: Vec<Protocol>) -> Self {
        let workers = protocols.iter().map(|_| None).collect();
        Self {
            rng: Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: 1_000_000,
            config: Vec::new(),
            status: Vec::new(),
            coordinator: Coordinator::default(),
            workers,
            protocols,
            incarnations: 0,
            open: BTreeMap::new(),
            replies: 0,
            forwarded: BTreeMap::new(),
            rough: true,
            answered: 0,
            elsewhere: 0,
        }
    }

    /// A worker's process starts: it reads what there is, then joins.
    pub(super) fn boot(&mut self, at: usize) {
        self.incarnations += 1;
        let options = Options {
            worker_id: format!("w{at}:8083"),
            url: format!("http://w{at}"),
            protocol: self.protocols[at],
            rebalance_delay_ms: 5_000,
            key_ttl_ms: 100_000,
            topic_tracking: true,
            restart: RestartPolicy { max_per_hour: 1_000_000, backoff_ms: 100, backoff_max_ms: 1_000 },
        };
        let member = format!("m{}-{at}", self.incarnations);
        let mut worker = Worker {
            machine: Machine::new(options, Arc::new(Sinks)),
            member: member.clone(),
            inbox: VecDeque::new(),
            config_at: 0,
            status_at: 0,
            tasks: BTreeMap::new(),
            connectors: BTreeMap::new(),
            writing: VecDeque::new(),
            sending: VecDeque::new(),
        };
        let records = records(&self.config, 0, self.config.len());
        worker.config_at = self.config.len();
        let effects = worker.machine.step(self.now, Event::Config { records, live: false });
        assert!(effects.is_empty(), "nothing happens before the worker has joined: {effects:?}");
        self.workers[at] = Some(worker);
        self.tell(|coordinator, _, out| coordinator.rebalance(&member, out));
    }

    /// The process dies; nobody is told.
    pub(super) fn crash(&mut self, at: usize) {
        self.workers[at] = None;
        self.forwarded.retain(|_, (from, _, _)| *from != at);
        let asked: Vec<u64> = self.open.iter().filter(|(_, asked)| **asked == at).map(|(reply, _)| *reply).collect();
        for reply in asked {
            self.open.remove(&reply);
            // The connection breaks.
            if let Some((from, name, ticket)) = self.forwarded.remove(&reply) {
                self.step(from, Event::Sent { name, ticket, outcome: Err(Error::retriable("simulated")) });
            }
        }
    }

    /// Members whose process is gone are forgotten, and so is one that lives, when that is asked for.
    pub(super) fn expire(&mut self, living: Option<usize>) {
        let members: Vec<String> = self.workers.iter().flatten().map(|worker| worker.member.clone()).collect();
        self.tell(|coordinator, _, out| coordinator.expire_others(&members, out));
        let Some(at) = living else { return };
        let Some(worker) = self.workers[at].as_ref() else { return };
        let member = worker.member.clone();
        if !self.coordinator.knows(&member) {
            return;
        }
        self.tell(|coordinator, _, out| coordinator.expire(&member, out));
        self.incarnations += 1;
        let again = format!("m{}-{at}", self.incarnations);
        let worker = self.workers[at].as_mut().unwrap();
        worker.member.clone_from(&again);
        // What was told to the member that it no longer is never arrives.
        worker.inbox.clear();
        worker.inbox.push_back(Event::Lost { gone: true });
        self.tell(|coordinator, _, out| coordinator.rebalance(&again, out));
    }

    fn tell(&mut self, act: impl FnOnce(&mut Coordinator, &mut Rng, &mut Vec<(String, Told)>)) {
        let mut out = Vec::new();
        act(&mut self.coordinator, &mut self.rng, &mut out);
        for (member, told) in out {
            if let Some(worker) = self.workers.iter_mut().flatten().find(|worker| worker.member == member) {
                worker.inbox.push_back(told);
            }
        }
    }

    pub(super) fn living(&self) -> Vec<usize> {
        (0..self.workers.len()).filter(|at| self.workers[*at].is_some()).collect()
    }

    pub(super) fn ask(&mut self, at: usize, request: Request) -> u64 {
        self.replies += 1;
        let (reply, deadline_ms) = (self.replies, self.now + 60_000);
        self.open.insert(reply, at);
        self.step(at, Event::Request { reply, request, deadline_ms });
        reply
    }

    pub(super) fn step(&mut self, at: usize, event: Event) {
        let Some(worker) = self.workers[at].as_mut() else { return };
        let effects = worker.machine.step(self.now, event);
        for effect in effects {
            self.apply(at, effect);
        }
        self.check();
    }

    fn apply(&mut self, at: usize, effect: Effect) {
        let worker = self.workers[at].as_mut().unwrap();
        let member = worker.member.clone();
        match effect {
            Effect::StartConnector { name, epoch, config } => {
                let run = Run::new(epoch, Props::new(), config, Wanted::Running, member);
                assert!(worker.connectors.insert(name, run).is_none(), "a connector was started twice");
            }
            Effect::StopConnector { name, epoch } => {
                let run = worker.connectors.get_mut(&name).expect("only what runs is stopped");
                assert_eq!(run.epoch, epoch);
                run.stopping = true;
            }
            Effect::StartTask { id, epoch, connector, config, wanted } => {
                let run = Run::new(epoch, connector, config, wanted, member);
                assert!(worker.tasks.insert(id, run).is_none(), "a task was started twice");
            }
            Effect::StopTask { id, epoch } => {
                let run = worker.tasks.get_mut(&id).expect("only what runs is stopped");
                assert_eq!(run.epoch, epoch);
                run.stopping = true;
                let moves = !worker.machine.membership.holds_task(&id);
                assert!(moves || *id.connector != *BYSTANDER, "a task that is not affected was stopped");
            }
            Effect::Want { id, epoch, wanted } => {
                let run = worker.tasks.get_mut(&id).expect("only what runs is paused");
                assert_eq!(run.epoch, epoch);
                run.wanted = wanted;
            }
            Effect::AnswerJoining { protocols } => {
                // An answer counts for the last time it was asked.
                if !worker.inbox.iter().any(|told| matches!(told, Event::Joining | Event::Lost { .. })) {
                    self.tell(|coordinator, rng, out| coordinator.answered(&member, protocols, rng, out));
                }
            }
            Effect::AnswerElected { assignments } => {
                self.tell(|coordinator, _, out| coordinator.decided(&member, &assignments, out));
            }
            Effect::Rejoin { .. } => {
                if self.coordinator.knows(&member) {
                    self.tell(|coordinator, _, out| coordinator.rebalance(&member, out));
                }
            }
            Effect::WriteConfig { ticket, steps } => {
                worker.writing.push_back(Writing { ticket, steps: steps.into(), end: 0 });
            }
            Effect::WriteSessionKey { ticket, created } => {
                let key = super::SessionKey { algorithm: "HmacSHA256".to_owned(), key: vec![1; 32], created };
                let steps = [vec![crate::storage::config::session_key_record(&key)]].into();
                worker.writing.push_back(Writing { ticket, steps, end: 0 });
            }
            Effect::WriteStatus { entries } => self.status.extend(entries),
            Effect::SendTaskConfigs { name, ticket, leader_url, configs } => {
                worker.sending.push_back((name, ticket, leader_url, configs));
            }
            Effect::Reply { reply, outcome } => self.replied(reply, outcome),
            Effect::SetLevel { .. } | Effect::Leading(_) | Effect::ForgetTopics => {}
        }
    }

    fn replied(&mut self, reply: u64, outcome: Result<Answer>) {
        assert!(self.open.remove(&reply).is_some(), "answered twice");
        self.answered += 1;
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Elsewhere) {
            self.elsewhere += 1;
        }
        if let Some((from, name, ticket)) = self.forwarded.remove(&reply) {
            self.step(from, Event::Sent { name, ticket, outcome: outcome.map(|_| ()) });
        }
    }

    /// Something that may happen to a worker happens; whether anything could.
    pub(super) fn progress(&mut self, at: usize) -> bool {
        let kinds = 7;
        let first = self.rng.below(kinds);
        (0..kinds).any(|kind| self.progress_of(at, (first + kind) % kinds))
    }

    fn progress_of(&mut self, at: usize, kind: usize) -> bool {
        match kind {
            0 => self.read_config(at),
            1 => self.read_status(at),
            2 => {
                let told = self.workers[at].as_mut().and_then(|worker| worker.inbox.pop_front());
                told.map(|told| self.step(at, told)).is_some()
            }
            3 => self.run_task(at),
            4 => self.run_connector(at),
            5 => self.write(at),
            _ => self.send(at),
        }
    }

    fn read_config(&mut self, at: usize) -> bool {
        let (end, many) = (self.config.len(), 1 + self.rng.below(3));
        let Some(worker) = self.workers[at].as_mut().filter(|worker| worker.config_at < end) else { return false };
        let to = (worker.config_at + many).min(end);
        let records = records(&self.config, worker.config_at, to);
        worker.config_at = to;
        self.step(at, Event::Config { records, live: true });
        true
    }

    fn read_status(&mut self, at: usize) -> bool {
        let (end, many) = (self.status.len(), 1 + self.rng.below(5));
        let Some(worker) = self.workers[at].as_mut().filter(|worker| worker.status_at < end) else { return false };
        let to = (worker.status_at + many).min(end);
        let records = records(&self.status, worker.status_at, to);
        worker.status_at = to;
        self.step(at, Event::Status { records });
        true
    }

    fn run_task(&mut self, at: usize) -> bool {
        let (rough, pick) = (self.rough, self.rng.below(1_000));
        let fails = rough && self.rng.one_in(40);
        let Some(worker) = self.workers[at].as_mut() else { return false };
        let unsettled = |run: &Run| run.stopping || run.said != Some(run.wanted);
        let ids: Vec<TaskId> =
            worker.tasks.iter().filter(|(_, run)| fails || unsettled(run)).map(|(id, _)| id.clone()).collect();
        let Some(id) = ids.get(pick % ids.len().max(1)).cloned() else { return false };
        let fails = fails && *id.connector != *BYSTANDER;
        let run = worker.tasks.get_mut(&id).unwrap();
        let epoch = run.epoch;
        if run.stopping || fails {
            let failure = fails.then(|| Failure { kind: ErrorKind::External, trace: "simulated".to_owned() });
            worker.tasks.remove(&id);
            self.step(at, Event::TaskEnded { id, epoch, failure });
        } else {
            run.said = Some(run.wanted);
            let state = if run.wanted == Wanted::Paused { State::Paused } else { State::Running };
            self.step(at, Event::TaskChanged { id, epoch, state });
        }
        true
    }

    fn run_connector(&mut self, at: usize) -> bool {
        let fails = self.rough && self.rng.one_in(40);
        let pick = self.rng.below(1_000);
        let Some(worker) = self.workers[at].as_mut() else { return false };
        let names: Vec<String> = worker
            .connectors
            .iter()
            .filter(|(_, run)| run.stopping || run.said.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        let Some(name) = names.get(pick % names.len().max(1)).cloned() else { return false };
        let run = worker.connectors.get_mut(&name).unwrap();
        let epoch = run.epoch;
        if run.stopping || fails {
            let failure = fails.then(|| Failure { kind: ErrorKind::External, trace: "simulated".to_owned() });
            worker.connectors.remove(&name);
            self.step(at, Event::ConnectorEnded { name, epoch, failure });
        } else {
            run.said = Some(Wanted::Running);
            let tasks = made(&run.config);
            self.step(at, Event::ConnectorStarted { name, epoch, tasks });
        }
        true
    }

    fn write(&mut self, at: usize) -> bool {
        let fails = self.rough && self.rng.one_in(30);
        let Some(worker) = self.workers[at].as_mut() else { return false };
        let Some(writing) = worker.writing.front_mut() else { return false };
        let ticket = writing.ticket;
        if fails {
            worker.writing.pop_front();
            self.step(at, Event::Written { ticket, outcome: Err(Error::retriable("simulated")) });
        } else if let Some(step) = writing.steps.pop_front() {
            self.config.extend(step);
            writing.end = self.config.len();
        } else if worker.config_at >= writing.end {
            worker.writing.pop_front();
            self.step(at, Event::Written { ticket, outcome: Ok(()) });
        } else {
            return false;
        }
        true
    }

    fn send(&mut self, at: usize) -> bool {
        let fails = self.rough && self.rng.one_in(10);
        let Some(worker) = self.workers[at].as_mut() else { return false };
        let Some((name, ticket, url, configs)) = worker.sending.pop_front() else { return false };
        let leader: usize = url.trim_start_matches("http://w").parse().unwrap();
        if fails || self.workers[leader].is_none() {
            let outcome = Err(Error::retriable("simulated"));
            self.step(at, Event::Sent { name, ticket, outcome });
            return true;
        }
        self.forwarded.insert(self.replies + 1, (at, name.clone(), ticket));
        self.ask(leader, Request::PutTaskConfigs { name, configs });
        true
    }

    /// Time passes to the next moment that somebody waits for; whether there is one.
    pub(super) fn wait(&mut self) -> bool {
        let due = self.workers.iter().flatten().filter_map(|worker| worker.machine.wake_at()).min();
        // The deadlines of requests and the age of keys are far away; nothing else may depend on them.
        let Some(at) = due.filter(|at| *at < self.now + 50_000) else { return false };
        self.now = at.max(self.now + 1);
        for at in self.living() {
            self.step(at, Event::Tick);
        }
        true
    }

    /// No two workers of the group run the same, and nobody runs what a leader takes for ended.
    fn check(&self) {
        let mut tasks = BTreeMap::new();
        let mut connectors = BTreeMap::new();
        for (at, worker) in self.workers.iter().enumerate() {
            let Some(worker) = worker else { continue };
            let counts = |run: &Run| self.coordinator.knows(&run.member);
            for id in worker.tasks.iter().filter(|(_, run)| counts(run)).map(|(id, _)| id) {
                assert_eq!(tasks.insert(id, at), None, "{id} runs twice");
            }
            for name in worker.connectors.iter().filter(|(_, run)| counts(run)).map(|(name, _)| name) {
                assert_eq!(connectors.insert(name, at), None, "{name} runs twice");
            }
            let slots = worker.machine.tasks.iter().filter(|(_, local)| !matches!(local.phase, Phase::Failed));
            assert_eq!(slots.count(), worker.tasks.len(), "the machine knows what runs");
        }
        let leads = |worker: &&Worker| worker.config_at == self.config.len() && self.coordinator.knows(&worker.member);
        for leader in self.workers.iter().flatten().filter(leads) {
            let ended = |id: &TaskId| matches!(leader.machine.stopped_config(&id.connector), Ok(Some(_)));
            let wrong: Vec<_> = tasks.iter().filter(|(id, _)| ended(id)).collect();
            assert!(wrong.is_empty(), "{wrong:?} run on");
        }
    }
}

impl Run {
    fn new(epoch: u64, connector: Props, config: Props, wanted: Wanted, member: String) -> Self {
        Self { epoch, connector, config, wanted, said: None, stopping: false, member }
    }
}

fn records(log: &[Entry], from: usize, to: usize) -> Vec<Record> {
    let record = |offset: usize| Record {
        offset: i64::try_from(offset).unwrap(),
        key: log[offset].key.clone(),
        value: log[offset].value.clone(),
    };
    (from..to).map(record).collect()
}
