//! Batches, raw batches and schemas as bytes: what arrives is what was sent, and lies are found out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    reason = "a failed expectation is what tests are for"
)]

mod model;

use std::sync::Arc;

use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords as _};
use millrace_api::batch::wire::{Needs, Trust, decode, encode};
use millrace_api::batch::{Row, Slice};
use millrace_api::schema::{self, Kind, Schema};
use millrace_api::{Error, ErrorKind, RecordBatch, Value, Writer};
use model::{Rec, batch, check, records, schemas, view};
use proptest::prelude::*;

fn needs() -> impl Strategy<Value = Needs> {
    any::<[bool; 3]>().prop_map(|[key, value, headers]| Needs { key, value, headers })
}

/// The records as somebody sees them who asked only for some parts.
fn seen(records: &[Rec], needs: Needs) -> Vec<Rec> {
    let part = |wanted: bool, part: &model::Part| (part.0.clone().filter(|_| wanted), part.1.clone());
    let see = |record: &Rec| Rec {
        key: part(needs.key, &record.key),
        value: part(needs.value, &record.value),
        headers: if needs.headers { record.headers.clone() } else { Vec::new() },
        ..record.clone()
    };
    records.iter().map(see).collect()
}

/// A raw record of the table below: topic, partition, key, value, headers.
type Raw = (String, i32, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn raws() -> impl Strategy<Value = Vec<Raw>> {
    let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    let header = (".{0,8}", bytes());
    prop::collection::vec(("[a-c]", -1..9i32, bytes(), bytes(), prop::collection::vec(header, 0..4)), 0..10)
}

fn raw((topic, partition, key, value, headers): &Raw) -> RawRecord<'_> {
    RawRecord {
        partition: *partition,
        offset: 7,
        timestamp: 8,
        log_append_time: *partition == 3,
        headers: headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect(),
        ..RawRecord::new(topic, key.as_deref(), value.as_deref())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_sent_arrives(records in records(0..8), needs in needs(), picks in any::<[bool; 8]>()) {
        let batch = batch(&records);
        prop_assert_eq!(&view(&batch), &records);
        let rows: Vec<u32> = (0..).take(records.len()).filter(|row| picks[*row as usize]).collect();
        let all: Vec<u32> = (0..).take(records.len()).collect();
        for (rows, needs) in [(&rows, needs), (&all, needs), (&all, Needs::ALL), (&rows, Needs::ALL)] {
            let mut sent = vec![1, 2, 3];
            encode(&batch, rows, needs, &mut sent);
            let picked: Vec<Rec> = rows.iter().map(|row| records[*row as usize].clone()).collect();
            for trust in [Trust::Host, Trust::Nobody] {
                let received = decode(sent.clone(), trust).unwrap();
                check(&received);
                prop_assert_eq!(view(&received), seen(&picked, needs));
                prop_assert_eq!(received.topics(), batch.topics());
                prop_assert_eq!(received.schemas(), batch.schemas());
            }
        }
    }

    #[test]
    fn one_wrong_byte_is_found_out_or_harmless(
        records in records(1..4),
        needs in needs(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let batch = batch(&records);
        let rows: Vec<u32> = (0..).take(records.len()).collect();
        let mut sent = Vec::new();
        encode(&batch, &rows, needs, &mut sent);
        let mut short = sent.clone();
        short.truncate(cut.index(sent.len()));
        prop_assert!(decode(short, Trust::Nobody).is_err());
        let at = at.index(sent.len());
        sent[at] = byte;
        if let Ok(received) = decode(sent, Trust::Nobody) {
            check(&received);
            let _ = view(&received);
        }
    }

    #[test]
    fn schemas_arrive_as_they_were(schema in schemas()) {
        let mut bytes = Vec::new();
        schema::encode(&schema, &mut bytes);
        prop_assert_eq!(schema::decode(&bytes).unwrap(), schema);
        bytes.push(0);
        prop_assert!(schema::decode(&bytes).is_err());
    }

    #[test]
    fn hostile_schemas_do_not_panic(schema in schemas(), noise in prop::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let _ = schema::decode(&noise);
        let mut bytes = Vec::new();
        schema::encode(&schema, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = schema::decode(&bytes);
    }

    #[test]
    fn raw_records_are_kept(records in raws()) {
        let mut batch = RawBatch::new();
        for record in &records {
            let row = raw(record);
            // The same by copying and by writing in place, with a failure in between that leaves no trace.
            let before = (batch.len(), batch.bytes());
            let failed = batch.push_with(&row, |heap| { heap.push(1); Ok(true) }, |_| Err(Error::data("no")));
            prop_assert!(failed.is_err());
            prop_assert_eq!((batch.len(), batch.bytes()), before);
            if row.partition % 2 == 0 {
                batch.push(&row).unwrap();
            } else {
                let write = |bytes: Option<Vec<u8>>| move |heap: &mut Vec<u8>| {
                    heap.extend_from_slice(bytes.as_deref().unwrap_or_default());
                    Ok(bytes.is_some())
                };
                batch.push_with(&row, write(record.2.clone()), write(record.3.clone())).unwrap();
            }
        }
        prop_assert_eq!(batch.len(), records.len());
        prop_assert!(batch.get(records.len()).is_none());
        for (index, record) in records.iter().enumerate() {
            prop_assert_eq!(format!("{:?}", batch.get(index).unwrap()), format!("{:?}", raw(record)));
        }
    }
}

/// A batch of `rows` rows that all hold the same value of `size` bytes.
fn shared(rows: usize, size: usize) -> RecordBatch {
    let mut batch = RecordBatch::new();
    batch.intern_topic("t");
    let (value, ()) = batch
        .append(|heap| {
            Writer::new(heap).bytes(&vec![7; size]);
            Ok(())
        })
        .unwrap();
    (0..rows).for_each(|_| batch.push(Row { value, ..Row::EMPTY }));
    batch
}

#[test]
fn rows_that_share_bytes_do_not_multiply_them() {
    let batch = shared(10_000, 1 << 20);
    let rows: Vec<u32> = (0..9_999).collect();
    let mut sent = Vec::new();
    encode(&batch, &rows, Needs { value: true, ..Needs::NOTHING }, &mut sent);
    assert!(sent.len() < 3 << 20, "{} bytes", sent.len());
    let received = decode(sent, Trust::Nobody).unwrap();
    assert_eq!(received.len(), 9_999);
    assert_eq!(received.get(9_998).unwrap().value(), batch.get(0).unwrap().value());
}

#[test]
fn slices_within_slices_are_not_checked_for_ever() {
    // An array of 63 levels over a megabyte of text: every level is a valid value of about a megabyte.
    let mut batch = RecordBatch::new();
    batch.intern_topic("t");
    let (whole, ()) = batch
        .append(|heap| {
            let open: Vec<_> = (0..63).map(|_| Writer::new(heap).begin_array()).collect();
            Writer::new(heap).str(&"x".repeat(1 << 20));
            open.into_iter().rev().for_each(|container| Writer::new(heap).end(container, 1));
            Ok(())
        })
        .unwrap();
    for n in 0..20_000 {
        let inside = 9 * (n % 63);
        batch.push(Row { value: Slice { start: whole.start + inside, len: whole.len - inside }, ..Row::EMPTY });
    }
    let mut sent = Vec::new();
    encode(&batch, &(0..20_000).collect::<Vec<_>>(), Needs::ALL, &mut sent);
    assert_eq!(decode(sent, Trust::Nobody).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn dictionaries_that_only_take_time_are_refused() {
    let mut batch = RecordBatch::new();
    for n in 0..5_000 {
        batch.intern_schema(&Arc::new(Schema { version: Some(n), ..Schema::of(Kind::Int8) }));
    }
    let mut sent = Vec::new();
    encode(&batch, &[], Needs::ALL, &mut sent);
    assert!(decode(sent.clone(), Trust::Host).is_ok());
    assert_eq!(decode(sent, Trust::Nobody).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn a_row_that_points_outside_is_refused() {
    for row in [
        Row { topic: 1, ..Row::EMPTY },
        Row { value_schema: 1, ..Row::EMPTY },
        Row { key_schema: u32::MAX, ..Row::EMPTY },
        Row { value: Slice { start: 0, len: 10 }, ..Row::EMPTY },
        Row { key: Slice { start: u32::MAX - 1, len: u32::MAX }, ..Row::EMPTY },
        Row { headers: Slice { start: 0, len: 1 }, ..Row::EMPTY },
    ] {
        let mut batch = RecordBatch::new();
        batch.intern_topic("t");
        batch
            .append(|heap| {
                heap.extend_from_slice(Value::NULL.bytes());
                Ok(())
            })
            .unwrap();
        batch.push(row);
        let mut sent = Vec::new();
        encode(&batch, &[0], Needs::ALL, &mut sent);
        assert_eq!(decode(sent, Trust::Nobody).unwrap_err().kind(), ErrorKind::Data, "{row:?}");
    }
}
