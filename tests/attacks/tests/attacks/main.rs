//! Cases 1 to 8, 13, 14, 17 and 19 of what was done to other hosts of connectors, against a worker of a group on real Kafka. The same
//! cases are tried in more spellings where they are decided: `runtime/kafka/tests/attacks.rs` (settings of clients),
//! `runtime/core/tests/providers.rs` (variables), `runtime/rest/tests/attacks.rs` (requests).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod clients;
mod requests;
mod secrets;
