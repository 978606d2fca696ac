//! Producers: idempotent always, transactional when given an id.

mod config;
mod session;
mod transaction;

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use millrace_api::batch::raw::RawRecords;
use millrace_api::error::{Error, ErrorKind, Result};
use millrace_api::log::{Appended, GroupMetadata, Offsets, Producer, ProducerOptions};
use tokio::sync::Mutex;

use crate::client::{self, ClientProps};
use crate::error;
use crate::ffi::delivery::{Delivery, Outcome};

pub(crate) use config::check;
use session::Session;
use transaction::Transactions;

/// A producer.
pub(crate) struct KafkaProducer {
    /// Replaced when librdkafka does not come back from a call; see [`transaction`].
    session: RwLock<Arc<Session>>,
    /// Sends hand over one after the other, so that records of one producer keep their order per partition.
    turn: Mutex<()>,
    /// With a transactional id.
    transactions: Option<Transactions>,
}

impl KafkaProducer {
    /// Opens a producer; with a transactional id this waits until the producer before it is fenced.
    pub(crate) async fn open(bootstrap: &str, worker: &ClientProps, options: ProducerOptions) -> Result<Self> {
        let config = config::config(bootstrap, worker, &options)?;
        let native = config.clone();
        let session = Arc::new(client::create(move || Session::open(&native)).await?);
        if options.transactional_id.is_some() {
            transaction::init(&session).await?;
        }
        let transactions = options.transactional_id.map(|_| Transactions::new(config));
        Ok(Self { session: RwLock::new(session), turn: Mutex::default(), transactions })
    }

    fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Producer for KafkaProducer {
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
        let session = self.session();
        let hand_over = Delivery::begin(records.len());
        let delivery = hand_over.delivery();
        let turn = self.turn.lock().await;
        let sent = session.refusals().or(async {
            for index in 0..records.len() {
                session.hand_over(records, index, &hand_over).await?;
            }
            drop((turn, hand_over));
            delivery.finished().await;
            Ok(())
        });
        sent.await??;
        let appended: Vec<_> = delivery.outcomes().map(appended).collect();
        match appended.iter().filter_map(|result| result.as_ref().err()).find(|error| ends_all(error)) {
            Some(error) => Err(session.fatal().unwrap_or_else(|| Error::new(error.kind(), error.message().to_owned()))),
            None => Ok(appended),
        }
    }

    async fn begin(&self) -> Result<()> {
        self.begin_transaction().await
    }

    async fn send_offsets(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()> {
        self.send_offsets_to_transaction(group, offsets).await
    }

    async fn commit(&self) -> Result<()> {
        self.commit_transaction().await
    }

    async fn abort(&self) -> Result<()> {
        self.abort_transaction().await
    }
}

fn appended(outcome: Outcome) -> Result<Appended> {
    match outcome {
        Ok((partition, offset)) => Ok(Appended { partition, offset }),
        Err(code) => {
            let error = error::of_code(code, "append a record");
            // An illegal topic name is a setting's fault in general, and the record's own here.
            Err(if error.kind() == ErrorKind::Config { Error::data(error.message().to_owned()) } else { error })
        }
    }
}

/// Whether a record was refused for a reason that refuses all others too.
fn ends_all(error: &Error) -> bool {
    error.kind() == ErrorKind::Fenced
}
