//! Workers of a group on real Kafka: one dies, all are restarted one after the other, a broker comes and goes; files to files.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "tests may, and figures are printed")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use millrace_scenarios::{Appender, Arrived, Cluster, Difference, States, eventually, history, repository};
use serde_json::{Value, json};

/// Pairs of a source and a sink; the sink has two tasks.
const PAIRS: usize = 3;
/// Connectors and tasks of them.
const WORK: usize = PAIRS * (2 + 3);

/// `in-N.txt` through `flow-N` to `out-N.txt`.
async fn pair(cluster: &Cluster, at: usize, number: usize) {
    let topic = format!("{}-flow-{number}", cluster.name);
    let source = json!({
        "connector.class": "FileStreamSource", "topic": topic, "tasks.max": "1",
        "file": cluster.path(&format!("in-{number}.txt")),
        "topic.creation.default.partitions": "4", "topic.creation.default.replication.factor": "2",
    });
    cluster.create(at, &format!("{}-source-{number}", cluster.name), source).await;
    let sink = json!({
        "connector.class": "FileStreamSink", "topics": topic, "tasks.max": "2",
        "file": cluster.path(&format!("out-{number}.txt")),
        "consumer.override.metadata.max.age.ms": "2000",
        // Members that cannot leave, because their coordinator is away just then, are waited for this long.
        "consumer.override.session.timeout.ms": "10000",
    });
    // Its consumer group has its name, which no other test may use.
    cluster.create(at, &format!("{}-sink-{number}", cluster.name), sink).await;
}

fn appenders(cluster: &Cluster, per_tick: u64) -> Vec<Appender> {
    let file = |number| cluster.path(&format!("in-{number}.txt"));
    (0..PAIRS).map(|number| Appender::start(&file(number), &format!("line{number}"), per_tick)).collect()
}

/// Waits until everything that was written has come out, and for what comes too much after that.
async fn all_arrived(cluster: &Cluster, appenders: &mut [Appender]) -> Vec<(u64, Difference)> {
    let written: Vec<u64> = appenders.iter_mut().map(Appender::finish).collect();
    let compare = || async {
        let arrived = |number: usize| Arrived::of(cluster.path(&format!("out-{number}.txt")));
        let compare =
            |(number, count): (usize, &u64)| (*count, arrived(number).compare(&format!("line{number}"), *count));
        written.iter().enumerate().map(compare).collect::<Vec<_>>()
    };
    let complete = |seen: &Vec<(u64, Difference)>| seen.iter().all(|(_, difference)| difference.missing == 0);
    eventually("every line has arrived", Duration::from_mins(2), compare, complete).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    compare().await
}

/// What the tasks of these states wrote down, by key of the status topic.
async fn written(cluster: &Cluster) -> BTreeMap<String, Vec<String>> {
    let mut all = history(&format!("{}-states", cluster.name)).await;
    all.retain(|key, _| key.starts_with("status-task-"));
    all
}

fn key(task: &str) -> String {
    format!("status-task-{}", task.replace('/', "-"))
}

fn tasks(states: &States) -> impl Iterator<Item = (&String, &String)> {
    states.iter().filter(|(name, _)| name.contains('/')).map(|(name, (_, worker))| (name, worker))
}

/// Starts three workers; lines for them begin to be written.
async fn started(cluster: &mut Cluster) -> Vec<Appender> {
    for number in 0..3 {
        cluster.start(number);
    }
    for number in 0..3 {
        cluster.healthy(number).await;
    }
    appenders(cluster, 20)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn real_work_of_a_killed_worker_moves_and_no_other_task_restarts() {
    let delay = Duration::from_secs(8);
    let settings = [
        ("scheduled.rebalance.max.delay.ms", "8000"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "1500"),
        ("exactly.once.source.support", "enabled"),
        ("offset.flush.interval.ms", "1000"),
    ];
    let mut cluster = Cluster::new(3, &settings);
    let mut appenders = started(&mut cluster).await;
    for number in 0..PAIRS {
        pair(&cluster, number % 3, number).await;
    }
    cluster.running(0, WORK, &[0, 1, 2]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, _) = cluster.running(0, WORK, &[0, 1, 2]).await;
    for number in 0..3 {
        let share = tasks(&before).filter(|(_, worker)| **worker == cluster.id(number)).count();
        assert!((2..=4).contains(&share), "worker {number} has {share} of 9 tasks: {before:?}");
    }
    let wrote = written(&cluster).await;

    let killed = Instant::now();
    cluster.kill(1);
    let (after, _) = cluster.running(0, WORK, &[0, 2]).await;
    let moved_after = killed.elapsed();
    println!("killed worker: work was elsewhere after {moved_after:?} (session 6 s, delay {delay:?})");
    assert!(moved_after > delay, "it waits for the worker to come back: {moved_after:?}");
    assert!(moved_after < delay + Duration::from_secs(6 + 10), "{moved_after:?}");
    assert_eq!(cluster.states(2).await.as_ref(), Some(&after), "all workers show the same");

    let now = written(&cluster).await;
    for (task, worker) in tasks(&before) {
        let new: Vec<&String> = now[&key(task)].iter().skip(wrote[&key(task)].len()).collect();
        if *worker == cluster.id(1) {
            assert!(new.iter().any(|state| state.starts_with("RUNNING")), "{task} runs elsewhere: {new:?}");
        } else {
            assert!(new.is_empty(), "{task} ran at {worker} all the while: {new:?}");
        }
    }

    // It comes back and gets a share; what stays where it is goes on.
    cluster.start(1);
    let shares = || async {
        let states = cluster.states(0).await.unwrap_or_default();
        let runs = states.values().filter(|(state, _)| state == "RUNNING").count();
        let mut tasks: Vec<usize> =
            (0..3).map(|n| tasks(&states).filter(|(_, worker)| **worker == cluster.id(n)).count()).collect();
        tasks.sort_unstable();
        (runs, tasks)
    };
    // What is even is the load, which is measured by now; so three each is only likely.
    let divided = |seen: &(usize, Vec<usize>)| seen.0 == WORK && seen.1[0] > 0 && seen.1.iter().sum::<usize>() == 9;
    eventually("a share for everybody", Duration::from_mins(1), shares, divided).await;
    let (last, _) = cluster.running(0, WORK, &[0, 1, 2]).await;
    let then = written(&cluster).await;
    for (task, worker) in tasks(&last).filter(|(task, worker)| after[*task].1 == **worker) {
        assert_eq!(then[&key(task)], now[&key(task)], "{task} stayed at {worker}");
    }

    let arrived = all_arrived(&cluster, &mut appenders).await;
    println!("lines written, and what differs: {arrived:?}");
    assert!(arrived.iter().all(|(_, difference)| difference.foreign == 0), "{arrived:?}");
    // The sinks that died deliver again what they had not committed. The sources are exact: who reads only what is committed now
    // finds every line once.
    for number in 0..PAIRS {
        let check = json!({
            "connector.class": "FileStreamSink", "topics": format!("{}-flow-{number}", cluster.name), "tasks.max": "1",
            "file": cluster.path(&format!("check-{number}.txt")),
            "consumer.override.isolation.level": "read_committed",
        });
        cluster.create(0, &format!("{}-check-{number}", cluster.name), check).await;
    }
    for (number, (count, _)) in arrived.iter().enumerate() {
        let check = Arrived::of(cluster.path(&format!("check-{number}.txt")));
        eventually("the topic is read", Duration::from_mins(1), || async { check.count() }, |seen| seen >= count).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            check.compare(&format!("line{number}"), *count),
            Difference::default(),
            "source {number} of {count}"
        );
    }
    (0..3).for_each(|number| cluster.stop(number));
}

/// Weights of tasks as a worker measures them, by name; 0 for one that is not known yet.
async fn loads(cluster: &Cluster, at: usize) -> BTreeMap<String, u64> {
    let listed = cluster.http.get(&cluster.url(at, "/millrace/tasks")).await.expect("an answer").json();
    let name = |task: &Value| format!("{}/{}", task["connector"].as_str().unwrap_or_default(), task["task"]);
    let load = |task: &Value| (name(task), task["load"].as_u64().unwrap_or(0));
    listed.as_array().into_iter().flatten().map(load).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn real_tasks_are_divided_by_what_they_do_and_not_by_their_number() {
    let mut cluster = Cluster::new(2, &[]);
    cluster.start(0);
    cluster.healthy(0).await;
    // Three that read 10,000 lines a second each, and six that have nothing to read.
    let file = |number: usize| cluster.path(&format!("in-{number}.txt"));
    let appenders: Vec<Appender> =
        (0..3).map(|number| Appender::start(&file(number), &format!("line{number}"), 200)).collect();
    for number in 0..9 {
        let config = json!({
            "connector.class": "FileStreamSource", "topic": format!("{}-many", cluster.name), "tasks.max": "1",
            "file": file(number), "topic.creation.default.partitions": "4", "topic.creation.default.replication.factor": "1",
        });
        cluster.create(0, &format!("many-{number}"), config).await;
    }
    cluster.running(0, 18, &[0]).await;
    let measured = |seen: &BTreeMap<String, u64>| seen.len() == 9 && seen.values().all(|load| *load > 0);
    let weights = eventually("loads", Duration::from_mins(2), || loads(&cluster, 0), measured).await;
    println!("loads: {weights:?}");
    assert!((0..9).all(|number| (weights[&format!("many-{number}/0")] > 10) == (number < 3)), "{weights:?}");

    cluster.start(1);
    cluster.healthy(1).await;
    let (states, _) = cluster.running(1, 18, &[0, 1]).await;
    let of = |worker: usize| -> Vec<usize> {
        let here = |number: &usize| states[&format!("many-{number}/0")].1 == cluster.id(worker);
        (0..9).filter(here).collect()
    };
    let mut shares = [of(0), of(1)];
    println!("tasks of the workers: {shares:?}");
    shares.sort_by_key(Vec::len);
    assert!(shares[0].len() == 2 && shares[0].iter().all(|number| *number < 3), "two heavy ones: {shares:?}");
    drop(appenders);
    (0..2).for_each(|number| cluster.stop(number));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn real_workers_are_restarted_one_after_the_other_and_no_line_is_lost_or_doubled() {
    let settings = [
        ("scheduled.rebalance.max.delay.ms", "60000"),
        ("session.timeout.ms", "10000"),
        // Longer than the test, so that only orderly ends commit.
        ("offset.flush.interval.ms", "600000"),
    ];
    let mut cluster = Cluster::new(3, &settings);
    let mut appenders = started(&mut cluster).await;
    for number in 0..PAIRS {
        pair(&cluster, 0, number).await;
    }
    cluster.running(0, WORK, &[0, 1, 2]).await;
    for round in 0..2 {
        for number in 0..3 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let began = Instant::now();
            cluster.stop(number);
            let stopped = began.elapsed();
            cluster.start(number);
            cluster.healthy(number).await;
            let (_, took) = cluster.running((number + 1) % 3, WORK, &[0, 1, 2]).await;
            println!(
                "round {round}, worker {number}: stopped after {stopped:?}, all RUNNING {took:?} after it was ready"
            );
        }
    }
    let arrived = all_arrived(&cluster, &mut appenders).await;
    println!("lines written, and what differs: {arrived:?}");
    assert!(arrived.iter().all(|(_, difference)| *difference == Difference::default()), "{arrived:?}");
    (0..3).for_each(|number| cluster.stop(number));
}

#[test]
#[ignore = "needs MILLRACE_TEST_KAFKA with fewer than 3 brokers, MILLRACE_BIN"]
fn real_too_few_brokers_for_an_internal_topic_are_an_error_that_says_what_to_set() {
    let cluster = Cluster::new(1, &[]);
    let file = cluster.path("worker-0.properties");
    let text = std::fs::read_to_string(&file).expect("written");
    let without: String = text
        .lines()
        .filter(|line| !line.contains("replication.factor"))
        .fold(String::new(), |all, line| all + line + "\n");
    std::fs::write(&file, without).expect("written");
    let mut command = Command::new(millrace_scenarios::millrace());
    let ended = command.arg("distributed").arg(&file).output().expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    for part in
        ["config.storage.topic", "config.storage.replication.factor=3", "at most the number of brokers", "because:"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// The longest that any sink stood still while lines came.
struct Stillness {
    counts: Vec<(u64, Instant)>,
    longest: Duration,
}

impl Stillness {
    fn look(&mut self, cluster: &Cluster) {
        for (number, (count, since)) in self.counts.iter_mut().enumerate() {
            let now = Arrived::of(cluster.path(&format!("out-{number}.txt"))).count();
            if now > *count {
                (*count, *since) = (now, Instant::now());
            }
            self.longest = self.longest.max(since.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn real_sinks_go_on_when_brokers_are_restarted_and_killed_under_load() {
    let settings = [("offset.flush.interval.ms", "1000"), ("scheduled.rebalance.max.delay.ms", "2000")];
    let mut cluster = Cluster::new(2, &settings);
    cluster.start(0);
    cluster.start(1);
    cluster.healthy(0).await;
    cluster.healthy(1).await;
    let mut appenders = appenders(&cluster, 40);
    for number in 0..PAIRS {
        pair(&cluster, 0, number).await;
    }
    cluster.running(0, WORK, &[0, 1]).await;
    let mut still = Stillness { counts: vec![(0, Instant::now()); PAIRS], longest: Duration::ZERO };
    for (command, broker) in
        [("restart", "2"), ("kill", "2"), ("restart", "1"), ("kill", "1"), ("restart", "2"), ("kill", "2")]
    {
        let began = Instant::now();
        let commands = if command == "kill" { vec!["kill", "restart"] } else { vec!["restart"] };
        for command in commands {
            let ctl = repository().join("tests/services/ctl");
            let done = tokio::task::spawn_blocking(move || Command::new(ctl).args([command, "kafka", broker]).status());
            while !done.is_finished() {
                still.look(&cluster);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            assert!(done.await.expect("it ran").expect("ctl").success(), "{command} of broker {broker}");
        }
        let back = Instant::now();
        while back.elapsed() < Duration::from_secs(10) {
            still.look(&cluster);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        println!("{command} broker {broker}: {:?}; a sink stood still for at most {:?}", back - began, still.longest);
        assert!(still.longest < Duration::from_mins(1), "{}\n{}", cluster.tail_of_log(0), cluster.tail_of_log(1));
        still.longest = Duration::ZERO;
    }
    let arrived = all_arrived(&cluster, &mut appenders).await;
    println!("lines written, and what differs: {arrived:?}");
    assert!(arrived.iter().all(|(_, difference)| difference.foreign == 0), "{arrived:?}");
    let (states, _) = cluster.running(0, WORK, &[0, 1]).await;
    assert_eq!(states.len(), WORK);
    cluster.stop(0);
    cluster.stop(1);
}
