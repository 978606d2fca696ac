//! Keys of both connectors.

use millrace_macros::Config;

/// Keys of `FileStreamSource`.
#[derive(Debug, Config)]
pub(crate) struct SourceConfig {
    /// Source filename. If not specified, the standard input will be used
    #[config(importance = "high")]
    pub(crate) file: Option<String>,
    /// The topic to publish data to
    #[config(importance = "high", non_empty)]
    pub(crate) topic: String,
    /// The maximum number of records the source task can read from the file each time it is polled
    #[config(default = "2000", importance = "low")]
    pub(crate) batch_size: i32,
}

/// Keys of `FileStreamSink`.
#[derive(Debug, Config)]
pub(crate) struct SinkConfig {
    /// Destination filename. If not specified, the standard output will be used
    #[config(importance = "high")]
    pub(crate) file: Option<String>,
}

/// An empty name means none.
pub(crate) fn named(file: Option<String>) -> Option<String> {
    file.filter(|name| !name.is_empty())
}
