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

fn ctl(words: &[&str]) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/services/ctl");
    // Brokers outlive this test and would hold its output open.
    let done = Command::new(path).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.expect("ctl").success()
}

/// Of so many groups, some have their coordinator on the broker that is killed. Each member stays what it was, and its group works on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_killed_coordinator_is_found_again_and_nobody_loses_work() {
    if std::env::var("MILLRACE_TEST_KAFKA_DIR").is_err() || !common::bootstrap().contains(',') {
        eprintln!("skipped: MILLRACE_TEST_KAFKA_DIR names no two brokers of which one may be killed");
        return;
    }
    let mut members = Vec::new();
    for _ in 0..6 {
        let patient = GroupOptions { session_timeout_ms: 45_000, ..options(&unique("killed"), "anna") };
        let mut worker = Worker::with(patient, Duration::ZERO).await;
        let place = worker.joined().await;
        members.push((worker, place));
    }
    assert!(ctl(&["kill", "kafka", "2"]), "broker 2 could not be killed");
    tokio::time::sleep(Duration::from_secs(10)).await;
    for (worker, place) in &mut members {
        worker.quiet(Duration::from_millis(100)).await;
        worker.rejoin();
        let next = worker.joined().await;
        assert_eq!((next.generation, &next.member), (place.generation + 1, &place.member));
    }
    let restarted = (0..3).any(|_| ctl(&["restart", "kafka", "2"]));
    assert!(restarted, "broker 2 did not come back");
    for (worker, _) in members {
        worker.leave().await;
    }
}
