//! A partition while the log is open: its ends, its open transactions, who waits for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use millrace_api::log::TopicPartition;
use tokio::sync::Notify;

use crate::check::lock;

/// A partition. The writer's thread alone moves its ends forward; retention moves its start.
pub(crate) struct Partition {
    /// Topic.
    pub(crate) topic: Arc<str>,
    /// Number of the topic in keys.
    pub(crate) topic_id: u32,
    /// Number.
    pub(crate) index: i32,
    deleted: Arc<AtomicBool>,
    start: AtomicI64,
    /// Next offset to be given away. Only the writer's thread looks at it.
    next: AtomicI64,
    /// Next offset to be read: everything before it is written, and synced unless a transaction holds it.
    end: AtomicI64,
    /// First offset of every open transaction, by the transaction's number.
    open: Mutex<BTreeMap<u64, i64>>,
    waiting: Mutex<Vec<Arc<Notify>>>,
}

impl Partition {
    pub(crate) fn new(topic: Arc<str>, topic_id: u32, index: i32, deleted: Arc<AtomicBool>) -> Self {
        Self {
            topic,
            topic_id,
            index,
            deleted,
            start: AtomicI64::new(0),
            next: AtomicI64::new(0),
            end: AtomicI64::new(0),
            open: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// Sets the offsets found on disk.
    pub(crate) fn restore(&self, start: i64, end: i64) {
        self.start.store(start, Ordering::Release);
        self.next.store(end, Ordering::Release);
        self.end.store(end, Ordering::Release);
    }

    /// Number as it stands in keys.
    pub(crate) fn key_index(&self) -> u32 {
        self.index.unsigned_abs()
    }

    /// Topic and number.
    pub(crate) fn name(&self) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition: self.index }
    }

    /// Whether its topic was deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// First offset.
    pub(crate) fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// Retention removed everything before `start`.
    pub(crate) fn set_start(&self, start: i64) {
        self.start.fetch_max(start, Ordering::AcqRel);
    }

    /// Next offset to be given away.
    pub(crate) fn next(&self) -> i64 {
        self.next.load(Ordering::Acquire)
    }

    /// Gives away `count` offsets and returns the first.
    pub(crate) fn take(&self, count: u32) -> i64 {
        self.next.fetch_add(i64::from(count), Ordering::AcqRel)
    }

    /// Everything before `end` can be read.
    pub(crate) fn publish(&self, end: i64) {
        self.end.fetch_max(end, Ordering::AcqRel);
    }

    /// Next offset for a reader: the end, or with `read_committed` the last stable one.
    pub(crate) fn end(&self, read_committed: bool) -> i64 {
        // Transactions are noted before their records are published, so the end must be read first.
        let end = self.end.load(Ordering::Acquire);
        if !read_committed {
            return end;
        }
        lock(&self.open).values().copied().min().map_or(end, |first| first.min(end))
    }

    /// A transaction has its first record here.
    pub(crate) fn opened(&self, transaction: u64, first: i64) {
        lock(&self.open).entry(transaction).or_insert(first);
    }

    /// A transaction ended.
    pub(crate) fn ended(&self, transaction: u64) {
        lock(&self.open).remove(&transaction);
    }

    /// Wakes `notify` whenever there may be more to read, until [`Partition::leave`].
    pub(crate) fn wait(&self, notify: &Arc<Notify>) {
        lock(&self.waiting).push(Arc::clone(notify));
    }

    /// Undoes [`Partition::wait`].
    pub(crate) fn leave(&self, notify: &Arc<Notify>) {
        let mut waiting = lock(&self.waiting);
        if let Some(at) = waiting.iter().position(|other| Arc::ptr_eq(other, notify)) {
            waiting.swap_remove(at);
        }
    }

    /// Wakes the readers.
    pub(crate) fn wake(&self) {
        lock(&self.waiting).iter().for_each(|notify| notify.notify_one());
    }
}
