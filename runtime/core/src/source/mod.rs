//! Source tasks: connector -> transformations -> converters -> log.
//!
//! While one batch is on its way to the log the next is polled and prepared. A source is told "committed" only after its records
//! and its offset are durable (invariant 1); with exactly-once both are one transaction (KIP-618).

mod lazy;
mod prepare;
mod run;
mod send;
mod topics;
mod transaction;

pub use lazy::LazyProducer;
pub use run::SourceRun;
pub use topics::TopicCreation;
