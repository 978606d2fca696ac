//! Members while brokers die. Alone in its file, so that no other test runs meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests may")]

#[allow(dead_code, reason = "what this file does not need")]
mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Worker, options};
use millrace_api::group::GroupOptions;
use millrace_behaviour::log_suite::unique;

fn ctl(words: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/services/ctl");
    // Brokers outlive this test and would hold its output open.
    let done = Command::new(path).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(done.expect("ctl").success(), "{words:?}");
}

/// One of the two brokers is the coordinator. Whichever is killed, the member stays what it was, and the group works on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_killed_coordinator_is_found_again_and_nobody_loses_work() {
    if std::env::var("MILLRACE_TEST_KAFKA_DIR").is_err() || !common::bootstrap().contains(',') {
        eprintln!("skipped: MILLRACE_TEST_KAFKA_DIR names no two brokers that may be killed");
        return;
    }
    let group = unique("killed");
    let patient = GroupOptions { session_timeout_ms: 30_000, ..options(&group, "anna") };
    let mut worker = Worker::with(patient, Duration::ZERO).await;
    let mut place = worker.joined().await;
    for broker in ["1", "2"] {
        ctl(&["kill", "kafka", broker]);
        worker.quiet(Duration::from_secs(10)).await;
        worker.rejoin();
        let next = worker.joined().await;
        assert_eq!(
            (next.generation, &next.member),
            (place.generation + 1, &place.member),
            "broker {broker} was killed"
        );
        place = next;
        ctl(&["restart", "kafka", broker]);
    }
    worker.leave().await;
}
