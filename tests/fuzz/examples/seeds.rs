//! Writes the checked-in seeds: one good input of each kind, so that a target does not have to find the magic first.
//!
//!     cargo run --example seeds

use std::fs;
use std::sync::Arc;

use millrace_api::batch::delta::{DeltaWriter, mask};
use millrace_api::batch::wire::{Needs, encode};
use millrace_api::batch::{Row, headers};
use millrace_api::schema::{Field, Kind, Schema};
use millrace_api::{RecordBatch, Writer};

fn main() {
    let batch = batch();
    let rows: Vec<u32> = (0..).take(batch.len()).collect();
    for (name, needs) in
        [("all", Needs::ALL), ("nothing", Needs::NOTHING), ("values", Needs { value: true, ..Needs::NOTHING })]
    {
        let mut bytes = Vec::new();
        encode(&batch, &rows, needs, &mut bytes);
        write("batch_decode", name, &bytes);
    }
    for (i, record) in batch.iter().enumerate() {
        write("value_validate", &format!("value{i}"), record.value().bytes());
    }
    deltas();
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runtime/converters/tests/oracle/");
    for (i, line) in fs::read_to_string(format!("{table}json.tsv")).expect("table").lines().enumerate() {
        let columns: Vec<_> = line.split('\t').collect();
        let [_, options, input, ..] = columns[..] else { continue };
        // Every fourth row is a good sample.
        if input.len() < 400 && i % 4 == 0 {
            let on = u8::from(options.contains("schemas.enable=true"));
            let mut seed = vec![on | 2];
            seed.extend(unescape(input));
            write("json_converter", &format!("row{i}"), &seed);
        }
    }
    for (i, line) in fs::read_to_string(format!("{table}header.tsv")).expect("table").lines().enumerate() {
        if i % 4 == 0 {
            write("header_converter", &format!("row{i}"), &unescape(line.split('\t').next().unwrap_or_default()));
        }
    }
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let dir = format!("{}/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(format!("{dir}/{name}"), bytes).expect("a file");
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &after[2..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// A record of each kind of value.
fn batch() -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("orders");
    let fields = vec![Field::new("id", Schema::of(Kind::Int32)), Field::new("note", Schema::optional(Kind::String))];
    let schemas = [Schema::structure(fields), Schema::decimal(2), Schema::optional(Kind::Bytes)];
    let schemas = schemas.map(|schema| batch.intern_schema(&Arc::new(schema)));
    let values: [&dyn Fn(&mut Writer<'_>); 5] = [
        &|w| {
            let open = w.begin_struct();
            w.int32(1);
            w.null();
            w.end(open, 2);
        },
        &|w| w.decimal_i128(2, 12_345),
        &|w| w.bytes(b"bytes"),
        &|w| {
            let open = w.begin_map();
            w.str("a");
            let list = w.begin_array();
            w.int8(1);
            w.int16(2);
            w.int64(3);
            w.float32(1.5);
            w.float64(2.5);
            w.bool(true);
            w.end(list, 6);
            w.end(open, 1);
        },
        &|w| w.timestamp(1_700_000_000_000),
    ];
    for (origin, write) in (0..).zip(values) {
        let mut part = |write: &dyn Fn(&mut Vec<u8>)| batch.append(|heap| Ok(write(heap))).expect("small").0;
        let key = part(&|heap| Writer::new(heap).str("key"));
        let value = part(&|heap| write(&mut Writer::new(heap)));
        let headers = part(&|heap| headers::push(heap, "h", schemas[2], |w| w.bytes(b"x")));
        let value_schema = schemas.get(origin as usize).copied().unwrap_or(0);
        batch.push(Row { topic, key, value, headers, value_schema, origin, ..Row::EMPTY });
    }
    batch
}

/// Deltas for four records of a batch with two topics and two schemas, as the target has it.
fn deltas() {
    let mut given = RecordBatch::new();
    given.intern_topic("a");
    given.intern_topic("b");
    given.intern_schema(&Arc::new(Schema::of(Kind::String)));
    given.intern_schema(&Arc::new(Schema::decimal(2)));
    let save = |name: &str, first: u8, write: &dyn Fn(&mut DeltaWriter)| {
        let mut delta = DeltaWriter::new(&given);
        write(&mut delta);
        let mut seed = vec![first];
        seed.extend(delta.finish());
        write_delta(name, &seed);
    };
    save("kept", 0, &|delta| (0..4).for_each(|_| delta.keep()));
    save("second_chunk", 2, &|delta| (0..2).for_each(|_| delta.drop_record()));
    let batch = given.clone();
    save("mixed", 0, &|delta| {
        delta.keep();
        delta.drop_record();
        delta.fail(1, "refused");
        let topic = delta.topic(&batch, "elsewhere");
        let schema = delta.schema(&Arc::new(Schema::optional(Kind::Int64)));
        let start = delta.heap().len();
        Writer::new(delta.heap()).int64(7);
        let value = millrace_api::batch::Slice { start: start as u32, len: (delta.heap().len() - start) as u32 };
        let start = delta.heap().len();
        headers::push(delta.heap(), "new", schema, |w| w.int64(8));
        let headers = millrace_api::batch::Slice { start: start as u32, len: (delta.heap().len() - start) as u32 };
        let row = Row { topic, value, value_schema: schema, headers, ..Row::EMPTY };
        delta.change(&[(mask::TOPIC | mask::VALUE, row), (mask::HEADERS | mask::PARTITION | mask::TIMESTAMP, row)]);
    });
}

fn write_delta(name: &str, seed: &[u8]) {
    write("delta_apply", name, seed);
}
