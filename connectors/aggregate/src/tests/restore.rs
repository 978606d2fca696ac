//! Catching a table up.

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{Log, ProducerOptions, StateTable as _, TopicSpec};
use millrace_local::{LocalLog, LocalOptions};

use super::Memory;
use crate::key;
use crate::restore::{CHECKPOINT, catch_up};

fn checkpoint(position: i64) -> (Vec<u8>, Option<Vec<u8>>) {
    (key::meta(CHECKPOINT), Some(position.to_le_bytes().to_vec()))
}

/// What a table with an entry `old` and a checkpoint holds after catching up with `a=1`, `b=2`, `a` removed, `c=3`.
async fn caught_up(known: Option<i64>) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let log = LocalLog::open(dir.path(), LocalOptions::default()).expect("a log");
    log.create_topic(&TopicSpec::new("changelog")).await.expect("created");
    let mut records = RawBatch::new();
    for (key, value) in [("a", Some("1")), ("b", Some("2")), ("a", None), ("c", Some("3"))] {
        let record = RawRecord::new("changelog", Some(key.as_bytes()), value.map(str::as_bytes));
        records.push(&record).expect("pushed");
    }
    let producer = log.producer(ProducerOptions::default()).await.expect("a producer");
    producer.send(&records).await.expect("sent");
    let table = Memory::default();
    table.write(&[(b"old".to_vec(), Some(b"0".to_vec()))]).expect("written");
    table.write(&known.map(checkpoint).into_iter().collect::<Vec<_>>()).expect("written");
    catch_up(&table, "changelog", 0, &log).await.expect("caught up");
    assert_eq!(table.get(&key::meta(CHECKPOINT)).expect("read"), checkpoint(4).1);
    let entries = table.scan(&[1], &[0xff], usize::MAX).expect("read");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    entries.into_iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect()
}

#[tokio::test]
async fn only_what_is_new_is_read_and_a_table_of_another_log_is_thrown_away() {
    assert_eq!(caught_up(Some(3)).await, ["c=3", "old=0"]);
    assert_eq!(caught_up(Some(4)).await, ["old=0"]);
    assert_eq!(caught_up(Some(5)).await, ["b=2", "c=3"]);
    assert_eq!(caught_up(None).await, ["b=2", "c=3"]);
}
