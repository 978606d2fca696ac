//! `/millrace/topics`: what is in the log, beside Kafka Connect's own resources.
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /millrace/topics` | `[{"topic", "partitions", "records", "internal"}]` |
//! | `GET /millrace/topics/{topic}` | `{"topic", "partitions": [{"partition", "begin", "end"}]}` |
//! | `GET /millrace/topics/{topic}/records` | `{"records": […], "next": [{"partition", "offset"}], "end"}` |
//! | `POST /millrace/topics/{topic}/records` | takes `{"records": […]}`, answers `{"offsets": [{"partition", "offset"}]}` |
//!
//! Reading takes `partition` (a number, or several with commas; all by default), `offset` (`beginning`, the default, `end`, or one
//! number per partition), `limit` (1 to 10000 records, 100 by default) and `wait.ms` (0 to 30000: how long to wait when there is
//! nothing to read). An answer has about 4 MiB of records at most; `next` is where to go on, and `end` tells that nothing is left.
//!
//! Keys, values and header values are strings when they are UTF-8, else `{"base64": "…"}`; null is null.
//!
//! [`TopicAccess`] is all that the resources know of the log. [`LogTopics`] implements it over any log; a client of these resources
//! may implement it over HTTP, and then reads and writes as if it had the log itself.

mod held;
mod json;
mod log;
mod query;
pub(crate) mod resources;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::Result;
use millrace_api::batch::raw::RawBatch;
use millrace_api::log::Appended;
use tokio::sync::Semaphore;

pub use json::{RecordBody, read_shown};
pub use log::LogTopics;

/// Most records in one answer.
pub const MAX_RECORDS: usize = 10_000;

/// Longest wait for records.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// Name of the header that tells which worker answers: [`RestOptions::instance`](crate::RestOptions::instance).
pub const INSTANCE_HEADER: &str = "millrace-worker";

/// Bytes of records (keys, values, headers) after which a page is full.
const PAGE_BYTES: usize = 4 << 20;

/// Reads at the same time; each may hold a page until its client has taken it.
const READS: usize = 32;

/// Appends at the same time; further ones wait.
const APPENDS: usize = 4;

/// A topic in the list of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: i32,
    /// Offsets between the beginnings and the ends of its partitions.
    pub records: i64,
    /// Whether the log made it for itself.
    pub internal: bool,
}

/// Some records, and where to go on.
#[derive(Debug, Default)]
pub struct Page {
    /// Records with partition, offset, timestamp and headers, in order within each partition.
    pub records: RawBatch,
    /// The next offset to read of every partition that is read.
    pub next: Vec<(i32, i64)>,
    /// Whether everything there was in every partition has been read.
    pub end: bool,
}

/// Topics as people look at them. Errors are those of [`millrace_api::log::Log`]; what a request got wrong is
/// [`millrace_api::ErrorKind::Config`].
#[async_trait]
pub trait TopicAccess: Send + Sync {
    /// All topics by name.
    async fn topics(&self) -> Result<Vec<Topic>>;

    /// First offset and last stable offset of each partition of a topic.
    async fn offsets(&self, topic: &str) -> Result<Vec<(i64, i64)>>;

    /// Starts to read partitions of a topic at these offsets. Records that retention removed are passed over.
    async fn read(&self, topic: &str, from: &[(i32, i64)]) -> Result<Box<dyn TopicReader>>;

    /// Appends records; where each went, or why it was refused.
    async fn append(&self, topic: &str, records: &RawBatch) -> Result<Vec<Result<Appended>>>;
}

/// Reads on, page by page. Only committed records are seen.
#[async_trait]
pub trait TopicReader: Send {
    /// The next records, at most `limit` and some megabytes; none only when there is nothing to read for as long as `wait`. A
    /// call whose future is dropped may lose what it had read.
    async fn page(&mut self, limit: usize, wait: Duration) -> Result<Page>;
}

/// What [`serve`](crate::serve) shows below `/millrace/topics`.
#[derive(Clone)]
pub struct TopicsOptions {
    /// The topics.
    pub access: Arc<dyn TopicAccess>,
    /// Topics whose records are not shown, because secrets of connectors are in them (invariant 6): the configuration topic.
    pub hidden: Vec<String>,
    /// Topics of the worker itself, which take no records from outside: configurations, offsets, status.
    pub internal: Vec<String>,
}

impl fmt::Debug for TopicsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access: _, hidden, internal } = self;
        f.debug_struct("TopicsOptions").field("hidden", hidden).field("internal", internal).finish_non_exhaustive()
    }
}

/// The options, and what bounds their use.
pub(crate) struct Topics {
    options: TopicsOptions,
    reads: Arc<Semaphore>,
    appends: Semaphore,
}

impl Topics {
    pub(crate) fn new(options: TopicsOptions) -> Self {
        Self { options, reads: Arc::new(Semaphore::new(READS)), appends: Semaphore::new(APPENDS) }
    }
}
