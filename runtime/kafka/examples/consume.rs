//! What consuming costs: reads a topic from its beginning to its end and prints records per second and CPU time per record, all
//! threads of the process included.
//!
//!     cargo run --release -p millrace-kafka --example consume -- localhost:9092 topic            # reads
//!     cargo run --release -p millrace-kafka --example consume -- localhost:9092 topic 3000000    # writes 160-byte records before
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::{Duration, Instant};

use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::log::{ConsumerOptions, Event, Log, ProducerOptions, Subscription, TopicPartition, TopicSpec};
use millrace_api::{Error, Result};
use millrace_kafka::{ClientProps, KafkaLog};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(bootstrap), Some(topic)) = (args.next(), args.next()) else {
        return Err(Error::config("usage: consume <bootstrap> <topic> [records to write before]"));
    };
    let log = KafkaLog::new(&bootstrap, ClientProps::default())?;
    if let Some(count) = args.next().and_then(|count| count.parse().ok()) {
        write(&log, &topic, count).await?;
    }
    read(&log, &topic).await
}

async fn write(log: &KafkaLog, topic: &str, count: usize) -> Result<()> {
    log.create_topic(&TopicSpec { partitions: Some(3), ..TopicSpec::new(topic) }).await?;
    let producer = log.producer(ProducerOptions::default()).await?;
    let value = vec![b'x'; 152];
    let mut batch = RawBatch::new();
    for number in 0..2_000u64 {
        batch.push(&RawRecord::new(topic, Some(&number.to_be_bytes()), Some(&value)))?;
    }
    let usage = Usage::start();
    let rounds = count.div_ceil(batch.len());
    for _ in 0..rounds.div_ceil(4) {
        for sent in futures_of(&*producer, &batch, 4).await {
            sent?.into_iter().collect::<Result<Vec<_>>>()?;
        }
    }
    usage.print("written", rounds.div_ceil(4) * 4 * batch.len());
    Ok(())
}

/// Sends a batch `times` over, all at once.
async fn futures_of(
    producer: &dyn millrace_api::log::Producer,
    batch: &RawBatch,
    times: usize,
) -> Vec<Result<Vec<Result<millrace_api::log::Appended>>>> {
    let sends = (0..times).map(|_| producer.send(batch));
    futures::future::join_all(sends).await
}

async fn read(log: &KafkaLog, topic: &str) -> Result<()> {
    let ends = log.offsets(topic, true).await?;
    let total: i64 = ends.iter().map(|(first, next)| next - first).sum();
    let all: Vec<_> =
        (0..ends.len()).filter_map(|n| Some((TopicPartition::new(topic, i32::try_from(n).ok()?), -2))).collect();
    let mut options = ConsumerOptions::new("consume", "", Subscription::Assign(all));
    options.end_events = true;
    let mut consumer = log.consumer(options).await?;
    let usage = Usage::start();
    let (mut count, mut bytes, mut batches, mut open) = (0usize, 0usize, 0usize, ends.len());
    while open > 0 {
        match consumer.next().await? {
            Event::Records(records) => {
                batches += 1;
                for record in (0..records.len()).filter_map(|index| records.get(index)) {
                    count += 1;
                    bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                }
            }
            Event::EndOfPartition { .. } => open -= 1,
            Event::Assigned(_) | Event::Revoked { .. } => {}
        }
    }
    usage.print("read", count);
    println!("{total} expected, {} MiB, {} records per batch", bytes >> 20, count / batches.max(1));
    consumer.close().await;
    Ok(())
}

struct Usage(Instant, Duration);

impl Usage {
    fn start() -> Self {
        Self(Instant::now(), cpu())
    }

    fn print(&self, what: &str, records: usize) {
        let (wall, used) = (self.0.elapsed().as_secs_f64(), cpu().saturating_sub(self.1).as_secs_f64());
        let (rate, cost) = (records as f64 / wall, used * 1e6 / records.max(1) as f64);
        println!("{what}: {records} records in {wall:.2} s, {rate:.0} records/s, {cost:.3} us CPU per record");
    }
}

/// CPU time of this process, from Linux's 100 Hz clock.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
