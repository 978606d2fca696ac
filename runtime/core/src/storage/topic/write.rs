//! Writing to a topic.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::config::Props;
use millrace_api::log::{Appended, Log, Producer, ProducerOptions};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Entry, TopicOptions, Written};
use crate::task::Backoff;

/// How long a write is tried (`READ_WRITE_TOTAL_TIMEOUT_MS`).
const DEADLINE: Duration = Duration::from_secs(30);
/// Most writes that share one request.
const TOGETHER: usize = 256;

struct Write {
    entries: Vec<Entry>,
    deadline: Instant,
    done: oneshot::Sender<Result<Written>>,
}

/// Queues writes, so that they keep their order also when some are tried again.
pub(super) struct Writer {
    topic: String,
    queue: mpsc::UnboundedSender<Write>,
}

impl Writer {
    /// The queue, and what works it off.
    pub(super) fn new(log: Arc<dyn Log>, options: &TopicOptions) -> (Self, impl Future<Output = ()> + use<>) {
        let (queue, writes) = mpsc::unbounded_channel();
        let work = Work {
            log,
            topic: options.name.clone(),
            client_id: options.client_id.clone(),
            overrides: options.producer.clone(),
            producer: None,
        };
        (Self { topic: options.name.clone(), queue }, work.run(writes))
    }

    pub(super) async fn write(&self, entries: Vec<Entry>) -> Result<Written> {
        if entries.is_empty() {
            return Ok(Written::default());
        }
        let (done, answer) = oneshot::channel();
        let closed =
            || Error::new(ErrorKind::Cancelled, "the topic is no longer written to").with("topic", &self.topic);
        self.queue.send(Write { entries, deadline: Instant::now() + DEADLINE, done }).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

struct Work {
    log: Arc<dyn Log>,
    topic: String,
    client_id: String,
    overrides: Props,
    producer: Option<Arc<dyn Producer>>,
}

impl Work {
    async fn run(mut self, mut writes: mpsc::UnboundedReceiver<Write>) {
        let mut next = Vec::new();
        while writes.recv_many(&mut next, TOGETHER).await > 0 {
            self.write(&mut next).await;
            next.clear();
        }
    }

    /// Writes what was queued. Behind the first write that failed for now all are tried again: of records with the same key the last
    /// must stay the last.
    async fn write(&mut self, writes: &mut Vec<Write>) {
        let mut backoff = Backoff::default();
        loop {
            let results = self.send(writes).await;
            let mut results = results.into_iter();
            let mut again: Option<Error> = None;
            let now = Instant::now();
            writes.retain_mut(|write| {
                let result = results.next().unwrap_or_else(|| Ok(Written::default()));
                let result = match (result, &again) {
                    (Err(error), _) if error.is_retriable() && now < write.deadline => {
                        again.get_or_insert(error);
                        return true;
                    }
                    (Ok(_), Some(_)) if now < write.deadline => return true,
                    (result, _) => result,
                };
                let (done, _) = oneshot::channel();
                // Who asked may have stopped waiting.
                let _ = std::mem::replace(&mut write.done, done).send(result.map_err(|error| self.failed(error)));
                false
            });
            let Some(error) = again else { return };
            tracing::debug!(topic = self.topic, %error, "records of an internal topic are not written yet, trying again");
            backoff.wait().await;
        }
    }

    /// What became of each write.
    async fn send(&mut self, writes: &[Write]) -> Vec<Result<Written>> {
        let all = |error: &Error| writes.iter().map(|_| Err(copy(error))).collect::<Vec<Result<Written>>>();
        let last = writes.iter().map(|write| write.deadline).max().unwrap_or_else(Instant::now);
        let producer = match self.producer().await {
            Ok(producer) => producer,
            Err(error) => return all(&error),
        };
        let batch = match batch(&self.topic, writes.iter().flat_map(|write| &write.entries)) {
            Ok(batch) => batch,
            Err(error) => return all(&error),
        };
        let sent = match timeout_at(last, producer.send(&batch)).await {
            Ok(sent) => sent,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "the log did not take the records in time")),
        };
        let mut results = match sent {
            Ok(results) => results.into_iter(),
            Err(error) => {
                if !error.is_retriable() {
                    self.producer = None;
                }
                return all(&error);
            }
        };
        let of_write = |write: &Write| {
            let results: Vec<_> = results.by_ref().take(write.entries.len()).collect();
            written(results)
        };
        writes.iter().map(of_write).collect()
    }

    async fn producer(&mut self) -> Result<Arc<dyn Producer>> {
        if let Some(producer) = &self.producer {
            return Ok(Arc::clone(producer));
        }
        let options = ProducerOptions {
            client_id: self.client_id.clone(),
            overrides: self.overrides.clone(),
            ..ProducerOptions::default()
        };
        let producer: Arc<dyn Producer> = Arc::from(self.log.producer(options).await?);
        self.producer = Some(Arc::clone(&producer));
        Ok(producer)
    }

    fn failed(&self, error: Error) -> Error {
        let message = "records of an internal topic could not be written";
        Error::new(error.kind(), message).with("topic", &self.topic).because(error)
    }
}

/// The one who has claimed the topic.
pub(super) struct Fenced {
    log: Arc<dyn Log>,
    topic: String,
    client_id: String,
    overrides: Props,
    producer: Mutex<Option<Box<dyn Producer>>>,
}

impl Fenced {
    pub(super) fn new(log: Arc<dyn Log>, options: &TopicOptions) -> Self {
        Self {
            log,
            topic: options.name.clone(),
            client_id: format!("{}-leader", options.client_id),
            overrides: options.producer.clone(),
            producer: Mutex::new(None),
        }
    }

    pub(super) async fn claim(&self, transactional_id: &str) -> Result<()> {
        let mut producer = self.producer.lock().await;
        if producer.is_none() {
            let options = ProducerOptions {
                client_id: self.client_id.clone(),
                transactional_id: Some(transactional_id.to_owned()),
                overrides: self.overrides.clone(),
            };
            *producer = Some(self.log.producer(options).await?);
        }
        Ok(())
    }

    /// Any failure gives the claim up, as in Kafka Connect: whoever claims next settles what was left open.
    pub(super) async fn write(&self, entries: Vec<Entry>) -> Result<Written> {
        let mut producer = self.producer.lock().await;
        let Some(claimed) = producer.take() else {
            let message = "the topic was not claimed, or another worker has claimed it since";
            return Err(Error::new(ErrorKind::Fenced, message).with("topic", &self.topic));
        };
        let records = batch(&self.topic, &entries)?;
        let written = tokio::time::timeout(DEADLINE, transact(&*claimed, &records)).await;
        let written =
            written.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "the log did not take the records in time")));
        if written.is_ok() {
            *producer = Some(claimed);
        }
        written.map_err(|error| {
            let message = "records of an internal topic could not be written by its only writer";
            Error::new(error.kind(), message).with("topic", &self.topic).because(error)
        })
    }
}

/// Commits until it is known that it is committed; gives up otherwise.
async fn transact(producer: &dyn Producer, records: &RawBatch) -> Result<Written> {
    producer.begin().await?;
    let written = written(producer.send(records).await?)?;
    let mut backoff = Backoff::default();
    while let Err(error) = producer.commit().await {
        if !error.is_retriable() {
            return Err(error);
        }
        backoff.wait().await;
    }
    Ok(written)
}

/// Where all of them are, or the first error.
fn written(results: impl IntoIterator<Item = Result<Appended>>) -> Result<Written> {
    let mut written = Written::default();
    for result in results {
        written.record(result?);
    }
    Ok(written)
}

fn batch<'a>(topic: &str, entries: impl IntoIterator<Item = &'a Entry>) -> Result<RawBatch> {
    let mut batch = RawBatch::new();
    for entry in entries {
        batch.push(&RawRecord::new(topic, Some(&entry.key), entry.value.as_deref()))?;
    }
    Ok(batch)
}

/// The same error for another caller.
fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}
