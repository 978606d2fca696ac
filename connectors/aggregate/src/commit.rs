//! What a commit holds. One transaction: partials, watermarks, changelog, late records, results, and the positions of everything
//! that was put. So nothing is counted twice or lost, wherever the task ends (invariants 2 and 4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::Result;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::log::{Appended, GroupMetadata, Offsets};

use crate::merge::Merge;
use crate::message::{Message, Watermark};
use crate::restore;
use crate::task::Running;
use crate::transaction::{Failure, fatal, transact};

/// How many windows of one partition close in one transaction.
const CLOSE_AT_ONCE: usize = 10_000;

impl Running {
    /// Commits; in several transactions when very many windows close at once.
    pub(crate) async fn commit(&mut self, positions: &Offsets, group: &GroupMetadata) -> Result<(), Failure> {
        self.find_idle(positions).await?;
        loop {
            let mut more = false;
            for merge in self.merges.values_mut() {
                more |= merge.close_passed(&self.config, CLOSE_AT_ONCE)?;
            }
            self.commit_once(positions, group).await?;
            if !more {
                return Ok(());
            }
        }
    }

    async fn commit_once(&mut self, positions: &Offsets, group: &GroupMetadata) -> Result<(), Failure> {
        let watermarks = self.fold.watermarks(self.idle_after());
        if *positions == self.committed && watermarks.is_empty() && self.merges.values().all(Merge::is_clean) {
            return Ok(());
        }
        let outgoing = self.outgoing(&watermarks)?;
        let producer = Arc::clone(&self.producer);
        let appended = transact(&*producer, &outgoing, group, positions).await?;
        self.committed.clone_from(positions);
        self.fold.committed(&watermarks);
        let ends = ends(&outgoing, &appended, &self.topics.changelog);
        for (partition, merge) in &mut self.merges {
            merge.committed(ends.get(partition).copied()).map_err(fatal("a state table cannot be written"))?;
        }
        if self.late > self.told_late {
            tracing::info!(connector = %self.context.connector, task = self.context.task, late = self.late, "records came too late for their windows");
            self.told_late = self.late;
        }
        Ok(())
    }

    /// Everything the transaction holds. Partials come before the watermarks that cover them.
    fn outgoing(&mut self, watermarks: &[Watermark]) -> Result<RawBatch> {
        let mut out = RawBatch::new();
        for partial in self.fold.partials() {
            if let Message::Partial(inner) = &partial {
                out.push(&RawRecord::new(&self.topics.repartition, Some(&inner.group), Some(&partial.encode())))?;
            }
        }
        if !watermarks.is_empty() {
            self.push_watermarks(watermarks, &mut out)?;
        }
        for (partition, merge) in &self.merges {
            for (key, value) in merge.changes() {
                out.push(&RawRecord {
                    partition: *partition,
                    ..RawRecord::new(&self.topics.changelog, Some(key), value)
                })?;
            }
        }
        for late in self.fold.late() {
            for record in (0..late.len()).filter_map(|index| late.get(index)) {
                out.push(&record)?;
            }
        }
        self.push_results(&mut out)?;
        Ok(out)
    }

    fn push_watermarks(&self, watermarks: &[Watermark], out: &mut RawBatch) -> Result<()> {
        let message = Message::Watermarks(watermarks.to_vec()).encode();
        for partition in 0..self.config.repartition_partitions {
            out.push(&RawRecord { partition, ..RawRecord::new(&self.topics.repartition, None, Some(&message)) })?;
        }
        for watermark in watermarks {
            let time = watermark.time.to_le_bytes();
            let record = RawRecord::new(&self.topics.watermarks, Some(watermark.source.as_bytes()), Some(&time));
            out.push(&RawRecord { partition: 0, ..record })?;
        }
        Ok(())
    }

    fn push_results(&mut self, out: &mut RawBatch) -> Result<()> {
        for merge in self.merges.values() {
            for states in merge.results(&self.config)? {
                for record in self.guest.emit(&states)?.iter() {
                    self.output.push(&self.config.output_topic, record, out)?;
                }
            }
        }
        Ok(())
    }

    /// Marks partitions idle that have had nothing for a while. One that is merely not read, because the connector is paused or
    /// others are ahead in the queue, is not: its records would come too late.
    async fn find_idle(&mut self, positions: &Offsets) -> Result<()> {
        let quiet = self.fold.quiet(self.idle_after());
        if quiet.is_empty() {
            return Ok(());
        }
        let log = Arc::clone(&self.context.services.log);
        let committed = log.group_offsets(&self.context.group).await?;
        let mut topics = BTreeMap::new();
        for partition in quiet {
            if !topics.contains_key(&partition.topic) {
                topics.insert(Arc::clone(&partition.topic), log.offsets(&partition.topic, true).await?);
            }
            let index = usize::try_from(partition.partition).unwrap_or(usize::MAX);
            let offsets = topics.get(&partition.topic).and_then(|offsets| offsets.get(index));
            let (Some((begin, end)), Some(source)) = (offsets.copied(), self.fold.source(&partition)) else { continue };
            // The offset of the next record to be put, unless the consumer started at the partition's end, wherever that was.
            let position = positions.get(&partition).or_else(|| committed.get(&partition)).copied();
            let read = match position.or((!self.from_latest).then_some(begin)) {
                Some(at) => source.has_read_on(at) || restore::is_empty(&partition, at, end, &*log).await?,
                None => source.seen() == Some(end),
            };
            if read { source.rest() } else { source.wait(end) }
        }
        Ok(())
    }

    pub(crate) fn idle_after(&self) -> Duration {
        Duration::from_millis(self.config.watermark_idle_ms.unsigned_abs())
    }
}

/// Where each partition of the changelog ends with what was appended.
fn ends(outgoing: &RawBatch, appended: &[Appended], changelog: &str) -> BTreeMap<i32, i64> {
    let mut ends = BTreeMap::new();
    for (index, Appended { partition, offset }) in appended.iter().enumerate() {
        if outgoing.get(index).is_some_and(|record| record.topic == changelog) {
            let end = ends.entry(*partition).or_insert(0);
            *end = (*end).max(offset + 1);
        }
    }
    ends
}
