//! Transactions. librdkafka's calls block, so they run on blocking threads; they go on when the caller stops waiting, and the next
//! call waits for them.

use std::sync::Arc;

use millrace_api::error::{Error, ErrorKind, Result};
use millrace_api::log::{CONTROL_TIMEOUT, GroupMetadata, Offsets};
use rdkafka::error::KafkaResult;
use rdkafka::producer::{BaseProducer, Producer};

use super::{KafkaProducer, Native, Reports};
use crate::consumer::Member;
use crate::{error, list};

impl KafkaProducer {
    pub(super) async fn init_transactions(&self) -> Result<()> {
        self.blocking("open a transactional producer", |producer| producer.init_transactions(CONTROL_TIMEOUT)).await
    }

    pub(super) async fn begin_transaction(&self) -> Result<()> {
        self.check_transactional()?;
        self.blocking("begin a transaction", BaseProducer::begin_transaction).await
    }

    pub(super) async fn send_offsets_to_transaction(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()> {
        self.check_transactional()?;
        let group = Arc::clone(&group.0).downcast::<Member>().map_err(|_| {
            Error::new(ErrorKind::Fenced, "the consumer whose offsets are to be committed has left its group")
        })?;
        group.check_assigned(offsets)?;
        let offsets = list::offsets(offsets.iter().map(|(partition, offset)| (partition, *offset)))?;
        self.blocking("add offsets to a transaction", move |producer| {
            producer.send_offsets_to_transaction(&offsets, group.metadata(), CONTROL_TIMEOUT)
        })
        .await
    }

    pub(super) async fn commit_transaction(&self) -> Result<()> {
        self.check_transactional()?;
        self.blocking("commit a transaction", |producer| producer.commit_transaction(CONTROL_TIMEOUT)).await
    }

    pub(super) async fn abort_transaction(&self) -> Result<()> {
        self.check_transactional()?;
        self.blocking("abort a transaction", |producer| producer.abort_transaction(CONTROL_TIMEOUT)).await
    }

    fn check_transactional(&self) -> Result<()> {
        if self.transactional {
            return Ok(());
        }
        Err(Error::internal("a producer without a transactional id was asked for a transaction"))
    }

    async fn blocking(
        &self,
        what: &'static str,
        call: impl FnOnce(&BaseProducer<Reports>) -> KafkaResult<()> + Send + 'static,
    ) -> Result<()> {
        let native: Arc<Native> = Arc::clone(&self.native);
        let result = tokio::task::spawn_blocking(move || call(native.base())).await.map_err(error::unanswered)?;
        result.map_err(|failure| self.fatal().unwrap_or_else(|| error::of_kafka(&failure, what)))
    }
}
