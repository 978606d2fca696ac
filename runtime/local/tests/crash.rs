//! A process that appends, commits and compacts is killed again and again while it is at work. Whatever it was told is durable must be
//! there, whole and in order; of a transaction all or nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::config::Props;
use millrace_api::log::{
    ConsumerOptions, Log, Producer, ProducerOptions, StateStores, Subscription, TopicPartition, TopicSpec,
};
use millrace_behaviour::log_suite::support::{Got, read_all};
use millrace_local::{LocalLog, LocalOptions, LocalStateStores};

const DIRECTORY: &str = "MILLRACE_CRASH_DIRECTORY";
const WRITERS: i32 = 3;
const KEYS: usize = 50;
const SLOTS: usize = 7;

/// Small buffers, so that a few seconds see many flushes, merges and new journals.
fn options() -> LocalOptions {
    LocalOptions { write_buffer_bytes: 512 << 10, state_write_buffer_bytes: 256 << 10, ..LocalOptions::default() }
}

/// Acknowledgements that a child printed before it died.
#[derive(Default)]
struct Acknowledged {
    plain: BTreeMap<i32, usize>,
    committed: BTreeSet<usize>,
    upserts: usize,
    synced: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    for markers in [1, 40, 5, 400, 150, 3, 800, 60] {
        kill_after(dir.path(), "the_child", markers, &mut acknowledged);
        let log = LocalLog::open(dir.path(), options()).unwrap();
        check_plain(&log, &acknowledged).await;
        check_transactions(&log, &acknowledged).await;
        check_compacted(&log, &acknowledged).await;
    }
    assert!(acknowledged.committed.len() > 20, "the child got something done: {}", acknowledged.committed.len());
}

/// State tables: what was synced is there, and what is there is a prefix of what was written.
#[test]
fn state_tables_survive_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    for markers in [1, 30, 4, 200] {
        kill_after(dir.path(), "the_state_child", markers, &mut acknowledged);
        let table = LocalStateStores::open(dir.path(), &options()).unwrap().open("t").unwrap();
        let number = |key: &str| table.get(key.as_bytes()).unwrap().map(|value| number_in(&value));
        let last = number("last").unwrap();
        assert!(last >= acknowledged.synced, "{last} of {}", acknowledged.synced);
        for slot in 0..SLOTS {
            let newest = (0..=last).rev().find(|number| number % SLOTS == slot);
            assert_eq!(number(&format!("slot{slot}")), newest, "after write {last}");
        }
    }
}

/// Starts a child and kills it at its `markers`th acknowledgement.
fn kill_after(dir: &Path, child: &str, markers: usize, acknowledged: &mut Acknowledged) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["plain", writer, last] => drop(acknowledged.plain.insert(writer.parse().unwrap(), last.parse().unwrap())),
            ["committed", number] => drop(acknowledged.committed.insert(number.parse().unwrap())),
            ["synced", number] => acknowledged.synced = number.parse().unwrap(),
            ["upserts", count] => acknowledged.upserts = count.parse().unwrap(),
            _ => continue,
        }
        seen += 1;
        if seen == markers {
            // SIGKILL. What the child had written to the pipe before is still read.
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "killed, not finished");
    assert!(seen >= markers, "the child died by itself after {seen} acknowledgements");
}

async fn check_plain(log: &LocalLog, acknowledged: &Acknowledged) {
    let all = read_all(log, "plain", true).await;
    for writer in 0..WRITERS {
        let records: Vec<_> = all.iter().filter(|got| got.partition == writer).collect();
        for (number, got) in records.iter().enumerate() {
            assert_eq!(
                (number_of(got), got.offset),
                (number, i64::try_from(number).unwrap()),
                "no gap, no repeat, in order"
            );
        }
        let last = acknowledged.plain.get(&writer).map_or(0, |last| last + 1);
        assert!(records.len() >= last, "writer {writer}: {} of {last}", records.len());
    }
}

async fn check_transactions(log: &LocalLog, acknowledged: &Acknowledged) {
    let count = |all: &[Got]| {
        let mut counts = BTreeMap::new();
        for got in all {
            *counts.entry(number_of(got)).or_insert(0) += 1;
        }
        counts
    };
    let (a, b) = (read_all(log, "tx-a", true).await, read_all(log, "tx-b", true).await);
    let (a, b) = (count(&a), count(&b));
    assert_eq!(a, b, "in both topics or in none");
    assert!(
        a.iter().all(|(number, count)| number % 4 != 3 && *count == size(*number)),
        "whole, and none that was aborted"
    );
    for number in &acknowledged.committed {
        assert!(a.contains_key(number), "transaction {number} was committed");
    }
    let positions = log.group_offsets("copy").await.unwrap();
    let position = positions.get(&TopicPartition::new("plain", 0)).map_or(-1, |position| position - 1);
    let last = a.keys().last().map_or(-1, |last| i64::try_from(*last).unwrap());
    assert_eq!(position, last, "positions are committed with their transaction");
}

async fn check_compacted(log: &LocalLog, acknowledged: &Acknowledged) {
    let all = read_all(log, "table", true).await;
    assert!(all.is_sorted_by_key(|got| got.offset));
    let newest: BTreeMap<_, _> = all.iter().map(|got| (got.key.clone().unwrap(), number_of(got))).collect();
    for number in acknowledged.upserts.saturating_sub(KEYS)..acknowledged.upserts {
        let key = format!("key{}", number % KEYS).into_bytes();
        assert!(newest[&key] >= number, "the newest value of a key stays: {} for {number}", newest[&key]);
    }
}

fn number_of(got: &Got) -> usize {
    number_in(got.value.as_deref().unwrap())
}

fn number_in(value: &[u8]) -> usize {
    std::str::from_utf8(value).unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Records in transaction `number`, in each topic.
fn size(number: usize) -> usize {
    1 + number % 300
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that the test above starts and kills"]
async fn the_child() {
    let Ok(dir) = std::env::var(DIRECTORY) else { return };
    let log = Arc::new(LocalLog::open(dir, options()).unwrap());
    for (name, partitions, policy) in
        [("plain", WRITERS, "delete"), ("tx-a", 1, "delete"), ("tx-b", 1, "delete"), ("table", 1, "compact")]
    {
        let config = Props::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        let spec = TopicSpec { partitions: Some(partitions), config, ..TopicSpec::new(name) };
        log.create_topic(&spec).await.unwrap();
    }
    let mut work = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        work.spawn(append(Arc::clone(&log), writer));
    }
    work.spawn(transact(Arc::clone(&log)));
    work.spawn(upsert(Arc::clone(&log)));
    work.spawn(async move {
        loop {
            log.run_retention_now().await.unwrap();
        }
    });
    while let Some(ended) = work.join_next().await {
        ended.unwrap();
    }
}

#[test]
#[ignore = "the process that a test above starts and kills"]
fn the_state_child() {
    let Ok(dir) = std::env::var(DIRECTORY) else { return };
    let stores = LocalStateStores::open(dir, &options()).unwrap();
    let table = stores.open("t").unwrap();
    let last = table.get(b"last").unwrap().map(|value| number_in(&value));
    for number in last.map_or(0, |last| last + 1).. {
        let entry = |key: String| (key.into_bytes(), Some(value(number).into_bytes()));
        table.write(&[entry(format!("slot{}", number % SLOTS)), entry("last".to_owned())]).unwrap();
        if number % 50 == 0 {
            table.sync().unwrap();
            say(&format!("synced {number}"));
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // One write, so that a kill does not leave half a line.
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

async fn last_number(log: &LocalLog, topic: &str, partition: i32) -> Option<usize> {
    read_all(log, topic, true).await.iter().filter(|got| got.partition == partition).map(number_of).max()
}

async fn send(producer: &dyn Producer, topic: &str, partition: i32, values: &[(Option<String>, String)]) {
    let mut batch = RawBatch::new();
    for (key, value) in values {
        let record = RawRecord::new(topic, key.as_ref().map(String::as_bytes), Some(value.as_bytes()));
        batch.push(&RawRecord { partition, ..record }).unwrap();
    }
    assert!(producer.send(&batch).await.unwrap().iter().all(Result::is_ok));
}

/// A number and text that does not compress well.
fn value(number: usize) -> String {
    let mut noise = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = format!("{number} ");
    for _ in 0..number % 97 {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        write!(text, "{noise:x}").unwrap();
    }
    text
}

async fn append(log: Arc<LocalLog>, writer: i32) {
    let mut next = last_number(&log, "plain", writer).await.map_or(0, |last| last + 1);
    let producer = log.producer(ProducerOptions::default()).await.unwrap();
    loop {
        let count = [1, 7, 200, 2_000][next % 4];
        let values: Vec<_> = (next..next + count).map(|number| (None, value(number))).collect();
        send(&*producer, "plain", writer, &values).await;
        next += count;
        say(&format!("plain {writer} {}", next - 1));
    }
}

async fn transact(log: Arc<LocalLog>) {
    let start = vec![(TopicPartition::new("plain", 0), -2)];
    let options = ConsumerOptions::new("copy", "copy", Subscription::Assign(start));
    let metadata = log.consumer(options).await.unwrap().group_metadata();
    let mut number = last_number(&log, "tx-a", 0).await.map_or(0, |last| last + 1);
    let transactional_id = Some("copy".to_owned());
    let producer = log.producer(ProducerOptions { transactional_id, ..ProducerOptions::default() }).await.unwrap();
    loop {
        producer.begin().await.unwrap();
        let values = vec![(None, value(number)); size(number)];
        send(&*producer, "tx-a", 0, &values).await;
        send(&*producer, "tx-b", 0, &values).await;
        let position = i64::try_from(number).unwrap() + 1;
        let positions = [(TopicPartition::new("plain", 0), position)].into();
        if number % 4 == 3 {
            producer.abort().await.unwrap();
        } else {
            producer.send_offsets(&metadata, &positions).await.unwrap();
            producer.commit().await.unwrap();
            say(&format!("committed {number}"));
        }
        number += 1;
    }
}

async fn upsert(log: Arc<LocalLog>) {
    let mut next = last_number(&log, "table", 0).await.map_or(0, |last| last + 1);
    let producer = log.producer(ProducerOptions::default()).await.unwrap();
    loop {
        let values: Vec<_> =
            (next..next + 20).map(|number| (Some(format!("key{}", number % KEYS)), value(number))).collect();
        send(&*producer, "table", 0, &values).await;
        next += 20;
        say(&format!("upserts {next}"));
    }
}
