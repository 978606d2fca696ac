//! Chunks, and the search for the record at fault when the component fails on one.
//!
//! A chunk that failed is halved until the records at fault stand alone; all others are processed. A part gets twice its share of
//! the deadline, as records are not equally dear, but no less than a fifth of the whole. The time that searching takes in one batch is bounded by
//! [`crate::Limits::search_time`]: when it is spent, what is left of the chunk fails together, and further chunks that fail in the
//! same batch fail whole, after a fifth of the deadline. So a batch of n chunks blocks its task for at most
//! `2 * deadline + search_time + n * deadline / 5` per group, whatever the component does: 5.4 s for 2000 records by default.

use std::time::{Duration, Instant};

use millrace_api::batch::delta::{Applied, Applier};
use millrace_api::batch::{RecordBatch, Row};
use millrace_api::{Error, Result};

use super::group::Group;
use crate::options::Limits;

/// Time spent on searching in one batch.
pub(crate) struct Search {
    spent: Duration,
    limit: Duration,
}

impl Search {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { spent: Duration::ZERO, limit: limits.search_time }
    }

    fn is_over(&self) -> bool {
        self.spent >= self.limit
    }
}

/// Takes the rows numbered `rows` through a group.
///
/// # Errors
/// When the component cannot be instantiated any more.
pub(crate) fn apply(
    group: &mut Group,
    batch: &mut RecordBatch,
    rows: &[u32],
    limits: &Limits,
    search: &mut Search,
) -> Result<Applied> {
    let mut applier = Applier::new(batch);
    let mut rest = rows;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(chunk_len(batch, rest, limits));
        apply_chunk(group, batch, &mut applier, chunk, limits, search)?;
        rest = after;
    }
    Ok(applier.finish(batch))
}

fn apply_chunk(
    group: &mut Group,
    batch: &mut RecordBatch,
    applier: &mut Applier,
    chunk: &[u32],
    limits: &Limits,
    search: &mut Search,
) -> Result<()> {
    let first = if search.is_over() { limits.search_deadline() } else { limits.deadline };
    let Err(mut error) = group.attempt(batch, applier, chunk, first)? else { return Ok(()) };
    let mut pending = vec![];
    halve(chunk, &mut pending);
    if pending.is_empty() || search.is_over() {
        fail(batch, applier, chunk, &error, search);
        return Ok(());
    }
    while let Some(part) = pending.pop() {
        if search.is_over() {
            // Left parts come first, so that records keep their order.
            fail(batch, applier, part, &error, search);
            continue;
        }
        let started = Instant::now();
        let result = group.attempt(batch, applier, part, share(limits, part.len(), chunk.len()))?;
        search.spent += started.elapsed();
        let Err(part_error) = result else { continue };
        error = part_error;
        if part.len() > 1 {
            halve(part, &mut pending);
        } else {
            fail(batch, applier, part, &error, search);
        }
    }
    Ok(())
}

/// Puts the halves of `part` on the stack, the left one on top; nothing for a single record.
fn halve<'r>(part: &'r [u32], pending: &mut Vec<&'r [u32]>) {
    if part.len() > 1 {
        let (left, right) = part.split_at(part.len() / 2);
        pending.extend([right, left]);
    }
}

fn share(limits: &Limits, part: usize, chunk: usize) -> Duration {
    let part = u32::try_from(part).unwrap_or(u32::MAX);
    let chunk = u32::try_from(chunk).unwrap_or(u32::MAX).max(1);
    (limits.deadline * 2 * part / chunk).max(limits.search_deadline()).min(limits.deadline)
}

fn fail(batch: &RecordBatch, applier: &mut Applier, part: &[u32], error: &Error, search: &Search) {
    for input in part {
        let mut message = error.message().to_owned();
        if part.len() > 1 {
            let (together, spent) = (part.len(), search.limit.as_millis());
            message = format!("one of {together} records, not searched further after {spent} ms: {message}");
        }
        applier.fail(batch, *input, Error::new(error.kind(), message));
    }
}

/// How many of `rows` go into one call.
fn chunk_len(batch: &RecordBatch, rows: &[u32], limits: &Limits) -> usize {
    let mut bytes = 0;
    let fits = |row: &&u32| {
        bytes += batch.rows().get(**row as usize).map_or(0, row_bytes);
        bytes <= limits.chunk_bytes
    };
    rows.iter().take(limits.chunk_rows.max(1)).take_while(fits).count().max(1)
}

fn row_bytes(row: &Row) -> usize {
    size_of::<Row>() + (row.key.len as usize) + (row.value.len as usize) + (row.headers.len as usize)
}
