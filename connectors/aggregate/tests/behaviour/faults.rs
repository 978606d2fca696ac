//! A log and state tables that fail where they are told to, once.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use millrace_api::batch::raw::RawRecords;
use millrace_api::config::Props;
use millrace_api::log::{
    Appended, Consumer, ConsumerOptions, GroupMetadata, Log, Offsets, Producer, ProducerOptions, StateStores,
    StateTable, TopicInfo, TopicPartition, TopicSpec,
};
use millrace_api::{Error, Result};

/// Where a commit ends badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Before anything is sent.
    Begin,
    /// Records are sent, then the log is out of reach; aborting works.
    AfterSend,
    /// As `AfterSend`, for good.
    AfterSendForGood,
    /// Positions are sent, then the log is out of reach.
    AfterSendOffsets,
    /// The commit is refused, and the transaction still open.
    CommitRefused,
    /// The commit has no answer, and did not happen yet.
    CommitLost,
    /// The commit happened, but its answer is lost; asked again, it says so.
    CommitUnclear,
    /// The commit happened, and then everything breaks.
    AfterCommit,
    /// Sending fails, and aborting fails too.
    AbortFails,
    /// The commit happened; the table cannot be written.
    TableWrite,
}

/// Every fault.
pub(crate) const ALL: [Fault; 10] = [
    Fault::Begin,
    Fault::AfterSend,
    Fault::AfterSendForGood,
    Fault::AfterSendOffsets,
    Fault::CommitRefused,
    Fault::CommitLost,
    Fault::CommitUnclear,
    Fault::AfterCommit,
    Fault::AbortFails,
    Fault::TableWrite,
];

/// Which fault comes next.
#[derive(Default)]
pub(crate) struct Faults {
    armed: Mutex<Option<Fault>>,
    /// The transaction is committed already, whatever its producer heard.
    committed: Mutex<bool>,
}

impl Faults {
    pub(crate) fn arm(&self, fault: Fault) {
        *self.armed.lock().unwrap() = Some(fault);
    }

    /// Takes the fault back; `true` when it has not happened.
    pub(crate) fn disarm(&self) -> bool {
        self.armed.lock().unwrap().take().is_some()
    }

    fn hits(&self, fault: Fault) -> bool {
        self.armed.lock().unwrap().take_if(|armed| *armed == fault).is_some()
    }
}

fn unreachable() -> Error {
    Error::retriable("the log is out of reach")
}

fn broken() -> Error {
    Error::external("the log is broken")
}

/// The log.
pub(crate) struct FaultyLog {
    pub(crate) inner: Arc<dyn Log>,
    pub(crate) faults: Arc<Faults>,
}

struct FaultyProducer {
    inner: Box<dyn Producer>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Producer for FaultyProducer {
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
        let mut sent = self.inner.send(records).await?;
        if self.faults.hits(Fault::AfterSend) {
            sent[0] = Err(unreachable());
        }
        let armed_abort = *self.faults.armed.lock().unwrap() == Some(Fault::AbortFails);
        if armed_abort || self.faults.hits(Fault::AfterSendForGood) {
            return Err(broken());
        }
        Ok(sent)
    }

    async fn begin(&self) -> Result<()> {
        if self.faults.hits(Fault::Begin) {
            return Err(unreachable());
        }
        self.inner.begin().await
    }

    async fn send_offsets(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()> {
        self.inner.send_offsets(group, offsets).await?;
        if self.faults.hits(Fault::AfterSendOffsets) { Err(unreachable()) } else { Ok(()) }
    }

    async fn commit(&self) -> Result<()> {
        if std::mem::take(&mut *self.faults.committed.lock().unwrap()) {
            return Ok(());
        }
        if self.faults.hits(Fault::CommitRefused) {
            return Err(broken());
        }
        if self.faults.hits(Fault::CommitLost) {
            return Err(unreachable());
        }
        self.inner.commit().await?;
        if self.faults.hits(Fault::CommitUnclear) {
            *self.faults.committed.lock().unwrap() = true;
            return Err(unreachable());
        }
        if self.faults.hits(Fault::AfterCommit) { Err(broken()) } else { Ok(()) }
    }

    async fn abort(&self) -> Result<()> {
        if self.faults.hits(Fault::AbortFails) { Err(broken()) } else { self.inner.abort().await }
    }
}

#[async_trait]
impl Log for FaultyLog {
    async fn cluster_id(&self) -> Result<String> {
        self.inner.cluster_id().await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        self.inner.create_topic(spec).await
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        self.inner.delete_topic(name).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.inner.topics().await
    }

    async fn offsets(&self, topic: &str, read_committed: bool) -> Result<Vec<(i64, i64)>> {
        self.inner.offsets(topic, read_committed).await
    }

    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>> {
        let inner = self.inner.producer(options).await?;
        Ok(Box::new(FaultyProducer { inner, faults: Arc::clone(&self.faults) }))
    }

    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        self.inner.consumer(options).await
    }

    async fn group_offsets(&self, group: &str) -> Result<Offsets> {
        self.inner.group_offsets(group).await
    }

    async fn set_group_offsets(&self, group: &str, offsets: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        self.inner.set_group_offsets(group, offsets).await
    }

    fn check_overrides(&self, overrides: &Props) -> Result<()> {
        self.inner.check_overrides(overrides)
    }
}

/// State tables.
pub(crate) struct FaultyStores {
    pub(crate) inner: Arc<dyn StateStores>,
    pub(crate) faults: Arc<Faults>,
}

struct FaultyTable {
    inner: Box<dyn StateTable>,
    faults: Arc<Faults>,
}

impl StateStores for FaultyStores {
    fn open(&self, name: &str) -> Result<Box<dyn StateTable>> {
        Ok(Box::new(FaultyTable { inner: self.inner.open(name)?, faults: Arc::clone(&self.faults) }))
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.inner.delete(name)
    }
}

impl StateTable for FaultyTable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.inner.scan(from, to, limit)
    }

    fn write(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<()> {
        if self.faults.hits(Fault::TableWrite) { Err(broken()) } else { self.inner.write(entries) }
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn clear(&self) -> Result<()> {
        self.inner.clear()
    }
}
