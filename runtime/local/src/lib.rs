//! The embedded log: topics, groups, transactions and state tables in one folder, for Millrace without Kafka.
//!
//! [`LocalLog`] implements the `Log` seam, [`LocalStateStores`] the `StateStores` seam. Both stand on fjall, a log-structured
//! store; nothing outside this crate knows.
//!
//! # How it works
//! - Records are stored as blocks (`block`): a few hundred records encoded and compressed as one value. The key of a block is its
//!   topic, partition and last offset, so "the first block at or after an offset" is one seek.
//! - One thread writes (`writer`). It takes everything that waits, writes it as one atomic batch with one fsync, publishes the new
//!   ends, wakes the readers and answers the senders. Offsets, fencing and transactions need no locks because of it.
//! - Records of an open transaction are written at once, each block with a marker that names it. Committing removes the markers
//!   and adds the consumer positions in one atomic batch; aborting, or opening after a crash, removes the blocks the markers name.
//!   A read-committed consumer stops at the first record of the oldest open transaction, as on Kafka; unlike on Kafka, what was
//!   aborted is gone for a read-uncommitted one too.
//! - Groups live in memory (`group`), their positions on disk. Partitions move as in Kafka's cooperative protocol: only those that
//!   change hands are revoked.
//! - The cleaner (`cleaner`) applies retention and compaction, and frees what deleted topics held.

mod block;
mod check;
mod cleaner;
mod consumer;
mod error;
mod group;
mod journal;
mod keys;
mod lock;
mod log;
mod options;
mod partitioner;
mod producer;
mod state;
mod store;
mod topic;
mod writer;

pub use log::LocalLog;
pub use options::LocalOptions;
pub use state::LocalStateStores;
