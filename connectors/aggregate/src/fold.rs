//! First phase: input partitions fold their records into partial states.
//!
//! Nothing here survives a crash, and nothing needs to: what is not committed is read again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use millrace_api::batch::RecordBatch;
use millrace_api::connector::Report;
use millrace_api::log::TopicPartition;
use millrace_api::transform::Windowed;
use millrace_api::{Error, Result};

use crate::config::AggregateConfig;
use crate::message::{Message, Partial, Watermark};
use crate::{key, time};

/// What is new in one input partition since the last commit.
pub(crate) struct Source {
    partials: BTreeMap<(i64, Vec<u8>), (u32, Vec<u8>)>,
    watermark: i64,
    idle: bool,
    /// What the second phase was told last.
    told: Option<(i64, bool)>,
    /// When something came last, and the end of the partition as seen at that time or later.
    quiet_since: Instant,
    end: i64,
}

/// The input partitions of a task.
#[derive(Default)]
pub(crate) struct Fold {
    sources: HashMap<TopicPartition, Source>,
    /// Records that came too late, in all.
    pub(crate) late: u64,
}

/// Where a record goes: a window and group of a partition.
type SlotKey = (TopicPartition, i64, Vec<u8>);

/// One call of the guest: which rows go into which states.
#[derive(Default)]
struct Call {
    index: HashMap<SlotKey, u32>,
    keys: Vec<SlotKey>,
    records: Vec<u32>,
    slots: Vec<(u32, u32)>,
}

impl Fold {
    /// A partition was assigned; `watermark` is the one it had at its last commit.
    pub(crate) fn open(&mut self, partition: TopicPartition, watermark: i64) {
        let source = Source {
            partials: BTreeMap::new(),
            watermark,
            idle: false,
            told: None,
            quiet_since: Instant::now(),
            end: -1,
        };
        self.sources.insert(partition, source);
    }

    pub(crate) fn close(&mut self, partition: &TopicPartition) {
        self.sources.remove(partition);
    }

    /// Folds the rows numbered `rows`. Returns those that came too late. On an error nothing has changed.
    pub(crate) fn fold(
        &mut self,
        batch: &RecordBatch,
        rows: &[u32],
        config: &AggregateConfig,
        guest: &mut dyn Windowed,
        report: &mut Report,
    ) -> Result<Vec<u32>> {
        let mut call = Call::default();
        let mut late = Vec::new();
        let mut watermarks: HashMap<TopicPartition, i64> = HashMap::new();
        for &row in rows {
            let Some(record) = batch.get(row as usize) else { continue };
            let at = match time::event_time(record, &config.timestamp_field) {
                Ok(at) => at,
                Err(error) => {
                    report.reject(row as usize, error);
                    continue;
                }
            };
            let partition = TopicPartition::new(record.topic(), record.row().partition);
            let known = self.sources.get(&partition).map_or(i64::MIN, |source| source.watermark);
            let watermark = watermarks.entry(partition.clone()).or_insert(known);
            let group = key::group(record, &config.group_by);
            let closed =
                |start: i64| start.saturating_add(config.window_size_ms + config.window_grace_ms) <= *watermark;
            let mut taken = false;
            for start in time::windows(at, config.window_size_ms, config.advance()).filter(|start| !closed(*start)) {
                call.add(row, (partition.clone(), start, group.clone()));
                taken = true;
            }
            if !taken {
                late.push(row);
            }
            *watermark = (*watermark).max(at);
        }
        let states = self.states(&call);
        let folded = if call.slots.is_empty() { Vec::new() } else { guest.update(batch, &call.slots, &states)? };
        if folded.len() != call.keys.len() {
            return Err(Error::internal("the aggregate returned another number of states than it was given"));
        }
        self.store(call, folded);
        self.advance(watermarks);
        self.late += late.len() as u64;
        Ok(late)
    }

    fn states(&self, call: &Call) -> Vec<Vec<u8>> {
        let state = |(partition, start, group): &SlotKey| {
            let partials = &self.sources.get(partition)?.partials;
            partials.get(&(*start, group.clone())).map(|(_, state)| state.clone())
        };
        call.keys.iter().map(|key| state(key).unwrap_or_default()).collect()
    }

    fn store(&mut self, call: Call, states: Vec<Vec<u8>>) {
        for (((partition, start, group), records), state) in call.keys.into_iter().zip(call.records).zip(states) {
            if let Some(source) = self.sources.get_mut(&partition) {
                let slot = source.partials.entry((start, group)).or_default();
                slot.0 = slot.0.saturating_add(records);
                slot.1 = state;
            }
        }
    }

    fn advance(&mut self, watermarks: HashMap<TopicPartition, i64>) {
        for (partition, watermark) in watermarks {
            if let Some(source) = self.sources.get_mut(&partition) {
                source.watermark = watermark;
                source.idle = false;
                source.quiet_since = Instant::now();
            }
        }
    }

    /// Partitions that have been quiet long enough to ask where they end.
    pub(crate) fn quiet(&self, idle_after: Duration) -> Vec<TopicPartition> {
        let quiet = |source: &Source| !source.idle && source.quiet_since.elapsed() >= idle_after;
        self.sources.iter().filter(|(_, source)| quiet(source)).map(|(partition, _)| partition.clone()).collect()
    }

    /// The end of a quiet partition. It is idle when its end has not moved during a whole quiet spell: then there was nothing
    /// to read. (The end alone does not tell: transaction markers lie between the last record and it.)
    pub(crate) fn saw_end(&mut self, partition: &TopicPartition, end: i64) {
        if let Some(source) = self.sources.get_mut(partition) {
            if source.end == end {
                source.idle = true;
            } else {
                source.end = end;
                source.quiet_since = Instant::now();
            }
        }
    }

    /// Partials since the last commit.
    pub(crate) fn partials(&self) -> impl Iterator<Item = Message> + '_ {
        self.sources.values().flat_map(|source| {
            source.partials.iter().map(|((start, group), (records, state))| {
                Message::Partial(Partial {
                    start: *start,
                    records: *records,
                    group: group.clone(),
                    state: state.clone(),
                })
            })
        })
    }

    /// Watermarks that the second phase does not know yet.
    pub(crate) fn watermarks(&self) -> Vec<Watermark> {
        let news = self.sources.iter().filter(|(_, source)| source.told != Some((source.watermark, source.idle)));
        news.map(|(partition, source)| Watermark {
            source: partition.to_string(),
            time: source.watermark,
            idle: source.idle,
        })
        .collect()
    }

    /// The transaction that held [`Fold::partials`] and [`Fold::watermarks`] is committed.
    pub(crate) fn committed(&mut self) {
        for source in self.sources.values_mut() {
            source.partials.clear();
            source.told = Some((source.watermark, source.idle));
        }
    }
}

impl Call {
    fn add(&mut self, row: u32, key: SlotKey) {
        let slot = *self.index.entry(key).or_insert_with_key(|key| {
            self.keys.push(key.clone());
            self.records.push(0);
            u32::try_from(self.keys.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(records) = self.records.get_mut(slot as usize) {
            *records += 1;
        }
        self.slots.push((row, slot));
    }
}
