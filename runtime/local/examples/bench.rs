//! Throughput and latency of the embedded log. `cargo run --release -p millrace-local --example bench [directory] [GiB]`; 0 GiB
//! opens and scans what an earlier run left.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints, and stops when something is wrong")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{
    ConsumerOptions, Event, Log, ProducerOptions, StateStores, Subscription, TopicPartition, TopicSpec,
};
use millrace_local::{LocalLog, LocalOptions, LocalStateStores};

const PARTITIONS: i32 = 3;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "/tmp/millrace-bench".to_owned());
    let gigabytes: f64 = arguments.next().map_or(1.0, |text| text.parse().unwrap());
    let dir = Path::new(&dir);
    if gigabytes <= 0.0 {
        return reopen(dir).await;
    }
    drop(std::fs::remove_dir_all(dir));
    let log = Arc::new(LocalLog::open(dir, LocalOptions::default()).unwrap());
    println!("empty log: {} MiB resident", resident());
    log.create_topic(&TopicSpec { partitions: Some(PARTITIONS), ..TopicSpec::new("orders") }).await.unwrap();

    append(&log, 1, 1_500, 600_000).await;
    append(&log, 4, 500, 600_000).await;
    append(&log, 64, 1, 30_000).await;
    transactions(&log).await;
    scan(&log, "warm").await;
    latency(&log).await;

    println!("filling up to {gigabytes} GiB");
    while (log.disk_space().unwrap() as f64) < gigabytes * (1_u64 << 30) as f64 {
        append(&log, 4, 2_000, 1_000_000).await;
    }
    println!("{} MiB resident after that", resident());
    drop(log);
    state(dir);
}

async fn reopen(dir: &Path) {
    let started = Instant::now();
    let log = Arc::new(LocalLog::open(dir, LocalOptions::default()).unwrap());
    let elapsed = started.elapsed();
    println!("open {} MiB: {elapsed:.1?}, {} MiB resident", log.disk_space().unwrap() >> 20, resident());
    scan(&log, "after opening").await;
    scan(&log, "again").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("{} MiB resident after the scans", resident());
}

fn batch(count: usize, from: usize) -> RawBatch {
    let mut batch = RawBatch::new();
    for n in from..from + count {
        let key = format!("order-{n}");
        let noise = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let value = format!(
            r#"{{"orderId":"{key}","customerId":"customer-{}","productId":"product-{}","quantity":{},"price":{}.{:02},"orderTime":"2026-11-20T14:{:02}:{:02}.{:03}Z","status":"CREATED","trace":"{noise:016x}"}}"#,
            noise % 10_007,
            noise % 997,
            1 + noise % 9,
            noise % 500,
            noise % 100,
            noise % 60,
            noise / 60 % 60,
            noise % 1_000,
        );
        batch.push(&RawRecord::new("orders", Some(key.as_bytes()), Some(value.as_bytes()))).unwrap();
    }
    batch
}

/// `producers` at once send `per_send` records and wait until they are durable, until `total` are.
async fn append(log: &Arc<LocalLog>, producers: usize, per_send: usize, total: usize) {
    let sends = total / per_send / producers;
    let batches: Arc<Vec<_>> = Arc::new((0..8).map(|n| batch(per_send, n * per_send)).collect());
    let bytes = batches[0].heap().len() / per_send;
    let (started, cpu) = (Instant::now(), cpu());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..producers {
        let (log, batches) = (Arc::clone(log), Arc::clone(&batches));
        tasks.spawn(async move {
            let producer = log.producer(ProducerOptions::default()).await.unwrap();
            let mut waits = Vec::with_capacity(sends);
            for n in 0..sends {
                let started = Instant::now();
                let sent = producer.send(&batches[n % batches.len()]).await.unwrap();
                assert!(sent.iter().all(Result::is_ok));
                waits.push(started.elapsed());
            }
            waits
        });
    }
    let mut waits: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let (elapsed, cpu) = (started.elapsed(), self::cpu() - cpu);
    waits.sort();
    let records = sends * producers * per_send;
    println!(
        "append {producers} x {per_send} of {bytes} B: {:.0} rec/s, {:.0} MB/s, {:.2} us CPU/rec, ack p50 {:.1?} p99 {:.1?}",
        records as f64 / elapsed.as_secs_f64(),
        (records * bytes) as f64 / elapsed.as_secs_f64() / 1e6,
        cpu * 1e6 / records as f64,
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
    );
}

async fn transactions(log: &LocalLog) {
    let options = ProducerOptions { transactional_id: Some("bench".to_owned()), ..ProducerOptions::default() };
    let producer = log.producer(options).await.unwrap();
    let batch = batch(500, 0);
    let started = Instant::now();
    for _ in 0..200 {
        producer.begin().await.unwrap();
        for _ in 0..3 {
            producer.send(&batch).await.unwrap();
        }
        producer.commit().await.unwrap();
    }
    let per = started.elapsed() / 200;
    println!("transaction of 3 x 500: {per:.1?} each, {:.0} rec/s", 1_500.0 / per.as_secs_f64());
}

async fn scan(log: &LocalLog, what: &str) {
    let starts = (0..PARTITIONS).map(|partition| (TopicPartition::new("orders", partition), -2)).collect();
    let options =
        ConsumerOptions { end_events: true, ..ConsumerOptions::new("bench", "", Subscription::Assign(starts)) };
    let mut consumer = log.consumer(options).await.unwrap();
    let (started, cpu) = (Instant::now(), cpu());
    let (mut records, mut bytes, mut ended) = (0_usize, 0_usize, 0);
    while ended < PARTITIONS {
        match consumer.next().await.unwrap() {
            Event::Records(batch) => {
                records += batch.len();
                for index in 0..batch.len() {
                    let record = batch.get(index).unwrap();
                    bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                }
            }
            Event::EndOfPartition { .. } => ended += 1,
            _ => {}
        }
    }
    let elapsed = started.elapsed();
    println!(
        "scan {what}: {:.2}M rec/s, {:.0} MB/s, {:.3} us CPU/rec ({records} records)",
        records as f64 / elapsed.as_secs_f64() / 1e6,
        bytes as f64 / elapsed.as_secs_f64() / 1e6,
        (self::cpu() - cpu) * 1e6 / records as f64,
    );
}

/// From the start of a send to its record in a waiting consumer's hands, and from its acknowledgement.
async fn latency(log: &Arc<LocalLog>) {
    log.create_topic(&TopicSpec::new("pings")).await.unwrap();
    let start = vec![(TopicPartition::new("pings", 0), -1)];
    let mut consumer = log.consumer(ConsumerOptions::new("bench", "", Subscription::Assign(start))).await.unwrap();
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let reading = tokio::spawn(async move {
        loop {
            if let Event::Records(records) = consumer.next().await.unwrap() {
                let now = Instant::now();
                (0..records.len()).for_each(|_| sender.send(now).unwrap());
            }
        }
    });
    let producer = log.producer(ProducerOptions::default()).await.unwrap();
    let mut ping = RawBatch::new();
    ping.push(&RawRecord::new("pings", None, Some(b"ping"))).unwrap();
    let (mut whole, mut after) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        let started = Instant::now();
        producer.send(&ping).await.unwrap();
        let durable = Instant::now();
        let arrived = seen.recv().await.unwrap();
        whole.push(arrived.duration_since(started));
        after.push(arrived.saturating_duration_since(durable));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    reading.abort();
    for (what, mut times) in [("send to read", whole), ("durable to read", after)] {
        times.sort();
        println!("{what}: p50 {:.2?}, p99 {:.2?}", times[times.len() / 2], times[times.len() * 99 / 100]);
    }
}

fn state(dir: &Path) {
    let stores = LocalStateStores::open(dir, &LocalOptions::default()).unwrap();
    let table = stores.open("windows").unwrap();
    let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
    let started = Instant::now();
    for from in (0..500_000_u64).step_by(1_000) {
        let entries: Vec<_> = (from..from + 1_000).map(|n| (key(n % 100_000), Some(vec![7; 64]))).collect();
        table.write(&entries).unwrap();
    }
    table.sync().unwrap();
    println!("state: {:.0} writes/s in batches of 1,000", 500_000.0 / started.elapsed().as_secs_f64());
    let started = Instant::now();
    for n in 0..200_000 {
        assert!(table.get(&key(n % 100_000)).unwrap().is_some());
    }
    println!("state: {:.0} reads/s; {} MiB resident", 200_000.0 / started.elapsed().as_secs_f64(), resident());
}

/// Resident MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10
}

/// Seconds of processor time of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
