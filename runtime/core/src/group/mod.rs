//! What the members of a Kafka Connect group tell each other, and how their leader divides the work. Pure: no IO, no clock.
//!
//! - [`protocol`]: the bytes (KIP-415, KIP-507). Kafka Connect's own workers read and write the same.
//! - [`Leader`]: the decision. Kafka Connect's followers obey it as they obey a leader of theirs.
//! - [`solo`]: a group of one, for workers without others.
//!
//! In an eager group the decision is Kafka Connect's, to the byte. In a cooperative one it keeps its rules: nothing is started before its
//! former owner has given it up; the work of a lost worker waits for it; while something waits, or right after work has moved, nothing
//! else moves; a leader remembers only what followed its own last decision. Where work goes, and when it need not wait, is decided
//! otherwise, as no follower can tell and less of it stands still:
//!
//! | | Kafka Connect | here |
//! |---|---|---|
//! | a worker returns within the delay | has its work when the delay is over | has it at once, known by its URL |
//! | another joins meanwhile | has a part when the delay is over | has the work of one that is missing at once |
//! | a second worker is lost | shares what is left of the first one's delay | has a delay of its own |
//! | a member gave its work up (it could not reach Kafka) | anybody gets it | gets it back |
//! | two members run the same | both stop, one of them starts again | one stops |
//! | work that is not configured any more | stops if this leader gave it | stops |
//! | a round without decision ([`CONFIG_MISMATCH`]) | lost workers are forgotten, so nothing waits for them | they are not |
//! | division | counts; sorted by name | weights; connectors' tasks, sources and sinks apart; by capability |

mod cooperative;
mod eager;
mod leader;
mod placement;
pub mod protocol;
pub mod solo;
mod unit;

pub use leader::{ConnectorWork, Leader, Peer, Round, Work};
pub use protocol::{Assignment, CONFIG_MISMATCH, NO_ERROR, Protocol, WorkerState};
