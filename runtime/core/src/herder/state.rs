//! The herder's decisions, without IO: `step(event) -> effects`.
//!
//! Every start has an epoch; what an older epoch still reports is ignored, so a slow stop cannot overwrite a newer state.

use std::collections::BTreeMap;

use millrace_api::config::Props;

use super::{ConnectorInfo, ConnectorStatus, State, Status, TargetState};
use crate::task::{TaskId, Wanted};

/// What happens to the herder.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are named after what they hold")]
pub enum Event {
    /// A configuration was accepted.
    Put { name: String, config: Props, kind: &'static str, version: String, target: Option<TargetState> },
    /// A connector is to go.
    Delete { name: String },
    /// An operator wants another state.
    Target { name: String, target: TargetState },
    /// An operator asks for a restart.
    Restart { name: String, connector: bool, tasks: Vec<i32> },
    /// A connector's start ended: the configurations of its tasks, or the trace.
    ConnectorStarted { name: String, epoch: u64, outcome: Result<Vec<Props>, String> },
    /// A task says what it does.
    TaskChanged { id: TaskId, epoch: u64, state: State, trace: Option<String> },
}

/// What is to be done about it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are named after what they hold")]
pub enum Effect {
    /// Write the configuration and target down; `None` is deleted.
    Persist { name: String, record: Option<(Props, TargetState)> },
    /// Start the connector, after the one before has stopped.
    StartConnector { name: String, epoch: u64, config: Props },
    /// Stop the connector.
    StopConnector { name: String },
    /// Start a task, after the one before has stopped.
    StartTask { id: TaskId, epoch: u64, connector: Props, config: Props, wanted: Wanted },
    /// Stop a task.
    StopTask { id: TaskId },
    /// Pause or resume a task.
    Want { id: TaskId, wanted: Wanted },
}

struct TaskEntry {
    config: Props,
    status: Status,
    epoch: u64,
}

struct Entry {
    config: Props,
    kind: &'static str,
    version: String,
    target: TargetState,
    status: Status,
    epoch: u64,
    /// Configuration the tasks were started with.
    applied: Option<Props>,
    tasks: BTreeMap<i32, TaskEntry>,
}

/// See the module documentation.
pub struct HerderState {
    worker_id: String,
    epoch: u64,
    connectors: BTreeMap<String, Entry>,
}

impl HerderState {
    /// No connectors yet.
    #[must_use]
    pub fn new(worker_id: String) -> Self {
        Self { worker_id, epoch: 0, connectors: BTreeMap::new() }
    }

    /// Decides.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Put { name, config, kind, version, target } => self.put(name, config, kind, version, target),
            Event::Delete { name } => self.delete(&name),
            Event::Target { name, target } => self.target(&name, target),
            Event::Restart { name, connector, tasks } => self.restart(&name, connector, &tasks),
            Event::ConnectorStarted { name, epoch, outcome } => self.connector_started(&name, epoch, outcome),
            Event::TaskChanged { id, epoch, state, trace } => {
                self.task_changed(&id, epoch, state, trace);
                Vec::new()
            }
        }
    }

    fn put(
        &mut self,
        name: String,
        config: Props,
        kind: &'static str,
        version: String,
        target: Option<TargetState>,
    ) -> Vec<Effect> {
        let epoch = self.next_epoch();
        let unassigned = self.status(State::Unassigned, None);
        let entry = self.connectors.entry(name.clone()).or_insert_with(|| Entry {
            config: Props::new(),
            kind,
            version: String::new(),
            target: TargetState::Started,
            status: unassigned,
            epoch,
            applied: None,
            tasks: BTreeMap::new(),
        });
        entry.config = config;
        entry.kind = kind;
        entry.version = version;
        entry.epoch = epoch;
        entry.target = target.unwrap_or(entry.target);
        let mut effects =
            vec![Effect::Persist { name: name.clone(), record: Some((entry.config.clone(), entry.target)) }];
        if entry.target == TargetState::Stopped {
            let version = Some(entry.version.clone());
            entry.status = Status { state: State::Stopped, version, trace: None, ..entry.status.clone() };
        } else {
            effects.push(Effect::StartConnector { name, epoch, config: entry.config.clone() });
        }
        effects
    }

    fn delete(&mut self, name: &str) -> Vec<Effect> {
        let Some(entry) = self.connectors.remove(name) else { return Vec::new() };
        let mut effects = vec![Effect::Persist { name: name.to_owned(), record: None }];
        effects.extend(stop_tasks(name, entry.tasks.keys()));
        effects.push(Effect::StopConnector { name: name.to_owned() });
        effects
    }

    fn target(&mut self, name: &str, target: TargetState) -> Vec<Effect> {
        let epoch = self.next_epoch();
        let Some(entry) = self.connectors.get_mut(name) else { return Vec::new() };
        let before = std::mem::replace(&mut entry.target, target);
        if before == target {
            return Vec::new();
        }
        let mut effects = vec![Effect::Persist { name: name.to_owned(), record: Some((entry.config.clone(), target)) }];
        match (before, target) {
            (_, TargetState::Stopped) => {
                effects.extend(stop_tasks(name, entry.tasks.keys()));
                effects.push(Effect::StopConnector { name: name.to_owned() });
                entry.tasks.clear();
                entry.applied = None;
                entry.epoch = epoch;
                entry.status.state = State::Stopped;
                entry.status.trace = None;
                entry.status.version = Some(entry.version.clone());
            }
            (TargetState::Stopped, _) => {
                entry.epoch = epoch;
                effects.push(Effect::StartConnector { name: name.to_owned(), epoch, config: entry.config.clone() });
            }
            _ => {
                if matches!(entry.status.state, State::Running | State::Paused) {
                    entry.status.state = settled(target);
                }
                let wanted = wanted(target);
                effects.extend(entry.tasks.keys().map(|task| Effect::Want { id: TaskId::new(name, *task), wanted }));
            }
        }
        effects
    }

    fn restart(&mut self, name: &str, connector: bool, tasks: &[i32]) -> Vec<Effect> {
        let epoch = self.next_epoch();
        let Some(entry) = self.connectors.get_mut(name) else { return Vec::new() };
        if entry.target == TargetState::Stopped {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if connector {
            entry.epoch = epoch;
            entry.status.state = State::Restarting;
            entry.status.trace = None;
            effects.push(Effect::StartConnector { name: name.to_owned(), epoch, config: entry.config.clone() });
        }
        for task in tasks {
            if let Some(running) = entry.tasks.get_mut(task) {
                running.epoch = epoch;
                running.status.state = State::Restarting;
                running.status.trace = None;
                running.status.version = None;
                let id = TaskId::new(name, *task);
                effects.push(Effect::StopTask { id: id.clone() });
                let (connector, config) = (entry.config.clone(), running.config.clone());
                effects.push(Effect::StartTask { id, epoch, connector, config, wanted: wanted(entry.target) });
            }
        }
        effects
    }

    fn connector_started(&mut self, name: &str, epoch: u64, outcome: Result<Vec<Props>, String>) -> Vec<Effect> {
        let unassigned = self.status(State::Unassigned, None);
        let Some(entry) = self.connectors.get_mut(name).filter(|entry| entry.epoch == epoch) else { return Vec::new() };
        entry.status.version = Some(entry.version.clone());
        let configs = match outcome {
            Ok(configs) => configs,
            Err(trace) => {
                entry.status.state = State::Failed;
                entry.status.trace = Some(trace);
                return Vec::new();
            }
        };
        entry.status.state = settled(entry.target);
        entry.status.trace = None;
        // Framework keys (converters, transformations, errors) live in the connector's configuration, so when it changed every
        // task starts anew; otherwise only those whose own configuration did.
        let same_connector = entry.applied.as_ref() == Some(&entry.config);
        let mut effects = Vec::new();
        for gone in entry.tasks.keys().copied().filter(|task| usize::try_from(*task).is_ok_and(|n| n >= configs.len()))
        {
            effects.push(Effect::StopTask { id: TaskId::new(name, gone) });
        }
        entry.tasks.retain(|task, _| usize::try_from(*task).is_ok_and(|n| n < configs.len()));
        for (task, config) in (0i32..).zip(configs) {
            let id = TaskId::new(name, task);
            if let Some(running) = entry.tasks.get(&task) {
                if same_connector && running.config == config {
                    continue;
                }
                effects.push(Effect::StopTask { id: id.clone() });
            }
            entry.tasks.insert(task, TaskEntry { config: config.clone(), status: unassigned.clone(), epoch });
            let connector = entry.config.clone();
            effects.push(Effect::StartTask { id, epoch, connector, config, wanted: wanted(entry.target) });
        }
        entry.applied = Some(entry.config.clone());
        effects
    }

    fn task_changed(&mut self, id: &TaskId, epoch: u64, state: State, trace: Option<String>) {
        let Some(entry) = self.connectors.get_mut(&*id.connector) else { return };
        let version = entry.version.clone();
        let Some(task) = entry.tasks.get_mut(&id.task).filter(|task| task.epoch == epoch) else { return };
        task.status.state = state;
        task.status.trace = trace;
        task.status.version = Some(version);
    }

    /// Names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.connectors.keys().cloned().collect()
    }

    /// Whether a connector exists.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.connectors.contains_key(name)
    }

    /// Configuration and tasks.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<ConnectorInfo> {
        let entry = self.connectors.get(name)?;
        let tasks = entry.tasks.keys().copied().collect();
        Some(ConnectorInfo { name: name.to_owned(), config: entry.config.clone(), tasks, kind: entry.kind })
    }

    /// States.
    #[must_use]
    pub fn connector_status(&self, name: &str) -> Option<ConnectorStatus> {
        let entry = self.connectors.get(name)?;
        let tasks = entry.tasks.iter().map(|(task, running)| (*task, running.status.clone())).collect();
        Some(ConnectorStatus { name: name.to_owned(), connector: entry.status.clone(), tasks, kind: entry.kind })
    }

    /// Configurations of the tasks, by number.
    #[must_use]
    pub fn task_configs(&self, name: &str) -> Option<Vec<Props>> {
        Some(self.connectors.get(name)?.tasks.values().map(|task| task.config.clone()).collect())
    }

    fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    fn status(&self, state: State, version: Option<String>) -> Status {
        Status { state, worker_id: self.worker_id.clone(), version, trace: None }
    }
}

fn stop_tasks<'a>(name: &'a str, tasks: impl Iterator<Item = &'a i32> + 'a) -> impl Iterator<Item = Effect> + 'a {
    tasks.map(move |task| Effect::StopTask { id: TaskId::new(name, *task) })
}

fn wanted(target: TargetState) -> Wanted {
    match target {
        TargetState::Started => Wanted::Running,
        TargetState::Paused => Wanted::Paused,
        TargetState::Stopped => Wanted::Stopped,
    }
}

fn settled(target: TargetState) -> State {
    match target {
        TargetState::Started => State::Running,
        TargetState::Paused => State::Paused,
        TargetState::Stopped => State::Stopped,
    }
}

#[cfg(test)]
mod tests;
