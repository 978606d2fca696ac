//! Reads the idempotency keys of the window back from the log, so that they survive `kill -9`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_api::batch::raw::RawRecord;
use millrace_api::log::{ConsumerOptions, Event, Log, Subscription, TopicPartition};
use millrace_api::{Error, ErrorKind, Result};

use crate::ledger::{Ledger, Part};
use crate::records::{INDEX_HEADER, KEY_HEADER};

/// How long the log may be silent before the scan is tried again.
const SILENCE: Duration = Duration::from_mins(1);

/// What the scan is about.
pub(crate) struct Scan<'a> {
    pub(crate) log: &'a dyn Log,
    pub(crate) client_id: String,
    pub(crate) topic: &'a str,
    pub(crate) max_keys: usize,
    /// Oldest time of interest, milliseconds since the epoch.
    pub(crate) since: i64,
}

/// A request as its records tell it.
struct Found {
    part: Part,
    at: i64,
}

impl Scan<'_> {
    /// Reads the last `max_keys` records of every partition into the ledger. A topic that does not exist holds no keys.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) async fn into_ledger(self, ledger: &mut Ledger) -> Result<()> {
        let offsets = match self.log.offsets(self.topic, true).await {
            Ok(offsets) => offsets,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let (mut ends, mut starts, mut cut) = (HashMap::new(), Vec::new(), HashSet::new());
        for (partition, (begin, end)) in offsets.into_iter().enumerate() {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            let start = begin.max(end.saturating_sub(i64::try_from(self.max_keys).unwrap_or(i64::MAX)));
            if start < end {
                ends.insert(partition, end);
                starts.push((TopicPartition::new(self.topic, partition), start));
                if start > begin {
                    cut.insert(partition);
                }
            }
        }
        if starts.is_empty() {
            return Ok(());
        }
        let keys = self.read(starts, ends, cut).await?;
        keys.into_ledger(ledger);
        tracing::info!(topic = self.topic, keys = ledger.len(), "read idempotency keys back from the log");
        Ok(())
    }

    async fn read(
        &self,
        starts: Vec<(TopicPartition, i64)>,
        mut ends: HashMap<i32, i64>,
        mut cut: HashSet<i32>,
    ) -> Result<Keys> {
        let mut options = ConsumerOptions::new(self.client_id.as_str(), "", Subscription::Assign(starts));
        options.end_events = true;
        let mut consumer = self.log.consumer(options).await?;
        let mut keys = Keys { most: self.max_keys, since: self.since, horizon: i64::MIN, found: HashMap::new() };
        while !ends.is_empty() {
            let silent = || Error::retriable("the log did not hand out its records in time").with("topic", self.topic);
            match tokio::time::timeout(SILENCE, consumer.next()).await.map_err(|_| silent())?? {
                Event::Records(records) => {
                    for record in (0..records.len()).filter_map(|index| records.get(index)) {
                        if cut.remove(&record.partition) {
                            keys.horizon = keys.horizon.max(record.timestamp);
                        }
                        keys.note(&record);
                        if ends.get(&record.partition).is_some_and(|end| record.offset + 1 >= *end) {
                            ends.remove(&record.partition);
                        }
                    }
                }
                Event::EndOfPartition { partition, offset } => {
                    if ends.get(&partition.partition).is_some_and(|end| offset >= *end) {
                        ends.remove(&partition.partition);
                    }
                }
                Event::Assigned(_) | Event::Revoked { .. } => {}
            }
        }
        consumer.close().await;
        Ok(keys)
    }
}

/// What was found.
struct Keys {
    most: usize,
    since: i64,
    /// Up to this time records of a request may lie before what was read.
    horizon: i64,
    found: HashMap<String, Found>,
}

impl Keys {
    fn note(&mut self, record: &RawRecord<'_>) {
        if record.timestamp < self.since {
            return;
        }
        let header =
            |name: &str| record.headers.iter().rev().find(|(known, _)| *known == name).and_then(|(_, value)| *value);
        let Some(key) = header(KEY_HEADER).and_then(text) else { return };
        let position = header(INDEX_HEADER).and_then(text);
        let (index, records) = position.as_deref().and_then(position_of).unwrap_or((0, 1));
        let found = self
            .found
            .entry(key)
            .or_insert_with(|| Found { part: Part { records, indexes: HashSet::new() }, at: record.timestamp });
        found.part.indexes.insert(index);
        found.at = found.at.max(record.timestamp);
        if self.found.len() > self.most.saturating_mul(2) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let mut times: Vec<i64> = self.found.values().map(|found| found.at).collect();
        let surplus = times.len().saturating_sub(self.most);
        if surplus == 0 {
            return;
        }
        let (_, newest_surplus, _) = times.select_nth_unstable(surplus - 1);
        let bound = *newest_surplus;
        let mut left = surplus;
        self.found.retain(|_, found| {
            let forget = left > 0 && found.at <= bound;
            left -= usize::from(forget);
            !forget
        });
    }

    fn into_ledger(mut self, ledger: &mut Ledger) {
        self.forget_oldest();
        let mut found: Vec<(String, Found)> = self.found.into_iter().collect();
        found.sort_by_key(|(_, found)| found.at);
        for (key, Found { part, at }) in found {
            let key = Arc::<str>::from(key);
            let whole = part.indexes.len() >= part.records as usize || at <= self.horizon;
            if whole { ledger.done(&key, part.records, at) } else { ledger.partial(key, part, at) }
        }
    }
}

/// A header's text, as it is or as a JSON string, whichever header converter wrote it.
fn text(bytes: &[u8]) -> Option<String> {
    if let [b'"', .., b'"'] = bytes {
        return serde_json::from_slice(bytes).ok();
    }
    String::from_utf8(bytes.to_vec()).ok()
}

/// `index/count`.
fn position_of(text: &str) -> Option<(u32, u32)> {
    let (index, count) = text.split_once('/')?;
    let (index, count) = (index.parse().ok()?, count.parse().ok()?);
    (index < count).then_some((index, count))
}
