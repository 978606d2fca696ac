//! The seam between Millrace and its log: Kafka (`runtime/kafka`) or the one inside (`runtime/local`). One behaviour suite holds
//! for both. Connectors, aggregates, offsets, status and configurations talk only to this.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::batch::raw::RawRecords;
use crate::config::Props;
use crate::error::Result;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Positions: the offset of the next record to read, per partition.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// A topic to be created.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// Partitions; `None` is the log's default.
    pub partitions: Option<i32>,
    /// Replicas; `None` is the log's default. The embedded log has one of everything.
    pub replication: Option<i16>,
    /// Topic settings by their Kafka names: `cleanup.policy`, `retention.ms`, `retention.bytes`, …
    pub config: Props,
}

impl TopicSpec {
    /// A topic with the log's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), partitions: None, replication: None, config: Props::new() }
    }
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: i32,
    /// Whether the log made it for itself.
    pub internal: bool,
}

/// How a producer behaves. Acknowledgement by all replicas and idempotence are always on.
#[derive(Debug, Clone, Default)]
pub struct ProducerOptions {
    /// Shown to brokers.
    pub client_id: String,
    /// Given: every send happens in a transaction, and opening the producer fences the one before (a [`crate::ErrorKind::Fenced`]
    /// for it) and aborts what it left open.
    pub transactional_id: Option<String>,
    /// Kafka client settings by their Kafka names; the log refuses those it does not know or does not allow.
    pub overrides: Props,
}

/// What a consumer reads.
#[derive(Debug, Clone)]
pub enum Subscription {
    /// Topics by name, partitions shared with the other members of the group.
    Topics(Vec<String>),
    /// Topics whose whole name matches, present and future.
    Pattern(String),
    /// Exactly these partitions from these offsets, without a group; -2 is the beginning, -1 the end.
    Assign(Vec<(TopicPartition, i64)>),
}

/// How a consumer behaves. Positions are committed only by [`Consumer::commit`] or in a producer's transaction.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Shown to brokers.
    pub client_id: String,
    /// Group; empty for [`Subscription::Assign`].
    pub group: String,
    /// What to read.
    pub subscription: Subscription,
    /// Skip records of aborted transactions and wait for open ones. Sinks always do.
    pub read_committed: bool,
    /// Where a partition without a committed position starts: at its end instead of its beginning.
    pub from_latest: bool,
    /// Most records in one [`Event::Records`].
    pub max_records: usize,
    /// Most bytes fetched but not yet handed out; the client pauses its partitions at it and goes on below it.
    pub buffer_bytes: usize,
    /// Whether to report [`Event::EndOfPartition`].
    pub end_events: bool,
    /// Kafka client settings by their Kafka names.
    pub overrides: Props,
}

impl ConsumerOptions {
    /// Defaults: read committed, from the beginning, 2,000 records, 16 MiB.
    pub fn new(client_id: impl Into<String>, group: impl Into<String>, subscription: Subscription) -> Self {
        Self {
            client_id: client_id.into(),
            group: group.into(),
            subscription,
            read_committed: true,
            from_latest: false,
            max_records: 5_000,
            buffer_bytes: 16 << 20,
            end_events: false,
            overrides: Props::new(),
        }
    }
}

/// What happens to a consumer.
pub enum Event {
    /// Records, in order within each partition.
    Records(Box<dyn RawRecords>),
    /// Partitions were assigned; reading starts at their committed positions unless [`Consumer::seek`] says otherwise.
    Assigned(Vec<TopicPartition>),
    /// Partitions are being taken away. The group waits until [`Consumer::next`] is called again, so finish and commit what
    /// was read from them before. `lost`: they are gone already and a commit would fail.
    Revoked {
        /// Which.
        partitions: Vec<TopicPartition>,
        /// Whether they are gone already.
        lost: bool,
    },
    /// Everything there was in a partition has been handed out; more may come.
    EndOfPartition {
        /// Which.
        partition: TopicPartition,
        /// Position: the offset of the next record to come.
        offset: i64,
    },
}

/// Identifies a member of a group in a transaction, so that a zombie's commit is refused (KIP-447).
#[derive(Clone)]
pub struct GroupMetadata(pub Arc<dyn std::any::Any + Send + Sync>);

/// A commit of positions under way.
pub type Committing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A consumer. Dropping it leaves the group without committing.
#[async_trait]
pub trait Consumer: Send {
    /// The next event. Cancel-safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Retriable`] when the log is out of reach for now; other kinds end the consumer.
    async fn next(&mut self) -> Result<Event>;

    /// Commits positions durably. The consumer may be used meanwhile; dropping the answer does not undo the commit.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fenced`] when the partitions belong to another member by now.
    fn commit(&self, offsets: &Offsets) -> Committing;

    /// Stops fetching from partitions, keeping membership and buffered records back until [`Consumer::resume`].
    fn pause(&mut self, partitions: &[TopicPartition]);

    /// Goes on fetching.
    fn resume(&mut self, partitions: &[TopicPartition]);

    /// Reads a partition from another offset; records buffered before are not handed out.
    ///
    /// # Errors
    /// When the partition is not assigned.
    async fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()>;

    /// For [`Producer::send_offsets`].
    fn group_metadata(&self) -> GroupMetadata;

    /// Records between each assigned partition's position and its end, as last known.
    fn lag(&self) -> Vec<(TopicPartition, i64)>;

    /// Leaves the group in an orderly way.
    async fn close(self: Box<Self>);
}

/// Where a record was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// A producer. Sends of one producer to one partition keep their order.
///
/// # Transactions
/// A transaction is begun, filled ([`Producer::send`], [`Producer::send_offsets`]), and ended by a commit or an abort. Every log
/// guarantees this about errors, and callers go by it instead of by guesses:
///
/// - `begin` failed: nothing is open. After a retriable error it may be called again.
/// - `send` or `send_offsets` failed, as a whole or for a single record: the transaction can only be aborted. What is sent or
///   committed after that is refused or undefined.
/// - `commit` failed with `Retriable` or `Timeout`: it is **not known** whether the transaction is committed. Ask again, as often as
///   it takes: asking again commits nothing twice. Nothing else may be called in between.
/// - `commit` failed with another kind, and was not asked before: abort. When the abort is `Ok`, nothing of the transaction is or
///   will be visible, and the same records may be sent in another.
/// - `commit` failed with another kind after an unclear answer, or an abort failed with a kind that is not retriable: the outcome is
///   **not known** and this producer cannot find it out.
///
/// When the outcome is not known the producer must be given up. Opening another with the same transactional id settles it: that
/// completes a commit that is under way, aborts what is open, and returns when either is done. What was committed is read after
/// that, never before. Dropping the future of a call does not undo the call; its outcome is not known either.
#[async_trait]
pub trait Producer: Send + Sync {
    /// Appends records and returns, in their order, where each went, once all replicas have them. A record without a
    /// partition goes where Kafka's default partitioner (murmur2 of the key) puts it.
    ///
    /// # Errors
    /// The outer error: nothing can be sent any more (fenced, closed, a transaction that must be aborted). The inner ones: that
    /// record was refused, with [`crate::ErrorKind::Data`] when it can never be accepted. After a retriable one it may have been
    /// appended all the same, and later records of the same send have been.
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fenced`] when a newer producer has the transactional id, [`crate::ErrorKind::Retriable`] or
    /// [`crate::ErrorKind::Timeout`] when it may be called again.
    async fn begin(&self) -> Result<()>;

    /// Makes consumer positions part of the transaction.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fenced`] when producer or group member were replaced. The transaction must be aborted, whatever the kind.
    async fn send_offsets(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()>;

    /// Commits: all of the transaction becomes visible and durable at once.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Retriable`], [`crate::ErrorKind::Timeout`]: the outcome is not known; call it again until it is.
    /// Others, [`crate::ErrorKind::Fenced`] among them: see [`Producer`].
    async fn commit(&self) -> Result<()>;

    /// Aborts: nothing of the transaction is ever visible to a read-committed consumer. `Ok` is a guarantee, also after a commit
    /// that failed for good.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Retriable`], [`crate::ErrorKind::Timeout`]: call it again. [`crate::ErrorKind::Fenced`]: a newer
    /// producer has settled it. Others, also when nothing is open: it is not known how the transaction ended.
    async fn abort(&self) -> Result<()>;
}

/// The log.
#[async_trait]
pub trait Log: Send + Sync {
    /// Identifies it (`kafka_cluster_id`).
    async fn cluster_id(&self) -> Result<String>;

    /// Creates a topic; `false` when it exists already, which is no error.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for illegal names or settings.
    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool>;

    /// Deletes a topic and its records.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`].
    async fn delete_topic(&self, name: &str) -> Result<()>;

    /// All topics, by name.
    async fn topics(&self) -> Result<Vec<TopicInfo>>;

    /// A topic's settings by their Kafka names, defaults included; empty when this log cannot tell.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`].
    async fn topic_config(&self, _name: &str) -> Result<Props> {
        Ok(Props::new())
    }

    /// First and next offset of every partition of a topic, by partition. `read_committed`: the next offset is the last stable one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`].
    async fn offsets(&self, topic: &str, read_committed: bool) -> Result<Vec<(i64, i64)>>;

    /// Opens a producer.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for settings that are not allowed.
    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>>;

    /// Opens a consumer.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for settings that are not allowed.
    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>>;

    /// Committed positions of a group.
    async fn group_offsets(&self, group: &str) -> Result<Offsets>;

    /// Sets (`Some`) or removes (`None`) positions of a group that has no members.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when the group has members.
    async fn set_group_offsets(&self, group: &str, offsets: &[(TopicPartition, Option<i64>)]) -> Result<()>;

    /// Checks client settings without opening a client.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming the key, the cause and the fix.
    fn check_overrides(&self, overrides: &Props) -> Result<()>;
}

/// Tables for the state of aggregates: ordered bytes to bytes, on the local disk.
pub trait StateStores: Send + Sync {
    /// Opens a table, creating it when it does not exist. One holder at a time.
    ///
    /// # Errors
    /// [`crate::ErrorKind::External`] when the disk refuses.
    fn open(&self, name: &str) -> Result<Box<dyn StateTable>>;

    /// Deletes a table.
    ///
    /// # Errors
    /// [`crate::ErrorKind::External`] when the disk refuses.
    fn delete(&self, name: &str) -> Result<()>;
}

/// A table of states. Calls touch memory and page cache; they may block for a short time.
pub trait StateTable: Send + Sync {
    /// The value under a key.
    ///
    /// # Errors
    /// [`crate::ErrorKind::External`] when the disk refuses.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Entries from `from` (inclusive) to `to` (exclusive) in order, at most `limit`.
    ///
    /// # Errors
    /// As [`StateTable::get`].
    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Writes (`Some`) and removes (`None`) atomically. Durable at the latest after [`StateTable::sync`]; after a crash the
    /// table holds a prefix of the writes.
    ///
    /// # Errors
    /// As [`StateTable::get`].
    fn write(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// As [`StateTable::get`].
    fn sync(&self) -> Result<()>;

    /// Removes everything.
    ///
    /// # Errors
    /// As [`StateTable::get`].
    fn clear(&self) -> Result<()>;
}

/// What is wrong with a name for a topic, by Kafka's rule (`[a-zA-Z0-9._-]{1,249}`, but not `.` or `..`); `None` when it is legal.
/// Records are read and written under legal names only. Those on their way to a sink may carry any, as in Kafka Connect.
#[must_use]
pub fn topic_name_fault(name: &str) -> Option<&'static str> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => Some("it is empty"),
        "." | ".." => Some("it must not be . or .."),
        _ if name.len() > 249 => Some("it is longer than 249 characters"),
        _ if !name.bytes().all(legal) => Some("it may only contain ASCII letters, digits, '.', '_' and '-'"),
        _ => None,
    }
}

/// How long control calls to a log may take before they fail with [`crate::ErrorKind::Timeout`].
pub const CONTROL_TIMEOUT: Duration = Duration::from_secs(30);
