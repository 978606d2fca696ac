//! Documents per second into `MILLRACE_TEST_ELASTICSEARCH`, and the CPU this process takes for each.
//!
//! `cargo run --release -p millrace-connector-elasticsearch --example throughput -- [documents] [batch]`
#![allow(clippy::print_stdout, clippy::expect_used, clippy::cast_possible_wrap, reason = "a measuring tool")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use millrace_api::batch::Row;
use millrace_api::connector::{Report, SinkTask as _};
use millrace_api::{RecordBatch, Writer};
use support::{Server, fresh, start, url};

/// An order of about 160 bytes, as JSON without schema reads.
fn orders(index: &str, from: i64, count: i64) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic(index);
    for offset in from..from + count {
        let (key, ()) = batch
            .append(|heap| {
                Writer::new(heap).str(&format!("o-{offset}"));
                Ok(())
            })
            .expect("key");
        let (value, ()) = batch
            .append(|heap| {
                let mut writer = Writer::new(heap);
                let open = writer.begin_map();
                for (name, text) in
                    [("productId", "product-000123"), ("orderTime", "2026-11-20T14:00:00Z"), ("status", "NEW")]
                {
                    writer.str(name);
                    writer.str(text);
                }
                for (name, number) in [("orderId", offset), ("customerId", offset % 1_000), ("quantity", offset % 9)] {
                    writer.str(name);
                    writer.int64(number);
                }
                writer.str("price");
                writer.float64(19.99);
                writer.end(open, 7);
                Ok(())
            })
            .expect("value");
        batch.push(Row { topic, partition: 0, offset, timestamp: 0, key, value, ..Row::EMPTY });
    }
    batch
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<i64>().expect("a number"));
    let (documents, size) = (arguments.next().unwrap_or(200_000), arguments.next().unwrap_or(2_000));
    let server = Server::new();
    for key_ignore in ["true", "false"] {
        let index = fresh("throughput");
        let settings =
            [("key.ignore", key_ignore), ("index.settings", r#"{"number_of_replicas":0,"refresh_interval":"30s"}"#)];
        let mut task = start(&url(), &settings).await;
        let batches: Vec<_> = (0..documents / size).map(|n| orders(&index, n * size, size)).collect();
        let (started, before) = (Instant::now(), cpu());
        for batch in &batches {
            let mut report = Report::default();
            task.put(batch, &mut report).await.expect("put");
            assert!(report.into_rejected().is_empty());
        }
        let (wall, used) = (started.elapsed(), cpu().saturating_sub(before));
        let written = task.counts().written;
        assert_eq!(server.count(&index).await, written);
        println!(
            "key.ignore={key_ignore}: {written} documents in batches of {size}: {:.0} documents/s, {:.2} us CPU each",
            written as f64 / wall.as_secs_f64(),
            used.as_secs_f64() * 1e6 / written as f64
        );
    }
}
