//! Connectors and tasks on a real worker over the embedded log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, reason = "a test")]

mod support;

#[path = "worker/away.rs"]
mod away;
#[path = "worker/cluster.rs"]
mod cluster;
#[path = "worker/group.rs"]
mod group;
#[path = "worker/source.rs"]
mod source;

use std::sync::atomic::Ordering;
use std::time::Duration;

use millrace_core::herder::{Herder as _, State, TargetState};
use support::{Bench, until};

fn numbers(range: std::ops::Range<i64>) -> Vec<i64> {
    range.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_gets_everything_and_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path()).await;
    bench.produce(0..1_000).await;
    bench.sink("s", "ok", &[("tasks.max", "2")]).await;
    until("1000 numbers", async || bench.got("s").len() == 1_000).await;
    assert_eq!(bench.got("s"), numbers(0..1_000));
    bench.herder.shutdown().await;
    drop(bench);

    let bench = Bench::open(dir.path()).await;
    // The connector was written down; it starts by itself and reads only what is new.
    bench.produce(1_000..1_100).await;
    until("100 more", async || bench.got("s").len() >= 100).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.got("s"), numbers(1_000..1_100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_may_succeed_later_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path()).await;
    bench.produce(0..100).await;
    bench.sink("s", "retry", &[]).await;
    until("100 numbers", async || bench.got("s").len() == 100).await;
    assert_eq!(bench.got("s"), numbers(0..100));
    assert!(bench.herder.metrics().contains("millrace_task_retries_total{connector=\"s\",task=\"0\"}"));
}

/// Both ways a sink may refuse records end in the same places.
#[tokio::test(flavor = "multi_thread")]
async fn refused_records_are_dead_lettered_and_the_rest_delivered() {
    for mode in ["odd", "reject"] {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::open(dir.path()).await;
        bench.produce(0..100).await;
        let dlq = [
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", "dead"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
            ("operation.log.topic", "oplog"),
        ];
        bench.sink("s", mode, &dlq).await;
        until("the even numbers", async || bench.got("s").len() == 50).await;
        assert_eq!(bench.got("s"), (0..100).filter(|n| n % 2 == 0).collect::<Vec<i64>>(), "{mode}");
        until("the log of 100 records", async || bench.read("oplog").await.len() == 100).await;
        let dead = bench.read("dead").await;
        let mut values: Vec<i64> = dead
            .iter()
            .map(|(_, v, _)| v.trim_start_matches("{\"n\":").trim_end_matches('}').parse().unwrap())
            .collect();
        values.sort_unstable();
        assert_eq!(values, (0..100).filter(|n| n % 2 != 0).collect::<Vec<i64>>(), "{mode}");
        let headers: std::collections::HashMap<_, _> = dead[0].2.iter().cloned().collect();
        assert_eq!(headers["__connect.errors.topic"], "numbers");
        assert_eq!(headers["__connect.errors.stage"], "TASK_PUT");
        assert_eq!(headers["__connect.errors.connector.name"], "s");
        assert_eq!(headers["__connect.errors.exception.class.name"], "org.apache.kafka.connect.errors.DataException");
        let log = bench.read("oplog").await;
        assert_eq!(log.iter().filter(|(_, value, _)| value.contains("\"status\":\"FAILED\"")).count(), 50);
        assert!(log.iter().all(|(key, _, _)| key.as_ref().is_some_and(|key| key.starts_with("numbers-"))));
        until("every record is counted once", async || {
            let metrics = bench.herder.metrics();
            let count = |name: &str| {
                let line = format!("millrace_task_{name}_total{{connector=\"s\",task=\"0\"}} ");
                metrics.lines().find_map(|l| l.strip_prefix(&line)).map(str::to_owned)
            };
            let text = |n: &str| Some(n.to_owned());
            count("records_in") == text("100")
                && count("records_out") == text("50")
                && count("records_dead_lettered") == text("50")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tolerance_a_refused_record_fails_the_task_and_a_restart_reads_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path()).await;
    bench.produce(0..10).await;
    bench.sink("s", "reject", &[]).await;
    until("FAILED", async || bench.task_state("s").await.is_some_and(|(state, _)| state == State::Failed)).await;
    let trace = bench.task_state("s").await.unwrap().1.unwrap();
    assert!(trace.contains("Tolerance exceeded in error handler") && trace.contains("Caused by"), "{trace}");
    assert_eq!(bench.herder.status("s").await.unwrap().connector.state, State::Running);
    let puts = bench.seen.puts.load(Ordering::Relaxed);
    bench.herder.restart_task("s", 0).await.unwrap();
    until("a second attempt", async || bench.seen.puts.load(Ordering::Relaxed) > puts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_that_hang_or_panic_leave_the_others_alone() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path()).await;
    bench.produce(0..500).await;
    bench.sink("hangs", "hang", &[]).await;
    bench.sink("panics", "panic", &[]).await;
    bench.sink("works", "ok", &[]).await;
    until("the good one has it all", async || bench.got("works").len() == 500).await;
    until("the panic is seen", async || {
        bench.task_state("panics").await.is_some_and(|(state, _)| state == State::Failed)
    })
    .await;
    // The one that hangs can be deleted, and the worker stops in bounded time.
    bench.herder.delete("hangs").await.unwrap();
    tokio::time::timeout(Duration::from_secs(15), bench.herder.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sink_holds_still_and_a_stopped_one_has_no_tasks() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path()).await;
    bench.produce(0..10).await;
    bench.sink("s", "ok", &[]).await;
    until("10", async || bench.got("s").len() == 10).await;
    bench.herder.set_target("s", TargetState::Paused).await.unwrap();
    until("PAUSED", async || bench.task_state("s").await.is_some_and(|(state, _)| state == State::Paused)).await;
    bench.produce(10..20).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.got("s"), numbers(0..10));
    bench.herder.set_target("s", TargetState::Started).await.unwrap();
    until("20", async || bench.got("s").len() == 20).await;
    bench.herder.set_target("s", TargetState::Stopped).await.unwrap();
    until("no tasks", async || bench.task_state("s").await.is_none()).await;
    bench.produce(20..30).await;
    bench.herder.set_target("s", TargetState::Started).await.unwrap();
    until("30", async || bench.got("s").len() == 30).await;
    assert_eq!(bench.got("s"), numbers(0..30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_told_after_its_offset_is_durable_and_goes_on_from_it() {
    for exactly_once in ["enabled", "disabled"] {
        let dir = tempfile::tempdir().unwrap();
        let worker = [("exactly.once.source.support", exactly_once)];
        let bench = Bench::open_with(dir.path(), &worker).await;
        bench.put("source", &[("connector.class", "TestSource"), ("count", "200")]).await;
        until("all batches are told committed", async || bench.seen.committed.lock().unwrap().len() == 20).await;
        assert_eq!(*bench.seen.committed.lock().unwrap(), (0..20).map(|n| n * 10).collect::<Vec<u64>>());
        let offsets = bench.read("connect-offsets").await;
        let last = offsets.last().expect("offsets");
        assert_eq!(last.0.as_deref(), Some(r#"["source",{"p":"only"}]"#));
        assert_eq!(last.1, r#"{"n":200}"#);
        bench.herder.shutdown().await;
        drop(bench);

        let bench = Bench::open_with(dir.path(), &worker).await;
        bench.put("source", &[("connector.class", "TestSource"), ("count", "300")]).await;
        until("the rest", async || bench.seen.committed.lock().unwrap().len() == 10).await;
        let mut found: Vec<String> = bench.read("numbers").await.into_iter().map(|(_, value, _)| value).collect();
        found.sort();
        assert_eq!(found.len(), 300, "each number once");
        found.dedup();
        assert_eq!(found.len(), 300);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_configurations_are_refused_with_all_their_errors() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path()).await;
    let refused = |pairs: &'static [(&str, &str)]| {
        let config = support::props(pairs);
        let bench = &bench;
        async move { bench.herder.put_config("x", config, None, false).await.unwrap_err().message().to_owned() }
    };
    let message = refused(&[("name", "x"), ("connector.class", "TestSink"), ("topics", "t"), ("tasks.max", "0")]).await;
    assert_eq!(
        message,
        "Connector configuration is invalid and contains the following 1 error(s):\nInvalid value 0 for configuration tasks.max: Value must be at least 1\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"
    );
    let message = refused(&[("name", "x"), ("connector.class", "TestSnk"), ("topics", "t")]).await;
    assert!(message.starts_with("Failed to find any class that implements Connector and which name matches TestSnk"));
    assert!(message.ends_with("Did you mean test.TestSinkConnector?"), "{message}");
    let message =
        refused(&[("name", "x"), ("connector.class", "TestSink"), ("topics", "t"), ("topics.regex", "u")]).await;
    assert!(message.contains("topics and topics.regex are mutually exclusive options, but both are set."));
    let message = refused(&[
        ("name", "x"),
        ("connector.class", "TestSink"),
        ("topics", "t"),
        ("value.converter", "JsonConvertor"),
    ])
    .await;
    assert!(message.contains("Did you mean org.apache.kafka.connect.json.JsonConverter?"), "{message}");
}
