//! Bringing a state table up to its changelog, and reading watermarks back.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use millrace_api::batch::raw::RawRecords;
use millrace_api::log::{
    CONTROL_TIMEOUT, ConsumerOptions, Event, Log, StateStores, StateTable, Subscription, TopicPartition,
};
use millrace_api::{Error, ErrorKind, Result};

use crate::key;

/// Name under which a table keeps the changelog position that it reaches to.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Opens a table. The task that had it before may still be letting go of it.
pub(crate) async fn table(stores: &dyn StateStores, name: &str) -> Result<Box<dyn StateTable>> {
    let since = Instant::now();
    loop {
        match stores.open(name) {
            Err(error) if error.kind() == ErrorKind::Conflict && since.elapsed() < CONTROL_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// Reads the changelog partition from where the table stands to its end.
pub(crate) async fn catch_up(table: &dyn StateTable, changelog: &str, partition: i32, log: &dyn Log) -> Result<()> {
    let index = usize::try_from(partition).unwrap_or(usize::MAX);
    let gone = || {
        Error::external(
            "the changelog topic has fewer partitions than the repartition topic; repartition.partitions cannot be changed",
        )
    };
    let (begin, end) =
        ends(changelog, log).await?.get(index).copied().ok_or_else(|| gone().with("topic", changelog))?;
    let known = table.get(&key::meta(CHECKPOINT))?.and_then(|bytes| read_number(&bytes));
    let from = match known {
        Some(position) if (begin..=end).contains(&position) => position,
        _ => {
            // Never written, or of a topic that is gone: the changelog alone counts.
            table.clear()?;
            begin
        }
    };
    let mut restored = 0;
    read(TopicPartition::new(changelog, partition), from, end, log, |records| {
        let mut entries = Vec::with_capacity(records.len() + 1);
        let mut position = None;
        for record in (0..records.len()).filter_map(|index| records.get(index)) {
            position = Some(record.offset + 1);
            if let Some(key) = record.key {
                entries.push((key.to_vec(), record.value.map(<[u8]>::to_vec)));
            }
        }
        restored += entries.len();
        if let Some(position) = position {
            entries.push((key::meta(CHECKPOINT), Some(position.to_le_bytes().to_vec())));
        }
        table.write(&entries).map(ControlFlow::Continue)
    })
    .await?;
    tracing::info!(changelog, partition, restored, "state restored");
    Ok(())
}

/// The watermark of each input partition at its last commit, by `topic-partition`.
pub(crate) async fn watermarks(topic: &str, log: &dyn Log) -> Result<HashMap<String, i64>> {
    let mut found = HashMap::new();
    let Some((begin, end)) = ends(topic, log).await?.first().copied() else { return Ok(found) };
    read(TopicPartition::new(topic, 0), begin, end, log, |records| {
        for record in (0..records.len()).filter_map(|index| records.get(index)) {
            let source = record.key.and_then(|key| std::str::from_utf8(key).ok());
            if let (Some(source), Some(time)) = (source, record.value.and_then(read_number)) {
                found.insert(source.to_owned(), time);
            }
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    Ok(found)
}

/// Whether a partition holds no record from an offset to another: only markers of transactions, or nothing that is left.
pub(crate) async fn is_empty(partition: &TopicPartition, from: i64, to: i64, log: &dyn Log) -> Result<bool> {
    let mut empty = true;
    read(partition.clone(), from, to, log, |records| {
        empty = records.get(0).is_none_or(|first| first.offset >= to);
        Ok(ControlFlow::Break(()))
    })
    .await?;
    Ok(empty)
}

/// First and next offsets, with what open transactions wrote. The task that had a partition before may have died while its last
/// transaction was being committed, and consumer positions become visible before the changelog does or after; reading up to
/// here waits for the outcome.
async fn ends(topic: &str, log: &dyn Log) -> Result<Vec<(i64, i64)>> {
    log.offsets(topic, false).await
}

/// Hands every committed record of a partition, from an offset to another, to `take` until it has enough; waits for transactions
/// that are open there. The last call may hand over more.
async fn read(
    partition: TopicPartition,
    from: i64,
    to: i64,
    log: &dyn Log,
    mut take: impl FnMut(&dyn RawRecords) -> Result<ControlFlow<()>> + Send,
) -> Result<()> {
    if from >= to {
        return Ok(());
    }
    let mut options = ConsumerOptions::new("aggregate-restore", "", Subscription::Assign(vec![(partition, from)]));
    options.end_events = true;
    let mut consumer = log.consumer(options).await?;
    let mut reached = from;
    while reached < to {
        match consumer.next().await? {
            Event::Records(records) => {
                if take(&*records)?.is_break() {
                    break;
                }
                let last = records.len().checked_sub(1).and_then(|last| records.get(last));
                reached = last.map_or(reached, |last| last.offset + 1);
            }
            Event::EndOfPartition { offset, .. } => reached = offset,
            Event::Assigned(_) | Event::Revoked { .. } => {}
        }
    }
    consumer.close().await;
    Ok(())
}

/// A number as tables and watermark topics hold it.
pub(crate) fn read_number(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_le_bytes(*bytes.first_chunk()?))
}
