//! What a batch pays for crossing into a component and back: `cargo run --release -p millrace-wasm --example crossing`, or one row of
//! it with `-- "all five"`.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a measurement prints, and ends when something is wrong")]

#[path = "../tests/common/mod.rs"]
mod common;
mod orders;

use std::time::{Duration, Instant};

use common::{chain, components, guest, hostile};
use millrace_api::Error;
use millrace_api::transform::Chain;
use millrace_wasm::{Limits, WasmComponents};
use orders::{ROWS, orders};

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

/// The five of `tests/bench`: one renames, and a number becomes text.
const BENCH: [(&str, &str); 16] = [
    ("transforms", "insert,replace,mask,route,time"),
    ("transforms.insert.type", "org.apache.kafka.connect.transforms.InsertField$Value"),
    ("transforms.insert.static.field", "source"),
    ("transforms.insert.static.value", "bench"),
    ("transforms.replace.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
    ("transforms.replace.renames", "orderId:order"),
    ("transforms.replace.exclude", "note"),
    ("transforms.mask.type", "org.apache.kafka.connect.transforms.MaskField$Value"),
    ("transforms.mask.fields", "card"),
    ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
    ("transforms.route.regex", "(.*)"),
    ("transforms.route.replacement", "out-$1"),
    ("transforms.time.type", "org.apache.kafka.connect.transforms.TimestampConverter$Value"),
    ("transforms.time.field", "createdAt"),
    ("transforms.time.target.type", "string"),
    ("transforms.time.format", "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"),
];

fn main() -> Result<(), Error> {
    let hostile = components("hostile", hostile(), Limits::default());
    let noop = |pairs: &[(&str, &str)]| chain(&hostile, pairs);
    println!("batches of {ROWS} records; ns per record: median (fastest tenth)\n");
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
    row("all five", chain(&smt, &FIVE).as_mut())?;
    row("five of the benchmark", chain(&smt, &BENCH).as_mut())?;
    instances(&smt);
    Ok(())
}

/// What an instance costs to make and to keep.
fn instances(smt: &WasmComponents) {
    let (before, started) = (resident(), Instant::now());
    let kept: Vec<_> = (0..100).map(|_| chain(smt, &FIVE)).collect();
    let each = started.elapsed() / 100;
    println!(
        "\n100 chains of five: {each:?} and {} KiB each; resident {} MiB in all",
        (resident() - before) / 100,
        resident() >> 10
    );
    drop(kept);
}

/// Resident memory of this process, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn row(name: &str, chain: &mut dyn Chain) -> Result<(), Error> {
    if std::env::args().nth(1).is_some_and(|only| only != name) {
        return Ok(());
    }
    println!("| {name} | {} | {} |", measure(chain, 200)?, measure(chain, 1024)?);
    Ok(())
}

fn measure(chain: &mut dyn Chain, size: usize) -> Result<String, Error> {
    let original = orders(size)?;
    let (mut times, started) = (Vec::new(), Instant::now());
    while started.elapsed() < TIME {
        let mut batch = original.clone();
        let before = Instant::now();
        let report = chain.apply(&mut batch)?;
        times.push(before.elapsed().as_secs_f64() * 1e9 / ROWS as f64);
        if batch.len() != ROWS || !report.failed.is_empty() {
            return Err(Error::internal(format!("records were lost: {:?}", report.failed.first())));
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(format!("{:.0} ({:.0})", times[times.len() / 2], times[times.len() / 10]))
}
