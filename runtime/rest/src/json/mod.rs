//! Reading request bodies with Jackson's rules and wording.
//!
//! Clients and operators see the parser's messages in a 500, with the position of the fault, so they are Kafka Connect's: the
//! parser behind them ([`parser`]) goes through the bytes as Jackson's does, and the binding ([`bind`]) refuses what Jackson's
//! refuses. `tests/golden` holds what a real worker answered.

mod any;
mod bind;
mod error;
mod parser;
mod records;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use bind::{NullableProps, read_config, read_create};
pub(crate) use error::JsonError;
pub(crate) use records::{OffsetEntry, read_any, read_offsets, read_task_configs};
