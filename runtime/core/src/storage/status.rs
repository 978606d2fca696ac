//! The status topic (`status.storage.topic`): states of connectors and tasks, and topics that connectors use (KIP-558).
//!
//! | key | value |
//! |---|---|
//! | `status-connector-<c>`, `status-task-<c>-<n>` | `{"state","trace","worker_id","generation","version"}` |
//! | `status-topic-<t>:connector-<c>` | `{"topic":{"name","connector","task","discoverTimestamp"}}` |
//!
//! No value means it is gone. [`StatusView`] is the fold over its records (`KafkaStatusBackingStore`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::json::{self, Object};
use super::{Entry, task_id};
use crate::herder::State;

const CONNECTOR: &str = "status-connector-";
const TASK: &str = "status-task-";
const TOPIC: &str = "status-topic-";
const SEPARATOR: &str = ":connector-";

/// State of a connector or task, as a worker has written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRecord {
    /// State.
    pub state: State,
    /// Why it failed.
    pub trace: Option<String>,
    /// Host and port of the worker.
    pub worker_id: String,
    /// Generation of the group the worker was in.
    pub generation: i32,
    /// Version of the plugin.
    pub version: Option<String>,
}

/// Whether a key is that of a topic which a connector uses.
#[must_use]
pub fn is_topic(key: &[u8]) -> bool {
    key.starts_with(TOPIC.as_bytes())
}

/// A topic that a connector uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// Name of the topic.
    pub topic: String,
    /// Name of the connector.
    pub connector: String,
    /// The task that used it first.
    pub task: i32,
    /// When, in milliseconds of Unix time.
    pub discovered: i64,
}

/// The fold over the topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusView {
    connectors: BTreeMap<String, StatusRecord>,
    tasks: BTreeMap<String, BTreeMap<i32, StatusRecord>>,
    topics: BTreeMap<String, BTreeMap<String, TopicRecord>>,
}

impl StatusView {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// States of connectors, by name.
    pub fn connectors(&self) -> impl Iterator<Item = (&str, &StatusRecord)> {
        self.connectors.iter().map(|(name, status)| (name.as_str(), status))
    }

    /// State of a connector.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&StatusRecord> {
        self.connectors.get(name)
    }

    /// States of a connector's tasks, by number.
    pub fn tasks(&self, connector: &str) -> impl Iterator<Item = (i32, &StatusRecord)> {
        self.tasks.get(connector).into_iter().flatten().map(|(task, status)| (*task, status))
    }

    /// State of a task.
    #[must_use]
    pub fn task(&self, connector: &str, task: i32) -> Option<&StatusRecord> {
        self.tasks.get(connector)?.get(&task)
    }

    /// Topics that a connector uses, by name.
    pub fn topics(&self, connector: &str) -> impl Iterator<Item = &TopicRecord> {
        self.topics.get(connector).into_iter().flat_map(BTreeMap::values)
    }

    /// Whether a connector is known to use a topic.
    #[must_use]
    pub fn uses(&self, connector: &str, topic: &str) -> bool {
        self.topics.get(connector).is_some_and(|topics| topics.contains_key(topic))
    }

    /// Whether a state of a connector may be written by a worker that may have lost it: not over that of a worker in a later
    /// generation (`putSafe`). States of work that a worker holds are written in any case.
    #[must_use]
    pub fn may_write_connector(&self, connector: &str, status: &StatusRecord) -> bool {
        may_write(self.connector(connector), status)
    }

    /// As [`StatusView::may_write_connector`], for a task.
    #[must_use]
    pub fn may_write_task(&self, connector: &str, task: i32, status: &StatusRecord) -> bool {
        may_write(self.task(connector, task), status)
    }

    /// Folds one record in; whether it changed anything. What cannot be understood is logged and left out; it never fails.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        let folded = match std::str::from_utf8(key) {
            Ok(key) => self.fold(key, value),
            Err(_) => Err("its key is no text".to_owned()),
        };
        folded.unwrap_or_else(|cause| {
            let key = String::from_utf8_lossy(key);
            tracing::warn!(%key, cause, "a record of the status topic was left out");
            false
        })
    }

    fn fold(&mut self, key: &str, value: Option<&[u8]>) -> Result<bool, String> {
        if let Some(name) = key.strip_prefix(CONNECTOR) {
            self.read_connector(name, value)
        } else if key.starts_with(TASK) {
            let (name, task) = task_id(key, TASK).ok_or("its key names no task")?;
            self.read_task(name, task, value)
        } else if let Some(rest) = key.strip_prefix(TOPIC) {
            self.read_topic(rest, value)
        } else {
            Err("its key is none of those there are".to_owned())
        }
    }

    fn read_connector(&mut self, name: &str, value: Option<&[u8]>) -> Result<bool, String> {
        if name.is_empty() {
            return Err("its key names no connector".to_owned());
        }
        let Some(value) = value else {
            let tasks = self.tasks.remove(name).is_some();
            return Ok(self.connectors.remove(name).is_some() || tasks);
        };
        let status = status(&parse(value)?)?;
        Ok(self.connectors.insert(name.to_owned(), status.clone()) != Some(status))
    }

    fn read_task(&mut self, name: &str, task: i32, value: Option<&[u8]>) -> Result<bool, String> {
        let Some(value) = value else {
            let Some(tasks) = self.tasks.get_mut(name) else { return Ok(false) };
            let removed = tasks.remove(&task).is_some();
            if tasks.is_empty() {
                self.tasks.remove(name);
            }
            return Ok(removed);
        };
        let status = status(&parse(value)?)?;
        let tasks = self.tasks.entry(name.to_owned()).or_default();
        // A worker that has lost a task may say so after another has started it.
        let stale = |now: &StatusRecord| now.state == State::Running && now.generation >= status.generation;
        if status.state == State::Unassigned && tasks.get(&task).is_some_and(stale) {
            return Ok(false);
        }
        Ok(tasks.insert(task, status.clone()) != Some(status))
    }

    /// `<topic>:connector-<connector>`; topics have no colon.
    fn read_topic(&mut self, key: &str, value: Option<&[u8]>) -> Result<bool, String> {
        let (topic, connector) = key.split_once(SEPARATOR).ok_or("its key names no connector")?;
        if topic.is_empty() || connector.is_empty() {
            return Err("its key names no topic or no connector".to_owned());
        }
        let Some(value) = value else {
            let Some(topics) = self.topics.get_mut(connector) else { return Ok(false) };
            let removed = topics.remove(topic).is_some();
            if topics.is_empty() {
                self.topics.remove(connector);
            }
            return Ok(removed);
        };
        let value = parse(value)?;
        let fields = json::object(value.get("topic").unwrap_or(&Value::Null))?;
        let record = TopicRecord {
            topic: json::text(fields, "name")?.to_owned(),
            connector: json::text(fields, "connector")?.to_owned(),
            task: integer(fields, "task")?,
            discovered: json::number(fields, "discoverTimestamp")?,
        };
        let topics = self.topics.entry(connector.to_owned()).or_default();
        Ok(topics.insert(topic.to_owned(), record.clone()) != Some(record))
    }
}

fn may_write(now: Option<&StatusRecord>, status: &StatusRecord) -> bool {
    now.is_none_or(|now| now.worker_id == status.worker_id || now.generation <= status.generation)
}

/// State of a connector.
#[must_use]
pub fn connector_record(connector: &str, status: &StatusRecord) -> Entry {
    Entry::new(format!("{CONNECTOR}{connector}"), written(status))
}

/// State of a task.
#[must_use]
pub fn task_record(connector: &str, task: i32, status: &StatusRecord) -> Entry {
    Entry::new(format!("{TASK}{connector}-{task}"), written(status))
}

/// A topic that a connector uses.
#[must_use]
pub fn topic_record(record: &TopicRecord) -> Entry {
    let value = Object::new()
        .text("name", &record.topic)
        .text("connector", &record.connector)
        .number("task", i64::from(record.task))
        .number("discoverTimestamp", record.discovered);
    let key = format!("{TOPIC}{}{SEPARATOR}{}", record.topic, record.connector);
    Entry::new(key, Object::new().object("topic", value).end())
}

/// A connector is gone, and its tasks with it.
#[must_use]
pub fn connector_gone(connector: &str) -> Entry {
    Entry::tombstone(format!("{CONNECTOR}{connector}"))
}

/// A task is gone.
#[must_use]
pub fn task_gone(connector: &str, task: i32) -> Entry {
    Entry::tombstone(format!("{TASK}{connector}-{task}"))
}

/// Forgets that a connector uses a topic.
#[must_use]
pub fn topic_gone(connector: &str, topic: &str) -> Entry {
    Entry::tombstone(format!("{TOPIC}{topic}{SEPARATOR}{connector}"))
}

fn written(status: &StatusRecord) -> Vec<u8> {
    Object::new()
        .text("state", status.state.name())
        .text_or_null("trace", status.trace.as_deref())
        .text("worker_id", &status.worker_id)
        .number("generation", i64::from(status.generation))
        .text_or_null("version", status.version.as_deref())
        .end()
}

fn parse(value: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(value).map_err(|error| format!("it is no JSON: {error}"))
}

fn status(value: &Value) -> Result<StatusRecord, String> {
    let fields = json::object(value)?;
    Ok(StatusRecord {
        state: State::parse(json::text(fields, "state")?).ok_or("its state is none that there is")?,
        trace: optional(fields, "trace")?,
        worker_id: optional(fields, "worker_id")?.unwrap_or_default(),
        generation: integer(fields, "generation")?,
        version: optional(fields, "version")?,
    })
}

fn optional(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => json::text(fields, name).map(|text| Some(text.to_owned())),
    }
}

fn integer(fields: &Map<String, Value>, name: &str) -> Result<i32, String> {
    i32::try_from(json::number(fields, name)?).map_err(|_| format!("'{name}' is too large"))
}
