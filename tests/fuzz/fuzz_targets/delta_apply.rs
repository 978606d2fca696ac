//! Bytes that a guest calls a delta. A refused one leaves the batch as it was; an accepted one leaves a valid batch, in which every
//! input is accounted for.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use millrace_api::batch::delta::{Applier, DeltaWriter};
use millrace_api::batch::{Row, headers};
use millrace_api::schema::{Kind, Schema};
use millrace_api::{RecordBatch, Writer};

static BATCH: LazyLock<RecordBatch> = LazyLock::new(batch);

/// Four records, two topics, two schemas, headers.
fn batch() -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topics = ["a", "b"].map(|topic| batch.intern_topic(topic));
    let schemas = [Schema::of(Kind::String), Schema::decimal(2)].map(|schema| batch.intern_schema(&Arc::new(schema)));
    for origin in 0..4 {
        let mut part = |write: &dyn Fn(&mut Vec<u8>)| batch.append(|heap| Ok(write(heap))).expect("small").0;
        let key = part(&|heap| Writer::new(heap).str("key"));
        let value = part(&|heap| {
            let mut w = Writer::new(heap);
            let open = w.begin_map();
            w.str("a");
            w.int64(i64::from(origin));
            w.end(open, 1);
        });
        let headers = part(&|heap| headers::push(heap, "h", schemas[0], |w| w.str("x")));
        let topic = topics[origin as usize % 2];
        batch.push(Row { topic, key, value, headers, key_schema: schemas[0], origin, ..Row::EMPTY });
    }
    batch
}

fn picture(batch: &RecordBatch) -> (Vec<Row>, Vec<u8>, usize, usize) {
    (batch.rows().to_vec(), batch.heap().to_vec(), batch.topics().len(), batch.schemas().len())
}

fuzz_target!(|bytes: &[u8]| {
    let mut batch = BATCH.clone();
    let Some((split, delta)) = bytes.split_first() else { return };
    // All at once, or the second chunk after a good first one.
    let first = u32::from(split % 4);
    let mut applier = Applier::new(&batch);
    if first > 0 {
        let mut keep = DeltaWriter::new(&batch);
        (0..first).for_each(|_| keep.keep());
        let inputs: Vec<u32> = (0..first).collect();
        applier.chunk(&mut batch, &inputs, &keep.finish()).expect("a good delta");
    }
    let inputs: Vec<u32> = (first..4).collect();
    let before = picture(&batch);
    let accepted = applier.chunk(&mut batch, &inputs, delta).is_ok();
    if !accepted {
        assert_eq!(picture(&batch), before);
    }
    let applied = applier.finish(&mut batch);
    millrace_fuzz::visit(&batch);
    for failed in &applied.failed {
        assert!(failed.row.origin < 4);
    }
    for origin in 0..4 {
        let left = batch.rows().iter().filter(|row| row.origin == origin).count();
        let dropped = applied.dropped.iter().filter(|dropped| **dropped == origin).count();
        let failed = applied.failed.iter().filter(|failed| failed.row.origin == origin).count();
        assert!(dropped + failed + left.min(1) == 1, "record {origin} left in another number of ways than one");
    }
});
