//! The configuration topic (`config.storage.topic`): what connectors exist, what is wanted of them, and their tasks' configurations.
//!
//! | key | value |
//! |---|---|
//! | `connector-<c>` | `{"properties":{…}}`, or nothing when it was deleted |
//! | `target-state-<c>` | `{"state":…,"state.v2":…}` |
//! | `task-<c>-<n>` | `{"properties":{…}}`, in force with the next commit |
//! | `commit-<c>` | `{"tasks":N}` |
//! | `tasks-fencing-<c>` | `{"task-count":N}` |
//! | `session-key` | `{"key":…,"algorithm":…,"creation-timestamp":…}` |
//! | `restart-connector-<c>` | `{"include-tasks":…,"only-failed":…}` |
//! | `logger-cluster-<l>` | `{"level":…}` |
//!
//! [`ClusterConfig`] is the fold over its records (`KafkaConfigBackingStore`, `ClusterConfigState`); the functions build records.

mod records;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::config::Props;
use serde_json::{Map, Value};

pub use records::{
    commit_record, connector_record, delete_records, logger_record, put_connector, restart_record, session_key_record,
    target_record, task_count_record, task_records,
};

use super::{json, task_id};
use crate::herder::{SessionKey, TargetState};

const TARGET: &str = "target-state-";
const CONNECTOR: &str = "connector-";
const TASK: &str = "task-";
const COMMIT: &str = "commit-";
const RESTART: &str = "restart-connector-";
const FENCING: &str = "tasks-fencing-";
const SESSION_KEY: &str = "session-key";
const LOGGER: &str = "logger-cluster-";

/// What a record has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// A connector was created, has another configuration, or is gone.
    Connector {
        /// Name.
        name: String,
        /// Whether it is gone.
        removed: bool,
    },
    /// Another target for a connector that exists.
    Target {
        /// Name.
        name: String,
    },
    /// Tasks were committed.
    Tasks {
        /// Name of the connector.
        name: String,
    },
    /// Tasks were committed of which some are missing: the leader makes them anew.
    Inconsistent {
        /// Name of the connector.
        name: String,
    },
    /// Somebody asked for a restart (KIP-745).
    Restart {
        /// Name of the connector.
        name: String,
        /// Its tasks, too.
        include_tasks: bool,
        /// Only what has failed.
        only_failed: bool,
    },
    /// There is another session key.
    SessionKey,
    /// A logger's level for all workers (KIP-976).
    Logger {
        /// Name of the logger.
        namespace: String,
        /// Level, as it was written.
        level: String,
    },
    /// The number of tasks whose producers were fenced was written down (KIP-618).
    Fencing {
        /// Name of the connector.
        name: String,
    },
}

/// What the topic says about one name. Configurations are shared with what runs by them, so that to compare them costs nothing as long
/// as nothing was written. Some of it outlives the connector: its target until that is removed too, and what belongs
/// to fencing for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorState {
    /// Configuration in the order it was written; `None` for a connector that does not exist.
    pub config: Option<Arc<Props>>,
    /// What is wanted of it.
    pub target: TargetState,
    /// Number of tasks in the last commit, also when some of them are missing.
    pub task_count: Option<i32>,
    /// The connector's configuration at the last complete commit: what its tasks were made from.
    pub applied: Option<Arc<Props>>,
    /// Tasks were committed of which some are missing.
    pub inconsistent: bool,
    /// Number of tasks when producers were last fenced.
    pub fenced: Option<i32>,
    /// Tasks were committed after that, so producers are to be fenced before they start.
    pub pending_fencing: bool,
    /// Counts commits that this process has seen.
    pub generation: Option<i32>,
    tasks: Vec<Arc<Props>>,
    deferred: Option<BTreeMap<i32, Arc<Props>>>,
}

impl Default for ConnectorState {
    fn default() -> Self {
        Self {
            config: None,
            target: TargetState::Started,
            task_count: None,
            applied: None,
            inconsistent: false,
            fenced: None,
            pending_fencing: false,
            generation: None,
            tasks: Vec::new(),
            deferred: None,
        }
    }
}

impl ConnectorState {
    /// Configurations of its tasks by number; none when some are missing.
    #[must_use]
    pub fn tasks(&self) -> &[Arc<Props>] {
        if self.inconsistent { &[] } else { &self.tasks }
    }

    fn remove(&mut self) {
        self.config = None;
        self.task_count = None;
        self.applied = None;
        self.tasks.clear();
        self.deferred = None;
    }
}

/// The fold over the topic. The same records give the same state, whatever batches they come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    offset: i64,
    started: bool,
    session_key: Option<SessionKey>,
    connectors: BTreeMap<String, ConnectorState>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { offset: -1, started: false, session_key: None, connectors: BTreeMap::new() }
    }
}

impl ClusterConfig {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What members of the group tell each other: the offset after the last record that was read, -1 for none.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// From now on requests in the topic (restarts, levels of loggers) are news; those before were for workers that ran then.
    pub fn set_started(&mut self) {
        self.started = true;
    }

    /// The key that workers sign with, when there is one.
    #[must_use]
    pub fn session_key(&self) -> Option<&SessionKey> {
        self.session_key.as_ref()
    }

    /// Names of connectors that exist, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.connectors().map(|(name, _)| name)
    }

    /// Connectors that exist, by name.
    pub fn connectors(&self) -> impl Iterator<Item = (&str, &ConnectorState)> {
        let exists = |(_, state): &(&String, &ConnectorState)| state.config.is_some();
        self.connectors.iter().filter(exists).map(|(name, state)| (name.as_str(), state))
    }

    /// A connector that exists.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&ConnectorState> {
        self.state(name).filter(|state| state.config.is_some())
    }

    /// What is known about a name, also after the connector is gone.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<&ConnectorState> {
        self.connectors.get(name)
    }

    /// Folds one record in. What cannot be understood is logged and left out; it never fails.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>, offset: i64) -> Option<ConfigChange> {
        let shown = String::from_utf8_lossy(key);
        let value = match json::read(value) {
            Ok(value) => value,
            Err(error) => {
                tracing::warn!(key = %shown, offset, %error, "a record of the configuration topic is no JSON and was left out");
                return None;
            }
        };
        self.offset = offset.saturating_add(1);
        let folded = match std::str::from_utf8(key) {
            Ok(key) => self.fold(key, value.as_ref()),
            Err(_) => Err("its key is no text".to_owned()),
        };
        folded.unwrap_or_else(|cause| {
            tracing::warn!(key = %shown, offset, cause, "a record of the configuration topic was left out");
            None
        })
    }

    /// The order of tests matters: names may begin with what other keys begin with.
    fn fold(&mut self, key: &str, value: Option<&Value>) -> Result<Option<ConfigChange>, String> {
        if let Some(name) = key.strip_prefix(TARGET) {
            self.target(name, value)
        } else if let Some(name) = key.strip_prefix(CONNECTOR) {
            self.config(name, value)
        } else if key.starts_with(TASK) {
            let (name, task) = task_id(key, TASK).ok_or("its key names no task")?;
            self.task(name, task, value)
        } else if let Some(name) = key.strip_prefix(COMMIT) {
            self.commit(name, value)
        } else if let Some(name) = key.strip_prefix(RESTART) {
            Ok(Some(restart(name, fields(value)?)).filter(|_| self.started))
        } else if let Some(name) = key.strip_prefix(FENCING) {
            self.fencing(name, value)
        } else if key == SESSION_KEY {
            self.session_key = Some(session_key(fields(value)?)?);
            Ok(Some(ConfigChange::SessionKey))
        } else if let Some(namespace) = key.strip_prefix(LOGGER) {
            let level = json::text(fields(value)?, "level")?.to_owned();
            Ok(Some(ConfigChange::Logger { namespace: namespace.to_owned(), level }).filter(|_| self.started))
        } else {
            Err("its key is none of those there are".to_owned())
        }
    }

    fn entry(&mut self, name: &str) -> &mut ConnectorState {
        self.connectors.entry(name.to_owned()).or_default()
    }

    /// Forgets a name about which there is nothing left to know.
    fn tidy(&mut self, name: &str) {
        if self.connectors.get(name).is_some_and(|state| *state == ConnectorState::default()) {
            self.connectors.remove(name);
        }
    }

    fn target(&mut self, name: &str, value: Option<&Value>) -> Result<Option<ConfigChange>, String> {
        let Some(value) = value else {
            // It goes with its connector; the connector's own record tells.
            if let Some(state) = self.connectors.get_mut(name) {
                state.target = TargetState::Started;
            }
            self.tidy(name);
            return Ok(None);
        };
        let target = target_state(json::object(value)?)?;
        let state = self.entry(name);
        let before = std::mem::replace(&mut state.target, target);
        let told = before != target && state.config.is_some();
        self.tidy(name);
        Ok(told.then(|| ConfigChange::Target { name: name.to_owned() }))
    }

    fn config(&mut self, name: &str, value: Option<&Value>) -> Result<Option<ConfigChange>, String> {
        let removed = value.is_none();
        if let Some(value) = value {
            let config = json::props(json::object(value)?, "properties")?;
            self.entry(name).config = Some(Arc::new(config));
        } else {
            self.entry(name).remove();
            self.tidy(name);
        }
        Ok(Some(ConfigChange::Connector { name: name.to_owned(), removed }))
    }

    fn task(&mut self, name: &str, task: i32, value: Option<&Value>) -> Result<Option<ConfigChange>, String> {
        let config = json::props(fields(value)?, "properties")?;
        self.entry(name).deferred.get_or_insert_default().insert(task, Arc::new(config));
        Ok(None)
    }

    /// Applies what was deferred when it is all there. Compaction leaves only the last configuration of each task, so a commit may
    /// come before its tasks', and tasks past its count may be left from one before.
    fn commit(&mut self, name: &str, value: Option<&Value>) -> Result<Option<ConfigChange>, String> {
        let state = self.entry(name);
        let Some(config) = state.config.clone() else {
            // Of a connector that was deleted, and whose other records were compacted away (KAFKA-16838).
            state.remove();
            self.tidy(name);
            return Ok(None);
        };
        let count = json::number(fields(value)?, "tasks")?;
        let count = i32::try_from(count).ok().filter(|count| *count >= 0).ok_or("its number of tasks is none")?;
        let deferred = state.deferred.as_ref();
        let complete = (0..count).all(|task| deferred.is_some_and(|deferred| deferred.contains_key(&task)));
        if complete {
            state.tasks.clear();
            if let Some(deferred) = &mut state.deferred {
                state.tasks.extend(
                    std::mem::take(deferred).into_iter().filter(|(task, _)| *task < count).map(|(_, config)| config),
                );
                state.generation = Some(state.generation.map_or(0, |generation| generation.wrapping_add(1)));
            }
            state.applied = Some(config);
        } else if let Some(deferred) = &mut state.deferred {
            deferred.clear();
        }
        state.inconsistent = !complete;
        state.task_count = Some(count);
        state.pending_fencing = true;
        let name = name.to_owned();
        Ok(Some(if complete { ConfigChange::Tasks { name } } else { ConfigChange::Inconsistent { name } }))
    }

    fn fencing(&mut self, name: &str, value: Option<&Value>) -> Result<Option<ConfigChange>, String> {
        let count = json::number(fields(value)?, "task-count")?;
        let count = i32::try_from(count).map_err(|_| "its number of tasks is none")?;
        let state = self.entry(name);
        state.fenced = Some(count);
        state.pending_fencing = false;
        Ok(Some(ConfigChange::Fencing { name: name.to_owned() }))
    }
}

fn fields(value: Option<&Value>) -> Result<&Map<String, Value>, String> {
    json::object(value.ok_or("it has no value")?)
}

/// Older workers know no STOPPED; they read `state`, which says PAUSED then.
fn target_state(fields: &Map<String, Value>) -> Result<TargetState, String> {
    let name = match json::text(fields, "state.v2") {
        Ok(name) => name,
        Err(_) => json::text(fields, "state")?,
    };
    match name {
        "STARTED" => Ok(TargetState::Started),
        "PAUSED" => Ok(TargetState::Paused),
        "STOPPED" => Ok(TargetState::Stopped),
        _ => Err("its target is none that there is".to_owned()),
    }
}

fn restart(name: &str, fields: &Map<String, Value>) -> ConfigChange {
    let flag = |name: &str| fields.get(name).and_then(Value::as_bool).unwrap_or(false);
    let (include_tasks, only_failed) = (flag("include-tasks"), flag("only-failed"));
    ConfigChange::Restart { name: name.to_owned(), include_tasks, only_failed }
}

fn session_key(fields: &Map<String, Value>) -> Result<SessionKey, String> {
    let key = STANDARD.decode(json::text(fields, "key")?).map_err(|_| "its key is no base64")?;
    let algorithm = json::text(fields, "algorithm")?.to_owned();
    if key.is_empty() || algorithm.is_empty() {
        return Err("its key is empty".to_owned());
    }
    Ok(SessionKey { algorithm, key, created: json::number(fields, "creation-timestamp")? })
}
