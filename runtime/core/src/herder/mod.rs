//! The herder: which connectors exist, what is wanted of them, and what is so. One for a worker that is alone and for a group.
//!
//! - [`machine`]: the decisions, without IO.
//! - `driver`: the loop that brings it what happens and carries out what it says.
//! - `handle`: [`WorkerHerder`], which the REST API and the CLI hold; `start` opens it, and `late` stands for it meanwhile.

mod api;
mod driver;
mod handle;
mod late;
pub mod machine;
mod offsets;
mod settings;
mod start;
mod validate;

pub use api::*;
pub use handle::WorkerHerder;
pub use late::LateHerder;
pub use settings::HerderSettings;
pub use start::Cluster;
