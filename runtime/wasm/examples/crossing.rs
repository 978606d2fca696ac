//! What a batch pays for crossing into a component and back: `cargo run --release -p millrace-wasm --example crossing`.
#![allow(clippy::print_stdout, reason = "it prints its table")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{chain, components, guest, hostile};
use millrace_api::batch::{NO_PARTITION, RecordBatch, Row};
use millrace_api::transform::Chain;
use millrace_api::{Error, Writer};
use millrace_wasm::Limits;

const ROWS: usize = 500;
const TIME: Duration = Duration::from_secs(2);

/// Five of Kafka Connect's transformations, as in the reference measurement.
const FIVE: [(&str, &str); 14] = [
    ("transforms", "route,insert,replace,mask,time"),
    ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
    ("transforms.route.regex", "(.*)-topic"),
    ("transforms.route.replacement", "$1"),
    ("transforms.insert.type", "org.apache.kafka.connect.transforms.InsertField$Value"),
    ("transforms.insert.static.field", "source"),
    ("transforms.insert.static.value", "shop"),
    ("transforms.replace.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
    ("transforms.replace.exclude", "note"),
    ("transforms.mask.type", "org.apache.kafka.connect.transforms.MaskField$Value"),
    ("transforms.mask.fields", "card"),
    ("transforms.time.type", "org.apache.kafka.connect.transforms.TimestampConverter$Value"),
    ("transforms.time.field", "createdAt"),
    ("transforms.time.target.type", "Timestamp"),
];

fn main() -> Result<(), Error> {
    let hostile = components("hostile", hostile(), Limits::default());
    let noop = |pairs: &[(&str, &str)]| chain(&hostile, pairs);
    println!("batches of {ROWS} records; ns per record, best of ten runs\n");
    println!("| stage | 200 B | 1 KB |\n|---|---|---|");
    let one = [("transforms", "a"), ("transforms.a.type", "test.Noop")];
    row("no-op", noop(&one).as_mut())?;
    let names = ["a", "b", "c", "d", "e"].map(|alias| (format!("transforms.{alias}.type"), "test.Noop"));
    let mut five = vec![("transforms", "a,b,c,d,e")];
    five.extend(names.iter().map(|(key, class)| (key.as_str(), *class)));
    row("five no-ops", noop(&five).as_mut())?;
    let smt = components("smt", &guest("millrace-smt"), Limits::default());
    for stage in ["route", "insert", "replace", "mask", "time"] {
        let mut pairs = FIVE.to_vec();
        pairs[0] = ("transforms", stage);
        row(stage, chain(&smt, &pairs).as_mut())?;
    }
    row("all five", chain(&smt, &FIVE).as_mut())
}

fn row(name: &str, chain: &mut dyn Chain) -> Result<(), Error> {
    println!("| {name} | {:.0} | {:.0} |", measure(chain, 200)?, measure(chain, 1024)?);
    Ok(())
}

fn measure(chain: &mut dyn Chain, size: usize) -> Result<f64, Error> {
    let original = orders(size)?;
    let mut best = f64::MAX;
    for _ in 0..10 {
        let (mut spent, mut records) = (Duration::ZERO, 0);
        let started = Instant::now();
        while started.elapsed() < TIME / 10 {
            let mut batch = original.clone();
            let before = Instant::now();
            let report = chain.apply(&mut batch)?;
            spent += before.elapsed();
            records += batch.len();
            if batch.len() != ROWS || !report.failed.is_empty() {
                return Err(Error::internal(format!("records were lost: {:?}", report.failed.first())));
            }
        }
        best = best.min(spent.as_secs_f64() * 1e9 / records as f64);
    }
    Ok(best)
}

/// Orders of about `size` bytes, as the JSON converter would make them.
fn orders(size: usize) -> Result<RecordBatch, Error> {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("orders-topic");
    let pad = "x".repeat(size.saturating_sub(150));
    for (offset, origin) in (0i64..).zip(0..500u32) {
        let (value, ()) = batch.append(|heap| {
            let mut writer = Writer::new(heap);
            let map = writer.begin_map();
            writer.str("orderId");
            writer.int64(offset);
            writer.str("card");
            writer.str("4111111111111111");
            writer.str("amount");
            writer.float64(12.5);
            writer.str("note");
            writer.str("n");
            writer.str("createdAt");
            writer.int64(1_700_000_000_000 + offset);
            writer.str("pad");
            writer.str(&pad);
            writer.end(map, 6);
            Ok(())
        })?;
        let timestamp = 1_700_000_000_000;
        batch.push(Row { offset, timestamp, origin, topic, value, partition: NO_PARTITION, ..Row::EMPTY });
    }
    Ok(batch)
}
