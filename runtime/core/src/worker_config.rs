//! The worker's own keys, under the names of Kafka Connect's properties files.

use millrace_api::config::Props;
use millrace_macros::Config;

/// Keys of a standalone worker (`StandaloneConfig`, and what Millrace adds).
#[derive(Debug, Clone, Config)]
pub struct WorkerConfig {
    /// A list of host/port pairs used to establish the initial connection to the Kafka cluster. Without it, the embedded log in
    /// data.dir takes Kafka's place.
    #[config(importance = "high")]
    pub bootstrap_servers: Option<String>,

    /// URI on which the REST API will listen, ex: `http://127.0.0.1:8083`. Unlike Kafka Connect's, the default is the loopback
    /// interface, because the API has no authentication.
    #[config(default = "http://127.0.0.1:8083", importance = "low")]
    pub listeners: Vec<String>,

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

    /// Time in milliseconds that tasks have to finish what is in flight when they stop.
    #[config(name = "task.shutdown.graceful.timeout.ms", default = "5000", range = "0..", importance = "low")]
    pub graceful_timeout_ms: u64,

    /// Topic for source offsets, in Kafka Connect's format.
    #[config(name = "offset.storage.topic", default = "connect-offsets", importance = "high")]
    pub offset_storage_topic: String,

    /// Topic for the configurations of connectors, in Kafka Connect's format; used with the embedded log.
    #[config(name = "config.storage.topic", default = "connect-configs", importance = "high")]
    pub config_storage_topic: String,

    /// Name of the worker's group; prefix of transactional ids.
    #[config(name = "group.id", default = "connect-standalone", importance = "high")]
    pub group_id: String,

    /// Whether source connectors write records and offsets in one transaction: enabled, disabled, or preparing. By default
    /// enabled with the embedded log and disabled with Kafka.
    #[config(
        name = "exactly.once.source.support",
        one_of_ignore_case("disabled", "enabled", "preparing"),
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

    /// Host name and port that other programs reach this worker under; by default the address of the listener.
    #[config(name = "rest.advertised.host.name", importance = "low")]
    pub advertised_host: Option<String>,

    /// Whether the REST API shows topics and their records, and appends records, under `/millrace/topics`. Whoever reaches the API
    /// can then read and write every topic, except that the configuration topic is not shown and the worker's own topics take no
    /// records. By default true with the embedded log, which `millrace topics` looks into by this way while the worker runs, and
    /// false with Kafka, which has access rules of its own.
    #[config(name = "topics.rest.enable", importance = "low")]
    pub topics_rest_enable: Option<bool>,
}

/// Topics that the worker makes sure of before it starts connectors: `topics.<name>.partitions`, `topics.<name>.replication.factor`
/// and `topics.<name>.config.<setting>`.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming the key.
pub fn declared_topics(props: &Props) -> millrace_api::Result<Vec<millrace_api::log::TopicSpec>> {
    let mut specs: Vec<millrace_api::log::TopicSpec> = Vec::new();
    for (key, value) in props {
        let Some(rest) = key.strip_prefix("topics.").filter(|rest| *rest != "rest.enable") else { continue };
        let (name, setting) = split_setting(rest).ok_or_else(|| {
            millrace_api::Error::config(format!(
                "Invalid key {key}: expected topics.<name>.partitions, topics.<name>.replication.factor or topics.<name>.config.<setting>"
            ))
        })?;
        let index = specs.iter().position(|spec| spec.name == name).unwrap_or_else(|| {
            specs.push(millrace_api::log::TopicSpec::new(name));
            specs.len() - 1
        });
        let invalid = || {
            millrace_api::Error::config(format!("Invalid value {value} for configuration {key}: Not a positive number"))
        };
        let Some(spec) = specs.get_mut(index) else { continue };
        match setting {
            "partitions" => spec.partitions = Some(value.trim().parse().ok().filter(|n| *n > 0).ok_or_else(invalid)?),
            "replication.factor" => {
                spec.replication = Some(value.trim().parse().ok().filter(|n| *n > 0).ok_or_else(invalid)?);
            }
            other => {
                spec.config.insert(other.to_owned(), value.trim().to_owned());
            }
        }
    }
    Ok(specs)
}

/// `orders.v1.config.retention.ms` as `orders.v1` and `retention.ms`.
fn split_setting(rest: &str) -> Option<(&str, &str)> {
    for suffix in ["partitions", "replication.factor"] {
        if let Some(name) = rest.strip_suffix(suffix).and_then(|name| name.strip_suffix('.')) {
            return Some((name, suffix));
        }
    }
    rest.split_once(".config.").filter(|(name, setting)| !name.is_empty() && !setting.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_with_dots_are_declared() {
        let props: Props = [("topics.logs.v1.partitions", "3"), ("topics.logs.v1.config.cleanup.policy", "compact")]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let specs = declared_topics(&props).expect("valid");
        assert_eq!((specs.len(), specs[0].name.as_str(), specs[0].partitions), (1, "logs.v1", Some(3)));
        assert_eq!(specs[0].config.get("cleanup.policy").map(String::as_str), Some("compact"));
        let wrong: Props = [("topics.x.y".to_owned(), "1".to_owned())].into_iter().collect();
        assert!(declared_topics(&wrong).expect_err("wrong").message().contains("topics.x.y"));
    }

    #[test]
    fn the_setting_of_the_topics_resource_declares_no_topic() {
        let pairs = [("topics.rest.enable", "false"), ("topics.rest.partitions", "2")];
        let props: Props = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let specs = declared_topics(&props).expect("valid");
        assert_eq!((specs.len(), specs[0].name.as_str(), specs[0].partitions), (1, "rest", Some(2)));
        let config = <WorkerConfig as millrace_api::config::Config>::parse(&props).expect("valid");
        assert_eq!(config.topics_rest_enable, Some(false));
        let config = <WorkerConfig as millrace_api::config::Config>::parse(&Props::new()).expect("valid");
        assert_eq!(config.topics_rest_enable, None);
    }
}
