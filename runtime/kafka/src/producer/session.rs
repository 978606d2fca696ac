//! One native producer. Its reports are served by a thread of its own, which ends with it.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::batch::raw::RawRecords;
use millrace_api::error::{Error, ErrorKind, Result};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use tokio::sync::Notify;

use crate::client::{self, Serving};
use crate::error;
use crate::ffi::delivery::{HandOver, Ticket};
use crate::ffi::produce::TopicProducer;
use crate::refusals::Refusals;

/// How long a send waits for room before it looks again, in case the report that made room was missed.
const ROOM_WAIT: Duration = Duration::from_millis(50);

/// A native producer and its thread.
pub(super) struct Session {
    native: Arc<Native>,
    _serving: Serving,
}

type Native = TopicProducer<Reports>;

/// Receives what librdkafka reports.
#[derive(Default)]
pub(super) struct Reports {
    /// Told when a record left librdkafka's queue.
    room: Notify,
    /// What brokers refuse.
    pub(super) refusals: Refusals,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.refusals.note(&error, reason);
        client::log_error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Ticket;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Ticket) {
        if result.is_ok() {
            self.refusals.clear();
        }
        ticket.resolve(match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        });
        self.room.notify_one();
    }
}

impl Session {
    /// Opens a native producer. Connecting happens later.
    pub(super) fn open(config: &ClientConfig) -> Result<Self> {
        let base: BaseProducer<Reports> = config
            .create_with_context(Reports::default())
            .map_err(|error| error::of_kafka(&error, "open a producer"))?;
        let native = Arc::new(TopicProducer::new(base));
        let serving = client::serve("kafka-producer", &native, |native: &Native, wait| native.base().poll(wait))?;
        Ok(Self { native, _serving: serving })
    }

    /// The safe part.
    pub(super) fn base(&self) -> &BaseProducer<Reports> {
        self.native.base()
    }

    /// What brokers refuse.
    pub(super) fn refusals(&self) -> &Refusals {
        &self.base().context().refusals
    }

    /// Hands a record over, waiting for room as long as it takes.
    ///
    /// # Errors
    /// When no record can be sent any more, or none now.
    pub(super) async fn hand_over(&self, records: &dyn RawRecords, index: usize, to: &HandOver) -> Result<()> {
        let Some(record) = records.get(index) else { return Ok(()) };
        while let Some(ticket) = to.ticket(index) {
            let Err((failure, ticket)) = self.native.enqueue(&record, ticket) else { break };
            if failure.code == Code::QueueFull {
                ticket.keep();
                let _ = tokio::time::timeout(ROOM_WAIT, self.base().context().room.notified()).await;
                continue;
            }
            ticket.resolve(Err(failure.code));
            if let Some(fatal) = self.fatal() {
                return Err(fatal);
            }
            // Records may not be sent now: outside of a transaction, or after what aborts it.
            if failure.code == Code::State {
                return Err(error::of_failure(&failure, "send records"));
            }
            break;
        }
        Ok(())
    }

    /// The error after which this producer can do nothing more.
    pub(super) fn fatal(&self) -> Option<Error> {
        let (code, reason) = self.base().client().fatal_error()?;
        let kind = match error::kind(code) {
            ErrorKind::Fenced => ErrorKind::Fenced,
            _ => ErrorKind::External,
        };
        Some(Error::new(kind, format!("the Kafka producer can send nothing more: {reason}")))
    }
}
