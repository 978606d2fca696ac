//! First phase: input partitions fold their records into partial states.
//!
//! Nothing here survives a crash, and nothing needs to: what is not committed is read again. A batch is folded in two steps, so
//! that one that is refused changes nothing and may come again in pieces: [`Fold::plan`] and the guest decide, [`Fold::apply`] acts.

use std::collections::HashMap;
use std::time::Duration;

use millrace_api::batch::RecordBatch;
use millrace_api::batch::raw::RawBatch;
use millrace_api::log::TopicPartition;
use millrace_api::{Error, Result};

use crate::config::AggregateConfig;
use crate::message::{Message, Watermark};
use crate::source::Source;
use crate::{key, time};

/// The input partitions of a task.
#[derive(Default)]
pub(crate) struct Fold {
    sources: HashMap<TopicPartition, Source>,
}

/// What a batch comes to.
#[derive(Default)]
pub(crate) struct Plan {
    /// The partitions in it, each with its watermark after it.
    pub(crate) sources: Vec<(TopicPartition, i64)>,
    /// Partition (by its place in `sources`), start of the window and group of each slot.
    keys: Vec<(usize, (i64, Vec<u8>))>,
    /// Records that go to each slot.
    records: Vec<u32>,
    /// Pairs of row and slot, as the guest takes them.
    pub(crate) slots: Vec<(u32, u32)>,
    /// Rows that came too late, each with the place of its partition in `sources`.
    pub(crate) late: Vec<(u32, usize)>,
    /// Rows without an event time.
    pub(crate) rejected: Vec<(u32, Error)>,
}

impl Fold {
    /// A partition was assigned; `watermark` is the one it had at its last commit.
    pub(crate) fn open(&mut self, partition: TopicPartition, watermark: i64) {
        self.sources.insert(partition, Source::new(watermark));
    }

    /// A partition was taken away, with what is not committed of it.
    pub(crate) fn close(&mut self, partition: &TopicPartition) {
        self.sources.remove(partition);
    }

    /// Decides where the rows numbered `rows` go. A record is late by the watermark of its own partition (ADR 2), which counts the
    /// records before it and no others, so batches do not matter (invariant 4).
    pub(crate) fn plan(&self, batch: &RecordBatch, rows: &[u32], config: &AggregateConfig) -> Result<Plan> {
        let mut plan = Planning::default();
        for &row in rows {
            let Some(record) = batch.get(row as usize) else { continue };
            let at = match time::event_time(record, &config.timestamp_field) {
                Ok(at) => at,
                Err(error) => {
                    plan.plan.rejected.push((row, error));
                    continue;
                }
            };
            let source = plan.source(self, (record.row().topic, record.row().partition), record.topic())?;
            let Some((_, watermark)) = plan.plan.sources.get_mut(source) else { continue };
            let before = std::mem::replace(watermark, at.max(*watermark));
            plan.key.clear();
            plan.key.extend_from_slice(&[0; PREFIX]);
            key::group(record, &config.group_by, &mut plan.key);
            let mut taken = false;
            for start in time::windows(at, config.window_size_ms, config.advance()) {
                if !config.is_closed(start, before) {
                    plan.take(row, source, start);
                    taken = true;
                }
            }
            if !taken {
                plan.plan.late.push((row, source));
            }
        }
        Ok(plan.plan)
    }

    /// The states of a plan's slots before it, in their order.
    pub(crate) fn states(&self, plan: &Plan) -> Vec<Vec<u8>> {
        let source = |place: &usize| self.sources.get(&plan.sources.get(*place)?.0);
        plan.keys
            .iter()
            .map(|(place, slot)| source(place).map(|source| source.state(slot)).unwrap_or_default())
            .collect()
    }

    /// Takes over the states that the guest made of [`Fold::states`], and late records by partition.
    pub(crate) fn apply(&mut self, plan: Plan, states: Vec<Vec<u8>>, late: Vec<RawBatch>) {
        for (((place, slot), records), state) in plan.keys.into_iter().zip(plan.records).zip(states) {
            let partition = plan.sources.get(place).map(|(partition, _)| partition);
            if let Some(source) = partition.and_then(|partition| self.sources.get_mut(partition)) {
                source.store(slot, records, state);
            }
        }
        for ((partition, watermark), late) in plan.sources.into_iter().zip(late) {
            if let Some(source) = self.sources.get_mut(&partition) {
                source.advance(watermark, late);
            }
        }
    }

    /// Partitions that have been quiet long enough to ask where they end.
    pub(crate) fn quiet(&self, idle_after: Duration) -> Vec<TopicPartition> {
        let quiet = self.sources.iter().filter(|(_, source)| source.is_quiet(idle_after));
        quiet.map(|(partition, _)| partition.clone()).collect()
    }

    /// A partition.
    pub(crate) fn source(&mut self, partition: &TopicPartition) -> Option<&mut Source> {
        self.sources.get_mut(partition)
    }

    /// Partials since the last commit.
    pub(crate) fn partials(&self) -> impl Iterator<Item = Message> + '_ {
        self.sources.values().flat_map(Source::partials)
    }

    /// Late records since the last commit.
    pub(crate) fn late(&self) -> impl Iterator<Item = &RawBatch> {
        self.sources.values().flat_map(Source::late)
    }

    /// Watermarks that the second phase does not know yet.
    pub(crate) fn watermarks(&self, idle_after: Duration) -> Vec<Watermark> {
        let news = |(partition, source): (&TopicPartition, &Source)| source.news(&partition.to_string(), idle_after);
        self.sources.iter().filter_map(news).collect()
    }

    /// The transaction that held everything new is committed, with these watermarks.
    pub(crate) fn committed(&mut self, told: &[Watermark]) {
        for (partition, source) in &mut self.sources {
            let name = partition.to_string();
            source.committed(told.iter().any(|watermark| watermark.source == name));
        }
    }
}

/// Place of the partition and start of the window, before the group.
const PREFIX: usize = 12;

/// A plan in the making.
#[derive(Default)]
struct Planning {
    plan: Plan,
    /// Places in `plan.sources` by number of the topic in the batch, and partition.
    places: HashMap<(u32, i32), usize>,
    /// Slots by place, start and group.
    index: HashMap<Vec<u8>, u32>,
    /// Key of the record at hand in `index`.
    key: Vec<u8>,
}

impl Planning {
    fn source(&mut self, fold: &Fold, place: (u32, i32), topic: &str) -> Result<usize> {
        if let Some(place) = self.places.get(&place) {
            return Ok(*place);
        }
        let partition = TopicPartition::new(topic, place.1);
        let closed = || Error::internal("a record of a partition that is not open").with("partition", &partition);
        let watermark = fold.sources.get(&partition).ok_or_else(closed)?.watermark;
        self.plan.sources.push((partition, watermark));
        self.places.insert(place, self.plan.sources.len() - 1);
        Ok(self.plan.sources.len() - 1)
    }

    fn take(&mut self, row: u32, source: usize, start: i64) {
        let Some(prefix) = self.key.first_chunk_mut::<PREFIX>() else { return };
        let (place, time) = prefix.split_at_mut(PREFIX - 8);
        place.copy_from_slice(&u32::try_from(source).unwrap_or(u32::MAX).to_le_bytes());
        time.copy_from_slice(&start.to_le_bytes());
        let known = self.index.get(&self.key).copied();
        let slot = known.unwrap_or_else(|| {
            let slot = u32::try_from(self.plan.keys.len()).unwrap_or(u32::MAX);
            let group = self.key.get(PREFIX..).unwrap_or_default();
            self.plan.keys.push((source, (start, group.to_vec())));
            self.plan.records.push(0);
            self.index.insert(self.key.clone(), slot);
            slot
        });
        if let Some(records) = self.plan.records.get_mut(slot as usize) {
            *records += 1;
        }
        self.plan.slots.push((row, slot));
    }
}
