//! Settings of the embedded log.

use std::time::Duration;

/// How the embedded log behaves. The defaults are Kafka's where Kafka has the setting.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Partitions of a topic that does not say (`num.partitions`).
    pub default_partitions: i32,
    /// Whether an append or a producer's look-up creates a topic that does not exist (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// How long topics with `cleanup.policy=delete` keep records when they do not say (`log.retention.ms`); `None`: for ever.
    pub retention: Option<Duration>,
    /// How often retention and compaction run (`log.retention.check.interval.ms`).
    pub cleanup_interval: Duration,
    /// Largest record in bytes of a topic that does not say (`message.max.bytes`).
    pub max_message_bytes: usize,
    /// Memory for blocks of files that are read often, in bytes.
    pub cache_bytes: u64,
    /// Memory for what was written last, in bytes, before it goes to its final file. A crash replays it.
    pub write_buffer_bytes: u64,
    /// As `cache_bytes`, for the state tables.
    pub state_cache_bytes: u64,
    /// As `write_buffer_bytes`, for each state table.
    pub state_write_buffer_bytes: u64,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            default_partitions: 1,
            auto_create_topics: true,
            retention: Some(Duration::from_hours(7 * 24)),
            cleanup_interval: Duration::from_mins(5),
            max_message_bytes: 1_048_588,
            cache_bytes: 16 << 20,
            write_buffer_bytes: 8 << 20,
            state_cache_bytes: 32 << 20,
            state_write_buffer_bytes: 16 << 20,
        }
    }
}
