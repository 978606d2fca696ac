//! The REST API: Kafka Connect's, to the status code and message, over any [`Herder`](millrace_core::herder::Herder).
//!
//! [`serve`] binds the `listeners` and answers until [`RestServer::shutdown`]. What a request goes through, in order: [`server`]
//! (connections, limits, deadline), [`path`] (what may be a path at all), [`routes`] (which resource, which method, which media
//! type), then the handlers ([`root`], [`connectors`], [`plugins`]). [`mask`] takes secrets out of every answer (invariant 6).
//! What Kafka Connect does not have lies below `/millrace` ([`topics`]) and at `/metrics`.
//!
//! The oracle is a real worker: `tests/golden` holds its answers, and `tests/rest.rs` asks the same questions.

mod active;
mod answer;
mod body;
mod client;
mod connectors;
mod cors;
mod error;
mod forward;
mod headers;
mod internal;
mod json;
mod loggers;
mod mask;
mod metrics;
mod offsets;
mod options;
mod page;
mod path;
pub mod peers;
mod plugins;
mod progress;
mod root;
mod routes;
mod server;
mod signature;
mod tasks;
mod tls;
pub mod topics;
mod validations;

pub use options::{RestOptions, StalledTasks};
pub use peers::PeerClient;
pub use server::{RestServer, serve};
