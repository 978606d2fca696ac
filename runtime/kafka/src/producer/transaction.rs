//! Transactions. librdkafka's calls block, so they run on other threads; they go on when the caller stops waiting.
//!
//! One of them may never come back: when the coordinator of a group goes away while offsets are added to a transaction, librdkafka
//! (2.12, issues 5456 and 5511) can wait for some connection to open or close, without regard to deadlines. The producer is then
//! replaced by another with the same transactional id, which aborts what was open, and the caller is told to begin again. The old one
//! stays until librdkafka lets go of it; brokers refuse whatever it may still send.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use millrace_api::error::{Error, ErrorKind, Result};
use millrace_api::log::{CONTROL_TIMEOUT, GroupMetadata, Offsets};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer};

use super::KafkaProducer;
use super::session::{Reports, Session};
use crate::consumer::Member;
use crate::{client, error, list};

/// How long adding offsets may take. Finding a group's new coordinator takes seconds.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(10);
/// How much later than its deadline a call may come back.
const GRACE: Duration = Duration::from_secs(5);

/// What transactions need beside the session.
pub(super) struct Transactions {
    /// To open another session.
    config: ClientConfig,
    /// The session was replaced within a transaction: there is nothing left to abort, and nothing to commit.
    replaced: AtomicBool,
}

impl Transactions {
    pub(super) fn new(config: ClientConfig) -> Self {
        Self { config, replaced: AtomicBool::new(false) }
    }
}

/// Fences producers before this one and aborts what they left open.
pub(super) async fn init(session: &Arc<Session>) -> Result<()> {
    let what = "open a transactional producer";
    let answer = call(session, CONTROL_TIMEOUT, |producer| producer.init_transactions(CONTROL_TIMEOUT)).await?;
    answer.unwrap_or(Err(KafkaError::Canceled)).map_err(|failure| failed(session, &failure, what, false))
}

impl KafkaProducer {
    pub(super) async fn begin_transaction(&self) -> Result<()> {
        self.transactions()?.replaced.store(false, Ordering::Relaxed);
        self.blocking("begin a transaction", BaseProducer::begin_transaction).await
    }

    pub(super) async fn send_offsets_to_transaction(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()> {
        let transactions = self.transactions()?;
        let group = Arc::clone(&group.0).downcast::<Member>().map_err(|_| {
            Error::new(ErrorKind::Fenced, "the consumer whose offsets are to be committed has left its group")
        })?;
        group.check_assigned(offsets)?;
        let offsets = list::offsets(offsets.iter().map(|(partition, offset)| (partition, *offset)))?;
        let what = "add offsets to a transaction";
        let session = self.session();
        let answer = call(&session, OFFSETS_TIMEOUT, move |producer| {
            producer.send_offsets_to_transaction(&offsets, group.metadata(), OFFSETS_TIMEOUT)
        });
        match answer.await? {
            Some(answer) => answer.map_err(|failure| failed(&session, &failure, what, false)),
            None => Err(self.replace(transactions).await?),
        }
    }

    /// Only what is worth asking again is retriable: not what aborts the transaction.
    pub(super) async fn commit_transaction(&self) -> Result<()> {
        if self.transactions()?.replaced.load(Ordering::Relaxed) {
            return Err(Error::external("the transaction was aborted; begin another"));
        }
        let (what, session) = ("commit a transaction", self.session());
        // The wrapper waits for reports first, with a deadline of its own.
        let deadline = CONTROL_TIMEOUT * 2;
        let answer = call(&session, deadline, |producer| producer.commit_transaction(CONTROL_TIMEOUT)).await?;
        answer.ok_or_else(|| stuck(what))?.map_err(|failure| failed(&session, &failure, what, true))
    }

    pub(super) async fn abort_transaction(&self) -> Result<()> {
        if self.transactions()?.replaced.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.blocking("abort a transaction", |producer| producer.abort_transaction(CONTROL_TIMEOUT)).await
    }

    fn transactions(&self) -> Result<&Transactions> {
        let missing = || Error::internal("a producer without a transactional id was asked for a transaction");
        self.transactions.as_ref().ok_or_else(missing)
    }

    async fn blocking(
        &self,
        what: &'static str,
        native: impl FnOnce(&BaseProducer<Reports>) -> KafkaResult<()> + Send + 'static,
    ) -> Result<()> {
        let session = self.session();
        let answer = call(&session, CONTROL_TIMEOUT, native).await?;
        answer.ok_or_else(|| stuck(what))?.map_err(|failure| failed(&session, &failure, what, false))
    }

    /// Replaces the session and returns the error for the call that got stuck.
    async fn replace(&self, transactions: &Transactions) -> Result<Error> {
        tracing::warn!("a group's coordinator is not found in time; the transaction is aborted by another producer");
        let config = transactions.config.clone();
        let session = Arc::new(client::create(move || Session::open(&config)).await?);
        init(&session).await?;
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
        transactions.replaced.store(true, Ordering::Relaxed);
        Ok(Error::retriable("Kafka did not add offsets to a transaction in time; the transaction was aborted"))
    }
}

async fn call(
    session: &Arc<Session>,
    deadline: Duration,
    native: impl FnOnce(&BaseProducer<Reports>) -> KafkaResult<()> + Send + 'static,
) -> Result<Option<KafkaResult<()>>> {
    let called = Arc::clone(session);
    session.refusals().or(client::call(deadline + GRACE, move || native(called.base()))).await?
}

fn failed(session: &Session, failure: &KafkaError, what: &str, is_commit: bool) -> Error {
    session.fatal().unwrap_or_else(|| match failure {
        KafkaError::Transaction(failure) => error::of_transaction(failure, what, is_commit),
        KafkaError::Canceled => stuck(what),
        failure => error::of_kafka(failure, what),
    })
}

fn stuck(what: &str) -> Error {
    Error::external(format!("Kafka's client did not answer a request to {what} in time; open another producer"))
}
