//! Write transformations, predicates and windowed aggregates for Millrace in Rust, as WebAssembly components.
//!
//! ```
//! use millrace_sdk::prelude::*;
//!
//! /// Sends the records of one country to a topic of their own.
//! struct Route {
//!     config: RouteConfig,
//! }
//!
//! #[derive(Config)]
//! struct RouteConfig {
//!     /// Field that holds the country.
//!     #[config(name = "field", default = "country")]
//!     field: String,
//!     /// Where records without a country go.
//!     #[config(name = "fallback.topic", importance = "high", non_empty)]
//!     fallback: String,
//! }
//!
//! impl Transform for Route {
//!     const CLASS: &'static str = "com.example.Route";
//!     type Config = RouteConfig;
//!
//!     fn configure(config: RouteConfig) -> Result<Self> {
//!         Ok(Self { config })
//!     }
//!
//!     fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
//!         match record.field(Part::Value, &self.config.field).and_then(Value::as_str) {
//!             Some(country) => out.topic(&format!("orders-{country}")),
//!             None => out.topic(&self.config.fallback),
//!         }
//!         Ok(Verdict::Keep)
//!     }
//! }
//!
//! millrace_sdk::export_smt!(Route);
//! # fn main() {}
//! ```
//!
//! A crate of `crate-type = ["cdylib", "rlib"]` with this in it, built by `cargo build --release --target wasm32-wasip2`, is a
//! component. It depends on `millrace-api` (default features off) beside this crate, for `#[derive(Config)]`. Tests run on the
//! host: see [`testing`].
//!
//! Panics trap: the host drops the instance, finds the record at fault and hands it to the connector's error tolerance. They cost
//! the whole chunk a second run, so return an error for a record that cannot be processed.

mod aggregate;
#[doc(hidden)]
pub mod bindings;
mod chain;
#[doc(hidden)]
pub mod export;
mod fields;
pub mod log;
mod output;
mod place;
mod plugin;
mod record;
mod schemas;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use aggregate::{Aggregate, AggregatePlugin, Emitted, Folder, State, Window};
pub use chain::{Chain, StageConfig};
pub use fields::{Fields, encoded};
pub use millrace_api as api;
pub use millrace_macros::Config;
pub use output::{HeaderList, Output};
pub use plugin::{NoConfig, Plugin, Predicate, Transform, Verdict};
pub use record::{Part, Record};
pub use schemas::{SchemaCache, infer};

pub use millrace_api::value::same;

/// Everything a plugin usually needs.
pub mod prelude {
    pub use crate::{
        Aggregate, Emitted, Fields, NoConfig, Output, Part, Predicate, Record, SchemaCache, State, Transform, Verdict,
        Window,
    };
    pub use millrace_api::batch::wire::Needs;
    pub use millrace_api::config::Config as _;
    pub use millrace_api::schema::{Field, Kind};
    pub use millrace_api::value::Tag;
    pub use millrace_api::{Error, Result, Schema, SchemaRef, Value, Writer};
    pub use millrace_macros::Config;
}
