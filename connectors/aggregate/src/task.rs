//! The task: both phases over the partitions it was assigned, and one transaction per commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::batch::RecordBatch;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::config::Props;
use millrace_api::connector::{Commit, Report, SinkContext, SinkTask};
use millrace_api::converter::{Converter, ConverterUse};
use millrace_api::log::{Appended, GroupMetadata, Log, Offsets, Producer, ProducerOptions, TopicPartition};
use millrace_api::transform::Windowed;
use millrace_api::{Error, ErrorKind, Result};

use crate::config::{AggregateConfig, Topics};
use crate::fold::Fold;
use crate::merge::Merge;
use crate::message::Message;
use crate::restore;

/// Not started, or running.
#[derive(Default)]
pub(crate) struct AggregateTask {
    running: Option<Running>,
}

struct Running {
    config: AggregateConfig,
    topics: Topics,
    inputs: Vec<String>,
    context: SinkContext,
    guest: Box<dyn Windowed>,
    producer: Arc<dyn Producer>,
    key: Box<dyn Converter>,
    value: Box<dyn Converter>,
    fold: Fold,
    merges: BTreeMap<i32, Merge>,
    /// Names of all input partitions.
    sources: BTreeSet<String>,
    /// Late records to be written with the next commit.
    late: RawBatch,
    committed: Offsets,
    told_late: u64,
}

#[async_trait]
impl SinkTask for AggregateTask {
    async fn start(&mut self, context: SinkContext, props: &Props) -> Result<()> {
        self.running = Some(Running::start(context, props).await?);
        Ok(())
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<Offsets> {
        self.running()?.open(partitions).await?;
        Ok(Offsets::new())
    }

    async fn put(&mut self, batch: &RecordBatch, report: &mut Report) -> Result<()> {
        self.running()?.put(batch, report)
    }

    async fn pre_commit(&mut self, positions: &Offsets, group: &GroupMetadata) -> Result<Commit> {
        self.running()?.commit(positions, group).await?;
        Ok(Commit::Done)
    }

    async fn close(&mut self, partitions: &[TopicPartition]) {
        let Some(running) = &mut self.running else { return };
        for partition in partitions {
            running.committed.remove(partition);
            if *partition.topic == *running.topics.repartition {
                running.merges.remove(&partition.partition);
            } else {
                running.fold.close(partition);
            }
        }
    }

    async fn stop(&mut self) {
        self.running = None;
    }
}

impl AggregateTask {
    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().ok_or_else(|| Error::internal("the aggregate was used before it started"))
    }
}

impl Running {
    async fn start(context: SinkContext, props: &Props) -> Result<Self> {
        let config = AggregateConfig::read(props)?;
        let topics = config.topics(&context.connector);
        let inputs: Vec<String> = props
            .get("topics")
            .map(String::as_str)
            .unwrap_or_default()
            .split(',')
            .map(|topic| topic.trim().to_owned())
            .filter(|topic| !topic.is_empty() && *topic != topics.repartition)
            .collect();
        if inputs.is_empty() {
            return Err(Error::config(
                "Missing required configuration \"topics\": an aggregate needs its input topics by name, topics.regex is not enough",
            ));
        }
        let guest = context.services.components.windowed(&config.aggregate, props)?;
        let producer = context
            .services
            .log
            .producer(ProducerOptions {
                client_id: format!("aggregate-producer-{}-{}", context.connector, context.task),
                transactional_id: Some(format!("{}-{}", context.group, context.task)),
                overrides: Props::new(),
            })
            .await?;
        let json = millrace_converters::by_class("org.apache.kafka.connect.json.JsonConverter")
            .ok_or_else(|| Error::internal("the JSON converter is missing"))?;
        let string = millrace_converters::by_class("org.apache.kafka.connect.storage.StringConverter")
            .ok_or_else(|| Error::internal("the string converter is missing"))?;
        let plain: Props = [("schemas.enable".to_owned(), "false".to_owned())].into_iter().collect();
        Ok(Self {
            config,
            topics,
            inputs,
            context,
            guest,
            producer: Arc::from(producer),
            key: string.converter(&Props::new(), ConverterUse::Key)?,
            value: json.converter(&plain, ConverterUse::Value)?,
            fold: Fold::default(),
            merges: BTreeMap::new(),
            sources: BTreeSet::new(),
            late: RawBatch::new(),
            committed: Offsets::new(),
            told_late: 0,
        })
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let log = Arc::clone(&self.context.services.log);
        self.sources = input_partitions(&self.inputs, &*log).await?;
        let known = restore::watermarks(&self.topics.watermarks, &*log).await?;
        for partition in partitions {
            if *partition.topic == *self.topics.repartition {
                let name = format!("{}-{}", self.context.connector, partition.partition);
                let table = self.context.services.stores.open(&name)?;
                restore::catch_up(&*table, &self.topics.changelog, partition.partition, &*log).await?;
                self.merges.insert(partition.partition, Merge::open(table)?);
            } else {
                let watermark = known.get(&partition.to_string()).copied().unwrap_or(i64::MIN);
                self.fold.open(partition.clone(), watermark);
            }
        }
        Ok(())
    }

    /// Folds first: it may refuse records, and then nothing has changed and the batch may come again in pieces.
    fn put(&mut self, batch: &RecordBatch, report: &mut Report) -> Result<()> {
        let mut inputs = Vec::new();
        let mut messages: BTreeMap<i32, Vec<Message>> = BTreeMap::new();
        for (row, record) in (0u32..).zip(batch.iter()) {
            if record.topic() == self.topics.repartition {
                let bytes = record.value().as_bytes().unwrap_or_default();
                let fatal = |error: Error| Error::external("the repartition topic cannot be read").because(error);
                messages.entry(record.row().partition).or_default().push(Message::decode(bytes).map_err(fatal)?);
            } else {
                inputs.push(row);
            }
        }
        let late = self.fold.fold(batch, &inputs, &self.config, &mut *self.guest, report)?;
        self.keep_late(batch, &late)?;
        for (partition, messages) in messages {
            if let Some(merge) = self.merges.get_mut(&partition) {
                merge.take(messages, &self.sources, &self.config, &mut *self.guest)?;
            }
        }
        Ok(())
    }

    fn keep_late(&mut self, batch: &RecordBatch, late: &[u32]) -> Result<()> {
        if self.config.late_topic.is_empty() {
            return Ok(());
        }
        for record in late.iter().filter_map(|row| batch.get(*row as usize)) {
            let wire = RawRecord {
                timestamp: record.timestamp().unwrap_or(-1),
                ..RawRecord::new(&self.config.late_topic, None, None)
            };
            let (key, value) = (&mut self.key, &mut self.value);
            self.late.push_with(
                &wire,
                |out| key.from_connect("", record.key_schema(), record.key(), out),
                |out| value.from_connect("", record.value_schema(), record.value(), out),
            )?;
        }
        Ok(())
    }

    /// One transaction: partials, watermarks, results, changelog, late records, and the positions of everything that was put.
    async fn commit(&mut self, positions: &Offsets, group: &GroupMetadata) -> Result<()> {
        self.find_idle().await?;
        let mut news = positions.clone();
        news.retain(|partition, offset| self.committed.get(partition) != Some(offset));
        let watermarks = self.fold.watermarks();
        if news.is_empty() && watermarks.is_empty() && self.merges.values().all(Merge::is_clean) {
            return Ok(());
        }
        let outgoing = self.outgoing(&watermarks)?;
        let producer = Arc::clone(&self.producer);
        producer.begin().await?;
        let sent = send(&*producer, &outgoing, &self.topics.changelog, group, &news).await;
        let changelog = match sent {
            Ok(changelog) => changelog,
            Err(error) => return Err(abort(&*producer, error).await),
        };
        commit_transaction(&*producer).await?;
        self.committed.extend(news);
        self.fold.committed();
        self.late.clear();
        for (partition, merge) in &mut self.merges {
            merge.committed(changelog.get(partition).copied())?;
        }
        self.tell_late();
        Ok(())
    }

    /// Everything the transaction holds, results last.
    fn outgoing(&mut self, watermarks: &[crate::message::Watermark]) -> Result<RawBatch> {
        let mut out = RawBatch::new();
        for partial in self.fold.partials() {
            if let Message::Partial(inner) = &partial {
                out.push(&RawRecord::new(&self.topics.repartition, Some(&inner.group), Some(&partial.encode())))?;
            }
        }
        if !watermarks.is_empty() {
            let message = Message::Watermarks(watermarks.to_vec()).encode();
            for partition in 0..self.config.repartition_partitions {
                out.push(&RawRecord { partition, ..RawRecord::new(&self.topics.repartition, None, Some(&message)) })?;
            }
            for watermark in watermarks {
                let time = watermark.time.to_le_bytes();
                let record = RawRecord::new(&self.topics.watermarks, Some(watermark.source.as_bytes()), Some(&time));
                out.push(&RawRecord { partition: 0, ..record })?;
            }
        }
        for (partition, merge) in &self.merges {
            for (key, value) in merge.changes() {
                out.push(&RawRecord {
                    partition: *partition,
                    ..RawRecord::new(&self.topics.changelog, Some(key), value)
                })?;
            }
        }
        for index in 0..self.late.len() {
            if let Some(record) = self.late.get(index) {
                out.push(&record)?;
            }
        }
        self.results(&mut out)?;
        Ok(out)
    }

    fn results(&mut self, out: &mut RawBatch) -> Result<()> {
        for merge in self.merges.values() {
            let states = merge.results(&self.config)?;
            if states.is_empty() {
                continue;
            }
            let emitted = self.guest.emit(&states)?;
            for record in emitted.iter() {
                let wire = RawRecord {
                    timestamp: record.timestamp().unwrap_or(-1),
                    ..RawRecord::new(&self.config.output_topic, None, None)
                };
                let (key, value) = (&mut self.key, &mut self.value);
                out.push_with(
                    &wire,
                    |bytes| key.from_connect("", record.key_schema(), record.key(), bytes),
                    |bytes| value.from_connect("", record.value_schema(), record.value(), bytes),
                )?;
            }
        }
        Ok(())
    }

    async fn find_idle(&mut self) -> Result<()> {
        let idle_after = Duration::from_millis(self.config.watermark_idle_ms.unsigned_abs());
        for partition in self.fold.quiet(idle_after) {
            let offsets = self.context.services.log.offsets(&partition.topic, true).await?;
            let index = usize::try_from(partition.partition).unwrap_or(usize::MAX);
            if let Some((_, end)) = offsets.get(index) {
                self.fold.saw_end(&partition, *end);
            }
        }
        Ok(())
    }

    fn tell_late(&mut self) {
        let late = self.fold.late + self.merges.values().map(|merge| merge.late).sum::<u64>();
        if late > self.told_late {
            tracing::info!(connector = %self.context.connector, task = self.context.task, late, "records came too late for their windows");
            self.told_late = late;
        }
    }
}

/// `topic-partition` of every input partition.
async fn input_partitions(inputs: &[String], log: &dyn Log) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for topic in log.topics().await?.iter().filter(|topic| inputs.contains(&topic.name)) {
        names.extend((0..topic.partitions).map(|partition| format!("{}-{partition}", topic.name)));
    }
    Ok(names)
}

/// Sends, and returns where each changelog partition ends with it.
async fn send(
    producer: &dyn Producer,
    outgoing: &RawBatch,
    changelog: &str,
    group: &GroupMetadata,
    positions: &Offsets,
) -> Result<BTreeMap<i32, i64>> {
    let mut ends = BTreeMap::new();
    if !outgoing.is_empty() {
        for (index, result) in producer.send(outgoing).await?.into_iter().enumerate() {
            let Appended { partition, offset } = result?;
            if outgoing.get(index).is_some_and(|record| record.topic == changelog) {
                let end = ends.entry(partition).or_insert(0);
                *end = (*end).max(offset + 1);
            }
        }
    }
    if !positions.is_empty() {
        producer.send_offsets(group, positions).await?;
    }
    Ok(ends)
}

async fn abort(producer: &dyn Producer, error: Error) -> Error {
    if error.kind() != ErrorKind::Fenced
        && let Err(abort) = producer.abort().await
    {
        tracing::warn!(%abort, "a failed transaction could not be aborted; the next instance of the task does it");
        // Without knowing that it is aborted nothing may be sent again.
        return Error::new(ErrorKind::Fenced, "a transaction failed and could not be aborted").because(error);
    }
    error
}

/// Commits; whether an unanswered commit went through can only be found out by asking again.
async fn commit_transaction(producer: &dyn Producer) -> Result<()> {
    loop {
        match producer.commit().await {
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "commit of a transaction is unclear, asking again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            // Memory and log disagree now; only a fresh start from the log is right.
            Err(error) => {
                return Err(Error::new(ErrorKind::Fenced, "a transaction could not be committed").because(error));
            }
            Ok(()) => return Ok(()),
        }
    }
}
