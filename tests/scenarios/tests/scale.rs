//! Many connectors on one worker of a group on real Kafka: answers stay quick while one hangs, and idle ones cost little. The lane
//! `scale` runs these; they hold a machine to its figures, so nothing else should run beside them.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "tests may, and figures are printed")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use hyper::Method;
use millrace_scenarios::{Cluster, Http, eventually};
use serde_json::{Value, json};

/// How long answers took.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }

    fn shown(&mut self) -> String {
        let (half, most, all) = (self.percentile(50), self.percentile(99), self.percentile(100));
        format!("{} answers: p50 {half:?}, p99 {most:?}, longest {all:?}", self.0.len())
    }
}

/// Asks one after the other until it is told to stop.
async fn ask_about(http: Http, urls: Vec<String>, stop: Arc<AtomicBool>) -> Latencies {
    let mut latencies = Latencies::default();
    while !stop.load(Ordering::Relaxed) {
        for url in &urls {
            let began = Instant::now();
            let answer = http.get(url).await.expect("an answer");
            latencies.0.push(began.elapsed());
            assert!(answer.status == 200, "{url}: {} {}", answer.status, answer.body);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    latencies
}

fn idle_source(cluster: &Cluster, number: usize) -> Value {
    json!({
        "connector.class": "FileStreamSource", "topic": format!("{}-idle", cluster.name), "tasks.max": "1",
        "file": cluster.path(&format!("idle-{number}.txt")),
    })
}

fn idle_sink(cluster: &Cluster, number: usize) -> Value {
    json!({
        "connector.class": "FileStreamSink", "topics": format!("{}-idle", cluster.name), "tasks.max": "1",
        "file": cluster.path(&format!("idle-{number}.txt")),
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn scale_200_connectors_are_created_quickly_while_starts_hang() {
    let mut cluster = Cluster::new(1, &[]);
    cluster.start(0);
    cluster.healthy(0).await;
    // Nobody opens the other ends of these pipes, and nobody answers behind this port.
    for (name, class) in [("hangs", "FileStreamSink"), ("hangs-too", "FileStreamSource")] {
        let pipe = cluster.path(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        let topic = format!("{}-hangs", cluster.name);
        let config =
            json!({ "connector.class": class, "topics": topic, "topic": topic, "tasks.max": "1", "file": pipe });
        cluster.create(0, name, config).await;
    }
    let started = || async {
        let states = cluster.states(0).await.unwrap_or_default();
        ["hangs", "hangs-too"].iter().all(|name| states.get(*name).is_some_and(|(state, _)| state == "RUNNING"))
    };
    eventually("they are there", Duration::from_mins(1), started, |started| *started).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let database = format!("jdbc:mysql://{}/test", silent.local_addr().expect("an address"));
    let config = json!({
        "connector.class": "JdbcSink", "topics": "t", "connection.url": database, "connection.user": "u", "name": "jdbc",
    });
    let validate = cluster.url(0, "/connector-plugins/JdbcSink/config/validate");
    let (http, body) = (cluster.http.clone(), config.to_string());
    let validating = tokio::spawn(async move { http.send(Method::PUT, &validate, &[], &body).await });

    let stop = Arc::new(AtomicBool::new(false));
    let paths = ["/connectors", "/connectors/hangs", "/connectors/hangs/status", "/connectors/hangs-too/tasks", "/"];
    let urls = paths.iter().map(|path| cluster.url(0, path)).collect();
    let asking = tokio::spawn(ask_about(cluster.http.clone(), urls, Arc::clone(&stop)));
    let (mut created, began) = (Latencies::default(), Instant::now());
    for number in 0..200 {
        let name = format!("idle-{number}");
        let mut config = idle_source(&cluster, number);
        config["name"] = json!(name);
        let body = json!({ "name": name, "config": config }).to_string();
        let began = Instant::now();
        let answer = cluster.http.send(Method::POST, &cluster.url(0, "/connectors"), &[], &body).await;
        created.0.push(began.elapsed());
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let all = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut asked = asking.await.expect("answers");
    println!("200 connectors in {all:?}; creating, {}; asking meanwhile, {}", created.shown(), asked.shown());
    assert!(all < Duration::from_secs(20), "{all:?}");
    for latencies in [&mut created, &mut asked] {
        assert!(latencies.percentile(99) < Duration::from_millis(100), "{}", latencies.shown());
    }
    let began = Instant::now();
    let running = || async {
        let states = cluster.states(0).await.unwrap_or_default();
        states.iter().filter(|(name, (state, _))| name.starts_with("idle-") && state == "RUNNING").count()
    };
    eventually("all of them run", Duration::from_mins(1), running, |count| *count == 400).await;
    println!("all tasks RUNNING {:?} after the last answer", began.elapsed());
    drop(silent);
    validating.await.expect("it ends").expect("an answer");
    let began = Instant::now();
    cluster.stop(0);
    println!("stopped after {:?}", began.elapsed());
}

/// A worker with a thousand connectors of a kind is started again; resident bytes, time to its first full answer in the group, and
/// until everything runs.
async fn thousand(what: &str, config: fn(&Cluster, usize) -> Value) -> (u64, Duration) {
    const COUNT: usize = 1_000;
    let mut cluster = Cluster::new(1, &[("offset.flush.interval.ms", "10000")]);
    cluster.start(0);
    cluster.healthy(0).await;
    // Sinks read a topic that is there.
    let file = cluster.path("first.txt");
    std::fs::write(&file, "a line\n").expect("written");
    let first = json!({
        "connector.class": "FileStreamSource", "topic": format!("{}-idle", cluster.name), "file": file,
        "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "2",
    });
    cluster.create(0, "first", first).await;
    let began = Instant::now();
    let shared = &cluster;
    futures::stream::iter(1..COUNT)
        .for_each_concurrent(4, |number| async move {
            shared.create(0, &format!("{}-{number:04}", shared.name), config(shared, number)).await;
        })
        .await;
    println!("{COUNT} {what}: created in {:?}", began.elapsed());
    cluster.running(0, COUNT * 2, &[0]).await;
    println!("all running {:?} after the first was created", began.elapsed());
    let began = Instant::now();
    cluster.stop(0);
    println!("stopped in {:?}", began.elapsed());

    let began = Instant::now();
    cluster.start(0);
    let ready = async || {
        let health = cluster.http.get(&cluster.url(0, "/health")).await?;
        let all = cluster.http.get(&cluster.url(0, "/connectors")).await?;
        Some(health.status == 200 && all.json().as_array().is_some_and(|all| all.len() == COUNT))
    };
    while ready().await != Some(true) {
        assert!(began.elapsed() < Duration::from_mins(2), "{}", cluster.tail_of_log(0));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let start = began.elapsed();
    cluster.running(0, COUNT * 2, &[0]).await;
    let running = began.elapsed();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let resident = cluster.worker(0).resident_bytes();
    println!(
        "{COUNT} {what}: ready after {start:?}, all RUNNING after {running:?}, {} MB resident, {} threads",
        resident >> 20,
        cluster.worker(0).threads()
    );
    cluster.stop(0);
    (resident, start)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn scale_1000_idle_sources_are_small_and_start_quickly() {
    let (resident, start) = thousand("FileStreamSource", idle_source).await;
    assert!(resident < 250 << 20, "{} MB", resident >> 20);
    assert!(start < Duration::from_secs(3), "{start:?}");
}

/// Each has a consumer of its own in a group of its own, as in Kafka Connect.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn scale_1000_idle_sinks_start_quickly() {
    let (resident, start) = thousand("FileStreamSink", idle_sink).await;
    assert!(resident < 500 << 20, "{} MB", resident >> 20);
    assert!(start < Duration::from_secs(3), "{start:?}");
}
