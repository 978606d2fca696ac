//! Sink tasks: log -> converters -> transformations -> connector.
//!
//! Three things overlap: the consumer polls on its own thread, [`feed`] converts and transforms the next batch on a blocking
//! thread, and [`deliver`] hands the one before to the connector. The loop in [`run`] owns the consumer and decides what is
//! committed: only positions whose records were acknowledged by the other side (invariant 2).

mod deliver;
mod feed;
mod group;
mod run;

pub use group::{consumer_group, consumer_overrides};
pub use run::SinkRun;
