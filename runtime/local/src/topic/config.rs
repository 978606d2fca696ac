//! Topic settings by their Kafka names.

use std::str::FromStr;

use millrace_api::config::Props;
use millrace_api::{Error, Result};

use crate::options::LocalOptions;

/// What the embedded log does with a topic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicConfig {
    /// Keep the last record of every key (`cleanup.policy`).
    pub(crate) compact: bool,
    /// Remove old records (`cleanup.policy`).
    pub(crate) delete: bool,
    /// Age at which records are removed, in milliseconds; `None`: never.
    pub(crate) retention_ms: Option<i64>,
    /// Size of a partition above which its oldest records are removed; `None`: no limit.
    pub(crate) retention_bytes: Option<u64>,
    /// How long tombstones outlive the first compaction that sees them, in milliseconds.
    pub(crate) delete_retention_ms: i64,
    /// Compaction starts when this share of a partition was not compacted yet.
    pub(crate) min_cleanable_dirty_ratio: f64,
    /// Records younger than this are not compacted, in milliseconds.
    pub(crate) min_compaction_lag_ms: i64,
    /// Largest record, in bytes.
    pub(crate) max_message_bytes: usize,
    /// Records get the time of their append.
    pub(crate) log_append_time: bool,
}

/// Settings that mean something to Kafka's files and replicas only: taken and left alone.
const WITHOUT_EFFECT: [&str; 22] = [
    "compression.type",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "follower.replication.throttled.replicas",
    "index.interval.bytes",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "min.insync.replicas",
    "preallocate",
    "remote.storage.enable",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
];

impl TopicConfig {
    /// Reads settings; what they do not say comes from `options` or is Kafka's default.
    pub(crate) fn parse(props: &Props, options: &LocalOptions) -> Result<Self> {
        let retention = options.retention.map(|retention| i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        let mut config = Self {
            compact: false,
            delete: true,
            retention_ms: retention,
            retention_bytes: None,
            delete_retention_ms: 86_400_000,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_message_bytes: options.max_message_bytes,
            log_append_time: false,
        };
        for (key, value) in props {
            config.set(key, value.trim())?;
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "cleanup.policy" => (self.compact, self.delete) = policies(key, value)?,
            "retention.ms" => self.retention_ms = Some(number(key, value, -1..=i64::MAX)?).filter(|ms| *ms >= 0),
            "retention.bytes" => self.retention_bytes = u64::try_from(number(key, value, -1..=i64::MAX)?).ok(),
            "delete.retention.ms" => self.delete_retention_ms = number(key, value, 0..=i64::MAX)?,
            "min.compaction.lag.ms" => self.min_compaction_lag_ms = number(key, value, 0..=i64::MAX)?,
            "min.cleanable.dirty.ratio" => self.min_cleanable_dirty_ratio = number(key, value, 0.0..=1.0)?,
            "max.message.bytes" => {
                self.max_message_bytes =
                    usize::try_from(number(key, value, 0..=i64::from(i32::MAX))?).unwrap_or(usize::MAX);
            }
            "message.timestamp.type" => match value {
                "CreateTime" => self.log_append_time = false,
                "LogAppendTime" => self.log_append_time = true,
                _ => return Err(invalid(key, value, "it is CreateTime or LogAppendTime")),
            },
            "unclean.leader.election.enable" | "message.downconversion.enable" => {
                number(key, value, false..=true)?;
            }
            _ if WITHOUT_EFFECT.contains(&key) => {}
            _ => {
                return Err(Error::config(format!(
                    "Unknown topic config name: {key}. Topics take Kafka's topic settings, such as cleanup.policy, retention.ms"
                )));
            }
        }
        Ok(())
    }
}

fn policies(key: &str, value: &str) -> Result<(bool, bool)> {
    let (mut compact, mut delete) = (false, false);
    for policy in value.split(',').map(str::trim).filter(|policy| !policy.is_empty()) {
        match policy {
            "compact" => compact = true,
            "delete" => delete = true,
            _ => return Err(invalid(key, value, "it is compact, delete or both with a comma between")),
        }
    }
    Ok((compact, delete))
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    key: &str,
    value: &str,
    range: std::ops::RangeInclusive<T>,
) -> Result<T> {
    value
        .parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| invalid(key, value, &format!("it is between {} and {}", range.start(), range.end())))
}

fn invalid(key: &str, value: &str, allowed: &str) -> Error {
    Error::config(format!("Invalid value {value} for configuration {key}: {allowed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<TopicConfig> {
        let props = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TopicConfig::parse(&props, &LocalOptions::default())
    }

    #[test]
    fn defaults_are_kafkas() {
        let config = parse(&[]).unwrap();
        assert_eq!((config.compact, config.delete), (false, true));
        assert_eq!((config.retention_ms, config.retention_bytes), (Some(604_800_000), None));
        assert_eq!((config.delete_retention_ms, config.max_message_bytes), (86_400_000, 1_048_588));
    }

    #[test]
    fn settings_are_read() {
        let config = parse(&[
            ("cleanup.policy", "compact, delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "1000"),
            ("message.timestamp.type", "LogAppendTime"),
            ("segment.ms", "100"),
        ])
        .unwrap();
        assert!(config.compact && config.delete && config.log_append_time);
        assert_eq!((config.retention_ms, config.retention_bytes), (None, Some(1000)));
    }

    #[test]
    fn nonsense_names_the_key() {
        for (key, value) in [
            ("cleanup.policy", "burn"),
            ("retention.ms", "-2"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("message.timestamp.type", "now"),
            ("retention.mss", "1"),
        ] {
            let error = parse(&[(key, value)]).unwrap_err();
            assert_eq!(error.kind(), millrace_api::ErrorKind::Config);
            assert!(error.message().contains(key), "{error}");
        }
    }
}
