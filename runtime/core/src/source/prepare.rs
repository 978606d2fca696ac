//! From what a source polled to what the log takes.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_api::batch::raw::RawBatch;
use millrace_api::connector::{SourceBatch, SourcePosition};
use millrace_api::log::topic_name_fault;
use millrace_api::transform::Chain;
use millrace_api::{Error, RecordBatch, Result};

use super::send::PRODUCING_CLASS;
use crate::convert::Converters;
use crate::errors::{Failure, Stage};

/// Converters and transformations of a task; moved to a blocking thread with each batch.
pub(super) struct Stages {
    pub(super) converters: Converters,
    pub(super) chain: Box<dyn Chain>,
}

/// A batch that is ready for the log.
pub(super) struct Prepared {
    /// Records as bytes.
    pub(super) raw: RawBatch,
    /// Of each of them, the index of the record in what was polled that it came from.
    pub(super) origins: Vec<u32>,
    /// Records at fault.
    pub(super) failures: Vec<Failure>,
    /// Number of records dropped on purpose.
    pub(super) dropped: usize,
    /// Number of records that were polled.
    pub(super) polled: usize,
    /// Positions to commit once everything here is durable; the last one per source partition.
    pub(super) positions: Vec<SourcePosition>,
    /// For the source.
    pub(super) token: u64,
}

impl Prepared {
    /// Number of polled records that failed, wholly or in one of the pieces they were split into.
    pub(super) fn failed(&self) -> usize {
        self.failures.iter().map(|failure| failure.origin).collect::<HashSet<_>>().len()
    }
}

impl Stages {
    pub(super) fn prepare(&mut self, polled: SourceBatch) -> Result<Prepared> {
        let SourceBatch { records: mut batch, positions, token } = polled;
        let count = batch.len();
        number_origins(&mut batch);
        let report = self.chain.apply(&mut batch)?;
        let mut failures: Vec<Failure> = report
            .failed
            .into_iter()
            .map(|(failed, class)| Failure {
                origin: failed.row.origin,
                stage: Stage::Transformation,
                class,
                error: failed.error,
            })
            .collect();
        refuse_illegal_topics(&mut batch, &mut failures);
        let mut raw = RawBatch::new();
        let origins = self.converters.encode(&batch, &mut raw, &mut failures)?;
        Ok(Prepared {
            raw,
            origins,
            failures,
            dropped: report.dropped.len(),
            polled: count,
            positions: last_positions(positions),
            token,
        })
    }
}

/// Takes out the records that no log takes, whichever it is. A source or a transformation made up the name, but Kafka Connect
/// notices only when it produces.
fn refuse_illegal_topics(batch: &mut RecordBatch, failures: &mut Vec<Failure>) {
    if batch.topics().iter().all(|topic| topic_name_fault(topic).is_none()) {
        return;
    }
    let topics = batch.topics().to_vec();
    batch.retain(|row| {
        let Some(error) = topics.get(row.topic as usize).and_then(|topic| illegal_topic(topic)) else { return true };
        let class = Arc::from(PRODUCING_CLASS);
        failures.push(Failure { origin: row.origin, stage: Stage::KafkaProduce, class, error });
        false
    });
}

fn illegal_topic(name: &str) -> Option<Error> {
    let fault = topic_name_fault(name)?;
    // Long enough for a name that is just too long, short enough for a log line.
    let shown: String = name.escape_debug().take(260).collect();
    let rule = "legal are a-z A-Z 0-9 . _ -, up to 249 characters, but not . or ..";
    Some(Error::data(format!("Invalid topic name \"{shown}\": {fault}; {rule}. Route the record to another topic")))
}

fn number_origins(batch: &mut RecordBatch) {
    for (index, row) in batch.rows_mut().iter_mut().enumerate() {
        row.origin = u32::try_from(index).unwrap_or(u32::MAX);
    }
}

/// A batch is committed whole, so only the last position of each source partition matters.
fn last_positions(positions: Vec<(usize, SourcePosition)>) -> Vec<SourcePosition> {
    let mut last: Vec<SourcePosition> = Vec::new();
    for (_, position) in positions {
        match last.iter_mut().find(|known| known.partition == position.partition) {
            Some(known) => known.offset = position.offset,
            None => last.push(position),
        }
    }
    last
}
