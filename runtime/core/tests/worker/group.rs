//! The consumer group of a sink.

use millrace_api::log::{Log as _, Offsets, TopicPartition};
use millrace_core::herder::Herder as _;

use crate::support::{Bench, until};

async fn total(bench: &Bench, group: &str) -> i64 {
    let offsets: Offsets = bench.log.group_offsets(group).await.unwrap();
    offsets.values().sum()
}

/// `commits`: by the worker, or by the task in a transaction with the membership it is given in `pre_commit`.
#[tokio::test(flavor = "multi_thread")]
async fn the_configured_group_is_the_one_of_commits_pre_commit_lookup_reset_and_lag() {
    for mode in ["ok", "transactional"] {
        for (group, worker, connector) in [
            ("connect-s", None, None),
            ("mine", None, Some(("consumer.override.group.id", "mine"))),
            ("ours", Some(("consumer.group.id", "ours")), None),
            ("mine", Some(("consumer.group.id", "ours")), Some(("consumer.override.group.id", "mine"))),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let worker: Vec<_> = worker.into_iter().collect();
            let bench = Bench::open_with(dir.path(), &worker).await;
            bench.produce(0..90).await;
            let connector: Vec<_> = connector.into_iter().collect();
            bench.sink("s", mode, &connector).await;
            until("all positions are committed", async || total(&bench, group).await == 90).await;
            assert_eq!(*bench.seen.groups.lock().unwrap(), [group], "{mode}: what the task is told");
            for other in ["connect-s", "mine", "ours"].into_iter().filter(|other| *other != group) {
                assert_eq!(total(&bench, other).await, 0, "{mode}: {other} is not {group}");
            }
            let lag = "millrace_task_lag_records{connector=\"s\",task=\"0\",topic=\"numbers\",partition=\"0\"} 0";
            until("no lag", async || bench.herder.metrics().contains(lag)).await;
            bench.herder.shutdown().await;

            // Positions that are set for the group are where the next start reads on.
            let again: Vec<_> = (0..3).map(|n| (TopicPartition::new("numbers", n), Some(0))).collect();
            bench.log.set_group_offsets(group, &again).await.unwrap();
            drop(bench);
            let bench = Bench::open_with(dir.path(), &worker).await;
            until("everything once more", async || bench.got("s").len() == 90).await;
        }
    }
}

/// A sink whose other side never answers is RUNNING all the while; that it does not move is visible.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_waits_for_its_other_side_is_seen_to() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open_with(dir.path(), &[("task.stalled.after.ms", "1000")]).await;
    bench.produce(0..10).await;
    bench.sink("moves", "ok", &[]).await;
    bench.sink("waits", "hang", &[]).await;
    let stalled = || {
        let tasks = bench.herder.progress().into_iter().filter(|task| task.stalled.is_some());
        tasks.map(|task| task.connector).collect::<Vec<_>>()
    };
    until("one stalls", async || !stalled().is_empty()).await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(stalled(), ["waits"]);
    let metrics = bench.herder.metrics();
    for (connector, value) in [("waits", 1), ("moves", 0)] {
        let line = format!("millrace_task_stalled{{connector=\"{connector}\",task=\"0\"}} {value}");
        assert!(metrics.contains(&line), "{line}");
    }
    bench.herder.delete("waits").await.unwrap();
    until("nothing is left of it", async || {
        bench.herder.progress().iter().all(|task| task.connector != "waits")
            && !bench.herder.metrics().contains("millrace_task_stalled{connector=\"waits\"")
    })
    .await;
}
