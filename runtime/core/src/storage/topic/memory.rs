//! A topic that lives as long as the process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use super::{Deliveries, Delivery, InternalTopic, Item, Received, Receiver, Written};
use crate::storage::Entry;

/// A compacted topic in memory with one partition. Clones are the same topic.
#[derive(Clone, Default)]
pub struct MemoryTopic(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    next: i64,
    /// The last value of each key, by offset.
    records: BTreeMap<i64, Entry>,
    offsets: HashMap<Vec<u8>, i64>,
    readers: Vec<mpsc::UnboundedSender<Item>>,
    claims: HashMap<String, u64>,
}

/// A worker's way to a [`MemoryTopic`].
pub struct MemoryAccess {
    topic: MemoryTopic,
    reader: mpsc::UnboundedSender<Item>,
    claim: Mutex<Option<(String, u64)>>,
}

impl MemoryTopic {
    /// An empty topic.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to read what is there and what will be.
    #[must_use]
    pub fn open(&self) -> (MemoryAccess, Deliveries) {
        let (reader, deliveries) = mpsc::unbounded_channel();
        let mut shared = self.shared();
        let there: Vec<Received> = shared.records.iter().map(|(offset, entry)| received(*offset, entry)).collect();
        if !there.is_empty() {
            let _ = reader.send(Item::Delivery(Delivery::Records(there)));
        }
        let _ = reader.send(Item::Delivery(Delivery::CaughtUp));
        shared.readers.push(reader.clone());
        drop(shared);
        let access = MemoryAccess { topic: self.clone(), reader, claim: Mutex::default() };
        (access, Deliveries(Receiver::Unbounded(deliveries)))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryAccess {
    fn claimed(&self) -> MutexGuard<'_, Option<(String, u64)>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn append(&mut self, entries: Vec<Entry>) {
        let mut batch = Vec::with_capacity(entries.len());
        for entry in entries {
            let offset = self.next;
            self.next += 1;
            batch.push(received(offset, &entry));
            if let Some(before) = self.offsets.remove(&entry.key) {
                self.records.remove(&before);
            }
            if entry.value.is_some() {
                self.offsets.insert(entry.key.clone(), offset);
                self.records.insert(offset, entry);
            }
        }
        self.readers.retain(|reader| reader.send(Item::Delivery(Delivery::Records(batch.clone()))).is_ok());
    }
}

fn received(offset: i64, entry: &Entry) -> Received {
    Received { key: entry.key.clone(), value: entry.value.clone(), partition: 0, offset }
}

#[async_trait]
impl InternalTopic for MemoryAccess {
    async fn write(&self, entries: Vec<Entry>) -> Result<Written> {
        self.topic.shared().append(entries);
        Ok(Written::default())
    }

    async fn read_to_end(&self) -> Result<()> {
        let closed = || Error::new(ErrorKind::Cancelled, "the topic is no longer read");
        let (reached, answer) = oneshot::channel();
        self.reader.send(Item::Marker(reached)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }

    /// Everything that was written has been handed over.
    async fn read_back(&self, _: Written) -> Result<()> {
        self.read_to_end().await
    }

    async fn claim(&self, transactional_id: &str) -> Result<()> {
        let mut claimed = self.claimed();
        if claimed.is_none() {
            let mut shared = self.topic.shared();
            let epoch = shared.claims.entry(transactional_id.to_owned()).or_default();
            *epoch += 1;
            *claimed = Some((transactional_id.to_owned(), *epoch));
        }
        Ok(())
    }

    async fn write_fenced(&self, entries: Vec<Entry>) -> Result<Written> {
        let mut claimed = self.claimed();
        let mut shared = self.topic.shared();
        let held = claimed.as_ref().is_some_and(|(id, epoch)| shared.claims.get(id) == Some(epoch));
        if !held {
            *claimed = None;
            let message = "the topic was not claimed, or another worker has claimed it since";
            return Err(Error::new(ErrorKind::Fenced, message));
        }
        shared.append(entries);
        Ok(Written::default())
    }
}
