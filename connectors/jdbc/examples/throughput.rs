//! Rows per second, and processor time of the worker per row, for orders into each database there is:
//!
//! `cargo run --release -p millrace-connector-jdbc --example throughput [rows] [records per batch]`, with `MILLRACE_TEST_MARIADB`
//! and `MILLRACE_TEST_POSTGRES` naming servers. SQLite runs inside the process, so its time is in the figure.
#![allow(dead_code, clippy::print_stdout, reason = "an example that prints what it measures, with the tests' harness")]
#![allow(clippy::expect_used, clippy::panic, reason = "a measurement that fails ends")]

#[path = "../tests/behaviour/support.rs"]
mod support;

use std::time::Instant;

use millrace_api::RecordBatch;
use serde_json::json;
use support::{Batch, Db, Kind};

const COLUMNS: &str = "id {id}, `orderId` {text} UNIQUE NOT NULL, `customerId` {text}, `productId` {text}, quantity INT, \
    price DECIMAL(12,2), `orderTime` {datetime}, status {text}, `createdAt` {timestamptz} DEFAULT CURRENT_TIMESTAMP";

fn batches(rows: usize, size: usize, status: &str) -> Vec<RecordBatch> {
    let order = |n: usize| {
        json!({
            // Spread over the index, as random identifiers are.
            "orderId": format!("{:016x}", (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            "customerId": format!("customer-{}", n % 5_000),
            "productId": format!("product-{}", n % 300),
            "quantity": n % 7 + 1,
            "price": (n % 90_000) as f64 / 100.0,
            "orderTime": format!("2026-11-20T14:{:02}:{:02}Z", n / 60 % 60, n % 60),
            "status": status,
        })
    };
    let numbers: Vec<usize> = (0..rows).collect();
    numbers.chunks(size).map(|part| Batch::values("orders", part.iter().map(|n| order(*n)))).collect()
}

/// Processor time of all threads, in nanoseconds.
fn processor_time() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux");
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.filter_map(of_thread).sum()
}

async fn measure(db: &Db, mode: &str, pairs: &[(&str, &str)], batches: &[RecordBatch]) {
    let mut sink = db.sink(pairs).await;
    let (started, before) = (Instant::now(), processor_time());
    for batch in batches {
        sink.write(batch).await;
    }
    let (seconds, nanos) = (started.elapsed().as_secs_f64(), processor_time() - before);
    let rows: usize = batches.iter().map(RecordBatch::len).sum();
    println!(
        "{:9} {mode:14} {:9.0} rows/s {:6.2} us of CPU per row",
        format!("{:?}", db.kind),
        rows as f64 / seconds,
        nanos as f64 / 1e3 / rows as f64
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().expect("a number"));
    let (rows, size) = (arguments.next().unwrap_or(200_000), arguments.next().unwrap_or(2_000));
    let (new, paid) = (batches(rows, size, "NEW"), batches(rows, size, "PAID"));
    let upsert = [("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "orderId")];
    for (kind, variable) in
        [(Kind::MariaDb, "MILLRACE_TEST_MARIADB"), (Kind::Postgres, "MILLRACE_TEST_POSTGRES"), (Kind::Sqlite, "PATH")]
    {
        if std::env::var_os(variable).is_none() {
            continue;
        }
        let mut db = Db::open(kind).await;
        db.table("orders", COLUMNS).await;
        measure(&db, "insert", &[], &new).await;
        db.table("orders", COLUMNS).await;
        measure(&db, "upsert, new", &upsert, &new).await;
        measure(&db, "upsert, changed", &upsert, &paid).await;
        measure(&db, "upsert, same", &upsert, &paid).await;
        assert_eq!(db.one("SELECT COUNT(*) FROM orders").await, rows.to_string());
        db.drop_table("orders").await;
    }
}
