//! What the members of a Kafka Connect group tell each other, and how their leader divides the work. Pure: no IO, no clock.
//!
//! - [`protocol`]: the bytes (KIP-415, KIP-507). Kafka Connect's own workers read and write the same.
//! - [`Leader`]: the decision. Kafka Connect's followers obey it as they obey a leader of theirs.
//! - [`solo`]: a group of one, for workers without others.

mod cooperative;
mod eager;
mod leader;
mod placement;
pub mod protocol;
pub mod solo;
mod unit;

pub use leader::{ConnectorWork, Leader, Peer, Round, Work};
pub use protocol::{Assignment, CONFIG_MISMATCH, NO_ERROR, Protocol, WorkerState};
