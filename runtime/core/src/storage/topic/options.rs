//! What an internal topic is to be like, and what is wrong with one that is not.

use std::collections::BTreeSet;

use millrace_api::config::Props;
use millrace_api::{Error, ErrorKind, Result};

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Configurations.
    Config,
    /// Positions of sources.
    Offsets,
    /// States.
    Status,
}

impl Purpose {
    /// What the worker's keys begin with: `config.storage.`.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Config => "config.storage.",
            Self::Offsets => "offset.storage.",
            Self::Status => "status.storage.",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Config => "connector configurations",
            Self::Offsets => "source connector offsets",
            Self::Status => "connector and task statuses",
        }
    }

    fn default_partitions(self) -> i32 {
        match self {
            Self::Config => 1,
            Self::Offsets => 25,
            Self::Status => 5,
        }
    }

    fn client(self) -> &'static str {
        match self {
            Self::Config => "configs",
            Self::Offsets => "offsets",
            Self::Status => "statuses",
        }
    }
}

/// How an internal topic is opened.
#[derive(Debug, Clone)]
pub struct TopicOptions {
    /// Name.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Partitions it is created with; `None` is the log's default.
    pub partitions: Option<i32>,
    /// Replicas it is created with; `None` is the log's default.
    pub replication: Option<i16>,
    /// Topic settings it is created with, beside compaction.
    pub settings: Props,
    /// Shown to brokers.
    pub client_id: String,
    /// Client settings of its producers.
    pub producer: Props,
    /// Client settings of its consumer.
    pub consumer: Props,
}

impl TopicOptions {
    /// A topic with the log's defaults.
    pub fn new(purpose: Purpose, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            purpose,
            partitions: Some(purpose.default_partitions()),
            replication: None,
            settings: Props::new(),
            client_id: format!("connect-{}", purpose.client()),
            producer: Props::new(),
            consumer: Props::new(),
        }
    }

    /// The topic that a worker's properties name: `<purpose>.storage.topic`, `.partitions`, `.replication.factor` (3; -1 is the
    /// log's default), and any other `<purpose>.storage.<setting>` as a setting of the topic. Clients are named after `client.id`
    /// or else `group.id`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key.
    pub fn of_worker(purpose: Purpose, props: &Props) -> Result<Self> {
        let prefix = purpose.prefix();
        let name = props.get(&format!("{prefix}topic")).map(|name| name.trim()).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| {
            let message = format!("Missing required configuration \"{prefix}topic\" which has no default value.");
            Error::config(message)
        })?;
        let mut options = Self::new(purpose, name);
        let base = props.get("client.id").filter(|id| !id.is_empty()).or_else(|| props.get("group.id"));
        options.client_id = format!("{}-{}", base.map_or("connect", String::as_str), purpose.client());
        options.replication = Some(3);
        // Writes that wait share requests anyway; one that waits for others that do not come only makes an answer late.
        if !props.contains_key("linger.ms") {
            options.producer.insert("linger.ms".to_owned(), "0".to_owned());
        }
        for (key, value) in props {
            let Some(setting) = key.strip_prefix(prefix) else { continue };
            match setting {
                "topic" => {}
                "partitions" if purpose == Purpose::Config => {
                    tracing::warn!(key, value, "ignored: the configuration topic always has one partition");
                }
                "partitions" => {
                    let partitions: i32 = number(key, value, |partitions| *partitions == -1 || *partitions > 0)?;
                    options.partitions = Some(partitions).filter(|partitions| *partitions > 0);
                }
                "replication.factor" => {
                    let replicas: i16 = number(key, value, |replicas| *replicas == -1 || *replicas > 0)?;
                    options.replication = Some(replicas).filter(|replicas| *replicas > 0);
                }
                "cleanup.policy" => tracing::warn!(key, value, "ignored: the topic is always compacted"),
                "file.filename" => {}
                setting => {
                    options.settings.insert(setting.to_owned(), value.clone());
                }
            }
        }
        Ok(options)
    }

    fn key(&self) -> String {
        format!("{}topic", self.purpose.prefix())
    }

    /// Says which keys of the worker make a topic that the log refuses.
    pub(super) fn not_created(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Config {
            return error;
        }
        let (name, key, prefix) = (&self.name, self.key(), self.purpose.prefix());
        let replicas =
            self.replication.map_or_else(|| "the brokers' default".to_owned(), |replicas| replicas.to_string());
        Error::config(format!(
            "Topic '{name}' supplied via the '{key}' property cannot be created: the log refuses {prefix}replication.factor={replicas} or \
             another of the {prefix}* settings. Set {prefix}replication.factor to at most the number of brokers, or to -1 for the brokers' default, or create the topic \
             with 'cleanup.policy=compact' before the worker starts"
        ))
        .because(error)
    }

    /// Refuses a policy under which records go. An empty one is not known.
    pub(super) fn check_cleanup(&self, policy: &str) -> Result<()> {
        let policy = policy.to_lowercase();
        let policies: BTreeSet<&str> = policy.split(',').map(str::trim).filter(|policy| !policy.is_empty()).collect();
        if policies.is_empty() || policies.iter().eq(["compact"].iter()) {
            return Ok(());
        }
        let (name, key, purpose) = (&self.name, self.key(), self.purpose.text());
        let found = policies.into_iter().collect::<Vec<_>>().join(",");
        Err(Error::config(format!(
            "Topic '{name}' supplied via the '{key}' property is required to have 'cleanup.policy=compact' to guarantee \
             consistency and durability of {purpose}, but found the topic currently has 'cleanup.policy={found}'. Continuing \
             would likely result in eventually losing {purpose} and problems restarting this Connect cluster in the future. \
             Change the '{key}' property in the Connect worker configurations to use a topic with 'cleanup.policy=compact'."
        )))
    }

    /// Refuses a configuration topic whose records have no order.
    pub(super) fn check_partitions(&self, found: usize) -> Result<()> {
        if self.purpose != Purpose::Config || found <= 1 {
            return Ok(());
        }
        let (name, key) = (&self.name, self.key());
        Err(Error::config(format!(
            "Topic '{name}' supplied via the '{key}' property is required to have a single partition in order to guarantee \
             consistency of connector configurations, but found {found} partitions."
        )))
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str, legal: impl Fn(&T) -> bool) -> Result<T> {
    value.trim().parse().ok().filter(legal).ok_or_else(|| {
        Error::config(format!("Invalid value {value} for configuration {key}: it must be a positive number, or -1"))
    })
}
