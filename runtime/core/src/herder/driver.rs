//! The herder's loop: it brings the machine what happens and carries out what the machine says. Nothing in it waits for a connector,
//! the log or another worker: whatever takes time runs on a task of its own and reports.

mod election;
mod writes;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_api::group::{GroupEvent, GroupMember, GroupOptions, Groups, MemberProtocol, Peer};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use super::Signing;
use super::machine::{Answer, Effect, Event, Machine, Record, Request};
use crate::loggers::{Level, Loggers};
use crate::peers::Peers;
use crate::storage::topic::{Deliveries, Delivery, InternalTopic, Received};
use crate::task::TaskId;
use crate::time::now_millis;
use crate::worker::Worker;

use election::Election;
pub(super) use writes::StatusWriter;

/// A request that does not know who leads waits so long for the rebalance to end; then it is a conflict.
const REQUEST_DEADLINE_MS: i64 = 45_000;

/// Between attempts to enter a group that refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// The machine is not told twice within this that time has passed.
const SHORTEST_TICK: Duration = Duration::from_millis(20);

/// What each member gets, by member id.
type Assignments = Vec<(String, Vec<u8>)>;

type Question = Box<dyn FnOnce(&Machine) + Send>;

/// What callers send to the loop.
pub(super) enum Command {
    Request {
        request: Request,
        reply: oneshot::Sender<Result<Answer>>,
    },
    Ask(Question),
    /// Stop everything and leave.
    Stop(oneshot::Sender<()>),
}

/// What callers read without asking.
#[derive(Default)]
pub(super) struct Shared {
    /// The first rebalance is over.
    pub(super) settled: AtomicBool,
    signing: Mutex<Option<Signing>>,
}

impl Shared {
    pub(super) fn signing(&self) -> Signing {
        self.signing.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or(Signing::Off)
    }
}

/// Everything the loop owns.
pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) worker: Arc<Worker>,
    pub(super) config_topic: Arc<dyn InternalTopic>,
    pub(super) config: Deliveries,
    pub(super) status: Deliveries,
    pub(super) status_writer: StatusWriter,
    pub(super) groups: Arc<dyn Groups>,
    pub(super) group: GroupOptions,
    pub(super) peers: Option<Arc<dyn Peers>>,
    pub(super) loggers: Option<Arc<dyn Loggers>>,
    /// Tasks are divided by how heavy they are.
    pub(super) by_load: bool,
    /// Writers of the configuration topic fence each other by this id, where sources are exactly-once.
    pub(super) fencing: Option<String>,
    /// From the worker, and from what the loop has started.
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    pub(super) reports: mpsc::UnboundedSender<Event>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) shared: Arc<Shared>,
}

/// What the member waits for.
#[derive(Default)]
struct Asked {
    joining: Option<oneshot::Sender<Vec<MemberProtocol>>>,
    elected: Option<oneshot::Sender<Assignments>>,
}

enum Happened {
    Event(Event),
    Command(Command),
    Group(Result<GroupEvent>),
    /// The election has waited long enough for what members have.
    Decide,
    /// A topic is no longer read.
    Closed(&'static str),
}

struct Loop {
    driver: Driver,
    member: Option<Box<dyn GroupMember>>,
    /// When to enter the group again after it refused.
    refused: Option<tokio::time::Instant>,
    asked: Asked,
    election: Election,
    replies: HashMap<u64, oneshot::Sender<Result<Answer>>>,
    replied: u64,
    stopping: Option<(oneshot::Sender<()>, tokio::time::Instant)>,
    /// When the machine was last told something that it decides on.
    stepped: tokio::time::Instant,
    config_open: bool,
    status_open: bool,
}

impl Driver {
    /// Runs until it is told to stop, or until nobody holds the herder any more.
    pub(super) async fn run(mut self) {
        self.read_to_end().await;
        let mut looped = Loop {
            driver: self,
            member: None,
            refused: None,
            asked: Asked::default(),
            election: Election::default(),
            replies: HashMap::new(),
            replied: 0,
            stopping: None,
            stepped: tokio::time::Instant::now(),
            config_open: true,
            status_open: true,
        };
        looped.enter().await;
        looped.run().await;
    }

    /// What was written before this worker started.
    async fn read_to_end(&mut self) {
        while let Some(Delivery::Records(records)) = self.config.next().await {
            let records = records.into_iter().map(record).collect();
            self.machine.step(now_millis(), Event::Config { records, live: false });
        }
        while let Some(Delivery::Records(records)) = self.status.next().await {
            self.machine.step(now_millis(), Event::Status { records: records.into_iter().map(record).collect() });
        }
    }
}

impl Loop {
    async fn run(mut self) {
        loop {
            let happened = self.next().await;
            match happened {
                Happened::Event(event) => {
                    let told = self.election.told(&event);
                    self.step(event);
                    if told {
                        self.decide();
                    }
                }
                Happened::Command(Command::Ask(question)) => question(&self.driver.machine),
                Happened::Command(Command::Request { request, reply }) => self.request(request, reply),
                Happened::Command(Command::Stop(done)) => self.stop(done),
                Happened::Group(Ok(event)) => self.group(event),
                Happened::Decide => self.decide(),
                Happened::Group(Err(error)) => {
                    tracing::error!(%error, "the group refuses this worker; trying again later");
                    self.member = None;
                    self.refused = Some(tokio::time::Instant::now() + REFUSED_PAUSE);
                    self.step(Event::Lost { gone: true });
                }
                Happened::Closed(topic) => {
                    tracing::error!(topic, "an internal topic cannot be read any more; the worker must be restarted");
                }
            }
            let over = |(_, at): &(oneshot::Sender<()>, tokio::time::Instant)| *at <= tokio::time::Instant::now();
            if self.stopping.as_ref().is_some_and(|stopping| self.driver.machine.is_idle() || over(stopping)) {
                return self.finish().await;
            }
        }
    }

    async fn next(&mut self) -> Happened {
        let tick = self.tick_at();
        let refused = self.refused.unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_hours(1));
        tokio::select! {
            Some(command) = self.driver.commands.recv() => Happened::Command(command),
            Some(event) = self.driver.events.recv() => Happened::Event(event),
            delivery = self.driver.config.next(), if self.config_open => match delivery {
                Some(Delivery::Records(records)) => {
                    Happened::Event(Event::Config { records: records.into_iter().map(record).collect(), live: true })
                }
                Some(Delivery::CaughtUp) => Happened::Event(Event::Tick),
                None => { self.config_open = false; Happened::Closed("config") }
            },
            delivery = self.driver.status.next(), if self.status_open => match delivery {
                Some(Delivery::Records(records)) => {
                    Happened::Event(Event::Status { records: records.into_iter().map(record).collect() })
                }
                Some(Delivery::CaughtUp) => Happened::Event(Event::Tick),
                None => { self.status_open = false; Happened::Closed("status") }
            },
            event = next_of(&mut self.member), if self.stopping.is_none() => Happened::Group(event),
            () = tokio::time::sleep_until(refused), if self.refused.is_some() => {
                self.refused = None;
                self.enter().await;
                Happened::Event(Event::Tick)
            }
            () = self.election.over() => Happened::Decide,
            () = tokio::time::sleep_until(tick) => Happened::Event(Event::Tick),
        }
    }

    /// The shortest pause counts from the last step: questions, which are no steps, must not put ticks off, however many there are.
    fn tick_at(&self) -> tokio::time::Instant {
        let wake = self.driver.machine.wake_at().map_or(3_600_000, |at| at.saturating_sub(now_millis()));
        let wake = Duration::from_millis(u64::try_from(wake).unwrap_or(0)).min(Duration::from_hours(1));
        let tick = (tokio::time::Instant::now() + wake).max(self.stepped + SHORTEST_TICK);
        self.stopping.as_ref().map_or(tick, |(_, end)| tick.min(*end))
    }

    async fn enter(&mut self) {
        match self.driver.groups.join(self.driver.group.clone()).await {
            Ok(member) => self.member = Some(member),
            Err(error) => {
                tracing::error!(%error, "the group cannot be joined; trying again later");
                self.refused = Some(tokio::time::Instant::now() + REFUSED_PAUSE);
            }
        }
    }

    fn group(&mut self, event: GroupEvent) {
        self.election.cancel();
        let event = match event {
            GroupEvent::Joining { reply } => {
                self.asked.joining = Some(reply);
                Event::Joining
            }
            GroupEvent::Elected { generation, leader, protocol, peers, reply } => {
                self.asked.elected = Some(reply);
                self.ask_members(&peers, &leader);
                let event = Event::Elected { generation, leader, protocol, peers };
                if let Some(event) = self.election.hold(event) {
                    self.step(event);
                }
                return;
            }
            GroupEvent::Joined { generation, member, leader, protocol, assignment } => {
                Event::Joined { generation, member, leader, protocol, assignment }
            }
            GroupEvent::Lost { reason } => {
                tracing::warn!(reason, "the group goes on without this worker: it stops its work and joins again");
                Event::Lost { gone: true }
            }
            GroupEvent::Unreachable { reason } => {
                tracing::warn!(reason, "the group's coordinator does not answer: this worker stops its work");
                Event::Lost { gone: false }
            }
        };
        self.step(event);
    }

    fn ask_members(&mut self, members: &[Peer], leader: &str) {
        let Driver { peers, reports, by_load, worker, .. } = &self.driver;
        let Some(peers) = peers else { return };
        self.election.ask(members, leader, peers, reports);
        if *by_load {
            self.election.weigh(members, leader, peers, reports);
            let loads = Some(own_loads(worker));
            self.step(Event::Loads { member: leader.to_owned(), loads });
        }
    }

    /// The leader decides with what it knows by now.
    fn decide(&mut self) {
        if let Some(event) = self.election.cancel() {
            self.step(event);
        }
    }

    fn request(&mut self, request: Request, reply: oneshot::Sender<Result<Answer>>) {
        if self.stopping.is_some() {
            let _ = reply.send(Err(Error::new(ErrorKind::Cancelled, "Worker is shutting down")));
            return;
        }
        self.replied += 1;
        self.replies.insert(self.replied, reply);
        let deadline_ms = now_millis() + REQUEST_DEADLINE_MS;
        self.step(Event::Request { reply: self.replied, request, deadline_ms });
    }

    fn step(&mut self, event: Event) {
        let tells = !matches!(event, Event::Status { .. });
        for effect in self.driver.machine.step(now_millis(), event) {
            self.apply(effect);
        }
        if !tells {
            return;
        }
        self.stepped = tokio::time::Instant::now();
        let shared = &self.driver.shared;
        if !shared.settled.load(Ordering::Relaxed) && self.driver.machine.is_settled() {
            shared.settled.store(true, Ordering::Release);
        }
        let signing = self.driver.machine.signing();
        let mut known = shared.signing.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(&signing) {
            *known = Some(signing);
        }
    }

    fn apply(&mut self, effect: Effect) {
        let worker = &self.driver.worker;
        match effect {
            Effect::StartConnector { name, epoch, config } => worker.start_connector(name, epoch, config),
            Effect::StopConnector { name, epoch } => worker.stop_connector(&name, epoch),
            Effect::StartTask { id, epoch, connector, config, wanted } => {
                worker.start_task(id, epoch, connector, config, wanted);
            }
            Effect::StopTask { id, epoch } => worker.stop_task(&id, epoch),
            Effect::Want { id, epoch, wanted } => worker.want(&id, epoch, wanted),
            // The member may have stopped waiting; it asks again then.
            Effect::AnswerJoining { protocols } => {
                self.asked.joining.take().map(|reply| reply.send(protocols).ok());
            }
            Effect::AnswerElected { assignments } => {
                self.asked.elected.take().map(|reply| reply.send(assignments).ok());
            }
            Effect::Rejoin { reason } => {
                if let Some(member) = &self.member {
                    member.rejoin(reason);
                }
            }
            Effect::WriteConfig { ticket, steps } => self.driver.write_config(ticket, steps),
            Effect::WriteSessionKey { ticket, created } => self.driver.write_session_key(ticket, created),
            Effect::WriteStatus { entries } => self.driver.status_writer.write(entries),
            Effect::SendTaskConfigs { name, ticket, leader_url, configs } => {
                self.driver.send_task_configs(name, ticket, leader_url, configs);
            }
            Effect::ForgetTopics => worker.forget_topics(),
            Effect::Reply { reply, outcome } => {
                // Whoever asked may have gone.
                self.replies.remove(&reply).map(|reply| reply.send(outcome).ok());
            }
            Effect::SetLevel { namespace, level } => {
                if let (Some(loggers), Some(level)) = (&self.driver.loggers, Level::parse(&level)) {
                    loggers.set(&namespace, level);
                }
            }
            Effect::Leading(leads) => self.driver.leading(leads),
        }
    }

    /// Work ends as if it were lost; when it has, the worker leaves the group, so that others get it at once.
    fn stop(&mut self, done: oneshot::Sender<()>) {
        let deadline = tokio::time::Instant::now() + self.driver.worker.stop_deadline();
        self.asked = Asked::default();
        self.election.cancel();
        self.stopping = Some((done, deadline));
        self.step(Event::Lost { gone: true });
        self.replies.clear();
    }

    async fn finish(mut self) {
        self.driver.status_writer.flush().await;
        if let Some(member) = self.member.take() {
            member.leave().await;
        }
        if let Some((done, _)) = self.stopping.take() {
            let _ = done.send(());
        }
    }
}

async fn next_of(member: &mut Option<Box<dyn GroupMember>>) -> Result<GroupEvent> {
    match member {
        Some(member) => member.next().await,
        None => std::future::pending().await,
    }
}

fn own_loads(worker: &Worker) -> BTreeMap<TaskId, u32> {
    let tasks = worker.metrics().progress().into_iter();
    tasks.filter_map(|task| Some((TaskId::new(task.connector, task.task), task.load?))).collect()
}

fn record(received: Received) -> Record {
    Record { offset: received.offset, key: received.key, value: received.value }
}
