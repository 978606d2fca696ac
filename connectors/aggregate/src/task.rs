//! The task: both phases over the partitions it was assigned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use millrace_api::batch::RecordBatch;
use millrace_api::config::Props;
use millrace_api::connector::{Commit, Report, SinkContext, SinkTask};
use millrace_api::log::{GroupMetadata, Log, Offsets, Producer, ProducerOptions, TopicPartition};
use millrace_api::transform::Windowed;
use millrace_api::{Error, ErrorKind, Result};

use crate::config::{self, AggregateConfig, Topics};
use crate::fold::{Fold, Plan};
use crate::merge::{Inputs, Merge};
use crate::message::Message;
use crate::output::Output;
use crate::restore;
use crate::transaction::{Failure, fatal};

/// Not started, running, or ended by an error after which it must start over.
#[derive(Default)]
pub(crate) struct AggregateTask {
    running: Option<Running>,
}

pub(crate) struct Running {
    pub(crate) config: AggregateConfig,
    pub(crate) topics: Topics,
    pub(crate) context: SinkContext,
    pub(crate) guest: Box<dyn Windowed>,
    pub(crate) producer: Arc<dyn Producer>,
    pub(crate) output: Output,
    pub(crate) fold: Fold,
    pub(crate) merges: BTreeMap<i32, Merge>,
    inputs: Inputs,
    /// Whether partitions without a committed position start at their end.
    pub(crate) from_latest: bool,
    /// Positions of the last commit.
    pub(crate) committed: Offsets,
    /// Records that came too late, and how many of them were logged.
    pub(crate) late: u64,
    pub(crate) told_late: u64,
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
        let outcome = self.running()?.put(batch, report);
        self.settle(outcome)
    }

    async fn pre_commit(&mut self, positions: &Offsets, group: &GroupMetadata) -> Result<Commit> {
        let outcome = self.running()?.commit(positions, group).await;
        self.settle(outcome)?;
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
        self.running.as_mut().ok_or_else(|| {
            Error::external("the aggregate is not running; after an error it must start over from its last commit")
        })
    }

    /// After a fatal error the task does nothing any more, whatever it is asked: its memory is not to be trusted.
    fn settle(&mut self, outcome: Result<(), Failure>) -> Result<()> {
        outcome.map_err(|failure| match failure {
            Failure::Unchanged(error) => error,
            Failure::Fatal(error) => {
                self.running = None;
                error
            }
        })
    }
}

impl Running {
    async fn start(context: SinkContext, props: &Props) -> Result<Self> {
        let config = AggregateConfig::read(props)?;
        let topics = config.topics(&context.connector);
        let inputs: BTreeSet<String> =
            config::inputs(props).into_iter().filter(|topic| *topic != topics.repartition).collect();
        let guest = context.services.components.windowed(&config.aggregate, props)?;
        let log = Arc::clone(&context.services.log);
        let producer = log
            .producer(ProducerOptions {
                client_id: format!("aggregate-producer-{}-{}", context.connector, context.task),
                transactional_id: Some(format!("{}-{}", context.group, context.task)),
                overrides: under(props, "producer.override."),
            })
            .await?;
        let reset = props.get("consumer.override.auto.offset.reset");
        Ok(Self {
            config,
            topics,
            guest,
            producer: Arc::from(producer),
            output: Output::new()?,
            fold: Fold::default(),
            merges: BTreeMap::new(),
            inputs: Inputs { topics: inputs, partitions: BTreeSet::new() },
            from_latest: reset.is_some_and(|reset| reset.trim() == "latest"),
            committed: Offsets::new(),
            late: 0,
            told_late: 0,
            context,
        })
    }

    /// May be called again with the same partitions after an error.
    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let services = self.context.services.clone();
        self.inputs.partitions = input_partitions(&self.inputs.topics, &*services.log).await?;
        let known = restore::watermarks(&self.topics.watermarks, &*services.log).await?;
        for partition in partitions {
            if *partition.topic != *self.topics.repartition {
                let watermark = known.get(&partition.to_string()).copied().unwrap_or(i64::MIN);
                self.fold.open(partition.clone(), watermark);
            } else if !self.merges.contains_key(&partition.partition) {
                let name = format!("{}-{}", self.context.connector, partition.partition);
                let table = restore::table(&*services.stores, &name).await?;
                restore::catch_up(&*table, &self.topics.changelog, partition.partition, &*services.log).await?;
                self.merges.insert(partition.partition, Merge::open(table, &self.inputs)?);
            }
        }
        Ok(())
    }

    /// Folds first: it may refuse the batch, and then nothing has changed and it may come again, also in pieces. After that there
    /// is no way back.
    fn put(&mut self, batch: &RecordBatch, report: &mut Report) -> Result<(), Failure> {
        let mut rows = Vec::new();
        let mut messages: BTreeMap<i32, Vec<Message>> = BTreeMap::new();
        for (row, record) in (0u32..).zip(batch.iter()) {
            if record.topic() == self.topics.repartition {
                let bytes = record.value().as_bytes().unwrap_or_default();
                let message = Message::decode(bytes).map_err(fatal("the repartition topic cannot be read"))?;
                messages.entry(record.row().partition).or_default().push(message);
            } else {
                rows.push(row);
            }
        }
        let mut plan = self.fold.plan(batch, &rows, &self.config)?;
        let late = self.output.late(&self.config.late_topic, batch, &mut plan);
        let states = self.update(batch, &plan)?;
        self.late += plan.late.len() as u64;
        report.filter(plan.late.len());
        for (row, error) in std::mem::take(&mut plan.rejected) {
            report.reject(row as usize, error);
        }
        self.fold.apply(plan, states, late);
        for (partition, messages) in messages {
            self.merge(partition, messages).map_err(fatal("the aggregate could not merge states"))?;
        }
        Ok(())
    }

    /// Has the guest fold a plan's records.
    fn update(&mut self, batch: &RecordBatch, plan: &Plan) -> Result<Vec<Vec<u8>>> {
        if plan.slots.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.fold.states(plan);
        let updated = self.guest.update(batch, &plan.slots, &states).map_err(blame_records)?;
        if updated.len() != states.len() {
            return Err(Error::external("the aggregate returned another number of states than it was given"));
        }
        Ok(updated)
    }

    fn merge(&mut self, partition: i32, messages: Vec<Message>) -> Result<()> {
        let merge = self.merges.get_mut(&partition);
        let merge =
            merge.ok_or_else(|| Error::internal("a record of a repartition topic's partition that is not open"))?;
        self.late += merge.take(messages, &self.inputs, &self.config, &mut *self.guest)?;
        Ok(())
    }
}

/// A guest that traps or takes too long does so because of a record: the runtime finds out which, and goes on without it.
fn blame_records(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Limit => Error::data("the aggregate failed on a record").because(error),
        _ => error,
    }
}

/// The keys that start with a prefix, without it.
fn under(props: &Props, prefix: &str) -> Props {
    props.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))).collect()
}

/// `topic-partition` of every input partition.
async fn input_partitions(inputs: &BTreeSet<String>, log: &dyn Log) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for topic in log.topics().await?.iter().filter(|topic| inputs.contains(&topic.name)) {
        names.extend((0..topic.partitions).map(|partition| format!("{}-{partition}", topic.name)));
    }
    Ok(names)
}
