//! Where sources stand: one reader of the offsets topic for the whole worker, what tasks look up in it, and what they write.
//!
//! A connector may keep its offsets in a topic of its own (`offsets.storage.topic`, KIP-618). The worker's topic is read where that
//! one has nothing, and is kept up to date as far as possible, so that the setting can be taken back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};

use async_trait::async_trait;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::connector::{Json, OffsetReader, SourcePosition};
use millrace_api::log::{Log, Producer};
use millrace_api::{Error, Result};
use tokio::task::JoinHandle;

use crate::storage::Entry;
use crate::storage::offsets::OffsetView;
use crate::storage::topic::{CompactedTopic, Deliveries, Delivery, InternalTopic as _, TopicOptions};

/// The offsets topics that a worker reads, each once.
pub struct OffsetStores {
    log: Arc<dyn Log>,
    options: TopicOptions,
    stores: Mutex<HashMap<String, Opened>>,
}

/// A topic that is read as long as somebody wants it; the worker's is kept once it was. It is opened by one at a time.
type Opened = Arc<tokio::sync::Mutex<Held>>;

enum Held {
    Wanted(Weak<OffsetStore>),
    Kept(Arc<OffsetStore>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Wanted(Weak::new())
    }
}

impl Held {
    fn get(&self) -> Option<Arc<OffsetStore>> {
        match self {
            Self::Wanted(store) => store.upgrade(),
            Self::Kept(store) => Some(Arc::clone(store)),
        }
    }
}

impl OffsetStores {
    /// Nothing is read yet. `options` are those of the worker's topic; others are created like it.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, options: TopicOptions) -> Self {
        Self { log, options, stores: Mutex::default() }
    }

    /// A connector's offsets, in the worker's topic or in its own. The topic is read while the answer is held. Waits as long as
    /// the log is out of reach.
    ///
    /// # Errors
    /// As [`CompactedTopic::open`].
    pub async fn of_connector(&self, connector: &str, own_topic: Option<&str>) -> Result<ConnectorOffsets> {
        let worker = self.store(&self.options.name).await?;
        let connector = Arc::from(connector);
        match own_topic.filter(|own| *own != self.options.name) {
            None => Ok(ConnectorOffsets { connector, primary: worker, secondary: None }),
            Some(own) => Ok(ConnectorOffsets { connector, primary: self.store(own).await?, secondary: Some(worker) }),
        }
    }

    async fn store(&self, topic: &str) -> Result<Arc<OffsetStore>> {
        let opened = {
            let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(stores.entry(topic.to_owned()).or_default())
        };
        let mut opened = opened.lock().await;
        if let Some(store) = opened.get().filter(|store| !store.folding.is_finished()) {
            return Ok(store);
        }
        let keep = topic == self.options.name;
        let options = TopicOptions { name: topic.to_owned(), ..self.options.clone() };
        let (topic, deliveries) = CompactedTopic::open(Arc::clone(&self.log), options).await?;
        let view = Arc::default();
        let folding = tokio::spawn(fold(Arc::clone(&view), deliveries));
        let store = Arc::new(OffsetStore { topic, view, folding });
        *opened = if keep { Held::Kept(Arc::clone(&store)) } else { Held::Wanted(Arc::downgrade(&store)) };
        Ok(store)
    }

    /// Stops reading. What is held of it knows nothing new from then on.
    pub async fn close(&self) {
        let stores = std::mem::take(&mut *self.stores.lock().unwrap_or_else(PoisonError::into_inner));
        for opened in stores.into_values() {
            if let Some(store) = opened.lock().await.get() {
                store.topic.close().await;
            }
        }
    }
}

/// One topic, folded as it is read.
struct OffsetStore {
    topic: CompactedTopic,
    view: Arc<RwLock<OffsetView>>,
    folding: JoinHandle<()>,
}

async fn fold(view: Arc<RwLock<OffsetView>>, mut deliveries: Deliveries) {
    while let Some(delivery) = deliveries.next().await {
        let Delivery::Records(records) = delivery else { continue };
        let mut view = view.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            view.apply(&record.key, record.value.as_deref());
        }
    }
}

impl OffsetStore {
    fn view(&self) -> RwLockReadGuard<'_, OffsetView> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OffsetStore {
    fn drop(&mut self) {
        self.folding.abort();
    }
}

/// A connector's offsets. Clones share what is read.
#[derive(Clone)]
pub struct ConnectorOffsets {
    connector: Arc<str>,
    primary: Arc<OffsetStore>,
    /// The worker's, when the connector has its own.
    secondary: Option<Arc<OffsetStore>>,
}

impl ConnectorOffsets {
    /// The topic that offsets are written to.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.primary.topic.name()
    }

    /// Returns once everything that has been written by now is known here, also what is behind transactions that are still open.
    ///
    /// # Errors
    /// When the topic cannot be read any more.
    pub async fn refresh(&self) -> Result<()> {
        self.primary.topic.read_to_end().await?;
        match &self.secondary {
            Some(secondary) => secondary.topic.read_to_end().await,
            None => Ok(()),
        }
    }

    /// All offsets, by partition, as known here; see [`ConnectorOffsets::refresh`].
    ///
    /// # Errors
    /// When somebody wrote something else into the topic.
    pub fn all(&self) -> Result<Vec<(Json, Json)>> {
        let mut all = self.primary.view().offsets_of(&self.connector)?;
        if let Some(secondary) = &self.secondary {
            let others = secondary.view().offsets_of(&self.connector)?;
            let known = self.primary.view();
            for (partition, offset) in others {
                if known.offset(&self.connector, &partition)?.is_none() {
                    all.push((partition, offset));
                }
            }
        }
        Ok(all)
    }

    fn offset(&self, partition: &Json) -> Result<Option<Json>> {
        let own = self.primary.view().offset(&self.connector, partition)?;
        match &self.secondary {
            Some(secondary) if own.is_none() => secondary.view().offset(&self.connector, partition),
            _ => Ok(own),
        }
    }

    /// Sets (`Some`) and resets (`None`) offsets, for a connector that does not run. Resets reach the worker's topic first: what
    /// it has would come back otherwise (KAFKA-15018).
    ///
    /// # Errors
    /// When they could not be written.
    pub async fn alter(&self, offsets: &[(Json, Option<Json>)]) -> Result<()> {
        let entries = |store: &OffsetStore, which: fn(&Option<Json>) -> bool| -> Vec<Entry> {
            let view = store.view();
            let wanted = offsets.iter().filter(|(_, offset)| which(offset));
            wanted.map(|(partition, offset)| view.record(&self.connector, partition, offset.as_ref())).collect()
        };
        if let Some(secondary) = &self.secondary {
            secondary.topic.write(entries(secondary, Option::is_none)).await?;
        }
        self.primary.topic.write(entries(&self.primary, |_| true)).await?;
        if let Some(secondary) = &self.secondary {
            best_effort(secondary, entries(secondary, Option::is_some)).await;
        }
        Ok(())
    }

    /// Resets everything, for a connector that does not run.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn reset(&self) -> Result<()> {
        for store in self.secondary.iter().chain([&self.primary]) {
            let entries = store.view().reset_records(&self.connector);
            store.topic.write(entries).await?;
        }
        Ok(())
    }

    /// What a task looks offsets up in. Everything that was written before is known to it.
    ///
    /// # Errors
    /// As [`ConnectorOffsets::refresh`].
    pub async fn reader(&self) -> Result<Arc<dyn OffsetReader>> {
        self.refresh().await?;
        Ok(Arc::new(self.clone()))
    }

    /// Positions as records of the offsets topic.
    ///
    /// # Errors
    /// When there are more than a batch can hold.
    pub fn records(&self, positions: &[SourcePosition]) -> Result<RawBatch> {
        let mut batch = RawBatch::new();
        for Entry { key, value } in self.entries(&self.primary, positions) {
            batch.push(&RawRecord::new(self.topic(), Some(&key), value.as_deref()))?;
        }
        Ok(batch)
    }

    /// Lets the worker's topic know of positions that are durable in the connector's own. Returns at once; failures are logged.
    pub fn mirror(&self, positions: &[SourcePosition]) {
        let Some(secondary) = self.secondary.clone().filter(|_| !positions.is_empty()) else { return };
        let entries = self.entries(&secondary, positions);
        tokio::spawn(async move { best_effort(&secondary, entries).await });
    }

    fn entries(&self, store: &OffsetStore, positions: &[SourcePosition]) -> Vec<Entry> {
        let view = store.view();
        let entry =
            |position: &SourcePosition| view.record(&self.connector, &position.partition, Some(&position.offset));
        positions.iter().map(entry).collect()
    }
}

async fn best_effort(store: &OffsetStore, entries: Vec<Entry>) {
    if let Err(error) = store.topic.write(entries).await {
        tracing::warn!(%error, "offsets could not be written to the worker's topic; the connector's own has them");
    }
}

#[async_trait]
impl OffsetReader for ConnectorOffsets {
    async fn offset(&self, partition: &Json) -> Result<Option<Json>> {
        ConnectorOffsets::offset(self, partition).map_err(|error: Error| error.with("topic", self.topic()))
    }
}

/// Collects positions and writes them to the topic.
pub struct OffsetWriter {
    offsets: ConnectorOffsets,
    producer: Arc<dyn Producer>,
    staged: Vec<SourcePosition>,
}

impl OffsetWriter {
    /// Writes offsets of a connector with a producer of its own.
    #[must_use]
    pub fn new(offsets: ConnectorOffsets, producer: Arc<dyn Producer>) -> Self {
        Self { offsets, producer, staged: Vec::new() }
    }

    /// Whose offsets it writes.
    #[must_use]
    pub fn offsets(&self) -> &ConnectorOffsets {
        &self.offsets
    }

    /// Positions whose records are durable; later ones of a partition replace earlier ones.
    pub fn stage(&mut self, positions: Vec<SourcePosition>) {
        for position in positions {
            match self.staged.iter_mut().find(|staged| staged.partition == position.partition) {
                Some(staged) => staged.offset = position.offset,
                None => self.staged.push(position),
            }
        }
    }

    /// Makes the staged positions durable.
    ///
    /// # Errors
    /// When they could not be written; they stay staged.
    pub async fn flush(&mut self) -> Result<()> {
        let records = self.offsets.records(&self.staged)?;
        for result in self.producer.send(&records).await? {
            result?;
        }
        self.offsets.mirror(&self.staged);
        self.staged.clear();
        Ok(())
    }
}
