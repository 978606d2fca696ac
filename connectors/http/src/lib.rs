//! HTTP source: a listener inside a source task. A request becomes records of a topic, and is answered with 202 only after
//! the log acknowledged them. See `docs.md`.
//!
//! The way of a request: [`server`] admits it and reads its body, [`json`] and [`rules`] check it, [`records`] makes a batch
//! of it, [`intake`] queues it for the next poll and keeps its answer until the runtime says "committed". [`ledger`] knows
//! the idempotency keys of the window, [`rebuild`] reads them back from the log after a restart.

mod config;
mod connector;
mod decimal;
mod intake;
mod json;
mod ledger;
mod rebuild;
mod records;
mod reply;
mod rules;
mod server;
mod task;

pub use config::HttpSourceConfig;
pub use connector::HttpPlugin;
pub use task::HttpSourceTask;
