//! The log itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::config::Props;
use millrace_api::log::{
    Consumer, ConsumerOptions, Log, Offsets, Producer, ProducerOptions, TopicInfo, TopicPartition, TopicSpec,
};
use millrace_api::{Error, Result};

use crate::check;
use crate::cleaner::Cleaner;
use crate::consumer::LocalConsumer;
use crate::error::{closed, corrupt};
use crate::group::Coordinator;
use crate::keys::{self, Mark};
use crate::options::LocalOptions;
use crate::producer::LocalProducer;
use crate::store::{Changes, Store};
use crate::topic::{Registry, Topic};
use crate::writer::{Answer, Command, Writer};

/// How long a transaction may stay open when its producer does not say (`transaction.max.timeout.ms`).
const TRANSACTION_TIMEOUT: Duration = Duration::from_mins(15);

/// The embedded log. Dropping it finishes the writes under way and frees the directory once its producers and consumers, which
/// answer `Cancelled` from then on, are dropped too.
pub struct LocalLog {
    shared: Arc<Shared>,
    cleaner: Cleaner,
}

/// What producers and consumers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) writer: Writer,
    pub(crate) options: LocalOptions,
}

impl LocalLog {
    /// Opens the log in a directory, creating both if they do not exist. Blocks for some milliseconds.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Conflict`] naming directory and process when another process uses it;
    /// [`millrace_api::ErrorKind::External`] when the disk refuses or holds something else.
    pub fn open(dir: impl AsRef<Path>, options: LocalOptions) -> Result<Self> {
        let dir: PathBuf = dir.as_ref().to_owned();
        let store = Arc::new(Store::open(&dir, &options)?);
        abort_left_open(&store)?;
        let registry = Arc::new(Registry::load(&store, &options)?);
        let coordinator = Arc::new(Coordinator::new(Arc::clone(&registry)));
        let writer = Writer::start(Arc::clone(&store), Arc::clone(&coordinator))?;
        let shared = Arc::new(Shared { store, registry, coordinator, writer, options });
        let cleaner = Cleaner::start(&shared)?;
        Ok(Self { shared, cleaner })
    }

    /// Runs retention and compaction now instead of at the next interval, whatever `min.cleanable.dirty.ratio` says, and frees what
    /// deleted topics held. Returns when it is done; dropping the future does not stop it.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::External`] when the disk refuses.
    pub async fn run_retention_now(&self) -> Result<()> {
        self.cleaner.run_now().await
    }

    /// Bytes the log takes on disk.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::External`] when the disk refuses.
    pub fn disk_space(&self) -> Result<u64> {
        self.shared.store.disk_space()
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        self.cleaner.stop();
        self.shared.writer.stop();
    }
}

/// Removes what transactions wrote that were open when the log was closed or its process died.
fn abort_left_open(store: &Store) -> Result<()> {
    let mut changes = Changes::default();
    for (marker, _) in store.scan_meta(keys::OPEN)? {
        let block = keys::opened(&marker).ok_or_else(|| corrupt("aborting transactions"))?;
        let (topic, partition) = keys::place(&block).ok_or_else(|| corrupt("aborting transactions"))?;
        let last = keys::last_offset(&block).ok_or_else(|| corrupt("aborting transactions"))?;
        // Offsets that were given away are not given away again. Markers come in the order of their blocks within a transaction,
        // but transactions overlap.
        let floor = keys::mark(Mark::Floor, topic, partition);
        let known = match changes.meta.get(&floor) {
            Some(Some(value)) => keys::number(value),
            _ => store.meta(&floor)?.and_then(|value| keys::number(&value)),
        };
        changes.put_number(floor, known.unwrap_or(0).max(last + 1));
        changes.blocks.insert(block, None);
        changes.meta.insert(marker.to_vec(), None);
    }
    if changes.is_empty() { Ok(()) } else { store.write(changes, true) }
}

impl Shared {
    /// The topic to append to, created if that is allowed. Does not wait: its creation is on its way to the writer before any
    /// append that follows.
    pub(crate) fn topic_for_append(&self, name: &str) -> Result<Arc<Topic>> {
        match self.registry.get(name) {
            Some(topic) => Ok(topic),
            None if self.options.auto_create_topics => Ok(self.create(&TopicSpec::new(name))?.0),
            None => self.registry.find(name),
        }
    }

    /// Creates a topic if it does not exist; the second answer comes when it is durable, and is `None` for one that existed.
    fn create(&self, spec: &TopicSpec) -> Result<(Arc<Topic>, Option<Answer<()>>)> {
        let mut stored = None;
        let added = self.registry.add(spec, &self.options, |topic, next| {
            let topic = Arc::clone(topic);
            stored = Some(self.writer.call(|done| Command::CreateTopic { topic, next, done }));
        })?;
        match added {
            Ok(topic) => {
                self.coordinator.topics_changed();
                Ok((topic, stored))
            }
            Err(topic) => Ok((topic, None)),
        }
    }
}

/// Runs what reads the disk where it may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(closed()))
}

#[async_trait]
impl Log for LocalLog {
    async fn cluster_id(&self) -> Result<String> {
        let id = self.shared.store.meta(keys::CLUSTER)?.ok_or_else(|| corrupt("reading the cluster id"))?;
        String::from_utf8(id.to_vec()).map_err(|error| corrupt("reading the cluster id").because(error))
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        match self.shared.create(spec)?.1 {
            Some(stored) => stored.await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        let topic = self.shared.registry.remove(name)?;
        let deleted = self.shared.writer.call(|done| Command::DeleteTopic { topic, done });
        self.shared.coordinator.topics_changed();
        deleted.await?;
        self.cleaner.nudge();
        Ok(())
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        Ok(self.shared.registry.all().iter().map(|topic| topic.info()).collect())
    }

    async fn offsets(&self, topic: &str, read_committed: bool) -> Result<Vec<(i64, i64)>> {
        let topic = self.shared.registry.find(topic)?;
        Ok(topic.partitions.iter().map(|partition| (partition.start(), partition.end(read_committed))).collect())
    }

    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>> {
        check::overrides(&options.overrides)?;
        let Some(id) = options.transactional_id else {
            return Ok(Box::new(LocalProducer::new(Arc::clone(&self.shared), None)));
        };
        check::name("transactional.id", &id)?;
        let timeout = options.overrides.get("transaction.timeout.ms").and_then(|value| value.parse().ok());
        let timeout = timeout.map_or(TRANSACTION_TIMEOUT, Duration::from_millis);
        let owner = self.shared.writer.call(|done| Command::OpenProducer { id, timeout, done }).await?;
        Ok(Box::new(LocalProducer::new(Arc::clone(&self.shared), Some(owner))))
    }

    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        Ok(Box::new(LocalConsumer::open(Arc::clone(&self.shared), options)?))
    }

    async fn group_offsets(&self, group: &str) -> Result<Offsets> {
        check::name("group.id", group)?;
        // What was committed before this call is in its answer.
        self.shared.writer.call(|done| Command::Settle { done }).await?;
        let (store, prefix) = (Arc::clone(&self.shared.store), keys::positions(group));
        blocking(move || {
            let entries = store.scan_meta(&prefix)?;
            let read = entries.iter().map(|(key, value)| Some((keys::position_of(key)?, keys::number(value)?)));
            read.map(|entry| entry.ok_or_else(|| corrupt("reading positions"))).collect()
        })
        .await
    }

    async fn set_group_offsets(&self, group: &str, offsets: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        check::name("group.id", group)?;
        for (partition, offset) in offsets {
            if offset.is_some_and(|offset| offset < 0) {
                return Err(Error::config("A position must not be negative").with("partition", partition));
            }
        }
        let (group, offsets) = (group.to_owned(), offsets.to_vec());
        self.shared.writer.call(|done| Command::SetPositions { group, offsets, done }).await
    }

    fn check_overrides(&self, overrides: &Props) -> Result<()> {
        check::overrides(overrides)
    }
}
