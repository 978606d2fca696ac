//! Keys of the aggregate connector.

use millrace_api::config::{Config as _, Props};
use millrace_api::{Error, Result};
use millrace_macros::Config;

/// Keys of the aggregate connector. Keys that start with `aggregate.` or `output.` are also handed to the aggregate itself.
#[derive(Debug, Clone, Config)]
pub struct AggregateConfig {
    /// Class of the aggregate, for instance millrace.aggregates.Count.
    #[config(importance = "high", kind = "class", group = "Aggregate", order = 1)]
    pub aggregate: String,

    /// Kind of window: tumbling windows follow each other, hopping ones start every window.advance.ms and overlap.
    #[config(
        name = "window.type",
        default = "tumbling",
        importance = "high",
        one_of("tumbling", "hopping"),
        group = "Aggregate",
        order = 2
    )]
    pub window_type: String,

    /// Length of a window in milliseconds. Windows are aligned to the epoch.
    #[config(
        name = "window.size.ms",
        importance = "high",
        range = "1..=3_155_760_000_000",
        group = "Aggregate",
        order = 3
    )]
    pub window_size_ms: i64,

    /// Distance between the starts of hopping windows in milliseconds.
    #[config(name = "window.advance.ms", importance = "medium", range = "1..", group = "Aggregate", order = 4)]
    pub window_advance_ms: Option<i64>,

    /// How long after its end, in event time, a window still takes records. Then its last result is final.
    #[config(
        name = "window.grace.ms",
        default = "86400000",
        importance = "high",
        range = "0..=3_155_760_000_000",
        group = "Aggregate",
        order = 5
    )]
    pub window_grace_ms: i64,

    /// Fields of the value to group by. Empty: one group for everything.
    #[config(name = "group.by", default = "", importance = "high", group = "Aggregate", order = 6)]
    pub group_by: Vec<String>,

    /// Field of the value that holds the event time: ISO 8601 text, milliseconds since the epoch, or a timestamp. Empty: the
    /// record's own timestamp.
    #[config(name = "timestamp.field", default = "", importance = "high", group = "Aggregate", order = 7)]
    pub timestamp_field: String,

    /// Topic for results.
    #[config(name = "output.topic", importance = "high", non_empty, group = "Aggregate", order = 8)]
    pub output_topic: String,

    /// Partitions of the output topic, when it is created. Default: the log's.
    #[config(name = "output.partitions", importance = "low", range = "1..", group = "Aggregate", order = 9)]
    pub output_partitions: Option<i32>,

    /// Whether every change of a window is emitted at each commit, or only the final result.
    #[config(
        name = "emit.mode",
        default = "update",
        importance = "medium",
        one_of("update", "final"),
        group = "Aggregate",
        order = 10
    )]
    pub emit_mode: String,

    /// Topic for records that came too late. Empty: they are only counted.
    #[config(name = "late.topic", default = "", importance = "medium", group = "Aggregate", order = 11)]
    pub late_topic: String,

    /// After so many milliseconds without anything new, a partition no longer holds windows open.
    #[config(
        name = "watermark.idle.ms",
        default = "60000",
        importance = "medium",
        range = "100..",
        group = "Aggregate",
        order = 12
    )]
    pub watermark_idle_ms: i64,

    /// Topic for partial states. Default: the connector's name and "-repartition".
    #[config(name = "repartition.topic", importance = "low", group = "Aggregate", order = 13)]
    pub repartition_topic: Option<String>,

    /// Partitions of the repartition and changelog topics: how many tasks can merge groups. Cannot be changed later.
    #[config(
        name = "repartition.partitions",
        default = "3",
        importance = "low",
        range = "1..=1000",
        group = "Aggregate",
        order = 14
    )]
    pub repartition_partitions: i32,

    /// Compacted topic that state is restored from. Default: the connector's name and "-changelog".
    #[config(name = "changelog.topic", importance = "low", group = "Aggregate", order = 15)]
    pub changelog_topic: Option<String>,

    /// Compacted topic with the watermark of each input partition. Default: the connector's name and "-watermarks".
    #[config(name = "watermark.topic", importance = "low", group = "Aggregate", order = 16)]
    pub watermark_topic: Option<String>,
}

/// Topics of one aggregate.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    pub(crate) repartition: String,
    pub(crate) changelog: String,
    pub(crate) watermarks: String,
}

/// Most windows that one record may be in.
const MOST_WINDOWS: i64 = 10_000;

/// The topics that `props` name as inputs.
pub(crate) fn inputs(props: &Props) -> Vec<String> {
    let topics = props.get("topics").map(String::as_str).unwrap_or_default();
    topics.split(',').map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect()
}

impl AggregateConfig {
    /// Parses, and checks what no single key can tell. `props` are the connector's, or a task's.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key.
    pub fn read(props: &Props) -> Result<Self> {
        let config = Self::parse(props)?;
        match (config.window_type.as_str(), config.window_advance_ms) {
            ("hopping", None) => Err(Error::config(
                "Missing required configuration \"window.advance.ms\" which has no default value for hopping windows.",
            )),
            ("tumbling", Some(advance)) if advance != config.window_size_ms => Err(Error::config(format!(
                "Invalid value {advance} for configuration window.advance.ms: tumbling windows advance by window.size.ms; use window.type=hopping"
            ))),
            (_, Some(advance)) if config.window_size_ms / advance > MOST_WINDOWS => Err(Error::config(format!(
                "Invalid value {advance} for configuration window.advance.ms: every record would be in more than {MOST_WINDOWS} windows; raise it or lower window.size.ms"
            ))),
            (_, Some(advance)) if advance > config.window_size_ms => Err(Error::config(format!(
                "Invalid value {advance} for configuration window.advance.ms: records between windows would be lost; it must not exceed window.size.ms"
            ))),
            _ => config.check_topics(props),
        }
    }

    /// An aggregate that reads what it writes would never end.
    fn check_topics(self, props: &Props) -> Result<Self> {
        let inputs = inputs(props);
        for (key, topic) in [("output.topic", &self.output_topic), ("late.topic", &self.late_topic)] {
            if inputs.contains(topic) {
                return Err(Error::config(format!(
                    "Invalid value {topic} for configuration {key}: the aggregate reads that topic; results must go to another one"
                )));
            }
        }
        Ok(self)
    }

    /// Whether a window that starts at `start` takes no more records at a watermark.
    pub(crate) fn is_closed(&self, start: i64, watermark: i64) -> bool {
        start <= self.last_closed(watermark)
    }

    /// The last start of a window that is closed at a watermark.
    pub(crate) fn last_closed(&self, watermark: i64) -> i64 {
        watermark.saturating_sub(self.window_size_ms + self.window_grace_ms)
    }

    /// Distance between the starts of windows.
    pub(crate) fn advance(&self) -> i64 {
        self.window_advance_ms.unwrap_or(self.window_size_ms)
    }

    /// Names of the internal topics.
    pub(crate) fn topics(&self, connector: &str) -> Topics {
        let name =
            |given: &Option<String>, suffix: &str| given.clone().unwrap_or_else(|| format!("{connector}-{suffix}"));
        Topics {
            repartition: name(&self.repartition_topic, "repartition"),
            changelog: name(&self.changelog_topic, "changelog"),
            watermarks: name(&self.watermark_topic, "watermarks"),
        }
    }
}
