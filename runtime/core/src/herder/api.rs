//! What the REST API and the CLI ask of a herder, and the shapes it answers with.

use async_trait::async_trait;
use millrace_api::config::{ConfigKey, ConfigValue, Props};
use millrace_api::connector::Json;
use millrace_api::{Error, Result};

use crate::progress::TaskProgress;

/// State of a connector or task (`AbstractStatus.State`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum State {
    Unassigned,
    Running,
    Paused,
    Stopped,
    Failed,
    Restarting,
}

impl State {
    /// Name in REST answers and the status topic.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Unassigned, Self::Running, Self::Paused, Self::Stopped, Self::Failed, Self::Restarting]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// What an operator wants of a connector (`TargetState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TargetState {
    Started,
    Paused,
    Stopped,
}

impl TargetState {
    /// Parses `initial_state`: RUNNING, PAUSED or STOPPED in any case.
    #[must_use]
    pub fn parse_initial(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "RUNNING" => Some(Self::Started),
            "PAUSED" => Some(Self::Paused),
            "STOPPED" => Some(Self::Stopped),
            _ => None,
        }
    }
}

/// `GET /connectors/{c}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorInfo {
    /// Name.
    pub name: String,
    /// Configuration, with `name`.
    pub config: Props,
    /// Numbers of its tasks.
    pub tasks: Vec<i32>,
    /// `source`, `sink` or `unknown`.
    pub kind: &'static str,
}

/// State of one connector or task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// State.
    pub state: State,
    /// Host and port of the worker.
    pub worker_id: String,
    /// Version of the plugin, when it runs.
    pub version: Option<String>,
    /// Why it failed.
    pub trace: Option<String>,
}

/// `GET /connectors/{c}/status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorStatus {
    /// Name.
    pub name: String,
    /// State of the connector.
    pub connector: Status,
    /// State of each task, by number.
    pub tasks: Vec<(i32, Status)>,
    /// `source`, `sink` or `unknown`.
    pub kind: &'static str,
}

/// `GET /connector-plugins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// Class name.
    pub class: String,
    /// `sink`, `source`, `converter`, `header_converter`, `transformation`, `predicate`.
    pub kind: &'static str,
    /// Version.
    pub version: String,
}

/// `PUT /connector-plugins/{p}/config/validate`.
#[derive(Debug, Clone)]
pub struct ConfigInfos {
    /// The plugin as it was named.
    pub name: String,
    /// Number of keys with errors.
    pub error_count: usize,
    /// Groups in order.
    pub groups: Vec<String>,
    /// Definition and value of each key.
    pub configs: Vec<(ConfigKey, ConfigValue)>,
}

/// A position: of a source's partition, or of a sink's `{"kafka_topic","kafka_partition"}`; no offset is a reset.
pub type Position = (Json, Option<Json>);

/// A key that workers of a group share and sign requests among each other with (KIP-507).
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// Algorithm of the key: `HmacSHA256`.
    pub algorithm: String,
    /// The key. A secret.
    pub key: Vec<u8>,
    /// When it was made, in milliseconds of Unix time.
    pub created: i64,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionKey")
            .field("algorithm", &self.algorithm)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

/// Whether a worker asks its peers for signatures, and what it checks them with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// Nobody signs: the group speaks a protocol without keys.
    Off,
    /// Signatures are asked for, but no key has been read yet (503).
    Pending,
    /// Signatures are asked for and made with the first key; the others still hold for checking.
    Keys(Vec<SessionKey>),
}

impl Signing {
    /// What a request to another worker is signed with; `None` when nobody signs.
    ///
    /// # Errors
    /// [`ErrorKind::Retriable`] while no key has been read: the other worker would refuse what is not signed.
    pub fn key(self) -> Result<Option<SessionKey>> {
        match self {
            Self::Off => Ok(None),
            Self::Pending => {
                Err(Error::retriable("no session key has been read yet, so other workers cannot be asked"))
            }
            Self::Keys(keys) => Ok(keys.into_iter().next()),
        }
    }
}

/// A herder: it owns the connectors of a worker or a cluster. No call waits for connector code; each answers from what is
/// written down and lets the worker catch up.
///
/// Errors carry Kafka Connect's wording; kinds map to HTTP codes: `NotFound` 404, `Config` 400, `Conflict` 409, others 500.
/// [`millrace_api::ErrorKind::Elsewhere`] carries the URL of the worker that answers, to which the request is forwarded; without one it is a 409.
#[async_trait]
pub trait Herder: Send + Sync {
    /// Names, sorted.
    async fn connectors(&self) -> Result<Vec<String>>;
    /// Configuration and tasks of a connector.
    async fn info(&self, name: &str) -> Result<ConnectorInfo>;
    /// States of a connector and its tasks.
    async fn status(&self, name: &str) -> Result<ConnectorStatus>;
    /// Configuration of each task.
    async fn task_configs(&self, name: &str) -> Result<Vec<Props>>;
    /// Creates a connector (`replace` false: it must not exist) or replaces its configuration; whether it was created.
    async fn put_config(
        &self,
        name: &str,
        config: Props,
        initial: Option<TargetState>,
        replace: bool,
    ) -> Result<(bool, ConnectorInfo)>;
    /// Changes some keys of a connector's configuration: `None` removes one (KIP-477).
    async fn patch_config(&self, _name: &str, _patch: Vec<(String, Option<String>)>) -> Result<ConnectorInfo> {
        Err(unsupported("PATCH of a configuration"))
    }
    /// Committed positions of a connector (KIP-875).
    async fn offsets(&self, _name: &str) -> Result<Vec<Position>> {
        Err(unsupported("reading offsets"))
    }
    /// Sets (`Some`) or resets all (`None`) positions of a stopped connector; the message to answer with.
    async fn alter_offsets(&self, _name: &str, _offsets: Option<Vec<Position>>) -> Result<String> {
        Err(unsupported("altering offsets"))
    }
    /// Topics that a connector has used since it was created or reset (KIP-558); empty for one that does not exist.
    async fn active_topics(&self, _name: &str) -> Result<Vec<String>> {
        Err(unsupported("topic tracking"))
    }
    /// Forgets the topics that a connector has used.
    async fn reset_active_topics(&self, _name: &str) -> Result<()> {
        Err(unsupported("topic tracking"))
    }
    /// Sets a logger's level on every worker (KIP-976). The level has been checked.
    async fn set_cluster_logger(&self, _namespace: &str, _level: &str) -> Result<()> {
        Err(unsupported("loggers of the cluster"))
    }
    /// From another worker: the configurations that a connector there has made for its tasks.
    async fn put_task_configs(&self, _name: &str, _configs: Vec<Props>) -> Result<()> {
        Err(unsupported("task configurations of other workers"))
    }
    /// From another worker: fences producers of a source connector's former tasks (KIP-618).
    async fn fence_zombies(&self, _name: &str) -> Result<()> {
        Err(unsupported("fencing for other workers"))
    }
    /// Keys for requests among workers.
    fn signing(&self) -> Signing {
        Signing::Off
    }
    /// Deletes a connector; its committed offsets stay.
    async fn delete(&self, name: &str) -> Result<()>;
    /// Pauses, resumes or stops.
    async fn set_target(&self, name: &str, target: TargetState) -> Result<()>;
    /// Restarts the connector and, when asked, its tasks (KIP-745); the planned states.
    async fn restart(&self, name: &str, include_tasks: bool, only_failed: bool) -> Result<ConnectorStatus>;
    /// Restarts one task.
    async fn restart_task(&self, name: &str, task: i32) -> Result<()>;
    /// Checks a configuration without using it.
    async fn validate(&self, plugin: &str, config: Props) -> Result<ConfigInfos>;
    /// Plugins: connectors only, or all.
    fn plugins(&self, connectors_only: bool) -> Vec<PluginInfo>;
    /// Keys of a plugin: its own first, then those every connector has.
    fn plugin_config(&self, plugin: &str) -> Result<Vec<ConfigKey>>;
    /// Identifies the log (`kafka_cluster_id`).
    async fn cluster_id(&self) -> Result<String>;
    /// Whether startup has finished.
    fn ready(&self) -> bool;
    /// All metrics in Prometheus' text format.
    fn metrics(&self) -> String;
    /// How the tasks of this worker move.
    fn progress(&self) -> Vec<TaskProgress>;
}

/// "Connector X not found".
#[must_use]
pub fn not_found(name: &str) -> Error {
    Error::new(millrace_api::ErrorKind::NotFound, format!("Connector {name} not found"))
}

fn unsupported(what: &str) -> Error {
    Error::internal(format!("this herder has no {what}"))
}
