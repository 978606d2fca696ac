//! The worker's own keys, under the names of Kafka Connect's properties files.
//!
//! [`WorkerConfig::load`] checks a whole file: every key that Kafka Connect knows, in either mode, is a field of a struct here or a
//! row of [`table`] with what becomes of it; others are warned about. [`docs::markdown`] writes it all down.

mod client;
pub mod docs;
mod group;
mod load;
mod rest;
mod storage;
mod table;
mod topics;

use millrace_api::config::ConfigKey;
use millrace_macros::Config;

pub use client::client_props;
pub use group::GroupConfig;
pub use load::{Mode, Warning};
pub use rest::RestConfig;
pub use storage::{StorageConfig, Store};
pub use table::Effect;
pub use topics::declared_topics;

/// Keys of a worker (`StandaloneConfig`, `DistributedConfig`, and what Millrace adds) that something here depends on. The others are
/// in [`other_keys`].
#[allow(
    clippy::struct_excessive_bools,
    clippy::doc_markdown,
    reason = "each is a key of its own; the texts are also read as plain text"
)]
#[derive(Debug, Clone, Config)]
pub struct WorkerConfig {
    /// A list of host/port pairs used to establish the initial connection to the Kafka cluster. Without it, the embedded log in
    /// data.dir takes Kafka's place.
    #[config(kind = "list", distinct_non_empty, importance = "high")]
    pub bootstrap_servers: Option<Vec<String>>,

    /// Keys of the REST API.
    #[config(flatten)]
    pub rest: RestConfig,

    /// Directory of the embedded log, the state of aggregates, and compiled components.
    #[config(name = "data.dir", default = "millrace-data", importance = "high")]
    pub data_dir: String,

    /// Converter class for keys of connectors that do not name their own.
    #[config(
        name = "key.converter",
        kind = "class",
        default = "org.apache.kafka.connect.json.JsonConverter",
        importance = "high"
    )]
    pub key_converter: String,

    /// Converter class for values of connectors that do not name their own.
    #[config(
        name = "value.converter",
        kind = "class",
        default = "org.apache.kafka.connect.json.JsonConverter",
        importance = "high"
    )]
    pub value_converter: String,

    /// Interval at which to commit offsets, in milliseconds. Shorter than Kafka Connect's minute: less is repeated after a crash.
    #[config(name = "offset.flush.interval.ms", default = "5000", range = "10..", importance = "low")]
    pub offset_flush_interval_ms: u64,

    /// HeaderConverter class for headers of connectors that do not name their own.
    #[config(
        name = "header.converter",
        kind = "class",
        default = "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        importance = "low"
    )]
    pub header_converter: String,

    /// Names of config providers, whose values stand for `${name:path:key}` in this file and in connectors' configurations; each
    /// has a `config.providers.<name>.class` (FileConfigProvider, DirectoryConfigProvider or EnvVarConfigProvider) and
    /// parameters `config.providers.<name>.param.<key>`.
    #[config(name = "config.providers", default = "", distinct, importance = "low")]
    pub config_providers: Vec<String>,

    /// Which settings of Kafka clients a connector may override: All, None, Principal, Allowlist, or a class name of
    /// `org.apache.kafka.connect.connector.policy`. Whatever it says, only settings that Millrace knows reach a client.
    #[config(name = "connector.client.config.override.policy", default = "All", importance = "medium")]
    pub override_policy: String,

    /// Maximum number of milliseconds to wait for records to flush and partition offset data to be committed to offset storage.
    #[config(name = "offset.flush.timeout.ms", default = "5000", importance = "low")]
    pub offset_flush_timeout_ms: i64,

    /// Whether source connectors may say how their topics are created (`topic.creation.*`).
    #[config(name = "topic.creation.enable", default = "true", importance = "low")]
    pub topic_creation_enable: bool,

    /// Whether the topics that each connector uses are tracked and shown.
    #[config(name = "topic.tracking.enable", default = "true", importance = "low")]
    pub topic_tracking_enable: bool,

    /// Whether a request may reset the topics that a connector has used.
    #[config(name = "topic.tracking.allow.reset", default = "true", importance = "low")]
    pub topic_tracking_allow_reset: bool,

    /// Whether `${provider:path:key}` may stand in a connector's names of topics, groups and classes, which others can see.
    #[config(name = "connector.config.variables.in.identifiers", default = "false", importance = "low")]
    pub variables_in_identifiers: bool,

    /// Time in milliseconds that tasks have to finish what is in flight when they stop.
    #[config(name = "task.shutdown.graceful.timeout.ms", default = "5000", range = "0..", importance = "low")]
    pub graceful_timeout_ms: u64,

    /// Time in milliseconds after which a task that waits for something (the connector's start, the other side to take a batch, a
    /// commit that succeeds, records though it is behind) is called stalled: by /health, /metrics and /millrace/tasks.
    #[config(name = "task.stalled.after.ms", default = "60000", range = "1000..", importance = "low")]
    pub stalled_after_ms: u64,

    /// What /health makes of stalled tasks: report names them and stays healthy, fail answers 500 with them, ignore says nothing.
    #[config(
        name = "health.stalled.tasks",
        default = "report",
        one_of("report", "fail", "ignore"),
        importance = "low"
    )]
    pub health_stalled_tasks: String,

    /// Topic for source offsets, in Kafka Connect's format.
    #[config(name = "offset.storage.topic", default = "connect-offsets", importance = "high")]
    pub offset_storage_topic: String,

    /// Topic for the configurations of connectors, in Kafka Connect's format; used with the embedded log.
    #[config(name = "config.storage.topic", default = "connect-configs", importance = "high")]
    pub config_storage_topic: String,

    /// Topic for the states of connectors and tasks, in Kafka Connect's format.
    #[config(name = "status.storage.topic", default = "connect-status", importance = "high")]
    pub status_storage_topic: String,

    /// How the topics of the three stores are created.
    #[config(flatten)]
    pub storage: StorageConfig,

    /// Name of the worker's group; prefix of transactional ids. Workers of one group share connectors and tasks.
    #[config(name = "group.id", default = "connect-standalone", importance = "high")]
    pub group_id: String,

    /// Keys of the group.
    #[config(flatten)]
    pub group: GroupConfig,

    /// Whether source connectors write records and offsets in one transaction: enabled, disabled, or preparing. By default
    /// enabled with the embedded log and disabled with Kafka.
    #[config(
        name = "exactly.once.source.support",
        one_of_ignore_case("DISABLED", "ENABLED", "PREPARING"),
        importance = "high"
    )]
    pub exactly_once_source_support: Option<String>,

    /// Bytes of records a sink task may hold before it stops fetching.
    #[config(name = "task.buffer.bytes", default = "16777216", range = "65536..", importance = "medium")]
    pub task_buffer_bytes: usize,

    /// Most records in one batch of a sink task. Handing a batch from thread to thread costs the same whatever its size, so large
    /// ones are cheaper per record; they take more memory.
    #[config(name = "task.batch.records", default = "5000", range = "1..=20000", importance = "medium")]
    pub task_batch_records: usize,

    /// Whether the REST API shows topics and their records, and appends records, under `/millrace/topics`. Whoever reaches the API
    /// can then read and write every topic, except that the configuration topic is not shown and the worker's own topics take no
    /// records. By default true with the embedded log, which `millrace topics` looks into by this way while the worker runs, and
    /// false with Kafka, which has access rules of its own.
    #[config(name = "topics.rest.enable", importance = "low")]
    pub topics_rest_enable: Option<bool>,
}

/// Keys of Kafka Connect that no field holds, with what becomes of each.
#[must_use]
pub fn other_keys() -> Vec<(ConfigKey, Effect)> {
    table::ROWS.iter().map(|row| (row.key(), row.effect)).collect()
}
