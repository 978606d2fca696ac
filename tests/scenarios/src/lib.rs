//! What the scenario tests share: the worker as a process, an HTTP client, and patience.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    reason = "this crate is only used by tests"
)]

mod cluster;
mod http;
mod lines;
mod states;
mod worker;

pub use cluster::{Cluster, States};
pub use http::{Answer, Http};
pub use lines::{Appender, Arrived, Difference};
pub use states::{Stored, history, records, stored};
pub use worker::{Worker, free_port, millrace, repository};

use std::time::{Duration, Instant};

/// Asks until `done` says so; fails with what was seen last.
pub async fn eventually<T: std::fmt::Debug, F: Future<Output = T>>(
    what: &str,
    deadline: Duration,
    mut ask: impl FnMut() -> F,
    done: impl Fn(&T) -> bool,
) -> T {
    let until = Instant::now() + deadline;
    loop {
        let seen = ask().await;
        if done(&seen) {
            return seen;
        }
        assert!(Instant::now() < until, "{what}: not within {deadline:?}; last seen: {seen:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// An endpoint that a lane provides; a scenario without its servers is a failure, not a skip.
#[must_use]
pub fn endpoint(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run this through tests/run scenarios"))
}
