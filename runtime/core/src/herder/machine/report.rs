//! What this worker writes to the status topic.

use super::{Effect, Machine, State};
use crate::storage::Entry;
use crate::storage::status::{self, StatusRecord, TopicRecord};
use crate::task::TaskId;

impl Machine {
    fn record(&self, state: State, trace: Option<String>, name: &str) -> StatusRecord {
        // Kafka Connect asks the running connector or task for its version.
        let runs = !matches!(state, State::Unassigned | State::Restarting);
        StatusRecord {
            state,
            trace,
            worker_id: self.options.worker_id.clone(),
            generation: self.membership.generation(),
            version: runs.then(|| self.describe(name).map(|(_, version)| version)).flatten(),
        }
    }

    /// States that may come late do not replace what a later owner wrote.
    fn is_late(state: State) -> bool {
        matches!(state, State::Unassigned | State::Failed)
    }

    pub(super) fn say_connector(&mut self, name: &str, state: State, trace: Option<String>) {
        let record = self.record(state, trace, name);
        if !Self::is_late(state) || self.status.may_write_connector(name, &record) {
            self.write_status(status::connector_record(name, &record));
        }
    }

    pub(super) fn say_task(&mut self, id: &TaskId, state: State, trace: Option<String>) {
        let record = self.record(state, trace, &id.connector);
        if !Self::is_late(state) || self.status.may_write_task(&id.connector, id.task, &record) {
            self.write_status(status::task_record(&id.connector, id.task, &record));
        }
    }

    /// A connector of this worker has ended and is not to run here.
    pub(super) fn say_connector_unassigned(&mut self, name: &str) {
        if self.config.connector(name).is_some() {
            self.say_connector(name, State::Unassigned, None);
        } else {
            self.forget_topics(name);
            self.write_status(status::connector_gone(name));
        }
    }

    /// A task of this worker has ended.
    pub(super) fn say_task_unassigned(&mut self, id: &TaskId) {
        if self.task_numbers(&id.connector).contains(&id.task) {
            self.say_task(id, State::Unassigned, None);
        } else {
            self.write_status(status::task_gone(&id.connector, id.task));
        }
    }

    /// A failed task leaves this worker; what it failed of is still of interest, unless the task is gone.
    pub(super) fn say_task_gone(&mut self, id: &TaskId) {
        if !self.task_numbers(&id.connector).contains(&id.task) {
            self.write_status(status::task_gone(&id.connector, id.task));
        }
    }

    pub(super) fn forget_topics(&mut self, name: &str) {
        let gone: Vec<Entry> = self.status.topics(name).map(|used| status::topic_gone(name, &used.topic)).collect();
        if !gone.is_empty() {
            self.effects.push(Effect::WriteStatus { entries: gone });
        }
    }

    pub(super) fn topic_used(&mut self, id: &TaskId, topic: &str) {
        let known = self.config.connector(&id.connector).is_some();
        if !self.options.topic_tracking || !known || self.status.uses(&id.connector, topic) {
            return;
        }
        let (topic, connector) = (topic.to_owned(), id.connector.to_string());
        let record = TopicRecord { topic, connector, task: id.task, discovered: self.now };
        self.write_status(status::topic_record(&record));
    }

    /// A new leader removes the states of connectors and tasks that are gone.
    pub(super) fn sweep_status(&mut self) {
        let mut gone = Vec::new();
        let names: Vec<&str> = self.status.connectors().map(|(name, _)| name).collect();
        for name in names {
            let tasks = self.task_numbers(name);
            let left = self.status.tasks(name).filter(|(task, _)| !tasks.contains(task));
            gone.extend(left.map(|(task, _)| status::task_gone(name, task)));
            if self.config.connector(name).is_none() {
                gone.extend(self.status.topics(name).map(|used| status::topic_gone(name, &used.topic)));
                gone.push(status::connector_gone(name));
            }
        }
        if !gone.is_empty() {
            self.effects.push(Effect::WriteStatus { entries: gone });
        }
    }

    fn write_status(&mut self, entry: Entry) {
        self.effects.push(Effect::WriteStatus { entries: vec![entry] });
    }
}
