//! Windowed aggregates: a sink connector whose output is a topic.
//!
//! Two phases, like a combiner, in the same tasks. [`fold`]: each input partition folds its records into partial states per
//! window and group, and at each commit sends what is new to a repartition topic, followed by the partition's watermark.
//! [`merge`]: each partition of the repartition topic merges partials into states, and emits results. One transaction per commit
//! holds partials, results, changelog and consumer positions, so nothing is counted twice or lost.
//!
//! Whether a record is late is decided in the first phase, by the watermark of its own partition, which is a function of that
//! partition's order alone: a backlog gives the same windows as live traffic.

mod close;
mod commit;
mod config;
mod connector;
mod fold;
mod key;
mod merge;
mod message;
mod output;
mod restore;
mod source;
mod task;
#[cfg(test)]
mod tests;
mod time;
mod transaction;

pub use config::AggregateConfig;
pub use connector::AggregatePlugin;
