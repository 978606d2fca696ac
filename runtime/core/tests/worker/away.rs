//! Conversions that may succeed later.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use millrace_core::herder::{Herder as _, State, TargetState};

use crate::support::{Bench, until};

const ALL: [(&str, &str); 3] = [
    ("value.converter", "test.AwayConverter"),
    ("errors.tolerance", "all"),
    ("errors.deadletterqueue.topic.name", "dead"),
];

async fn bench(away: u32) -> (Bench, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path()).await;
    bench.seen.away.store(away, Ordering::SeqCst);
    (bench, dir)
}

fn with<'p>(more: &[(&'p str, &'p str)]) -> Vec<(&'p str, &'p str)> {
    ALL.iter().copied().chain(more.iter().copied()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_tried_again_for_as_long_as_the_connector_allows() {
    let (bench, _dir) = bench(3).await;
    bench.produce(0..10).await;
    let began = Instant::now();
    bench.sink("s", "ok", &with(&[("errors.retry.timeout", "60000")])).await;
    until("all of them", async || bench.got("s").len() == 10).await;
    assert_eq!(bench.got("s"), (0..10).collect::<Vec<i64>>());
    // 300, 600 and 1,200 ms (`RetryWithToleranceOperator`).
    assert!(began.elapsed() >= Duration::from_millis(2_100), "{:?}", began.elapsed());
    assert!(bench.read("dead").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_time_for_it_the_record_fails() {
    let (bench, _dir) = bench(2).await;
    bench.produce(0..10).await;
    bench.sink("s", "ok", &with(&[])).await;
    until("eight of them", async || bench.got("s").len() == 8 && bench.read("dead").await.len() == 2).await;

    bench.seen.away.store(1, Ordering::SeqCst);
    bench.sink("strict", "ok", &with(&[("errors.tolerance", "none")])).await;
    until("FAILED", async || bench.task_state("strict").await.is_some_and(|(state, _)| state == State::Failed)).await;
    let trace = bench.task_state("strict").await.unwrap().1.unwrap();
    assert!(trace.contains("the registry is away") && trace.contains("VALUE_CONVERTER"), "{trace}");
}

/// What cannot be converted yet when its task ends has not failed: the next task gets it.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_ends_meanwhile_loses_nothing() {
    let (bench, _dir) = bench(u32::MAX).await;
    bench.produce(1_000..1_010).await;
    let patient = with(&[("errors.retry.timeout", "-1"), ("errors.retry.delay.max.ms", "50")]);
    bench.sink("s", "ok", &patient).await;
    let mut source = vec![("connector.class", "TestSource"), ("count", "60")];
    source.extend(&patient);
    bench.put("source", &source).await;
    for (name, target) in ["s", "source"].into_iter().flat_map(|name| {
        [TargetState::Stopped, TargetState::Started, TargetState::Stopped].map(|target| (name, target))
    }) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.herder.set_target(name, target).await.unwrap();
    }
    until("no tasks", async || bench.task_state("s").await.is_none() && bench.task_state("source").await.is_none())
        .await;
    assert!(bench.got("s").is_empty() && bench.read("dead").await.is_empty());

    bench.seen.away.store(0, Ordering::SeqCst);
    for name in ["s", "source"] {
        bench.herder.set_target(name, TargetState::Started).await.unwrap();
    }
    until("both are done", async || bench.got("s").len() == 70).await;
    assert_eq!(bench.got("s"), (0..60).chain(1_000..1_010).collect::<Vec<i64>>());
    assert!(bench.read("dead").await.is_empty());
}
