//! Memory.

use std::time::Duration;

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{ConsumerOptions, Log};

use super::support::{producer, reader_options, take, topic};

/// A consumer whose task is busy elsewhere holds about `buffer_bytes`, however much there is to read; and goes on after.
pub async fn a_silent_consumer_keeps_to_its_budget(log: &dyn Log, prefix: &str) {
    const RECORD: usize = 64 << 10;
    const COUNT: usize = 2_048;
    const BUDGET: usize = 4 << 20;
    // The allocator, the client's own structures and the other tests of this process.
    const SLACK: usize = 60 << 20;

    topic(log, prefix, 1).await;
    let producer = producer(log).await;
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut value = vec![0u8; RECORD];
    for _ in 0..COUNT / 8 {
        let mut batch = RawBatch::new();
        for _ in 0..8 {
            for chunk in value.chunks_exact_mut(8) {
                // xorshift: nothing for a codec to save on.
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                chunk.copy_from_slice(&noise.to_le_bytes());
            }
            let record = RawRecord { partition: 0, ..RawRecord::new(prefix, None, Some(&value)) };
            batch.push(&record).unwrap();
        }
        assert!(producer.send(&batch).await.unwrap().iter().all(Result::is_ok));
    }
    drop(producer);
    tokio::time::sleep(Duration::from_millis(500)).await;

    let before = resident();
    let options = ConsumerOptions {
        buffer_bytes: BUDGET,
        max_records: 10,
        end_events: false,
        ..reader_options(prefix, &[(0, -2)])
    };
    let mut consumer = log.consumer(options).await.unwrap();
    let mut seen = take(&mut *consumer, 1).await.len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < BUDGET + SLACK, "{} MiB while {} MiB wait", grown >> 20, (COUNT * RECORD) >> 20);
    while seen < COUNT {
        seen += take(&mut *consumer, 1).await.len();
    }
    assert_eq!(seen, COUNT);
}

/// Resident bytes of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kilobytes = line.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok()).expect("a number");
    kilobytes << 10
}
