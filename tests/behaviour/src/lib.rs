//! Behaviour suites: what a seam promises, as one named test per promise, run against every implementation of it.
//!
//! - [`log_suite`]: the `Log` seam; `runtime/local` and `runtime/kafka` both pass it.
//! - [`unused`]: services for tests of tasks that need none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is what these are for"
)]
#![allow(clippy::missing_panics_doc, reason = "every behaviour panics when it does not hold")]

pub mod log_suite;
pub mod unused;
