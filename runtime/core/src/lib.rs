//! Worker, herder, tasks, offsets, errors and metrics. Decisions are pure functions; storage is behind the log seam.

pub mod config;
pub mod convert;
pub mod errors;
pub mod group;
pub mod herder;
mod load;
pub mod loggers;
pub mod metrics;
pub mod offsets;
pub mod override_policy;
pub mod peers;
pub mod plugins;
pub mod progress;
pub mod providers;
pub mod sink;
pub mod source;
pub mod storage;
pub mod task;
pub mod time;
pub mod versions;
pub mod worker;
pub mod worker_config;
