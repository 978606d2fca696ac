//! Reading a topic: to the end, and on.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_api::Result;
use millrace_api::batch::raw::RawRecords;
use millrace_api::config::Props;
use millrace_api::log::{Consumer, ConsumerOptions, Event, Log, Subscription, TopicPartition};
use tokio::sync::{mpsc, oneshot};

use super::{Delivery, Item, Received, TopicOptions};
use crate::task::Backoff;

/// Bytes fetched ahead.
const BUFFER: usize = 1 << 20;
const MAX_RECORDS: usize = 1_000;

/// Somebody waits until these offsets are reached.
pub(super) struct Wait {
    pub(super) ends: BTreeMap<i32, i64>,
    pub(super) reached: oneshot::Sender<()>,
}

/// Where reading stands.
pub(super) struct Tail {
    log: Arc<dyn Log>,
    topic: String,
    client_id: String,
    overrides: Props,
    consumer: Option<Box<dyn Consumer>>,
    /// The next offset of each partition.
    positions: BTreeMap<i32, i64>,
    waiting: Vec<Wait>,
    /// What was there when the topic was opened, until it has been read.
    initial: Option<BTreeMap<i32, i64>>,
    deliver: mpsc::Sender<Item>,
    backoff: Backoff,
    warned: bool,
}

/// Nobody takes deliveries any more.
struct Closed;

impl Tail {
    pub(super) async fn open(
        log: Arc<dyn Log>,
        options: &TopicOptions,
        bounds: &[(i64, i64)],
        deliver: mpsc::Sender<Item>,
    ) -> Result<Self> {
        let partitions =
            |pick: fn(&(i64, i64)) -> i64| (0..).zip(bounds.iter().map(pick)).collect::<BTreeMap<i32, i64>>();
        let mut tail = Self {
            log,
            topic: options.name.clone(),
            client_id: options.client_id.clone(),
            overrides: options.consumer.clone(),
            consumer: None,
            positions: partitions(|(begin, _)| *begin),
            waiting: Vec::new(),
            initial: Some(partitions(|(_, end)| *end)),
            deliver,
            backoff: Backoff::default(),
            warned: false,
        };
        tail.consumer = Some(tail.consume().await?);
        Ok(tail)
    }

    /// A consumer from where reading stands, of committed records only.
    async fn consume(&mut self) -> Result<Box<dyn Consumer>> {
        let from = self.positions.iter();
        let from =
            from.map(|(partition, offset)| (TopicPartition::new(self.topic.as_str(), *partition), *offset)).collect();
        let mut options = ConsumerOptions::new(&self.client_id, "", Subscription::Assign(from));
        options.max_records = MAX_RECORDS;
        options.buffer_bytes = BUFFER;
        options.end_events = true;
        options.overrides.clone_from(&self.overrides);
        self.log.consumer(options).await
    }

    /// Reads until nobody wants it.
    pub(super) async fn run(mut self, mut waits: mpsc::UnboundedReceiver<Wait>) {
        while self.reached().await.is_ok() {
            tokio::select! {
                event = next(&mut self.consumer) => match event {
                    Ok(event) => {
                        if self.handle(event).await.is_err() {
                            break;
                        }
                    }
                    Err(error) => self.failed(&error).await,
                },
                wait = waits.recv() => match wait {
                    Some(wait) => self.waiting.push(wait),
                    None => break,
                },
            }
        }
        if let Some(consumer) = self.consumer.take() {
            consumer.close().await;
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), Closed> {
        if std::mem::take(&mut self.warned) {
            tracing::info!(topic = self.topic, "an internal topic is being read again");
        }
        self.backoff.reset();
        match event {
            Event::Records(records) => {
                let received = self.take(&*records);
                self.send(Item::Delivery(Delivery::Records(received))).await?;
            }
            Event::EndOfPartition { partition, offset } => self.advance(partition.partition, offset),
            Event::Assigned(_) | Event::Revoked { .. } => {}
        }
        Ok(())
    }

    /// Records that were not read before; a consumer that was opened again may come back to some.
    fn take(&mut self, records: &dyn RawRecords) -> Vec<Received> {
        let mut received = Vec::with_capacity(records.len());
        for index in 0..records.len() {
            let Some(record) = records.get(index) else { break };
            if self.positions.get(&record.partition).is_some_and(|position| record.offset < *position) {
                continue;
            }
            self.advance(record.partition, record.offset + 1);
            received.push(Received {
                key: record.key.map(<[u8]>::to_vec).unwrap_or_default(),
                value: record.value.map(<[u8]>::to_vec),
                partition: record.partition,
                offset: record.offset,
            });
        }
        received
    }

    fn advance(&mut self, partition: i32, offset: i64) {
        let position = self.positions.entry(partition).or_insert(offset);
        *position = offset.max(*position);
    }

    /// The log is out of reach, or the consumer has ended; either way reading goes on where it stands.
    async fn failed(&mut self, error: &millrace_api::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(topic = self.topic, %error, "an internal topic cannot be read, trying again");
        }
        self.backoff.wait().await;
        if !error.is_retriable() || self.consumer.is_none() {
            self.consumer = None;
            match self.consume().await {
                Ok(consumer) => self.consumer = Some(consumer),
                Err(error) => {
                    tracing::debug!(topic = self.topic, %error, "an internal topic cannot be opened again yet");
                }
            }
        }
    }

    /// Tells those who wait for what has been read by now, in order with the records.
    async fn reached(&mut self) -> Result<(), Closed> {
        if self.initial.take_if(|ends| is_reached(&self.positions, ends)).is_some() {
            self.send(Item::Delivery(Delivery::CaughtUp)).await?;
        }
        let positions = &self.positions;
        let reached: Vec<Wait> = self.waiting.extract_if(.., |wait| is_reached(positions, &wait.ends)).collect();
        for wait in reached {
            self.send(Item::Marker(wait.reached)).await?;
        }
        Ok(())
    }

    async fn send(&mut self, item: Item) -> Result<(), Closed> {
        self.deliver.send(item).await.map_err(|_| Closed)
    }
}

/// Partitions that the topic did not have when it was opened are not read, as in Kafka Connect.
fn is_reached(positions: &BTreeMap<i32, i64>, ends: &BTreeMap<i32, i64>) -> bool {
    ends.iter().all(|(partition, end)| positions.get(partition).is_none_or(|position| position >= end))
}

async fn next(consumer: &mut Option<Box<dyn Consumer>>) -> Result<Event> {
    match consumer {
        Some(consumer) => consumer.next().await,
        None => Err(millrace_api::Error::retriable("the topic is not open")),
    }
}
