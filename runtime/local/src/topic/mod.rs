//! Topics and their partitions, as long as the log is open.

mod config;
mod partition;
mod registry;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millrace_api::config::Props;
use millrace_api::log::TopicInfo;

pub(crate) use config::TopicConfig;
pub(crate) use partition::Partition;
pub(crate) use registry::{Registry, encode};

/// A topic.
pub(crate) struct Topic {
    /// Name.
    pub(crate) name: Arc<str>,
    /// Number in keys; never used twice, so a new topic does not see what an old one of its name left behind.
    pub(crate) id: u32,
    /// Settings, parsed.
    pub(crate) config: TopicConfig,
    /// Settings, as they were given.
    pub(crate) props: Props,
    /// Partitions.
    pub(crate) partitions: Vec<Arc<Partition>>,
    deleted: Arc<AtomicBool>,
}

impl Topic {
    pub(crate) fn new(name: &str, id: u32, partitions: i32, props: Props, config: TopicConfig) -> Self {
        let (name, deleted): (Arc<str>, _) = (Arc::from(name), Arc::new(AtomicBool::new(false)));
        let partition = |index| Arc::new(Partition::new(Arc::clone(&name), id, index, Arc::clone(&deleted)));
        let partitions = (0..partitions).map(partition).collect();
        Self { name, id, config, props, partitions, deleted }
    }

    /// Number of partitions.
    pub(crate) fn count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// The partition with a number.
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// From now on nothing is appended; readers are told.
    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
        self.partitions.iter().for_each(|partition| partition.wake());
    }

    /// For lists.
    pub(crate) fn info(&self) -> TopicInfo {
        TopicInfo { name: self.name.to_string(), partitions: self.count(), internal: false }
    }
}
