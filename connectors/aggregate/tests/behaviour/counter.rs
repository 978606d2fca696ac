//! An aggregate in plain Rust that counts, so that these tests need no component.

use millrace_api::batch::{RecordBatch, Row, flags};
use millrace_api::transform::Windowed;
use millrace_api::{Error, ErrorKind, Result, Writer};

/// Counts. Refuses a batch with a record whose field `poison` is `data`, and falls over one where it is `trap`.
pub(crate) struct Counter;

fn count(state: &[u8]) -> u64 {
    if state.is_empty() { 0 } else { u64::from_le_bytes(state.try_into().expect("a count")) }
}

fn state(count: u64) -> Vec<u8> {
    count.to_le_bytes().to_vec()
}

impl Windowed for Counter {
    fn update(&mut self, batch: &RecordBatch, slots: &[(u32, u32)], states: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let mut counts: Vec<u64> = states.iter().map(|state| count(state)).collect();
        for (row, slot) in slots {
            let record = batch.get(*row as usize).expect("a row of the batch");
            match record.field("poison").and_then(|poison| poison.as_str().map(str::to_owned)).as_deref() {
                Some("data") => return Err(Error::data("poison")),
                Some("trap") => return Err(Error::new(ErrorKind::Limit, "unreachable executed")),
                _ => counts[*slot as usize] += 1,
            }
        }
        Ok(counts.into_iter().map(state).collect())
    }

    fn merge(&mut self, left: &[Vec<u8>], right: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        Ok(left.iter().zip(right).map(|(left, right)| state(count(left) + count(right))).collect())
    }

    fn emit(&mut self, states: &RecordBatch) -> Result<RecordBatch> {
        let mut out = RecordBatch::new();
        for (index, record) in states.iter().enumerate() {
            let group = record.key().as_str().map_or_else(|| record.key().to_string(), str::to_owned);
            let end = record.offset();
            let (start, count) = (record.timestamp().expect("start"), count(record.value().as_bytes().expect("state")));
            let (value, ()) = out.append(|bytes| {
                let mut writer = Writer::new(bytes);
                let map = writer.begin_map();
                writer.str("window");
                writer.int64(start);
                writer.str("end");
                writer.int64(end);
                writer.str("group");
                writer.str(&group);
                writer.str("count");
                writer.int64(i64::try_from(count).expect("few"));
                writer.str("final");
                writer.bool(record.row().flags & flags::FINAL != 0);
                writer.end(map, 5);
                Ok(())
            })?;
            let (key, ()) = out.append(|bytes| {
                Writer::new(bytes).str(&format!("{start}/{group}"));
                Ok(())
            })?;
            let topic = out.intern_topic(record.topic());
            let origin = u32::try_from(index).expect("few");
            out.push(Row { timestamp: start, topic, key, value, origin, ..Row::EMPTY });
        }
        Ok(out)
    }
}
