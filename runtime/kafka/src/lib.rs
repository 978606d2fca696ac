//! Kafka as Millrace's log: [`KafkaLog`] is [`millrace_api::log::Log`] over librdkafka.
//!
//! - `allow`: the closed list of client settings. Nothing else ever reaches the C library, which runs some of its settings as code.
//! - `consumer`: a thread per consumer that owns it; batches are read where librdkafka put them.
//! - `producer`: idempotent always, transactional on request.
//! - `admin`: topics, offsets, groups.
//! - [`security`]: TLS and logins, for librdkafka and for whoever else speaks Kafka's protocol.
//! - `membership`: groups of any protocol type, without librdkafka.
//! - `ffi`: the only unsafe code.

mod admin;
mod allow;
mod client;
mod consumer;
mod error;
mod ffi;
mod list;
mod log;
mod membership;
mod producer;
mod refusals;
pub mod security;

pub use client::ClientProps;
pub use log::KafkaLog;
pub use membership::KafkaGroups;
