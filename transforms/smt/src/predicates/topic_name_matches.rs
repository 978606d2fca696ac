//! `TopicNameMatches`: true for records whose whole topic name matches a regular expression.

use millrace_sdk::prelude::*;

use crate::regex::Pattern;
use crate::topics::{PerTopic, check_pattern, compile, too_slow};

/// Keys of [`TopicNameMatches`].
#[derive(Config)]
pub struct TopicNameMatchesConfig {
    /// The regular expression, with Java's syntax, that all of the topic's name must match.
    #[config(check = check_pattern)]
    pattern: String,
}

/// `org.apache.kafka.connect.transforms.predicates.TopicNameMatches`.
pub struct TopicNameMatches {
    pattern: Pattern,
    known: PerTopic<bool>,
}

impl Predicate for TopicNameMatches {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.predicates.TopicNameMatches";
    type Config = TopicNameMatchesConfig;

    fn configure(config: TopicNameMatchesConfig) -> Result<Self> {
        Ok(Self { pattern: compile("pattern", &config.pattern)?, known: PerTopic::default() })
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn test(&mut self, record: &Record<'_>) -> Result<bool> {
        let Self { pattern, known } = self;
        known.get(record.topic(), |topic| pattern.matches(topic).map_err(|_| too_slow("pattern"))).copied()
    }
}
