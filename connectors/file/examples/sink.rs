//! Records per second that the sink writes, by itself: values of an order of 151 bytes of JSON, in batches of 2,000.
//!
//!     cargo run --release -p millrace-connector-file --example sink

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a measurement")]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the harness of the tests")]
mod support;

use std::time::Instant;

use millrace_api::Writer;
use millrace_api::connector::Report;

const ROUNDS: u32 = 500;

fn order(w: &mut Writer<'_>) {
    let open = w.begin_map();
    w.str("orderId");
    w.str("order-000042");
    w.str("customerId");
    w.int64(4_711);
    w.str("productId");
    w.str("product-0815");
    w.str("quantity");
    w.int64(3);
    w.str("price");
    w.float64(99.5);
    w.str("orderTime");
    w.str("2026-11-20T14:03:07Z");
    w.str("status");
    w.str("CREATED");
    w.end(open, 7);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.txt");
    let mut task = support::sink(&[("file", file.to_str().unwrap())]).await.unwrap();
    let write: &dyn Fn(&mut Writer<'_>) = &order;
    let batch = support::batch(None, &vec![write; 2_000]);
    let started = Instant::now();
    for _ in 0..ROUNDS {
        task.put(&batch, &mut Report::default()).await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    let records = f64::from(ROUNDS) * batch.len() as f64;
    println!("{:.0} records/s, {:.0} ns each", records / seconds, seconds / records * 1e9);
}
