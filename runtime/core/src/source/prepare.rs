//! From what a source polled to what the log takes.

use millrace_api::batch::raw::RawBatch;
use millrace_api::connector::{SourceBatch, SourcePosition};
use millrace_api::transform::Chain;
use millrace_api::{RecordBatch, Result};

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
        let mut raw = RawBatch::new();
        self.converters.encode(&batch, &mut raw, &mut failures);
        Ok(Prepared {
            raw,
            failures,
            dropped: report.dropped.len(),
            polled: count,
            positions: last_positions(positions),
            token,
        })
    }
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
