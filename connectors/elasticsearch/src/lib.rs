//! Elasticsearch sink. See `docs.md`.
//!
//! The way of a batch: [`operation`] says what each record asks for, [`document`] writes tagged values as JSON straight into the
//! body of a [`bulk`] request, [`delivery`] sends it and tries refused items again, [`answer`] tells apart what the server
//! says about each of them. [`index`] names and creates what is written to; [`client`] is all that knows the official client.

mod answer;
mod bulk;
mod client;
mod config;
mod connector;
mod delivery;
mod document;
mod index;
mod mapping;
mod operation;
mod task;

pub use config::ElasticsearchSinkConfig;
pub use connector::ElasticsearchPlugin;
pub use task::{Counts, ElasticsearchSinkTask};
