//! Kafka Connect's three internal topics, byte for byte, so that its workers and Millrace's share a cluster or take over from each
//! other: configurations and targets ([`config`]), states ([`status`]), positions of sources ([`offsets`]).
//!
//! Each is a pure fold over the records of a compacted topic plus builders of the records that are written. [`topic`] reads and
//! writes the topic itself.

pub mod config;
mod file;
mod java;
mod json;
pub mod offsets;
pub mod status;
pub mod topic;

pub use file::read_offsets_file;

/// A record to be written: the log chooses the partition by its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Key.
    pub key: Vec<u8>,
    /// Value; `None` removes what is under the key.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }

    fn tombstone(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), value: None }
    }
}

/// Values may hold passwords and session keys.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.as_ref().map(Vec::len);
        f.debug_struct("Entry").field("key", &String::from_utf8_lossy(&self.key)).field("bytes", &value).finish()
    }
}

/// Connector and task of a key `<prefix><connector>-<task>`, as Kafka Connect takes it apart: the number is what follows the last
/// `-`, and dashes at the end count for nothing (`String.split`).
fn task_id<'a>(key: &'a str, prefix: &str) -> Option<(&'a str, i32)> {
    let (connector, task) = key.trim_end_matches('-').strip_prefix(prefix)?.rsplit_once('-')?;
    Some((connector, task.parse().ok()?))
}
