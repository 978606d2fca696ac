//! One transaction, with every way it can end. What is known after which error is the contract of [`Producer`].

use std::time::Duration;

use millrace_api::batch::raw::RawRecords;
use millrace_api::log::{Appended, Producer};
use millrace_api::{Error, ErrorKind, Result};

use super::send::{Attempt, append};

/// Between attempts to learn how a transaction ended.
const AGAIN: Duration = Duration::from_millis(200);

/// Writes records and the offsets of the source behind them: they become visible together or not at all. When something is left
/// to be sent again the transaction is aborted.
///
/// # Errors
/// The task must start over: the transaction was aborted for a reason that stays, or it is not known how it ended. Opening the
/// next producer settles that, and the task goes on from the offsets that are committed then.
pub(super) async fn transact(
    producer: &dyn Producer,
    records: &dyn RawRecords,
    offsets: &dyn RawRecords,
) -> Result<Attempt> {
    match producer.begin().await {
        Ok(()) => {}
        Err(error) if error.is_retriable() => return Ok(Attempt::again(error)),
        Err(error) => return Err(error),
    }
    let mut attempt = fill(producer, records, offsets).await;
    let mut fatal = None;
    if attempt.is_done() {
        match commit(producer).await? {
            None => return Ok(attempt),
            Some(refused) => attempt = Attempt::again(refused),
        }
    } else if attempt.refused.is_empty() {
        fatal = attempt.take_fatal();
    } else {
        // Others failed because these did.
        attempt.cause = None;
    }
    let reason = attempt.cause.as_ref().or(fatal.as_ref()).map(ToString::to_string);
    abort(producer)
        .await
        .map_err(|error| error.with("aborted for", reason.as_deref().unwrap_or("records at fault")))?;
    match fatal {
        Some(error) => Err(error),
        // What was appended is gone with the transaction.
        None => Ok(Attempt { from: Some(0), ..attempt }),
    }
}

async fn fill(producer: &dyn Producer, records: &dyn RawRecords, offsets: &dyn RawRecords) -> Attempt {
    let attempt = Attempt::of(append(producer, records).await);
    if !attempt.is_done() {
        return attempt;
    }
    let results = append(producer, offsets).await;
    let appended = results.and_then(|results| results.into_iter().collect::<Result<Vec<Appended>>>());
    appended.err().map_or(attempt, Attempt::again)
}

/// Commits. The answer is why it was refused: nothing is committed then, and the transaction is to be aborted. Whether an
/// unanswered commit went through can only be found out by asking again, for as long as it takes.
async fn commit(producer: &dyn Producer) -> Result<Option<Error>> {
    let mut unclear = false;
    loop {
        match producer.commit().await {
            Ok(()) => return Ok(None),
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "it is not known yet whether a transaction is committed, asking again");
                unclear = true;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) if unclear || error.kind() == ErrorKind::Fenced => return Err(lost(error)),
            Err(error) => return Ok(Some(error)),
        }
    }
}

/// Aborts, for as long as it takes.
async fn abort(producer: &dyn Producer) -> Result<()> {
    loop {
        match producer.abort().await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "a transaction is not aborted yet, asking again");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(lost(error)),
        }
    }
}

/// This producer cannot find out any more how its transaction ended.
fn lost(cause: Error) -> Error {
    if cause.kind() == ErrorKind::Fenced {
        let message =
            "another instance of this task took over, or a transaction was open for longer than transaction.timeout.ms";
        return Error::new(ErrorKind::Fenced, message).because(cause);
    }
    let message =
        "it is not known how a transaction ended; restart the task, and it goes on from the offsets that are committed";
    Error::external(message).because(cause)
}
