//! Consumers. Each has an OS thread that owns librdkafka's consumer and never waits for the task: it takes batches off librdkafka's
//! record queue up to the byte budget, and serves rebalances, errors and logs whatever the task is doing, so a slow sink keeps its
//! membership. Task and thread share a [`shared::Shared`]; nothing else passes between them.

mod config;
mod context;
mod pattern;
mod shared;
mod thread;

use std::sync::Arc;

use async_trait::async_trait;
use millrace_api::batch::raw::RawRecords;
use millrace_api::error::{Error, Result};
use millrace_api::log::{
    CONTROL_TIMEOUT, Committing, Consumer, ConsumerOptions, Event, GroupMetadata, Offsets, Subscription, TopicPartition,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::oneshot;

use crate::client::{self, ClientProps};
use crate::ffi::queue::QueueConsumer;
use crate::{error, list};

pub(crate) use config::check;
use context::Callbacks;
use shared::{Command, Shared};

type Native = QueueConsumer<Callbacks>;

/// A consumer. Dropping it tells its thread to leave the group.
pub(crate) struct KafkaConsumer {
    native: Arc<Native>,
    shared: Arc<Shared>,
    /// Whether positions can be committed: not without a group.
    grouped: bool,
    /// Ends when the thread has.
    ended: oneshot::Receiver<()>,
}

impl KafkaConsumer {
    /// Opens a consumer and starts reading.
    pub(crate) fn open(bootstrap: &str, worker: &ClientProps, options: ConsumerOptions) -> Result<Self> {
        let plan = config::plan(bootstrap, worker, &options)?;
        let what = "open a consumer";
        let base: BaseConsumer<Callbacks> =
            plan.native.create_with_context(Callbacks::default()).map_err(|error| error::of_kafka(&error, what))?;
        let native =
            QueueConsumer::new(base).ok_or_else(|| Error::internal("librdkafka has no queue for a consumer"))?;
        let native = Arc::new(native);
        let grouped = !matches!(options.subscription, Subscription::Assign(_));
        let shared = Arc::new(Shared::new(plan.buffered));
        let (ending, ended) = oneshot::channel();
        let worker = thread::Worker::new(Arc::clone(&native), Arc::clone(&shared), plan.thread, ending);
        start(&native, &shared, options.subscription)?;
        worker.start()?;
        Ok(Self { native, shared, grouped, ended })
    }

    /// The positions for librdkafka; none when there is nothing to commit.
    fn prepare_commit(&self, offsets: &Offsets) -> Result<Option<TopicPartitionList>> {
        if !self.grouped {
            return Err(Error::internal("a consumer without a group was asked to commit positions"));
        }
        if offsets.is_empty() {
            return Ok(None);
        }
        self.shared.check_assigned(offsets)?;
        list::offsets(offsets.iter().map(|(partition, offset)| (partition, *offset))).map(Some)
    }

    fn base(&self) -> Result<&BaseConsumer<Callbacks>> {
        self.native.base().ok_or_else(|| Error::internal("a consumer was used after it was closed"))
    }
}

/// Subscribes or assigns. Partitions must be attached to the record queue before they are assigned.
fn start(native: &Native, shared: &Shared, subscription: Subscription) -> Result<()> {
    let what = "subscribe to topics";
    let Some(base) = native.base() else { return Ok(()) };
    match subscription {
        Subscription::Topics(topics) => {
            let topics = topics.iter().map(|topic| list::name(topic)).collect::<Result<Vec<_>>>()?;
            base.subscribe(&topics).map_err(|error| error::of_kafka(&error, what))
        }
        Subscription::Pattern(pattern) => {
            let pattern = pattern::posix(&pattern)?;
            base.subscribe(&[&pattern]).map_err(|error| error::of_kafka(&error, what))
        }
        Subscription::Assign(partitions) => {
            let assignment = list::offsets(partitions.iter().map(|(partition, offset)| (partition, *offset)))?;
            for (partition, _) in &partitions {
                native.attach(partition);
            }
            shared.lock().assigned.extend(partitions.into_iter().map(|(partition, _)| partition));
            base.assign(&assignment).map_err(|error| error::of_kafka(&error, "assign partitions"))
        }
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn next(&mut self) -> Result<Event> {
        self.shared.next().await
    }

    fn commit(&self, offsets: &Offsets) -> Committing {
        let (native, prepared) = (Arc::clone(&self.native), self.prepare_commit(offsets));
        Box::pin(async move {
            let Some(list) = prepared? else { return Ok(()) };
            let commit = move || native.base().map_or(Ok(()), |base| base.commit(&list, CommitMode::Sync));
            let what = "commit positions";
            match client::call(CONTROL_TIMEOUT * 2, commit).await? {
                Some(Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset))) => Ok(()),
                Some(Err(failure)) => Err(error::of_kafka(&failure, what)),
                None => Err(error::unanswered(what)),
            }
        })
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        self.shared.pause(partitions);
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        self.shared.resume(partitions);
    }

    async fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.shared.command(Command::Seek { partition: partition.clone(), offset, reply });
        answer.await.unwrap_or_else(|_| Err(shared::ended()))
    }

    fn group_metadata(&self) -> GroupMetadata {
        let metadata = self.base().ok().and_then(rdkafka::consumer::Consumer::group_metadata);
        match metadata {
            Some(metadata) => GroupMetadata(Arc::new(Member { metadata, shared: Arc::clone(&self.shared) })),
            None => GroupMetadata(Arc::new(())),
        }
    }

    fn lag(&self) -> Vec<(TopicPartition, i64)> {
        let Some(positions) = self.base().ok().and_then(|base| base.position().ok()) else { return Vec::new() };
        let state = self.shared.lock();
        let lag = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let partition = TopicPartition::new(element.topic(), element.partition());
            let (_, end) = self.native.watermarks(&partition)?;
            let fetched = element.offset().to_raw().filter(|offset| *offset >= 0);
            let position = state.first_held(&partition).or(fetched)?;
            Some((partition, (end - position).max(0)))
        };
        positions.elements().iter().filter_map(lag).collect()
    }

    async fn close(self: Box<Self>) {
        let mut this = *self;
        this.shared.command(Command::Stop);
        let _ = (&mut this.ended).await;
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.shared.command(Command::Stop);
    }
}

/// Who commits positions in a transaction: what [`GroupMetadata`] holds.
pub(crate) struct Member {
    metadata: ConsumerGroupMetadata,
    shared: Arc<Shared>,
}

impl Member {
    /// Generation and member id as they were when the task asked (KIP-447).
    pub(crate) fn metadata(&self) -> &ConsumerGroupMetadata {
        &self.metadata
    }

    /// The broker fences members that are gone. One that lost a partition and stayed, because its task was away for too long, is
    /// fenced here.
    pub(crate) fn check_assigned(&self, offsets: &Offsets) -> Result<()> {
        self.shared.check_assigned(offsets)
    }
}

/// Bytes that a batch holds, and whether it holds any record.
fn size(batch: &impl RawRecords) -> Option<usize> {
    (!batch.is_empty()).then(|| batch.bytes())
}
