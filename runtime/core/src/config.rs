//! The keys every connector has. The doc comments are the texts Kafka Connect shows, because tools show them too.

#![allow(clippy::doc_markdown, reason = "the texts are Kafka Connect's, letter for letter")]

use millrace_api::config::{Config as _, ConfigDef};
use millrace_api::connector::ConnectorType;
use millrace_macros::Config;

/// Keys of every connector (`ConnectorConfig`).
#[derive(Debug, Clone, Config)]
pub struct ConnectorConfig {
    /// Globally unique name to use for this connector.
    #[config(name = "name", importance = "high", check = connector_name, group = "Common", order = 1, width = "medium", display = "Connector name")]
    pub name: String,

    /// Name or alias of the class for this connector. Must be a subclass of
    /// org.apache.kafka.connect.connector.Connector. If the connector is
    /// org.apache.kafka.connect.file.FileStreamSinkConnector, you can either specify this full name,  or use
    /// "FileStreamSink" or "FileStreamSinkConnector" to make the configuration a bit shorter
    #[config(
        name = "connector.class",
        importance = "high",
        group = "Common",
        order = 2,
        width = "long",
        display = "Connector class"
    )]
    pub connector_class: String,

    /// Version of the connector.
    #[config(
        name = "connector.plugin.version",
        importance = "medium",
        group = "Common",
        order = 3,
        width = "medium",
        display = "Connector version"
    )]
    pub connector_plugin_version: Option<String>,

    /// Maximum number of tasks to use for this connector.
    #[config(
        name = "tasks.max",
        default = "1",
        importance = "high",
        range = "1..",
        group = "Common",
        order = 4,
        width = "short",
        display = "Tasks max"
    )]
    pub tasks_max: i32,

    /// (Deprecated) Whether to enforce that the tasks.max property is respected by the connector. By default,
    /// connectors that generate too many tasks will fail, and existing sets of tasks that exceed the tasks.max
    /// property will also be failed. If this property is set to false, then connectors will be allowed to generate
    /// more than the maximum number of tasks, and existing sets of tasks that exceed the tasks.max property will be
    /// allowed to run. This property is deprecated and will be removed in an upcoming major release.
    #[config(
        name = "tasks.max.enforce",
        default = "true",
        importance = "low",
        group = "Common",
        order = 5,
        width = "short",
        display = "Enforce tasks max"
    )]
    pub tasks_max_enforce: bool,

    /// Converter class used to convert between Kafka Connect format and the serialized form that is written to Kafka.
    /// This controls the format of the keys in messages written to or read from Kafka, and since this is independent
    /// of connectors it allows any connector to work with any serialization format. Examples of common formats
    /// include JSON and Avro.
    #[config(
        name = "key.converter",
        importance = "low",
        kind = "class",
        group = "Common",
        order = 6,
        width = "short",
        display = "Key converter class"
    )]
    pub key_converter: Option<String>,

    /// Version of the key converter.
    #[config(
        name = "key.converter.plugin.version",
        importance = "low",
        group = "Common",
        order = 7,
        width = "short",
        display = "Key converter version"
    )]
    pub key_converter_plugin_version: Option<String>,

    /// Converter class used to convert between Kafka Connect format and the serialized form that is written to Kafka.
    /// This controls the format of the values in messages written to or read from Kafka, and since this is
    /// independent of connectors it allows any connector to work with any serialization format. Examples of common
    /// formats include JSON and Avro.
    #[config(
        name = "value.converter",
        importance = "low",
        kind = "class",
        group = "Common",
        order = 8,
        width = "short",
        display = "Value converter class"
    )]
    pub value_converter: Option<String>,

    /// Version of the value converter.
    #[config(
        name = "value.converter.plugin.version",
        importance = "low",
        group = "Common",
        order = 9,
        width = "short",
        display = "Value converter version"
    )]
    pub value_converter_plugin_version: Option<String>,

    /// HeaderConverter class used to convert between Kafka Connect format and the serialized form that is written to
    /// Kafka. This controls the format of the header values in messages written to or read from Kafka, and since this
    /// is independent of connectors it allows any connector to work with any serialization format. Examples of common
    /// formats include JSON and Avro. By default, the SimpleHeaderConverter is used to serialize header values to
    /// strings and deserialize them by inferring the schemas.
    #[config(
        name = "header.converter",
        importance = "low",
        kind = "class",
        group = "Common",
        order = 10,
        width = "short",
        display = "Header converter class"
    )]
    pub header_converter: Option<String>,

    /// Version of the header converter.
    #[config(
        name = "header.converter.plugin.version",
        importance = "low",
        group = "Common",
        order = 11,
        width = "short",
        display = "Header converter version"
    )]
    pub header_converter_plugin_version: Option<String>,

    /// Aliases for the transformations to be applied to records.
    #[config(name = "transforms", default = "", importance = "low", check = unique_aliases, group = "Transforms", order = 12, width = "long", display = "Transforms")]
    pub transforms: Vec<String>,

    /// Aliases for the predicates used by transformations.
    #[config(name = "predicates", default = "", importance = "low", check = unique_aliases, group = "Predicates", order = 13, width = "long", display = "Predicates")]
    pub predicates: Vec<String>,

    /// The action that Connect should take on the connector when changes in external configuration providers result
    /// in a change in the connector's configuration properties. A value of 'none' indicates that Connect will do
    /// nothing. A value of 'restart' indicates that Connect should restart/reload the connector with the updated
    /// configuration properties.The restart may actually be scheduled in the future if the external configuration
    /// provider indicates that a configuration value will expire in the future.
    #[config(
        name = "config.action.reload",
        default = "restart",
        importance = "low",
        one_of("none", "restart"),
        group = "Common",
        order = 14,
        width = "medium",
        display = "Reload Action"
    )]
    pub config_action_reload: String,

    /// The maximum duration in milliseconds that a failed operation will be reattempted. The default is 0, which
    /// means no retries will be attempted. Use -1 for infinite retries.
    #[config(
        name = "errors.retry.timeout",
        default = "0",
        importance = "medium",
        group = "Error Handling",
        order = 1,
        width = "medium",
        display = "Retry Timeout for Errors"
    )]
    pub errors_retry_timeout: i64,

    /// The maximum duration in milliseconds between consecutive retry attempts. Jitter will be added to the delay
    /// once this limit is reached to prevent thundering herd issues.
    #[config(
        name = "errors.retry.delay.max.ms",
        default = "60000",
        importance = "medium",
        group = "Error Handling",
        order = 2,
        width = "medium",
        display = "Maximum Delay Between Retries for Errors"
    )]
    pub errors_retry_delay_max_ms: i64,

    /// Behavior for tolerating errors during connector operation. 'none' is the default value and signals that any
    /// error will result in an immediate connector task failure; 'all' changes the behavior to skip over problematic
    /// records.
    #[config(
        name = "errors.tolerance",
        default = "none",
        importance = "medium",
        one_of("none", "all"),
        group = "Error Handling",
        order = 3,
        width = "short",
        display = "Error Tolerance"
    )]
    pub errors_tolerance: String,

    /// If true, write each error and the details of the failed operation and problematic record to the Connect
    /// application log. This is 'false' by default, so that only errors that are not tolerated are reported.
    #[config(
        name = "errors.log.enable",
        default = "false",
        importance = "medium",
        group = "Error Handling",
        order = 4,
        width = "short",
        display = "Log Errors"
    )]
    pub errors_log_enable: bool,

    /// Whether to include in the log the Connect record that resulted in a failure. For sink records, the topic,
    /// partition, offset, and timestamp will be logged. For source records, the key and value (and their schemas),
    /// all headers, and the timestamp, Kafka topic, Kafka partition, source partition, and source offset will be
    /// logged. This is 'false' by default, which will prevent record keys, values, and headers from being written to
    /// log files.
    #[config(
        name = "errors.log.include.messages",
        default = "false",
        importance = "medium",
        group = "Error Handling",
        order = 5,
        width = "short",
        display = "Log Error Details"
    )]
    pub errors_log_include_messages: bool,
}

/// Keys of source connectors (`SourceConnectorConfig`).
#[derive(Debug, Clone, Config)]
pub struct SourceConnectorConfig {
    /// Common keys.
    #[config(flatten)]
    pub common: ConnectorConfig,

    /// Groups of configurations for topics created by source connectors
    #[config(name = "topic.creation.groups", default = "", importance = "low", check = unique_aliases, group = "Topic Creation", order = 1, width = "long", display = "Topic Creation Groups")]
    pub topic_creation_groups: Vec<String>,

    /// Permitted values are requested, required. If set to "required", forces a preflight check for the connector to
    /// ensure that it can provide exactly-once semantics with the given configuration. Some connectors may be capable
    /// of providing exactly-once semantics but not signal to Connect that they support this; in that case,
    /// documentation for the connector should be consulted carefully before creating it, and the value for this
    /// property should be set to "requested". Additionally, if the value is set to "required" but the worker that
    /// performs preflight validation does not have exactly-once support enabled for source connectors, requests to
    /// create or validate the connector will fail.
    #[config(
        name = "exactly.once.support",
        default = "requested",
        importance = "medium",
        one_of_ignore_case("REQUIRED", "REQUESTED"),
        group = "Exactly Once Support",
        order = 2,
        width = "short",
        display = "Exactly once support"
    )]
    pub exactly_once_support: String,

    /// Permitted values are: poll, interval, connector. If set to 'poll', a new producer transaction will be started
    /// and committed for every batch of records that each task from this connector provides to Connect. If set to
    /// 'connector', relies on connector-defined transaction boundaries; note that not all connectors are capable of
    /// defining their own transaction boundaries, and in that case, attempts to instantiate a connector with this
    /// value will fail. Finally, if set to 'interval', commits transactions only after a user-defined time interval
    /// has passed.
    #[config(
        name = "transaction.boundary",
        default = "poll",
        importance = "medium",
        one_of_ignore_case("INTERVAL", "POLL", "CONNECTOR"),
        group = "Exactly Once Support",
        order = 3,
        width = "short",
        display = "Transaction Boundary"
    )]
    pub transaction_boundary: String,

    /// If 'transaction.boundary' is set to 'interval', determines the interval for producer transaction commits by
    /// connector tasks. If unset, defaults to the value of the worker-level 'offset.flush.interval.ms' property. It
    /// has no effect if a different transaction.boundary is specified.
    #[config(
        name = "transaction.boundary.interval.ms",
        importance = "low",
        range = "0..",
        group = "Exactly Once Support",
        order = 4,
        width = "short",
        display = "Transaction boundary interval"
    )]
    pub transaction_boundary_interval_ms: Option<i64>,

    /// The name of a separate offsets topic to use for this connector. If empty or not specified, the worker’s global
    /// offsets topic name will be used. If specified, the offsets topic will be created if it does not already exist
    /// on the Kafka cluster targeted by this connector (which may be different from the one used for the worker's
    /// global offsets topic if the bootstrap.servers property of the connector's producer has been overridden from
    /// the worker's). Only applicable in distributed mode; in standalone mode, setting this property will have no
    /// effect.
    #[config(
        name = "offsets.storage.topic",
        importance = "low",
        non_empty,
        group = "offsets.topic",
        order = 1,
        width = "long",
        display = "Offsets topic"
    )]
    pub offsets_storage_topic: Option<String>,
}

/// Keys of sink connectors (`SinkConnectorConfig`), and those of the operation log.
#[derive(Debug, Clone, Config)]
pub struct SinkConnectorConfig {
    /// Common keys.
    #[config(flatten)]
    pub common: ConnectorConfig,

    /// List of topics to consume, separated by commas
    #[config(
        name = "topics",
        default = "",
        distinct,
        importance = "high",
        group = "Common",
        order = 4,
        width = "long",
        display = "Topics"
    )]
    pub topics: Vec<String>,

    /// Regular expression giving topics to consume. Under the hood, the regex is matched against the whole name of each
    /// topic. Only one of topics or topics.regex should be specified.
    #[config(name = "topics.regex", default = "", importance = "high", group = "Common", order = 4, width = "long", display = "Topics regex", check = regex)]
    pub topics_regex: String,

    /// The name of the topic to be used as the dead letter queue (DLQ) for messages that result in an error when processed by
    /// this sink connector, or its transformations or converters. The topic name is blank by default, which means that no
    /// messages are to be recorded in the DLQ.
    #[config(
        name = "errors.deadletterqueue.topic.name",
        default = "",
        importance = "medium",
        group = "Error Handling",
        order = 6,
        width = "medium",
        display = "Dead Letter Queue Topic Name"
    )]
    pub dlq_topic: String,

    /// Replication factor used to create the dead letter queue topic when it doesn't already exist.
    #[config(
        name = "errors.deadletterqueue.topic.replication.factor",
        kind = "short",
        default = "3",
        importance = "medium",
        group = "Error Handling",
        order = 7,
        width = "medium",
        display = "Dead Letter Queue Topic Replication Factor"
    )]
    pub dlq_replication: i16,

    /// If true, add headers containing error context to the messages written to the dead letter queue. To avoid clashing with
    /// headers from the original record, all error context header keys, all error context header keys will start with
    /// <code>__connect.errors.</code>
    #[config(
        name = "errors.deadletterqueue.context.headers.enable",
        default = "false",
        importance = "medium",
        group = "Error Handling",
        order = 8,
        width = "medium",
        display = "Enable Error Context Headers"
    )]
    pub dlq_context_headers: bool,

    /// Keys of the operation log.
    #[config(flatten)]
    pub operation_log: OperationLogConfig,
}

/// Keys of the operation log: one message per delivered or failed record, to a topic of its own.
#[derive(Debug, Clone, Config)]
pub struct OperationLogConfig {
    /// Topic to which one log message per record is written: what became of it, and why. Blank turns it off.
    /// The key is topic, partition and offset of the record, so that a replay writes the same key again.
    #[config(
        name = "operation.log.topic",
        default = "",
        importance = "low",
        group = "Operation Log",
        order = 1,
        width = "medium"
    )]
    pub topic: String,

    /// Which records are logged: all, or only failures.
    #[config(
        name = "operation.log.records",
        default = "all",
        importance = "low",
        one_of("all", "failures"),
        group = "Operation Log",
        order = 2
    )]
    pub records: String,

    /// Value of the field serviceName; blank is the connector's name.
    #[config(
        name = "operation.log.service.name",
        default = "",
        importance = "low",
        group = "Operation Log",
        order = 3
    )]
    pub service_name: String,

    /// Text of the field status for records that were delivered, refused (and dead-lettered), and dropped, in this order.
    #[config(name = "operation.log.statuses", default = "SUCCESS,FAILED,DROPPED", importance = "low", check = three, group = "Operation Log", order = 4)]
    pub statuses: Vec<String>,

    /// Names of the message's fields: timestamp, service name, status and error message, in this order. A blank name leaves
    /// the field out.
    #[config(name = "operation.log.fields", default = "timestamp,serviceName,status,errorMessage", importance = "low", check = four, group = "Operation Log", order = 5)]
    pub fields: Vec<String>,
}

/// The keys that a connector of this type has beside its own.
#[must_use]
pub fn framework_def(kind: ConnectorType) -> ConfigDef {
    match kind {
        ConnectorType::Source => SourceConnectorConfig::def(),
        ConnectorType::Sink => SinkConnectorConfig::def(),
    }
}

fn connector_name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("String may not be empty".to_owned());
    }
    let found: Vec<String> = text.chars().filter(|c| c.is_control()).map(|c| u32::from(c).to_string()).collect();
    if found.is_empty() {
        return Ok(());
    }
    let found = found.join(", ");
    Err(format!("String may not contain control sequences but had the following ASCII chars: {found}"))
}

fn unique_aliases(text: &str) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    match text.split(',').map(str::trim).filter(|alias| !alias.is_empty()).find(|alias| !seen.insert(*alias)) {
        Some(_) => Err("Duplicate alias provided.".to_owned()),
        None => Ok(()),
    }
}

fn regex(text: &str) -> Result<(), String> {
    match regex::Regex::new(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("Invalid regex: {error}")),
    }
}

fn three(text: &str) -> Result<(), String> {
    listed(text, 3)
}

fn four(text: &str) -> Result<(), String> {
    listed(text, 4)
}

fn listed(text: &str, wanted: usize) -> Result<(), String> {
    let given = text.split(',').count();
    if given == wanted { Ok(()) } else { Err(format!("Expected {wanted} items separated by commas but got {given}")) }
}
