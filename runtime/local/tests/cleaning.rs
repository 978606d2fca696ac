//! Retention, compaction, deleted topics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::config::Props;
use millrace_api::log::{ConsumerOptions, Event, Log, Producer, TopicSpec};
use millrace_behaviour::log_suite::support::{
    Got, batch, event, now, numbered, producer, read_all, reader_options, send, silent, take, texts, topic,
    transactional,
};
use millrace_local::{LocalLog, LocalOptions};
use proptest::prelude::*;

fn open(dir: &Path) -> LocalLog {
    LocalLog::open(dir, LocalOptions::default()).unwrap()
}

async fn topic_with(log: &LocalLog, name: &str, config: &[(&str, &str)]) {
    let config: Props = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let spec = TopicSpec { partitions: Some(1), config, ..TopicSpec::new(name) };
    assert!(log.create_topic(&spec).await.unwrap());
}

async fn send_at(producer: &dyn Producer, topic: &str, timestamp: i64, values: &[String]) {
    let mut batch = batch(topic, 0, values);
    batch.rows_mut().iter_mut().for_each(|row| row.timestamp = timestamp);
    assert!(producer.send(&batch).await.unwrap().iter().all(Result::is_ok));
}

/// Sends `key=value` pairs; an empty value is a tombstone.
async fn upsert(producer: &dyn Producer, topic: &str, pairs: &[&str]) {
    let mut batch = RawBatch::new();
    for pair in pairs {
        let (key, value) = pair.split_once('=').unwrap();
        let value = Some(value.as_bytes()).filter(|value| !value.is_empty());
        batch.push(&RawRecord { partition: 0, ..RawRecord::new(topic, Some(key.as_bytes()), value) }).unwrap();
    }
    assert!(producer.send(&batch).await.unwrap().iter().all(Result::is_ok));
}

/// `offset:key=value` of every record.
fn pairs(all: &[Got]) -> Vec<String> {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap_or_default()).unwrap();
    all.iter().map(|got| format!("{}:{}={}", got.offset, text(&got.key), text(&got.value))).collect()
}

#[tokio::test]
async fn old_records_go_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("retention.ms", "60000")]).await;
    let producer = producer(&log).await;
    send_at(&*producer, "t", now() - 120_000, &numbered("old", 0..10)).await;
    // One young record keeps its whole block.
    send_at(&*producer, "t", now() - 120_000, &numbered("late", 0..1)).await;
    send_at(&*producer, "t", now(), &numbered("young", 0..10)).await;
    log.run_retention_now().await.unwrap();
    assert_eq!(texts(&read_all(&log, "t", true).await), numbered("young", 0..10));
    assert_eq!(log.offsets("t", true).await.unwrap(), [(11, 21)]);
    drop((producer, log));
    let log = open(dir.path());
    assert_eq!(log.offsets("t", true).await.unwrap(), [(11, 21)]);
}

#[tokio::test]
async fn a_partition_that_is_emptied_keeps_its_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("retention.ms", "1000")]).await;
    let first = producer(&log).await;
    send_at(&*first, "t", 1_000, &numbered("old", 0..10)).await;
    log.run_retention_now().await.unwrap();
    assert_eq!(log.offsets("t", true).await.unwrap(), [(10, 10)]);
    drop((first, log));
    let log = open(dir.path());
    assert_eq!(log.offsets("t", true).await.unwrap(), [(10, 10)]);
    assert_eq!(send(&*producer(&log).await, "t", 0, &numbered("new", 0..1)).await[0].offset, 10);
    assert_eq!(texts(&read_all(&log, "t", true).await), ["new0"]);
}

#[tokio::test]
async fn old_records_go_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("retention.bytes", "100000")]).await;
    let producer = producer(&log).await;
    for n in 0..40 {
        send(&*producer, "t", 0, &[noise(n, 10_000)]).await;
    }
    log.run_retention_now().await.unwrap();
    let left = read_all(&log, "t", true).await;
    assert!((10..=12).contains(&left.len()), "about 100,000 bytes of 10,000 each: {}", left.len());
    assert_eq!(left.last().unwrap().offset, 39);
}

#[tokio::test]
async fn an_open_transaction_is_not_cleaned() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("retention.ms", "1000")]).await;
    let open = transactional(&log, "x").await;
    open.begin().await.unwrap();
    send_at(&*open, "t", 1_000, &numbered("old", 0..3)).await;
    log.run_retention_now().await.unwrap();
    open.commit().await.unwrap();
    assert_eq!(read_all(&log, "t", true).await.len(), 3);
}

/// A reader whose records were removed goes on at the first that is left.
#[tokio::test]
async fn a_slow_reader_goes_on_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("retention.ms", "60000")]).await;
    let mut reader = log.consumer(reader_options("t", &[(0, -2)])).await.unwrap();
    let producer = producer(&log).await;
    send_at(&*producer, "t", 1_000, &numbered("old", 0..10)).await;
    send_at(&*producer, "t", now(), &numbered("young", 0..2)).await;
    log.run_retention_now().await.unwrap();
    assert_eq!(texts(&take(&mut *reader, 2).await), numbered("young", 0..2));
}

#[tokio::test]
async fn the_last_record_of_every_key_stays_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("cleanup.policy", "compact")]).await;
    let producer = producer(&log).await;
    upsert(&*producer, "t", &["a=1", "b=1", "a=2", "c=1"]).await;
    upsert(&*producer, "t", &["b=2", "d=1", "a=3"]).await;
    log.run_retention_now().await.unwrap();
    assert_eq!(pairs(&read_all(&log, "t", true).await), ["3:c=1", "4:b=2", "5:d=1", "6:a=3"]);
    upsert(&*producer, "t", &["c=2", "e=1"]).await;
    log.run_retention_now().await.unwrap();
    let expected = ["4:b=2", "5:d=1", "6:a=3", "7:c=2", "8:e=1"];
    assert_eq!(pairs(&read_all(&log, "t", true).await), expected);
    drop((producer, log));
    let log = open(dir.path());
    assert_eq!(pairs(&read_all(&log, "t", true).await), expected);
    assert_eq!(log.offsets("t", true).await.unwrap(), [(0, 9)]);
}

#[tokio::test]
async fn tombstones_go_after_their_time_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "kept", &[("cleanup.policy", "compact")]).await;
    topic_with(&log, "gone", &[("cleanup.policy", "compact"), ("delete.retention.ms", "1")]).await;
    let producer = producer(&log).await;
    for topic in ["kept", "gone"] {
        upsert(&*producer, topic, &["a=1", "b=1", "a="]).await;
    }
    log.run_retention_now().await.unwrap();
    for topic in ["kept", "gone"] {
        assert_eq!(pairs(&read_all(&log, topic, true).await), ["1:b=1", "2:a="], "its time starts at the first round");
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    log.run_retention_now().await.unwrap();
    assert_eq!(pairs(&read_all(&log, "kept", true).await), ["1:b=1", "2:a="]);
    assert_eq!(pairs(&read_all(&log, "gone", true).await), ["1:b=1"]);
    assert_eq!(log.offsets("gone", true).await.unwrap(), [(0, 3)]);
    drop((producer, log));
    let log = open(dir.path());
    assert_eq!(log.offsets("gone", true).await.unwrap(), [(0, 3)], "the end does not fall back");
}

/// The end of a partition whose last records were compacted away is still reached and reported.
#[tokio::test]
async fn readers_pass_over_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("cleanup.policy", "compact"), ("delete.retention.ms", "0")]).await;
    let producer = producer(&log).await;
    upsert(&*producer, "t", &["a=1", "b=1", "a="]).await;
    for _ in 0..2 {
        log.run_retention_now().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for start in [0, 2] {
        let mut reader = log.consumer(reader_options("t", &[(0, start)])).await.unwrap();
        let offset = loop {
            if let Event::EndOfPartition { offset, .. } = event(&mut *reader).await {
                break offset;
            }
        };
        assert_eq!((offset, reader.lag()[0].1), (3, 0));
        silent(&mut *reader).await;
    }
}

#[tokio::test]
async fn young_records_wait_for_their_lag() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "3600000")]).await;
    upsert(&*producer(&log).await, "t", &["a=1", "a=2"]).await;
    log.run_retention_now().await.unwrap();
    assert_eq!(read_all(&log, "t", true).await.len(), 2);
}

/// Many small blocks become few large ones, which a reader in the middle of them does not notice.
#[tokio::test]
async fn compaction_under_a_reader_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic_with(&log, "t", &[("cleanup.policy", "compact")]).await;
    let producer = producer(&log).await;
    let options = ConsumerOptions { max_records: 3, buffer_bytes: 1_000, ..reader_options("t", &[(0, -2)]) };
    let mut reader = log.consumer(options).await.unwrap();
    let mut seen = Vec::new();
    for round in 0..30 {
        let unique: Vec<_> = (0..20).map(|n| format!("key{}={round}", round * 20 + n)).collect();
        for pair in &unique {
            upsert(&*producer, "t", &[pair, "hot=x"]).await;
        }
        seen.extend(take(&mut *reader, 5).await);
        log.run_retention_now().await.unwrap();
    }
    while seen.last().is_none_or(|got| got.offset < 1_199) {
        seen.extend(take(&mut *reader, 1).await);
    }
    assert!(seen.is_sorted_by(|a, b| a.offset < b.offset), "in order, once");
    let read: Vec<_> =
        seen.iter().filter(|got| got.key.as_deref() != Some(b"hot")).map(|got| got.key.clone()).collect();
    let expected: Vec<_> = (0..600).map(|n| Some(format!("key{n}").into_bytes())).collect();
    assert_eq!(read, expected, "every record that is the last of its key");
}

/// What a deleted topic held goes back to the disk.
#[tokio::test]
async fn deleted_topics_free_their_space() {
    const SIZE: usize = 96 << 20;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic(&log, "big", 1).await;
    let producer = producer(&log).await;
    let values: Vec<_> = (0..16).map(|part| noise(part, 64 << 10)).collect();
    for _ in 0..SIZE / (1 << 20) {
        send(&*producer, "big", 0, &values).await;
    }
    let blobs = |dir: &Path| size_of(&dir.join("log").join("keyspaces"));
    let before = blobs(dir.path());
    assert!(before > SIZE as u64 / 2, "{before}");
    log.delete_topic("big").await.unwrap();
    log.run_retention_now().await.unwrap();
    let after = blobs(dir.path());
    assert!(after < before / 5, "{} MiB of {} MiB are left", after >> 20, before >> 20);
    drop((producer, log));
    open(dir.path());
}

/// Letters and digits without pattern.
fn noise(seed: usize, length: usize) -> String {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend(state.to_le_bytes().map(|byte| char::from(b'0' + byte % 75)));
    }
    text.truncate(length);
    text
}

fn size_of(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| if entry.path().is_dir() { size_of(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(u8, Option<u8>)>),
    Abort(Vec<(u8, Option<u8>)>),
    Clean,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = || (0..6_u8, proptest::option::weighted(0.7, any::<u8>()));
    let records = || proptest::collection::vec(record(), 1..8);
    let step = prop_oneof![
        4 => records().prop_map(Step::Append),
        1 => records().prop_map(Step::Abort),
        2 => Just(Step::Clean),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Against a model: every record that is the last of its key is there (a tombstone may be gone), whatever is there was written
    /// at that offset, and offsets only grow.
    #[test]
    fn compaction_keeps_the_newest(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(compare(steps));
    }
}

async fn compare(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    topic_with(&log, "t", &[("cleanup.policy", "compact"), ("delete.retention.ms", "0")]).await;
    let mut written: BTreeMap<i64, (u8, Option<u8>)> = BTreeMap::new();
    let mut highest = -1;
    for step in steps {
        match step {
            Step::Append(records) | Step::Abort(records) if records.is_empty() => {}
            Step::Append(ref records) | Step::Abort(ref records) => {
                let commit = matches!(step, Step::Append(_));
                let producer = transactional(&log, "x").await;
                producer.begin().await.unwrap();
                let mut batch = RawBatch::new();
                for (key, value) in records {
                    let (key, value) = ([*key], value.map(|value| [value]));
                    let record = RawRecord::new("t", Some(&key), value.as_ref().map(<[u8; 1]>::as_slice));
                    batch.push(&RawRecord { partition: 0, ..record }).unwrap();
                }
                let sent = producer.send(&batch).await.unwrap();
                for (record, appended) in records.iter().zip(sent) {
                    let offset = appended.unwrap().offset;
                    assert!(offset > highest, "offsets only grow");
                    highest = offset;
                    if commit {
                        written.insert(offset, *record);
                    }
                }
                if commit { producer.commit().await.unwrap() } else { producer.abort().await.unwrap() }
            }
            Step::Clean => log.run_retention_now().await.unwrap(),
            Step::Reopen => {
                drop(log);
                log = open(dir.path());
            }
        }
        let mut newest = BTreeMap::new();
        newest.extend(written.iter().map(|(offset, (key, value))| (*key, (*offset, *value))));
        let mut read = BTreeMap::new();
        for got in read_all(&log, "t", true).await {
            let record = (got.key.unwrap()[0], got.value.map(|value| value[0]));
            assert_eq!(written.get(&got.offset), Some(&record), "what is there was written there");
            read.insert(record.0, (got.offset, record.1));
        }
        for (key, (offset, value)) in &newest {
            match value {
                Some(_) => assert_eq!(read.get(key), Some(&(*offset, *value))),
                None => assert!(
                    read.get(key).is_none_or(|(at, value)| at == offset && value.is_none()),
                    "no old value comes back"
                ),
            }
        }
    }
}
