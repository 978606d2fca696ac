//! Taking a batch to the log, and again when that failed for now.

use std::sync::Arc;

use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::log::{Appended, Log, Producer};
use millrace_api::{Error, ErrorKind, Result};

use super::prepare::Prepared;
use super::topics::TopicCreation;
use super::transaction::transact;
use crate::errors::{Failure, Stage, Tolerance};
use crate::metrics::TaskMetrics;
use crate::offsets::ConnectorOffsets;
use crate::task::TaskId;

/// The class that Kafka Connect names when a producer refuses a record.
pub(super) const PRODUCING_CLASS: &str = "org.apache.kafka.connect.runtime.WorkerSourceTask";

/// The way to the log; moved to a task of its own with each batch.
pub(super) struct Sender {
    pub(super) id: TaskId,
    pub(super) producer: Arc<dyn Producer>,
    pub(super) log: Arc<dyn Log>,
    pub(super) topics: TopicCreation,
    /// Where offsets go, in the transaction of their records.
    pub(super) offsets: ConnectorOffsets,
    pub(super) exactly_once: bool,
    pub(super) tolerance: Tolerance,
    pub(super) metrics: TaskMetrics,
}

impl Sender {
    /// Writes a batch; with exactly-once also its offsets, in one transaction.
    ///
    /// What may succeed later is tried again as `errors.retry.timeout` says, and fails the task after that whatever the tolerance:
    /// a log that is out of reach is no record's fault, so nothing is skipped. Records that the log refuses for good become
    /// failures of the batch when that is tolerated. Cancel-safe in that the task may start over from the committed offsets.
    ///
    /// # Errors
    /// Why the task must fail.
    pub(super) async fn send(&mut self, prepared: &mut Prepared) -> Result<()> {
        let mut retry = self.tolerance.retry().start();
        let mut rows: Vec<usize> = (0..prepared.raw.len()).collect();
        loop {
            let Attempt { refused, from, cause } =
                self.attempt(prepared, &rows).await.map_err(|error| self.failed(error))?;
            let refused = self.refuse(prepared, &rows, refused)?;
            let Some(from) = from else {
                if self.exactly_once {
                    self.offsets.mirror(&prepared.positions);
                }
                return Ok(());
            };
            rows = rows.split_off(from.min(rows.len()));
            rows.retain(|row| refused.binary_search(row).is_err());
            if let Some(error) = cause {
                tracing::warn!(task = %self.id, %error, records = rows.len(), "records could not be written to the log");
                if !retry.wait().await {
                    return Err(self.failed(error));
                }
                self.metrics.retries.inc();
            }
        }
    }

    async fn attempt(&mut self, prepared: &Prepared, rows: &[usize]) -> Result<Attempt> {
        let topics = prepared.raw.topics().iter().map(|topic| &**topic);
        match self.topics.ensure(topics, &*self.log).await {
            Err(error) if error.is_retriable() => return Ok(Attempt::again(error)),
            ensured => ensured?,
        }
        let records = Rows { raw: &prepared.raw, rows };
        if self.exactly_once {
            let offsets = self.offsets.records(&prepared.positions)?;
            return transact(&*self.producer, &records, &offsets).await;
        }
        let mut attempt = Attempt::of(append(&*self.producer, &records).await);
        attempt.take_fatal().map_or(Ok(attempt), Err)
    }

    /// Makes refused records failures of the batch, and returns their rows in order.
    fn refuse(&self, prepared: &mut Prepared, rows: &[usize], refused: Vec<(usize, Error)>) -> Result<Vec<usize>> {
        let mut gone = Vec::with_capacity(refused.len());
        for (place, error) in refused {
            let Some(&row) = rows.get(place) else { continue };
            let origin = prepared.origins.get(row).copied().unwrap_or_default();
            let failure = Failure { origin, stage: Stage::KafkaProduce, class: Arc::from(PRODUCING_CLASS), error };
            self.tolerance.judge(&failure, None)?;
            prepared.failures.push(failure);
            gone.push(row);
        }
        Ok(gone)
    }

    fn failed(&self, error: Error) -> Error {
        Error::new(error.kind(), "records could not be written to the log")
            .with("connector", &self.id.connector)
            .with("task", self.id.task)
            .with("stage", Stage::KafkaProduce.name())
            .because(error)
    }
}

/// Appends records; none at all is no reason to ask the log.
pub(super) async fn append(producer: &dyn Producer, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
    if records.is_empty() { Ok(Vec::new()) } else { producer.send(records).await }
}

/// What became of an attempt to write records. Places are those among the records that were sent.
#[derive(Default)]
pub(super) struct Attempt {
    /// Records that can never be accepted.
    pub(super) refused: Vec<(usize, Error)>,
    /// All others from this place on are to be sent again. Those behind the first that failed are, too: a key's last record must
    /// stay the last.
    pub(super) from: Option<usize>,
    /// Why, when that is not only because of records that were refused.
    pub(super) cause: Option<Error>,
}

impl Attempt {
    /// Everything is to be sent again.
    pub(super) fn again(cause: Error) -> Self {
        Self { from: Some(0), cause: Some(cause), ..Self::default() }
    }

    pub(super) fn of(results: Result<Vec<Result<Appended>>>) -> Self {
        let results = match results {
            Ok(results) => results,
            Err(error) => return Self::again(error),
        };
        let mut attempt = Self::default();
        for (place, result) in results.into_iter().enumerate() {
            match result {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Data => attempt.refused.push((place, error)),
                Err(error) => {
                    attempt.from.get_or_insert(place);
                    // One that stays outweighs those that may pass.
                    if attempt.cause.as_ref().is_none_or(Error::is_retriable) {
                        attempt.cause = Some(error);
                    }
                }
            }
        }
        attempt
    }

    pub(super) fn is_done(&self) -> bool {
        self.refused.is_empty() && self.from.is_none()
    }

    /// The cause, when trying again cannot help.
    pub(super) fn take_fatal(&mut self) -> Option<Error> {
        self.cause.take_if(|cause| !cause.is_retriable())
    }
}

/// Some rows of a batch.
struct Rows<'a> {
    raw: &'a RawBatch,
    rows: &'a [usize],
}

impl RawRecords for Rows<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn get(&self, index: usize) -> Option<RawRecord<'_>> {
        self.raw.get(*self.rows.get(index)?)
    }

    fn bytes(&self) -> usize {
        self.raw.bytes()
    }
}
