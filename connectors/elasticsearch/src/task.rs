//! The task.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use millrace_api::config::Props;
use millrace_api::connector::{Commit, Report, SinkContext, SinkTask};
use millrace_api::log::{GroupMetadata, Offsets};
use millrace_api::{Error, ErrorKind, RecordBatch, Result};

use crate::answer::Fate;
use crate::bulk::Plan;
use crate::client::Client;
use crate::config::{Behavior, ElasticsearchSinkConfig, checked, millis};
use crate::delivery::{Delivery, Verdict};
use crate::index::{self, Names};
use crate::operation::{Asked, Writer};

/// What became of the records so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written or deleted.
    pub written: u64,
    /// Skipped because the index held the same version of the document, or a newer one.
    pub skipped: u64,
    /// Left out because the configuration says so: null values, invalid records, malformed documents.
    pub left_out: u64,
    /// Refused, and handed to the error tolerance.
    pub refused: u64,
}

/// The Elasticsearch sink task. A batch is written when `put` returns; nothing is buffered.
#[derive(Default)]
pub struct ElasticsearchSinkTask {
    running: Option<Running>,
}

/// From start to stop.
struct Running {
    connector: Arc<str>,
    config: ElasticsearchSinkConfig,
    client: Client,
    names: Names,
    /// What exists for certain.
    present: HashSet<Arc<str>>,
    scratch: Vec<u8>,
    counts: Counts,
    /// Skipped ones that were logged.
    told: u64,
}

impl ElasticsearchSinkTask {
    /// What became of the records since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.running.as_ref().map(|running| running.counts).unwrap_or_default()
    }
}

#[async_trait]
impl SinkTask for ElasticsearchSinkTask {
    async fn start(&mut self, context: SinkContext, props: &Props) -> Result<()> {
        let config = checked(props)?;
        let client = Client::new(&config)?;
        client.ping().await?;
        let names = Names::new(&config).map_err(|(_, error)| error)?;
        self.running = Some(Running {
            connector: context.connector,
            config,
            client,
            names,
            present: HashSet::new(),
            scratch: Vec::new(),
            counts: Counts::default(),
            told: 0,
        });
        Ok(())
    }

    async fn put(&mut self, batch: &RecordBatch, report: &mut Report) -> Result<()> {
        let running = self.running.as_mut().ok_or_else(not_started)?;
        let deadline = millis(running.config.flush_timeout_ms);
        match tokio::time::timeout(deadline, running.put(batch, report)).await {
            Ok(put) => put,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "a batch was not written within flush.timeout.ms")),
        }
    }

    async fn pre_commit(&mut self, positions: &Offsets, _group: &GroupMetadata) -> Result<Commit> {
        if let Some(running) = &mut self.running {
            running.tell_skipped();
        }
        Ok(Commit::Positions(positions.clone()))
    }

    async fn stop(&mut self) {
        self.running = None;
    }
}

impl Running {
    async fn put(&mut self, batch: &RecordBatch, report: &mut Report) -> Result<()> {
        let max_bytes = usize::try_from(self.config.bulk_size_bytes).unwrap_or(usize::MAX);
        let mut plan = Plan::new(batch.len(), self.config.batch_size, max_bytes, self.config.max_in_flight);
        let (mut counts, mut rejected) = (Counts::default(), Vec::new());
        for (index, record) in batch.iter().enumerate() {
            let asked = match self.names.of(record.topic()) {
                Ok(name) => {
                    if !record.value().is_null() && !self.present.contains(&name) {
                        let schema = record.value_schema().map(|schema| &**schema);
                        index::ensure(&self.client, &self.config, record.topic(), &name, schema).await?;
                        self.present.insert(Arc::clone(&name));
                    }
                    let writer = Writer::new(&self.config);
                    plan.push(index, &mut self.scratch, |out| writer.write(record, &name, out))
                }
                Err(error) => Err(error),
            };
            match asked {
                Ok(Asked::Operation { .. }) => {}
                Ok(Asked::Nothing) => counts.left_out += 1,
                Err(error) if error.kind() != ErrorKind::Data => return Err(error),
                Err(_) if self.config.drop_invalid => counts.left_out += 1,
                Err(error) => rejected.push((index, error)),
            }
        }
        let delivery = Delivery { client: &self.client, config: &self.config };
        let lanes = try_join_all(plan.into_lanes().map(|lane| delivery.lane(lane))).await?;
        for Verdict { record, fate } in lanes.into_iter().flatten() {
            match fate {
                Fate::Done => counts.written += 1,
                Fate::Newer => counts.skipped += 1,
                Fate::Malformed(reason) => match self.config.on_malformed() {
                    Behavior::Fail | Behavior::Delete => rejected.push((record, refused(&reason))),
                    Behavior::Warn => {
                        counts.left_out += 1;
                        tracing::warn!(connector = %self.connector, reason, "a malformed document was left out");
                    }
                    Behavior::Ignore => counts.left_out += 1,
                },
                Fate::Refused(reason) | Fate::Again(reason) | Fate::Broken(reason) => {
                    rejected.push((record, refused(&reason)));
                }
            }
        }
        counts.refused = rejected.len() as u64;
        report.filter(usize::try_from(counts.skipped + counts.left_out).unwrap_or(usize::MAX));
        rejected.sort_by_key(|(record, _)| *record);
        for (record, error) in rejected {
            report.reject(record, error);
        }
        self.counts.add(counts);
        Ok(())
    }

    /// Skipped writes are right after a replay, and a loss when versions do not grow; only the user knows which.
    fn tell_skipped(&mut self) {
        let skipped = self.counts.skipped - self.told;
        if skipped > 0 {
            self.told = self.counts.skipped;
            tracing::warn!(
                connector = %self.connector,
                skipped,
                "writes were skipped: the index holds the same or newer versions; see external.version.source if this is no replay"
            );
        }
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.written += more.written;
        self.skipped += more.skipped;
        self.left_out += more.left_out;
        self.refused += more.refused;
    }
}

fn refused(reason: &str) -> Error {
    Error::data(format!("Elasticsearch refused the document: {reason}"))
}

fn not_started() -> Error {
    Error::new(ErrorKind::Cancelled, "the task is not started")
}
