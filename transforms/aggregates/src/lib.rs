//! The built-in windowed aggregates as one WebAssembly component.
//!
//! Each result is a map without schema: the window, the group and what the aggregate found out. Its key names the window and the
//! group, so that sinks can update the row of an earlier result.

mod bytes;
mod count;
mod output;
mod statistics;

pub use count::{Count, CountConfig, CountState};
pub use output::OutputConfig;
pub use statistics::{Number, Statistics, StatisticsConfig, Summary};

millrace_sdk::export_aggregates!(Count, Statistics);
