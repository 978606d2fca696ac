//! Writes that reached the disk in part. Nobody was told of them, so they may vanish; nothing else may.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use millrace_behaviour::log_suite::support::{numbered, producer, read_all, send, texts, topic};
use millrace_local::{LocalLog, LocalOptions};

/// A journal entry as the store writes it: start, one item, end with a checksum.
fn entry(item: &[u8], checksum: u64) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&1_000_000_u64.to_le_bytes());
    bytes.extend_from_slice(item);
    bytes.push(3);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(b"FJL\x03");
    bytes
}

fn item(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0];
    bytes.extend_from_slice(&1_u64.to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(key.len()).unwrap().to_le_bytes());
    for _ in 0..2 {
        bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
    }
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    bytes
}

fn journal(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).max().unwrap()
}

async fn filled(dir: &Path) {
    let log = LocalLog::open(dir, LocalOptions::default()).unwrap();
    topic(&log, "t", 1).await;
    let producer = producer(&log).await;
    for n in 0..20 {
        send(&*producer, "t", 0, &numbered("v", n * 10..n * 10 + 10)).await;
    }
}

/// Opens what `damage` left behind: everything acknowledged is there and more can be appended.
async fn survives(damage: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    // Opening cuts the journal to what is in it.
    drop(LocalLog::open(dir.path(), LocalOptions::default()).unwrap());
    damage(&journal(dir.path()));
    for round in 0..2 {
        let log = LocalLog::open(dir.path(), LocalOptions::default()).unwrap();
        assert_eq!(texts(&read_all(&log, "t", true).await), numbered("v", 0..200 + round));
        let sent = send(&*producer(&log).await, "t", 0, &numbered("v", 200 + round..201 + round)).await;
        assert_eq!(sent[0].offset, i64::try_from(200 + round).unwrap());
    }
}

fn append(journal: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(journal).unwrap().write_all(bytes).unwrap();
}

/// The machine died half way through a write: any number of its bytes arrived.
#[tokio::test]
async fn a_write_that_ends_early_is_dropped() {
    let whole = entry(&item(b"0123456789abcdef", &[7; 300]), 0);
    for length in [1, 5, 13, 14, 20, 40, 100, whole.len() - 13, whole.len() - 4, whole.len() - 1] {
        survives(|journal| append(journal, &whole[..length])).await;
    }
}

/// The pages of a write arrived, but not all of them: its content does not match its checksum.
#[tokio::test]
async fn a_write_with_missing_pages_is_dropped() {
    survives(|journal| append(journal, &entry(&item(b"0123456789abcdef", &[0; 9_000]), 42))).await;
}

/// Another write behind it does not save it.
#[tokio::test]
async fn what_follows_a_torn_write_is_dropped_too() {
    survives(|journal| {
        append(journal, &entry(&item(b"0123456789abcdef", &[0; 9_000]), 42));
        append(journal, &entry(&item(b"0123456789abcdeg", &[1; 100]), 43));
    })
    .await;
}

/// The file system had given the journal more room than was written.
#[tokio::test]
async fn zeros_behind_the_last_write_are_nothing() {
    survives(|journal| append(journal, &vec![0; 100_000])).await;
}
