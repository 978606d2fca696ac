//! Transactions. librdkafka's calls block, so they run on blocking threads; they go on when the caller stops waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millrace_api::error::{Error, ErrorKind, Result};
use millrace_api::log::{CONTROL_TIMEOUT, GroupMetadata, Offsets};
use rdkafka::error::{KafkaError, KafkaResult};
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

    /// Only what is worth asking again is retriable: not what aborts the transaction.
    pub(super) async fn commit_transaction(&self) -> Result<()> {
        self.check_transactional()?;
        let what = "commit a transaction";
        let result = self.native_call(what, |producer| producer.commit_transaction(CONTROL_TIMEOUT)).await?;
        result.map_err(|failure| self.failed(&failure, what, true))
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
        self.native_call(what, call).await?.map_err(|failure| self.failed(&failure, what, false))
    }

    /// Calls librdkafka, which keeps its own deadlines. One that does not is given up: nothing else can be asked of that producer
    /// then, and the next one with its transactional id aborts what it left open.
    async fn native_call(
        &self,
        what: &str,
        call: impl FnOnce(&BaseProducer<Reports>) -> KafkaResult<()> + Send + 'static,
    ) -> Result<KafkaResult<()>> {
        if self.stuck.load(Ordering::Relaxed) {
            return Err(stuck(what));
        }
        let native: Arc<Native> = Arc::clone(&self.native);
        let call = tokio::task::spawn_blocking(move || call(native.base()));
        let Ok(answer) = tokio::time::timeout(CONTROL_TIMEOUT * 2, call).await else {
            self.stuck.store(true, Ordering::Relaxed);
            return Err(stuck(what));
        };
        answer.map_err(error::unanswered)
    }

    fn failed(&self, failure: &KafkaError, what: &str, is_commit: bool) -> Error {
        self.fatal().unwrap_or_else(|| match failure {
            KafkaError::Transaction(failure) => error::of_transaction(failure, what, is_commit),
            failure => error::of_kafka(failure, what),
        })
    }
}

fn stuck(what: &str) -> Error {
    Error::external(format!("Kafka's client does not answer a request to {what}; open another producer"))
}
