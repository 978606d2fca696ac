//! What connectors, converters, transformations and the runtime share. Nothing in here does IO.
//!
//! - [`value`]: tagged values, the encoded form in which keys, values and headers travel.
//! - [`schema`]: Kafka Connect's schemas.
//! - [`batch`]: the record batch, its wire form, and the delta a WASM stage answers with.
//! - [`config`]: `ConfigDef`, the one table behind parsing, validation, REST answers and docs.
//! - [`connector`], [`log`], [`group`], [`converter`], [`transform`]: the seams (feature `host`).

pub mod batch;
pub mod config;
pub mod error;
pub mod schema;
pub mod value;

#[cfg(feature = "host")]
pub mod connector;
#[cfg(feature = "host")]
pub mod converter;
#[cfg(feature = "host")]
pub mod group;
#[cfg(feature = "host")]
pub mod log;
#[cfg(feature = "host")]
pub mod transform;

pub use batch::{Record, RecordBatch};
pub use error::{Error, ErrorKind, Result};
pub use schema::{Schema, SchemaRef};
pub use value::{Value, Writer};

// Rows are sent to guests as they lie in memory, and WebAssembly is little-endian.
#[cfg(target_endian = "big")]
compile_error!(
    "Millrace needs a little-endian target: record batches are shared with WebAssembly as they lie in memory"
);
