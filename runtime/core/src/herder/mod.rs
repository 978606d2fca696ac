//! The herder: which connectors exist, what is wanted of them, and what is so.

mod api;
mod config_store;
pub mod machine;
mod standalone;
mod state;
mod validate;

pub use api::*;
pub use standalone::StandaloneHerder;
pub use state::{Effect, Event, HerderState};
