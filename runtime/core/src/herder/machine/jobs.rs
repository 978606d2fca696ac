//! Requests that change something, and what the worker itself writes to the configuration topic: one after the other, so that each is
//! decided on what the one before has led to, and answered when its records have been read back. What waits for several connectors
//! shares a write.

use std::collections::VecDeque;
use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::{Error, ErrorKind, Result};

use super::membership::Leadership;
use super::{Answer, Effect, Machine, Request, TargetState};
use crate::group::Protocol;
use crate::herder::not_found;
use crate::storage::Entry;
use crate::storage::config as records;
use crate::task::TaskId;

pub(super) const NO_LEADER: &str =
    "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.";

/// Most jobs in a write.
const TOGETHER: usize = 64;

/// Between attempts to write what nobody asked for.
const RETRY_MS: i64 = 1_000;

#[derive(Debug)]
pub(super) enum Job {
    Request {
        reply: u64,
        request: Request,
        deadline_ms: i64,
    },
    /// Task configurations of a connector here, when this worker leads.
    Publish {
        ticket: u64,
        name: String,
        configs: Vec<Props>,
    },
    SessionKey,
}

/// A job that is being written, and its answer when that is known already.
type Answered = (Job, Option<Answer>);

/// What becomes of a job when its turn comes.
enum Turn {
    Write(Vec<Vec<Entry>>, Option<Answer>),
    WriteKey,
    Done(Answer),
}

/// Why it does not get so far.
enum Instead {
    Refuse(Error),
    /// It is not known who leads.
    Wait,
}

impl Job {
    /// The connector, and whether it is about its tasks, for what may share a write: it is decided on its own connector alone.
    fn shared(&self) -> Option<(bool, &str)> {
        match self {
            Self::Request { request: Request::Put { name, .. }, .. } => Some((false, name)),
            Self::Publish { name, .. } | Self::Request { request: Request::PutTaskConfigs { name, .. }, .. } => {
                Some((true, name))
            }
            _ => None,
        }
    }

    fn shares_with(&self, other: &Self) -> bool {
        let pair = self.shared().zip(other.shared());
        pair.is_some_and(|((tasks, name), (others_tasks, other))| tasks == others_tasks && name != other)
    }
}

impl From<Error> for Instead {
    fn from(error: Error) -> Self {
        Self::Refuse(error)
    }
}

#[derive(Default)]
pub(super) struct Jobs {
    queue: VecDeque<Job>,
    /// What is being written.
    busy: Option<(u64, Vec<Answered>)>,
    key_at: Option<i64>,
    empty_at: i64,
}

impl Jobs {
    /// Configurations that somebody waits for go before task configurations of other connectors, of which a rebalance brings many at
    /// once. Otherwise the order is kept.
    pub(super) fn push(&mut self, job: Job) {
        let passes = |waiting: &Job| match (&job, waiting) {
            (Job::Request { request: Request::Put { name, .. }, .. }, Job::Publish { name: other, .. }) => {
                name != other
            }
            _ => false,
        };
        let skipped = self.queue.iter().rev().take_while(|waiting| passes(waiting)).count();
        self.queue.insert(self.queue.len() - skipped, job);
    }

    pub(super) fn wake_at(&self) -> Option<i64> {
        let deadline = |job: &Job| match job {
            Job::Request { deadline_ms, .. } => Some(*deadline_ms),
            _ => None,
        };
        let retry = (self.empty_at > 0).then_some(self.empty_at);
        self.queue.iter().filter_map(deadline).chain(retry).min()
    }

    /// Whether task configurations of a connector are being written, or will be.
    pub(super) fn publishes(&self, connector: &str) -> bool {
        let publishes = |job: &Job| matches!(job, Job::Publish { name, .. } if name == connector);
        self.all().any(publishes)
    }

    /// Whether taking tasks from stopped connectors has failed a moment ago.
    pub(super) fn empties_later(&self, now: i64) -> bool {
        self.empty_at > now
    }

    fn has_key(&self) -> bool {
        let is_key = |job: &Job| matches!(job, Job::SessionKey);
        self.all().any(is_key)
    }

    fn all(&self) -> impl Iterator<Item = &Job> {
        self.busy.iter().flat_map(|(_, jobs)| jobs).map(|(job, _)| job).chain(&self.queue)
    }
}

impl Machine {
    pub(super) fn request(&mut self, reply: u64, request: Request, deadline_ms: i64) {
        self.jobs.push(Job::Request { reply, request, deadline_ms });
    }

    pub(super) fn work_on_jobs(&mut self) {
        self.give_up_late_jobs();
        while self.jobs.busy.is_none() {
            let Some(job) = self.jobs.queue.pop_front() else { return };
            match self.turn(&job) {
                Err(Instead::Wait) => {
                    self.jobs.queue.push_front(job);
                    return;
                }
                Err(Instead::Refuse(error)) => self.finish(job, Err(error)),
                Ok(Turn::Done(answer)) => self.finish(job, Ok(answer)),
                Ok(Turn::Write(mut steps, answer)) => {
                    let mut jobs = vec![(job, answer)];
                    self.together(&mut jobs, &mut steps);
                    let ticket = self.number();
                    self.jobs.busy = Some((ticket, jobs));
                    self.effects.push(Effect::WriteConfig { ticket, steps });
                }
                Ok(Turn::WriteKey) => {
                    let ticket = self.number();
                    self.jobs.busy = Some((ticket, vec![(job, None)]));
                    self.effects.push(Effect::WriteSessionKey { ticket, created: self.now });
                }
            }
        }
    }

    /// Adds those jobs in the queue that can be written with one that is to be: the first step of each, then the second.
    fn together(&mut self, jobs: &mut Vec<Answered>, steps: &mut Vec<Vec<Entry>>) {
        let shares =
            |jobs: &[Answered], next: &Job| jobs.len() < TOGETHER && jobs.iter().all(|(job, _)| job.shares_with(next));
        while let Some(next) = self.jobs.queue.pop_front_if(|next| shares(jobs, next)) {
            let Ok(Turn::Write(more, answer)) = self.turn(&next) else {
                // Its own turn says what is to become of it.
                self.jobs.queue.push_front(next);
                return;
            };
            append_steps(steps, more);
            jobs.push((next, answer));
        }
    }

    fn give_up_late_jobs(&mut self) {
        let now = self.now;
        if self.jobs.empty_at <= now {
            self.jobs.empty_at = 0;
        }
        let late = |job: &Job| matches!(job, Job::Request { deadline_ms, .. } if *deadline_ms <= now);
        if !self.jobs.queue.iter().any(late) {
            return;
        }
        let (gone, left): (VecDeque<Job>, VecDeque<Job>) = self.jobs.queue.drain(..).partition(late);
        self.jobs.queue = left;
        for job in gone {
            self.finish(job, Err(Error::elsewhere(NO_LEADER, None)));
        }
    }

    pub(super) fn written(&mut self, ticket: u64, outcome: Result<()>) {
        let Some((_, jobs)) = self.jobs.busy.take_if(|(busy, _)| *busy == ticket) else { return };
        let outcome = outcome.map_err(Arc::new);
        for (job, answer) in jobs {
            let outcome = match &outcome {
                Ok(()) => Ok(answer.unwrap_or_else(|| self.answer(&job))),
                Err(error) => {
                    let message = "Error writing connector configuration to Kafka";
                    Err(Error::new(error.kind(), message).because(Arc::clone(error)))
                }
            };
            self.finish(job, outcome);
        }
    }

    fn finish(&mut self, job: Job, outcome: Result<Answer>) {
        match job {
            Job::Request { reply, .. } => self.effects.push(Effect::Reply { reply, outcome }),
            Job::Publish { ticket, name, configs } => {
                if configs.is_empty() && outcome.is_err() {
                    self.jobs.empty_at = self.now + RETRY_MS;
                }
                self.sent(&name, ticket, outcome.map(|_| ()));
            }
            Job::SessionKey => {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "a new session key could not be written");
                    self.jobs.key_at = Some(self.now + RETRY_MS);
                }
            }
        }
    }

    /// The answer to what has been written and read back.
    fn answer(&self, job: &Job) -> Answer {
        let Job::Request { request: Request::Put { name, .. }, .. } = job else { return Answer::Done };
        self.info(name).map_or(Answer::Done, |info| Answer::Put(false, info))
    }

    /// Leader only: `Ok` here, also while its group rebalances, or what to do instead.
    fn leading(&self, otherwise: &'static str) -> Result<(), Instead> {
        if self.membership.leads_still(self.config.offset()) {
            return Ok(());
        }
        match self.leadership() {
            Leadership::Here => Ok(()),
            Leadership::There(Some(url)) => Err(Error::elsewhere(otherwise, Some(url)).into()),
            Leadership::There(None) => Err(Error::elsewhere(NO_LEADER, None).into()),
            Leadership::Unknown => Err(Instead::Wait),
        }
    }

    fn turn(&mut self, job: &Job) -> Result<Turn, Instead> {
        match job {
            Job::SessionKey => self.leading("").map(|()| Turn::WriteKey),
            Job::Publish { name, configs, .. } => self.task_configs_turn(name, configs),
            Job::Request { request, .. } => self.request_turn(request),
        }
    }

    fn request_turn(&mut self, request: &Request) -> Result<Turn, Instead> {
        match request {
            Request::Put { name, config, target, replace } => self.put_turn(name, config, *target, *replace),
            Request::Delete { name } => {
                self.leading("Only the leader can delete connector configs.")?;
                self.known(name, || not_found(name))?;
                Ok(Turn::Write(vec![records::delete_records(name)], None))
            }
            Request::Target { name, target } => self.target_turn(name, *target),
            Request::Restart { name, include_tasks: false, only_failed: false } => self.restart_connector_turn(name),
            Request::Restart { name, include_tasks, only_failed } => {
                self.known(name, || unknown(name))?;
                self.leading("Only the leader can process restart requests.")?;
                let Some(plan) = self.restart_plan(name, *include_tasks, *only_failed) else {
                    let error = format!("Status for connector {name} not found");
                    return Err(Error::new(ErrorKind::NotFound, error).into());
                };
                let record = records::restart_record(name, *include_tasks, *only_failed);
                Ok(Turn::Write(vec![vec![record]], Some(Answer::Planned(plan))))
            }
            Request::RestartTask { id } => self.restart_task_turn(id),
            Request::PutTaskConfigs { name, configs } => self.task_configs_turn(name, configs),
            Request::Fenced { name, tasks } => {
                self.leading("Only the leader may perform zombie fencing.")?;
                self.known(name, || not_found(name))?;
                Ok(Turn::Write(vec![vec![records::task_count_record(name, *tasks)]], None))
            }
            Request::Level { namespace, level } => {
                Ok(Turn::Write(vec![vec![records::logger_record(namespace, level)]], None))
            }
            Request::ResetTopics { name } => {
                self.forget_topics(name);
                Ok(Turn::Done(Answer::Done))
            }
        }
    }

    fn known(&self, name: &str, missing: impl FnOnce() -> Error) -> Result<(), Instead> {
        if self.config.connector(name).is_some() { Ok(()) } else { Err(missing().into()) }
    }

    fn put_turn(
        &self,
        name: &str,
        config: &Props,
        target: Option<TargetState>,
        replace: bool,
    ) -> Result<Turn, Instead> {
        self.leading("Only the leader can set connector configs.")?;
        let exists = self.config.connector(name).is_some();
        if exists && !replace {
            return Err(Error::new(ErrorKind::Conflict, format!("Connector {name} already exists")).into());
        }
        let kind = config.get("connector.class").and_then(|class| self.catalogue.describe(class));
        // Kafka Connect shows the tasks as they were before the new configuration.
        let info = crate::herder::ConnectorInfo {
            name: name.to_owned(),
            config: config.clone(),
            tasks: self.task_numbers(name),
            kind: kind.map_or("unknown", |(kind, _)| kind),
        };
        let steps = vec![records::put_connector(name, config, target)];
        Ok(Turn::Write(steps, Some(Answer::Put(!exists, info))))
    }

    /// Anybody writes PAUSED and STARTED. STOPPED takes the tasks away first, which only the leader may.
    fn target_turn(&self, name: &str, target: TargetState) -> Result<Turn, Instead> {
        self.known(name, || Error::new(ErrorKind::NotFound, format!("Unknown connector {name}")))?;
        let record = vec![records::target_record(name, target)];
        if target != TargetState::Stopped {
            return Ok(Turn::Write(vec![record], None));
        }
        self.leading("Only the leader can transition connectors to the STOPPED state.")?;
        Ok(Turn::Write(vec![vec![records::commit_record(name, 0)], record], None))
    }

    fn task_configs_turn(&self, name: &str, configs: &[Props]) -> Result<Turn, Instead> {
        self.leading("Only the leader may write task configurations.")?;
        self.known(name, || not_found(name))?;
        let stopped = self.config.connector(name).is_some_and(|state| state.target == TargetState::Stopped);
        if stopped && !configs.is_empty() {
            let error = format!("Cannot submit non-empty set of task configs for stopped connector {name}");
            return Err(Error::config(error).into());
        }
        let commit = vec![records::commit_record(name, configs.len())];
        let tasks = records::task_records(name, configs);
        Ok(Turn::Write(if tasks.is_empty() { vec![commit] } else { vec![tasks, commit] }, None))
    }

    fn restart_connector_turn(&mut self, name: &str) -> Result<Turn, Instead> {
        self.known(name, || unknown(name))?;
        let leadership = self.leadership();
        if self.membership.is_member() && self.membership.holds_connector(name) {
            let plan = self.restart_plan(name, false, false);
            self.restart_here(name, true, false, false);
            self.reconcile();
            return Ok(Turn::Done(plan.map_or(Answer::Done, Answer::Planned)));
        }
        let text = "Cannot restart connector since it is not assigned to this member";
        Err(owner(
            leadership,
            text,
            "Only the leader can process restart requests.",
            self.membership.connector_url(name),
        ))
    }

    fn restart_task_turn(&mut self, id: &TaskId) -> Result<Turn, Instead> {
        self.known(&id.connector, || unknown(&id.connector))?;
        let leadership = self.leadership();
        if !self.task_numbers(&id.connector).contains(&id.task) {
            let error = Error::new(ErrorKind::NotFound, format!("Unknown task: {id}"));
            return Err(error.into());
        }
        if self.membership.is_member() && self.membership.holds_task(id) {
            if let Some(local) = self.tasks.get_mut(id) {
                local.asked = true;
            }
            self.reconcile();
            return Ok(Turn::Done(Answer::Done));
        }
        let text = "Cannot restart task since it is not assigned to this member";
        Err(owner(leadership, text, text, self.membership.task_url(id)))
    }

    /// The leader makes a key when there is none, and another when it is old.
    pub(super) fn rotate_key(&mut self) {
        if self.key_at().is_some_and(|at| at <= self.now) && !self.jobs.has_key() {
            self.jobs.key_at = None;
            self.jobs.push(Job::SessionKey);
        }
    }

    pub(super) fn key_at(&self) -> Option<i64> {
        let signs = self.membership.protocol() == Protocol::Sessioned;
        if !signs || !matches!(self.leadership(), Leadership::Here) || self.jobs.has_key() {
            return None;
        }
        let due = match self.config.session_key() {
            None => self.now,
            Some(_) if self.options.key_ttl_ms == 0 => return None,
            Some(key) => key.created.saturating_add(self.options.key_ttl_ms),
        };
        Some(due.max(self.jobs.key_at.unwrap_or(due)))
    }
}

/// Configurations of tasks are committed by the last step, which comes after those of all of them.
fn append_steps(steps: &mut Vec<Vec<Entry>>, more: Vec<Vec<Entry>>) {
    let missing = more.len().saturating_sub(steps.len());
    steps.splice(0..0, std::iter::repeat_with(Vec::new).take(missing));
    let first = steps.len() - more.len();
    for (step, more) in steps[first..].iter_mut().zip(more) {
        step.extend(more);
    }
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Unknown connector: {name}"))
}

/// The leader knows who runs what; others know the leader.
fn owner(leadership: Leadership, text: &'static str, ask_leader: &'static str, owner: Option<String>) -> Instead {
    let error = match leadership {
        Leadership::Unknown => return Instead::Wait,
        Leadership::Here => Error::elsewhere(if owner.is_some() { text } else { NO_LEADER }, owner),
        Leadership::There(url) => Error::elsewhere(if url.is_some() { ask_leader } else { NO_LEADER }, url),
    };
    error.into()
}
