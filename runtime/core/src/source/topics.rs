//! Topics of a source connector, created before the first record goes there (KIP-158).

use std::collections::HashSet;

use millrace_api::config::Props;
use millrace_api::log::{Log, TopicSpec};
use millrace_api::{Error, Result};

use crate::convert::strip_prefix;

/// One `topic.creation.<group>.*`.
struct Group {
    include: Vec<regex::Regex>,
    exclude: Vec<regex::Regex>,
    partitions: Option<i32>,
    replication: Option<i16>,
    config: Props,
}

/// Creates topics as the connector's configuration says; without one it leaves that to the log.
pub struct TopicCreation {
    groups: Vec<Group>,
    known: HashSet<String>,
}

impl TopicCreation {
    /// The groups of a connector, the default last.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key.
    pub fn new(connector: &Props) -> Result<Self> {
        let names = connector.get("topic.creation.groups").map(String::as_str).unwrap_or_default();
        let mut groups = Vec::new();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            groups.push(Group::read(connector, name)?);
        }
        if connector.contains_key("topic.creation.default.partitions") {
            groups.push(Group { include: vec![any()?], ..Group::read(connector, "default")? });
        }
        Ok(Self { groups, known: HashSet::new() })
    }

    /// Makes sure that these topics exist.
    ///
    /// # Errors
    /// When the log refuses.
    pub async fn ensure(&mut self, topics: impl Iterator<Item = &str>, log: &dyn Log) -> Result<()> {
        for topic in topics {
            if self.known.contains(topic) {
                continue;
            }
            if let Some(group) = self.groups.iter().find(|group| group.wants(topic)) {
                let created = log.create_topic(&group.spec(topic)).await?;
                tracing::info!(topic, created, "topic of a source connector");
            }
            self.known.insert(topic.to_owned());
        }
        Ok(())
    }
}

impl Group {
    fn read(connector: &Props, name: &str) -> Result<Self> {
        let prefix = format!("topic.creation.{name}");
        let mut config = strip_prefix(connector, &prefix);
        let include = patterns(&prefix, "include", config.shift_remove("include"))?;
        let exclude = patterns(&prefix, "exclude", config.shift_remove("exclude"))?;
        let partitions = number(&prefix, "partitions", config.shift_remove("partitions"))?;
        let replication = number(&prefix, "replication.factor", config.shift_remove("replication.factor"))?;
        Ok(Self {
            include,
            exclude,
            partitions: partitions.filter(|n| *n > 0),
            replication: replication.filter(|n| *n > 0),
            config,
        })
    }

    fn wants(&self, topic: &str) -> bool {
        self.include.iter().any(|pattern| pattern.is_match(topic))
            && !self.exclude.iter().any(|pattern| pattern.is_match(topic))
    }

    fn spec(&self, topic: &str) -> TopicSpec {
        TopicSpec {
            name: topic.to_owned(),
            partitions: self.partitions,
            replication: self.replication,
            config: self.config.clone(),
        }
    }
}

fn patterns(prefix: &str, key: &str, text: Option<String>) -> Result<Vec<regex::Regex>> {
    let compile = |pattern: &str| {
        let whole = format!("^(?:{pattern})$");
        regex::Regex::new(&whole).map_err(|error| {
            Error::config(format!(
                "Invalid value {pattern} for configuration {prefix}.{key}: it is no regular expression: {error}"
            ))
        })
    };
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).map(compile).collect()
}

fn number<T: std::str::FromStr>(prefix: &str, key: &str, text: Option<String>) -> Result<Option<T>> {
    let parse = |text: String| {
        let invalid = || {
            Error::config(format!(
                "Invalid value {text} for configuration {prefix}.{key}: it must be a number, or -1 for the broker's default"
            ))
        };
        text.trim().parse().map_err(|_| invalid())
    };
    text.map(parse).transpose()
}

fn any() -> Result<regex::Regex> {
    regex::Regex::new("").map_err(|error| Error::internal("the empty pattern does not compile").because(error))
}
