//! The components that are part of Millrace, as bytes. They are built for `wasm32-wasip2` by this crate's build script.

/// Kafka Connect's own transformations and predicates.
pub static SMT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/smt.wasm"));

/// The built-in aggregates.
pub static AGGREGATES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/aggregates.wasm"));
