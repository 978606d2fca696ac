//! A producer that is opened when there is something to send: a client of Kafka has threads and buffers, which an idle source should
//! not cost.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_api::Result;
use millrace_api::batch::raw::RawRecords;
use millrace_api::log::{Appended, GroupMetadata, Log, Offsets, Producer, ProducerOptions};
use tokio::sync::OnceCell;

/// For a source without transactions: opening a transactional producer has an effect of its own.
pub struct LazyProducer {
    log: Arc<dyn Log>,
    options: ProducerOptions,
    opened: OnceCell<Box<dyn Producer>>,
}

impl LazyProducer {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, options: ProducerOptions) -> Self {
        Self { log, options, opened: OnceCell::new() }
    }

    async fn producer(&self) -> Result<&dyn Producer> {
        let opened = self.opened.get_or_try_init(|| self.log.producer(self.options.clone())).await?;
        Ok(&**opened)
    }
}

#[async_trait]
impl Producer for LazyProducer {
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
        self.producer().await?.send(records).await
    }

    async fn begin(&self) -> Result<()> {
        self.producer().await?.begin().await
    }

    async fn send_offsets(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()> {
        self.producer().await?.send_offsets(group, offsets).await
    }

    async fn commit(&self) -> Result<()> {
        self.producer().await?.commit().await
    }

    async fn abort(&self) -> Result<()> {
        self.producer().await?.abort().await
    }
}
