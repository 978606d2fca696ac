#![allow(clippy::print_stdout, missing_docs)]
use std::time::Instant;
use millrace_api::batch::{NO_PARTITION, RecordBatch, Row, wire, delta::{Applier, DeltaWriter}};
use millrace_api::{Writer};
fn orders(size: usize) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("orders-topic");
    let pad = "x".repeat(size.saturating_sub(150));
    for (offset, origin) in (0i64..).zip(0..500u32) {
        let (value, ()) = batch.append(|heap| {
            let mut writer = Writer::new(heap);
            let map = writer.begin_map();
            writer.str("orderId");
            writer.int64(offset);
            writer.str("pad");
            writer.str(&pad);
            writer.end(map, 2);
            Ok(())
        }).unwrap();
        batch.push(Row { offset, timestamp:1, origin, topic, value, partition: NO_PARTITION, ..Row::EMPTY });
    }
    batch
}
fn best(name: &str, mut f: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..2000 { let t = Instant::now(); f(); best = best.min(t.elapsed().as_nanos() as f64 / 500.0); }
    println!("{name}: {best:.1} ns/record");
}
fn main() {
    let batch = orders(280);
    let rows: Vec<u32> = (0..500).collect();
    let mut out = Vec::new();
    best("encode whole", || wire::encode(&batch, &rows, wire::Needs::ALL, &mut out));
    best("encode none", || wire::encode(&batch, &rows, wire::Needs::NOTHING, &mut out));
    best("encode value", || wire::encode(&batch, &rows, wire::Needs{value:true, ..wire::Needs::NOTHING}, &mut out));
    wire::encode(&batch, &rows, wire::Needs::ALL, &mut out);
    best("clone bytes", || { std::hint::black_box(out.clone()); });
    best("clone + decode", || { std::hint::black_box(wire::decode(out.clone(), wire::Trust::Host).unwrap()); });
    let d = { let mut d = DeltaWriter::new(&batch); for _ in 0..500 { d.keep(); } d.finish() };
    best("delta writer", || { let mut d = DeltaWriter::new(&batch); for _ in 0..500 { d.keep(); } std::hint::black_box(d.finish()); });
    let mut b = batch.clone();
    best("apply kept", || { let mut a = Applier::new(&b); a.chunk(&mut b, &rows, &d).unwrap(); let _ = a.finish(&mut b); });
}
