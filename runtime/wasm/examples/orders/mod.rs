//! What both measurements work on.

use millrace_api::batch::{NO_PARTITION, RecordBatch, Row};
use millrace_api::{Error, Writer};

pub(crate) const ROWS: usize = 500;

/// Orders of about `size` bytes, as the JSON converter would make them.
pub(crate) fn orders(size: usize) -> Result<RecordBatch, Error> {
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
