//! What the writer's thread can be asked to do.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::Result;
use millrace_api::log::{Offsets, TopicPartition};
use tokio::sync::oneshot;

use crate::block::{Body, Builder};
use crate::group::MemberId;
use crate::topic::{Partition, Topic};

/// Where an answer goes. Whoever does not wait any more drops the other end.
pub(crate) type Done<T> = oneshot::Sender<Result<T>>;

/// A command.
pub(crate) enum Command {
    /// Stores a topic that the registry added; `next` is the number of the next one.
    CreateTopic { topic: Arc<Topic>, next: u32, done: Done<()> },
    /// Forgets a topic that the registry removed, and every group's positions in it.
    DeleteTopic { topic: Arc<Topic>, done: Done<()> },
    /// Appends records.
    Append(Append),
    /// Gives a transactional id to a new producer: fences the one before and aborts what it left open.
    OpenProducer { id: String, timeout: Duration, done: Done<Owner> },
    /// Begins a transaction.
    Begin { owner: Owner, done: Done<()> },
    /// Makes positions part of a transaction.
    SendOffsets { owner: Owner, member: Arc<MemberId>, offsets: Offsets, done: Done<()> },
    /// Commits a transaction.
    Commit { owner: Owner, done: Done<()> },
    /// Aborts a transaction.
    Abort { owner: Owner, done: Done<()> },
    /// Aborts transactions that are open for longer than their producers allowed.
    Expire,
    /// Commits positions of a member.
    CommitPositions { member: Arc<MemberId>, offsets: Offsets, done: Done<()> },
    /// Sets and removes positions of a group without members.
    SetPositions { group: String, offsets: Vec<(TopicPartition, Option<i64>)>, done: Done<()> },
    /// Answers when everything before is done.
    Settle { done: Done<()> },
}

/// Records to be appended, each part to one partition.
pub(crate) struct Append {
    /// Whose transaction they belong to.
    pub(crate) owner: Option<Owner>,
    /// Blocks in order.
    pub(crate) parts: Vec<(Arc<Partition>, Part)>,
    /// Gets the base offset of each part; `None` when its topic was deleted.
    pub(crate) done: Done<Vec<Option<i64>>>,
}

/// A block to be.
pub(crate) enum Part {
    /// Few records, which may share a block with those of others.
    Open(Builder),
    /// A block.
    Closed(Body),
}

/// A producer that has a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The transactional id.
    pub(crate) id: Arc<str>,
    /// Counts the producers that had it.
    pub(crate) epoch: i64,
}
