//! Producers: idempotent always, transactional when given an id.

mod transaction;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::batch::raw::RawRecords;
use millrace_api::config::Props;
use millrace_api::error::{Error, ErrorKind, Result};
use millrace_api::log::{Appended, GroupMetadata, Offsets, Producer, ProducerOptions};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use tokio::sync::{Mutex, Notify};

use crate::allow::Role;
use crate::client::{self, ClientProps, Serving};
use crate::error;
use crate::ffi::delivery::{Delivery, HandOver, Outcome, Ticket};
use crate::ffi::produce::TopicProducer;

/// How long a send waits for room before it looks again, in case the report that made room was missed.
const ROOM_WAIT: Duration = Duration::from_millis(50);

/// Longest that a transactional producer keeps a connection it does not use.
const MAX_IDLE_MS: i64 = 8_000;

/// A producer. Its reports are served by a thread of its own, which ends with it.
pub(crate) struct KafkaProducer {
    native: Arc<Native>,
    /// Sends hand over one after the other, so that records of one producer keep their order per partition.
    turn: Mutex<()>,
    transactional: bool,
    /// librdkafka did not come back from a call.
    stuck: AtomicBool,
    _serving: Serving,
}

type Native = TopicProducer<Reports>;

/// Receives what librdkafka reports.
#[derive(Default)]
struct Reports {
    /// Told when a record left librdkafka's queue.
    room: Notify,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::log_error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Ticket;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Ticket) {
        ticket.resolve(match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        });
        self.room.notify_one();
    }
}

impl KafkaProducer {
    /// Opens a producer; with a transactional id this waits until the producer before it is fenced.
    pub(crate) async fn open(bootstrap: &str, worker: &ClientProps, options: ProducerOptions) -> Result<Self> {
        let config = config(bootstrap, worker, &options)?;
        let base: BaseProducer<Reports> = config
            .create_with_context(Reports::default())
            .map_err(|error| error::of_kafka(&error, "open a producer"))?;
        let native = Arc::new(TopicProducer::new(base));
        let serving = client::serve("kafka-producer", &native, |native: &Native, wait| native.base().poll(wait))?;
        let transactional = options.transactional_id.is_some();
        let producer =
            Self { native, turn: Mutex::default(), transactional, stuck: AtomicBool::new(false), _serving: serving };
        if transactional {
            producer.init_transactions().await?;
        }
        Ok(producer)
    }

    /// Hands a record over, waiting for room as long as it takes.
    async fn hand_over(&self, records: &dyn RawRecords, index: usize, to: &HandOver) -> Result<()> {
        let Some(record) = records.get(index) else { return Ok(()) };
        while let Some(ticket) = to.ticket(index) {
            let Err((failure, ticket)) = self.native.enqueue(&record, ticket) else { break };
            match failure.code {
                Code::QueueFull => {
                    ticket.keep();
                    let room = self.native.base().context().room.notified();
                    let _ = tokio::time::timeout(ROOM_WAIT, room).await;
                }
                Code::Fatal => {
                    ticket.resolve(Err(failure.code));
                    return Err(self.fatal().unwrap_or_else(|| error::of_failure(&failure, "send records")));
                }
                Code::State if self.transactional => {
                    ticket.resolve(Err(failure.code));
                    return Err(error::of_failure(&failure, "send records outside of a transaction"));
                }
                code => {
                    ticket.resolve(Err(code));
                    break;
                }
            }
        }
        Ok(())
    }

    /// The error after which this producer can do nothing more.
    fn fatal(&self) -> Option<Error> {
        let (code, reason) = self.native.base().client().fatal_error()?;
        let kind = match error::kind(code) {
            ErrorKind::Fenced => ErrorKind::Fenced,
            _ => ErrorKind::External,
        };
        Some(Error::new(kind, format!("the Kafka producer can send nothing more: {reason}")))
    }
}

#[async_trait]
impl Producer for KafkaProducer {
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
        let hand_over = Delivery::begin(records.len());
        let delivery = hand_over.delivery();
        let turn = self.turn.lock().await;
        for index in 0..records.len() {
            self.hand_over(records, index, &hand_over).await?;
        }
        drop((turn, hand_over));
        delivery.finished().await;
        let appended: Vec<_> = delivery.outcomes().map(appended).collect();
        if appended.iter().all(Result::is_ok) {
            return Ok(appended);
        }
        if let Some(fatal) = self.fatal() {
            return Err(fatal);
        }
        let fenced = |result: &Result<Appended>| result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Fenced);
        if let Some(position) = appended.iter().position(fenced) {
            return appended
                .into_iter()
                .nth(position)
                .map_or_else(|| Ok(Vec::new()), |error| error.map(|_| Vec::new()));
        }
        Ok(appended)
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
        Err(code) => Err(error::of_code(code, "append a record")),
    }
}

/// Checks a producer's settings.
pub(crate) fn check(worker: &ClientProps) -> Result<()> {
    client::configure(Role::Producer, "", worker, &Props::new(), &[], &[]).map(drop)
}

fn config(bootstrap: &str, worker: &ClientProps, options: &ProducerOptions) -> Result<ClientConfig> {
    // Kafka's defaults where librdkafka has others.
    let defaults = [
        ("client.id", options.client_id.clone()),
        ("linger.ms", "5".to_owned()),
        ("delivery.timeout.ms", "120000".to_owned()),
        ("message.max.bytes", (1 << 20).to_string()),
        ("queue.buffering.max.kbytes", (32 << 10).to_string()),
    ];
    let mut fixed = vec![
        ("enable.idempotence", "true".to_owned()),
        ("acks", "all".to_owned()),
        ("partitioner", "murmur2_random".to_owned()),
        // The bytes above are the bound; this one only keeps floods of empty records from costing more in bookkeeping.
        ("queue.buffering.max.messages", "250000".to_owned()),
    ];
    if let Some(id) = &options.transactional_id {
        fixed.push(("transactional.id", id.clone()));
    }
    let configured = client::configure(Role::Producer, bootstrap, worker, &options.overrides, &defaults, &fixed)?;
    let mut native = configured.native;
    if native.get("max.in.flight.requests.per.connection").is_none() {
        native.set("max.in.flight.requests.per.connection", "5");
    }
    make_room(&mut native);
    if options.transactional_id.is_some() {
        cap_delivery(&mut native);
        cap_idleness(&mut native);
    }
    Ok(native)
}

fn number(native: &ClientConfig, key: &str) -> Option<i64> {
    native.get(key).and_then(|value| value.parse().ok())
}

/// A record larger than the whole queue would wait for room forever.
fn make_room(native: &mut ClientConfig) {
    let needed = number(native, "message.max.bytes").unwrap_or_default() / 1024 * 2;
    if number(native, "queue.buffering.max.kbytes").is_none_or(|room| room < needed) {
        native.set("queue.buffering.max.kbytes", needed.to_string());
    }
}

/// When a group's coordinator moves while offsets are added to a transaction, librdkafka sometimes waits for any connection to open
/// or close before it asks again, without regard to deadlines. Connections that close when idle see to that.
fn cap_idleness(native: &mut ClientConfig) {
    let idle = number(native, "connections.max.idle.ms").filter(|idle| *idle > 0).unwrap_or(MAX_IDLE_MS);
    native.set("connections.max.idle.ms", idle.min(MAX_IDLE_MS).to_string());
}

/// librdkafka wants records to be delivered within the transaction's own time.
fn cap_delivery(native: &mut ClientConfig) {
    let transaction = number(native, "transaction.timeout.ms").unwrap_or(60_000);
    if number(native, "delivery.timeout.ms").is_none_or(|delivery| delivery == 0 || delivery > transaction) {
        native.set("delivery.timeout.ms", transaction.to_string());
    }
}
