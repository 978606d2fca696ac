//! One transaction, with every way it can end.

use std::time::Duration;

use millrace_api::batch::raw::RawRecords;
use millrace_api::log::{Appended, GroupMetadata, Offsets, Producer};
use millrace_api::{Error, ErrorKind, Result};

/// Between attempts to end a transaction.
const AGAIN: Duration = Duration::from_millis(200);

/// What an error means to the task's memory.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing has changed: the same call may come again, or the partitions may go to somebody else.
    Unchanged(Error),
    /// Memory and log may disagree: only a fresh start from the log is right.
    Fatal(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Unchanged(error)
    }
}

/// A failure after which the task must start over. Never of a kind that the runtime answers by calling the task again.
pub(crate) fn fatal(message: &'static str) -> impl FnOnce(Error) -> Failure {
    move |error| Failure::Fatal(Error::external(message).because(error))
}

/// Writes records and commits positions, all or nothing, and returns where the records went. The positions are those of everything
/// this task has read, also when they are not new: a task that lost its partitions without noticing is refused by them (KIP-447).
pub(crate) async fn transact(
    producer: &dyn Producer,
    records: &dyn RawRecords,
    group: &GroupMetadata,
    positions: &Offsets,
) -> Result<Vec<Appended>, Failure> {
    match producer.begin().await {
        Err(error) if error.is_retriable() => return Err(error.into()),
        Err(error) => return Err(fatal("no transaction can be begun")(error)),
        Ok(()) => {}
    }
    match fill(producer, records, group, positions).await {
        Ok(appended) => commit(producer).await.map(|()| appended),
        Err(error) => Err(abort(producer, error).await),
    }
}

async fn fill(
    producer: &dyn Producer,
    records: &dyn RawRecords,
    group: &GroupMetadata,
    positions: &Offsets,
) -> Result<Vec<Appended>> {
    let appended = if records.is_empty() {
        Vec::new()
    } else {
        producer.send(records).await?.into_iter().collect::<Result<_>>()?
    };
    if !positions.is_empty() {
        producer.send_offsets(group, positions).await?;
    }
    Ok(appended)
}

/// Whether an unanswered commit went through can only be found out by asking again, for as long as it takes.
async fn commit(producer: &dyn Producer) -> Result<(), Failure> {
    let mut unclear = false;
    loop {
        match producer.commit().await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "commit of a transaction is unclear, asking again");
                unclear = true;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) if unclear => return Err(fatal("it is not known whether a transaction was committed")(error)),
            Err(error) => return Err(abort(producer, error).await),
        }
    }
}

/// Aborts, so that the task may go on after `error`; when that fails too, it may not.
async fn abort(producer: &dyn Producer, error: Error) -> Failure {
    loop {
        match producer.abort().await {
            Ok(()) => return Failure::Unchanged(error),
            Err(abort) if abort.is_retriable() => {
                tracing::warn!(error = %abort, "a transaction was not aborted, asking again");
                tokio::time::sleep(AGAIN).await;
            }
            Err(abort) if abort.kind() == ErrorKind::Fenced => {
                return fatal("another instance of this task has taken over")(error);
            }
            Err(abort) => return fatal("a transaction failed and could not be aborted")(abort.because(error)),
        }
    }
}
