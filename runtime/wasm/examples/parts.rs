//! What the host's part of a crossing consists of: encoding rows for a component, and applying what it answers:
//! `cargo run --release -p millrace-wasm --example parts`.
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

mod orders;

use std::hint::black_box;
use std::time::Instant;

use millrace_api::batch::delta::{Applier, DeltaWriter};
use millrace_api::batch::{RecordBatch, wire};
use millrace_api::{Error, Result};
use orders::{ROWS, orders};

const SIZE: usize = 280;
const ROUNDS: usize = 2000;

fn main() -> Result<(), Error> {
    let mut batch = orders(SIZE)?;
    let rows: Vec<u32> = (0..).take(ROWS).collect();
    let mut encoded = Vec::new();
    let only_value = wire::Needs { value: true, ..wire::Needs::NOTHING };
    for (name, needs) in [("nothing", wire::Needs::NOTHING), ("value", only_value), ("all", wire::Needs::ALL)] {
        fastest(&format!("encode, {name}"), || {
            wire::encode(&batch, &rows, needs, &mut encoded);
            Ok(())
        })?;
    }
    fastest("copy bytes", || {
        black_box(encoded.clone());
        Ok(())
    })?;
    fastest("copy and decode", || {
        black_box(wire::decode(encoded.clone(), wire::Trust::Host)?);
        Ok(())
    })?;
    let answer = kept(&batch);
    fastest("write a delta", || {
        black_box(kept(&batch));
        Ok(())
    })?;
    fastest("apply a delta", || {
        let mut applier = Applier::new(&batch);
        applier.chunk(&mut batch, &rows, &answer)?;
        black_box(applier.finish(&mut batch));
        Ok(())
    })
}

/// An answer that keeps every row.
fn kept(batch: &RecordBatch) -> Vec<u8> {
    let mut delta = DeltaWriter::new(batch);
    for _ in 0..ROWS {
        delta.keep();
    }
    delta.finish()
}

/// Prints the nanoseconds per record of the fastest round.
fn fastest(name: &str, mut round: impl FnMut() -> Result<()>) -> Result<()> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        round()?;
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / ROWS as f64);
    }
    println!("{name}: {best:.1} ns per record");
    Ok(())
}
