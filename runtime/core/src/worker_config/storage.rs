//! The topics that a distributed worker keeps its state in.

use millrace_api::config::Props;
use millrace_api::log::TopicSpec;
use millrace_api::{Error, Result};
use millrace_macros::Config;

use super::WorkerConfig;
use crate::convert::strip_prefix;

/// How those topics are created. Other settings of a topic are `<store>.storage.<setting>`.
#[derive(Debug, Clone, Config)]
pub struct StorageConfig {
    /// Replication factor used when creating the configuration storage topic.
    #[config(name = "config.storage.replication.factor", default = "3", check = replication, importance = "low")]
    pub config_replication_factor: i16,

    /// Replication factor used when creating the offset storage topic.
    #[config(name = "offset.storage.replication.factor", default = "3", check = replication, importance = "low")]
    pub offset_replication_factor: i16,

    /// The number of partitions used when creating the offset storage topic.
    #[config(name = "offset.storage.partitions", default = "25", check = partitions, importance = "low")]
    pub offset_partitions: i32,

    /// Replication factor used when creating the status storage topic.
    #[config(name = "status.storage.replication.factor", default = "3", check = replication, importance = "low")]
    pub status_replication_factor: i16,

    /// The number of partitions used when creating the status storage topic.
    #[config(name = "status.storage.partitions", default = "5", check = partitions, importance = "low")]
    pub status_partitions: i32,
}

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Store {
    Config,
    Offset,
    Status,
}

impl WorkerConfig {
    /// How to create the topic of a store: compacted, with the worker's number of partitions and replication factor (-1 is the
    /// broker's), and with its `<store>.storage.<setting>`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] when a setting would break the store, naming the key.
    pub fn storage_topic(&self, store: Store, props: &Props) -> Result<TopicSpec> {
        let storage = &self.storage;
        let (prefix, topic, partitions, replication) = match store {
            Store::Config => ("config.storage", &self.config_storage_topic, 1, storage.config_replication_factor),
            Store::Offset => (
                "offset.storage",
                &self.offset_storage_topic,
                storage.offset_partitions,
                storage.offset_replication_factor,
            ),
            Store::Status => (
                "status.storage",
                &self.status_storage_topic,
                storage.status_partitions,
                storage.status_replication_factor,
            ),
        };
        let mut spec = TopicSpec::new(topic);
        spec.partitions = (partitions > 0).then_some(partitions);
        spec.replication = (replication > 0).then_some(replication);
        let own = ["topic", "partitions", "replication.factor", "file.filename"];
        for (setting, value) in strip_prefix(props, prefix).into_iter().filter(|(key, _)| !own.contains(&key.as_str()))
        {
            if setting == "cleanup.policy" && value.trim() != "compact" {
                return Err(Error::config(format!(
                    "Invalid value {value} for configuration {prefix}.cleanup.policy: the topic has to be compacted; remove it"
                )));
            }
            spec.config.insert(setting, value);
        }
        if store == Store::Config && props.contains_key("config.storage.partitions") {
            tracing::warn!("config.storage.partitions has no effect: the configuration topic has one partition");
        }
        spec.config.insert("cleanup.policy".to_owned(), "compact".to_owned());
        Ok(spec)
    }
}

fn replication(text: &str) -> std::result::Result<(), String> {
    positive(
        text,
        "Replication factor must be positive and not larger than the number of brokers in the Kafka cluster, or -1 to use the broker's default",
    )
}

fn partitions(text: &str) -> std::result::Result<(), String> {
    positive(text, "Number of partitions must be positive, or -1 to use the broker's default")
}

fn positive(text: &str, cause: &str) -> std::result::Result<(), String> {
    if text.parse().is_ok_and(|number: i64| number > 0 || number == -1) { Ok(()) } else { Err(cause.to_owned()) }
}
