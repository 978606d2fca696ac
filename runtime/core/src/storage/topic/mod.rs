//! A compacted topic that is read from its beginning to its end and followed from there (`KafkaBasedLog`), and written to.
//!
//! [`CompactedTopic`] stands on the log; [`MemoryTopic`] forgets everything with the process, for workers that keep their
//! configurations elsewhere.

mod memory;
mod options;
mod tail;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use millrace_api::log::{Appended, Log, TopicSpec};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use memory::{MemoryAccess, MemoryTopic};
pub use options::{Purpose, TopicOptions};

use super::Entry;
use crate::task::Backoff;

/// Batches that wait for whoever reads them.
const WAITING: usize = 16;

/// A record that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Key; empty when there was none.
    pub key: Vec<u8>,
    /// Value; `None` says that what is under the key is gone.
    pub value: Option<Vec<u8>>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// Values may hold passwords and session keys.
impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{} {}", self.partition, self.offset, String::from_utf8_lossy(&self.key))
    }
}

/// What comes out of a topic.
#[derive(Debug)]
pub enum Delivery {
    /// Records, in order within each partition.
    Records(Vec<Received>),
    /// Everything that was there when the topic was opened has been delivered. Comes once.
    CaughtUp,
}

enum Item {
    Delivery(Delivery),
    /// Whoever waits for what lies before this.
    Marker(oneshot::Sender<()>),
}

/// The records of a topic. When it is dropped, the topic is no longer read.
pub struct Deliveries(Receiver);

enum Receiver {
    Bounded(mpsc::Receiver<Item>),
    Unbounded(mpsc::UnboundedReceiver<Item>),
}

impl Deliveries {
    /// The next delivery; `None` when the topic was closed. By calling it, the caller says that it is done with the one before:
    /// that is what [`InternalTopic::read_to_end`] waits for. Cancel-safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            let item = match &mut self.0 {
                Receiver::Bounded(receiver) => receiver.recv().await?,
                Receiver::Unbounded(receiver) => receiver.recv().await?,
            };
            match item {
                Item::Delivery(delivery) => return Some(delivery),
                // Who asked may have stopped waiting.
                Item::Marker(reached) => drop(reached.send(())),
            }
        }
    }
}

/// Where written records lie: what [`InternalTopic::read_back`] waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The offset after the last record, by partition.
    ends: BTreeMap<i32, i64>,
    /// The log did not say where some of them are; a producer that tried again only learns that they are there.
    elsewhere: bool,
}

impl Written {
    fn record(&mut self, at: Appended) {
        if at.offset < 0 {
            self.elsewhere = true;
            return;
        }
        let end = self.ends.entry(at.partition).or_default();
        *end = (*end).max(at.offset + 1);
    }
}

/// What the stores do with a topic.
#[async_trait]
pub trait InternalTopic: Send + Sync {
    /// Writes records in this order and returns once all replicas have them; what is written by earlier calls comes before. Failures
    /// that may pass are tried again for half a minute.
    ///
    /// # Errors
    /// When that did not help, or never can. Records may have been written all the same, the first ones before the later ones.
    /// Cancelling does not undo it.
    async fn write(&self, entries: Vec<Entry>) -> Result<Written>;

    /// Returns once everything that was in the topic when this was called has been delivered and dealt with. So whoever reads
    /// the [`Deliveries`] must not wait for it. Waits as long as the log is out of reach. Cancel-safe.
    ///
    /// # Errors
    /// When nobody reads the deliveries any more, or the log refuses for good.
    async fn read_to_end(&self) -> Result<()>;

    /// Returns once what was written, and so everything before it, has been delivered and dealt with. As
    /// [`InternalTopic::read_to_end`], without asking the log where its end is.
    ///
    /// # Errors
    /// As of [`InternalTopic::read_to_end`].
    async fn read_back(&self, written: Written) -> Result<()>;

    /// Becomes the only one who may use [`InternalTopic::write_fenced`] (`claimWritePrivileges`): those that had the id before fail
    /// from now on. Does nothing when it has been done and not been lost since.
    ///
    /// # Errors
    /// When the log refuses or is out of reach.
    async fn claim(&self, transactional_id: &str) -> Result<()>;

    /// Writes records as one transaction of the one who has claimed the topic.
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`] when the topic was not claimed or another has claimed it since. After any error it must be claimed
    /// again; whether the records were written is not known then.
    async fn write_fenced(&self, entries: Vec<Entry>) -> Result<Written>;
}

/// A compacted topic of the log. Dropping it ends reading and writing.
pub struct CompactedTopic {
    name: String,
    log: Arc<dyn Log>,
    waits: mpsc::UnboundedSender<tail::Wait>,
    writer: write::Writer,
    fenced: write::Fenced,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl CompactedTopic {
    /// Opens a topic, creating it when it does not exist, and begins to read it. While the log is out of reach it keeps trying.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the worker's key when the topic is not compacted or has too many partitions, and others when the
    /// log refuses for good. Cancel-safe.
    pub async fn open(log: Arc<dyn Log>, options: TopicOptions) -> Result<(Self, Deliveries)> {
        let mut backoff = Backoff::default();
        let mut warned = false;
        loop {
            match Self::try_open(&log, &options).await {
                // It was created a moment ago, so it is not known everywhere yet.
                Err(error) if error.is_retriable() || error.kind() == ErrorKind::NotFound => {
                    if !std::mem::replace(&mut warned, true) {
                        tracing::warn!(topic = options.name, %error, "an internal topic cannot be opened yet, trying again");
                    }
                    backoff.wait().await;
                }
                opened => return opened,
            }
        }
    }

    async fn try_open(log: &Arc<dyn Log>, options: &TopicOptions) -> Result<(Self, Deliveries)> {
        let created = create(&**log, options).await?;
        if !created {
            let settings = log.topic_config(&options.name).await?;
            options.check_cleanup(settings.get("cleanup.policy").map_or("", String::as_str))?;
        }
        let bounds = log.offsets(&options.name, false).await?;
        options.check_partitions(bounds.len())?;
        let (deliver, deliveries) = mpsc::channel(WAITING);
        let (waits, waiting) = mpsc::unbounded_channel();
        let tail = tail::Tail::open(Arc::clone(log), options, &bounds, deliver).await?;
        let (writer, queued) = write::Writer::new(Arc::clone(log), options);
        let topic = Self {
            name: options.name.clone(),
            log: Arc::clone(log),
            waits,
            writer,
            fenced: write::Fenced::new(Arc::clone(log), options),
            running: Mutex::new(vec![tokio::spawn(tail.run(waiting)), tokio::spawn(queued)]),
        };
        Ok((topic, Deliveries(Receiver::Bounded(deliveries))))
    }

    /// Name of the topic.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stops reading and writing; nothing holds the log any more when this returns. Writes that were not answered may be lost.
    pub async fn close(&self) {
        let running = self.stop();
        for task in running {
            let _ = task.await;
        }
    }

    fn stop(&self) -> Vec<JoinHandle<()>> {
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        running.iter().for_each(JoinHandle::abort);
        running
    }

    /// The offset after the last record of each partition, whether it is committed or not: an open transaction may hold records
    /// that will be read before those that were written and committed since.
    async fn ends(&self) -> Result<BTreeMap<i32, i64>> {
        let mut backoff = Backoff::default();
        loop {
            match self.log.offsets(&self.name, false).await {
                Ok(bounds) => return Ok((0..).zip(bounds).map(|(partition, (_, end))| (partition, end)).collect()),
                Err(error) if error.is_retriable() => {
                    tracing::debug!(topic = self.name, %error, "the end of a topic is not known, asking again");
                    backoff.wait().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn read_to(&self, ends: BTreeMap<i32, i64>) -> Result<()> {
        let (reached, answer) = oneshot::channel();
        let closed = || Error::new(ErrorKind::Cancelled, "the topic is no longer read").with("topic", &self.name);
        self.waits.send(tail::Wait { ends, reached }).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }
}

impl Drop for CompactedTopic {
    fn drop(&mut self) {
        self.stop();
    }
}

#[async_trait]
impl InternalTopic for CompactedTopic {
    async fn write(&self, entries: Vec<Entry>) -> Result<Written> {
        self.writer.write(entries).await
    }

    async fn read_to_end(&self) -> Result<()> {
        self.read_to(self.ends().await?).await
    }

    async fn read_back(&self, written: Written) -> Result<()> {
        if written.elsewhere { self.read_to_end().await } else { self.read_to(written.ends).await }
    }

    async fn claim(&self, transactional_id: &str) -> Result<()> {
        self.fenced.claim(transactional_id).await
    }

    async fn write_fenced(&self, entries: Vec<Entry>) -> Result<Written> {
        self.fenced.write(entries).await
    }
}

/// Creates the topic when it does not exist; whether it did not. Another worker may do the same at the same time.
async fn create(log: &dyn Log, options: &TopicOptions) -> Result<bool> {
    let mut config = options.settings.clone();
    config.insert("cleanup.policy".to_owned(), "compact".to_owned());
    let spec = TopicSpec {
        name: options.name.clone(),
        partitions: options.partitions,
        replication: options.replication,
        config,
    };
    log.create_topic(&spec).await.map_err(|error| options.not_created(error))
}
