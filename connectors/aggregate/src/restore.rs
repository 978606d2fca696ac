//! Bringing a state table up to its changelog, and reading watermarks back.

use std::collections::HashMap;

use millrace_api::batch::raw::RawRecords;
use millrace_api::log::{ConsumerOptions, Event, Log, StateTable, Subscription, TopicPartition};
use millrace_api::{Error, Result};

use crate::key;

/// Name under which a table keeps the changelog position that it reaches to.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Reads the changelog partition from where the table stands to its end.
pub(crate) async fn catch_up(table: &dyn StateTable, changelog: &str, partition: i32, log: &dyn Log) -> Result<()> {
    let offsets = log.offsets(changelog, true).await?;
    let index = usize::try_from(partition).unwrap_or(usize::MAX);
    let gone = || {
        Error::external(
            "the changelog topic has fewer partitions than the repartition topic; repartition.partitions cannot be changed",
        )
    };
    let (begin, end) = *offsets.get(index).ok_or_else(|| gone().with("topic", changelog))?;
    let known = table.get(&key::meta(CHECKPOINT))?.and_then(|bytes| Some(i64::from_le_bytes(*bytes.first_chunk()?)));
    let from = match known {
        Some(position) if (begin..=end).contains(&position) => position,
        _ => {
            // Never written, or of a topic that is gone: the changelog alone counts.
            table.clear()?;
            begin
        }
    };
    if from >= end {
        return Ok(());
    }
    let mut restored = 0;
    read(TopicPartition::new(changelog, partition), from, log, |records| {
        let mut entries = Vec::with_capacity(records.len() + 1);
        let mut position = None;
        for index in 0..records.len() {
            let Some(record) = records.get(index) else { break };
            position = Some(record.offset + 1);
            if let Some(key) = record.key {
                entries.push((key.to_vec(), record.value.map(<[u8]>::to_vec)));
            }
        }
        restored += entries.len();
        if let Some(position) = position {
            entries.push((key::meta(CHECKPOINT), Some(position.to_le_bytes().to_vec())));
        }
        table.write(&entries)
    })
    .await?;
    tracing::info!(changelog, partition, restored, "state restored");
    Ok(())
}

/// The watermark of each input partition at its last commit, by `topic-partition`.
pub(crate) async fn watermarks(topic: &str, log: &dyn Log) -> Result<HashMap<String, i64>> {
    let mut found = HashMap::new();
    let offsets = log.offsets(topic, true).await?;
    let Some((begin, end)) = offsets.first().copied().filter(|(begin, end)| begin < end) else { return Ok(found) };
    debug_assert!(begin < end);
    read(TopicPartition::new(topic, 0), begin, log, |records| {
        for index in 0..records.len() {
            let Some(record) = records.get(index) else { break };
            let source = record.key.and_then(|key| std::str::from_utf8(key).ok());
            let time = record.value.and_then(|value| Some(i64::from_le_bytes(*value.first_chunk()?)));
            if let (Some(source), Some(time)) = (source, time) {
                found.insert(source.to_owned(), time);
            }
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Hands every committed record of a partition, from an offset to its present end, to `take`.
async fn read(
    partition: TopicPartition,
    from: i64,
    log: &dyn Log,
    mut take: impl FnMut(&dyn RawRecords) -> Result<()> + Send,
) -> Result<()> {
    let mut options = ConsumerOptions::new("aggregate-restore", "", Subscription::Assign(vec![(partition, from)]));
    options.end_events = true;
    let mut consumer = log.consumer(options).await?;
    loop {
        match consumer.next().await? {
            Event::Records(records) => take(&*records)?,
            Event::EndOfPartition { .. } => break,
            Event::Assigned(_) | Event::Revoked { .. } => {}
        }
    }
    consumer.close().await;
    Ok(())
}
