//! Records as plain data: what a batch means, whatever it looks like in memory.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by several test files")]

use std::sync::Arc;

use millrace_api::batch::{NO_PARTITION, NO_TIMESTAMP, Row, Slice, headers};
use millrace_api::schema::{Field, Kind, Schema};
use millrace_api::value::validate;
use millrace_api::{RecordBatch, SchemaRef, Value, Writer};
use proptest::prelude::*;

/// A key, value or header value: encoded (`None` for no bytes at all) and its schema.
pub type Part = (Option<Vec<u8>>, Option<SchemaRef>);

#[derive(Debug, Clone, PartialEq)]
pub struct Rec {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Part,
    pub value: Part,
    pub headers: Vec<(String, Part)>,
    pub origin: u32,
}

/// Topics are few, so that dictionaries are shared.
pub fn topics() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", "[a-zA-Z0-9._-]{1,20}".prop_filter("legal", |name| name != "." && name != "..")]
}

pub fn schemas() -> impl Strategy<Value = Schema> {
    let kinds = prop::sample::select(vec![
        Kind::Int8,
        Kind::Int16,
        Kind::Int32,
        Kind::Int64,
        Kind::Float32,
        Kind::Float64,
        Kind::Boolean,
        Kind::String,
        Kind::Bytes,
    ]);
    let leaf = kinds.prop_map(Schema::of);
    let nested = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| Schema { values: Some(items.into()), ..Schema::of(Kind::Array) }),
            (inner.clone(), inner.clone()).prop_map(|(keys, values)| Schema {
                keys: Some(keys.into()),
                values: Some(values.into()),
                ..Schema::of(Kind::Map)
            }),
            prop::collection::vec((".*", inner), 0..4).prop_map(|fields| {
                Schema::structure(fields.into_iter().map(|(name, schema)| Field::new(name, schema)).collect())
            }),
        ]
    });
    let text = || prop::option::of(".{0,8}");
    let parameters = prop::collection::vec((".{0,5}", ".{0,5}"), 0..3);
    (nested, any::<bool>(), text(), prop::option::of(any::<i32>()), text(), parameters, prop::option::of(values()))
        .prop_map(|(schema, optional, name, version, doc, parameters, default)| Schema {
            optional,
            name,
            version,
            doc,
            parameters,
            default,
            ..schema
        })
}

/// Valid encoded values.
pub fn values() -> impl Strategy<Value = Vec<u8>> {
    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out));
        out
    }
    let leaf = prop_oneof![
        Just(written(|w| w.null())),
        any::<bool>().prop_map(|b| written(|w| w.bool(b))),
        any::<i8>().prop_map(|n| written(|w| w.int8(n))),
        any::<i64>().prop_map(|n| written(|w| w.int64(n))),
        any::<f64>().prop_map(|n| written(|w| w.float64(n))),
        ".{0,12}".prop_map(|text| written(|w| w.str(&text))),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| written(|w| w.bytes(&bytes))),
        (any::<i32>(), any::<i128>()).prop_map(|(scale, n)| written(|w| w.decimal_i128(scale, n))),
        any::<i64>().prop_map(|n| written(|w| w.timestamp(n))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|items| {
            let mut out = Vec::new();
            let open = Writer::new(&mut out).begin_array();
            items.iter().for_each(|item| out.extend_from_slice(item));
            Writer::new(&mut out).end(open, items.len());
            out
        })
    })
}

pub fn parts() -> impl Strategy<Value = Part> {
    let schema = prop_oneof![2 => Just(None), 1 => schemas().prop_map(|schema| Some(Arc::new(schema)))];
    (prop::option::weighted(0.9, values()), schema)
}

pub fn header_lists() -> impl Strategy<Value = Vec<(String, Part)>> {
    let part =
        parts().prop_map(|(value, schema)| (Some(value.unwrap_or_else(|| Value::NULL.bytes().to_vec())), schema));
    prop::collection::vec((".{0,6}", part), 0..3)
}

pub fn records(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Rec>> {
    let record = (
        topics(),
        -1..5i32,
        any::<i64>(),
        prop_oneof![Just(NO_TIMESTAMP), any::<i64>()],
        parts(),
        parts(),
        header_lists(),
    )
        .prop_map(|(topic, partition, offset, timestamp, key, value, headers)| Rec {
            topic,
            partition,
            offset,
            timestamp,
            key,
            value,
            headers,
            origin: 0,
        });
    prop::collection::vec(record, count).prop_map(|mut records| {
        for (origin, record) in (0..).zip(&mut records) {
            record.origin = origin;
        }
        records
    })
}

fn number(batch: &mut RecordBatch, schema: Option<&SchemaRef>) -> u32 {
    schema.map_or(0, |schema| batch.intern_schema(schema))
}

fn append(batch: &mut RecordBatch, bytes: &[u8]) -> Slice {
    let (slice, ()) = batch
        .append(|heap| {
            heap.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
    slice
}

/// Headers as they lie in a heap; `number` gives the number of a schema.
pub fn encode_headers(list: &[(String, Part)], mut number: impl FnMut(&SchemaRef) -> u32) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, (value, schema)) in list {
        let id = schema.as_ref().map_or(0, &mut number);
        headers::push(&mut out, name, id, |w| w.raw(value.as_deref().unwrap()));
    }
    out
}

pub fn batch(records: &[Rec]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    for record in records {
        let topic = batch.intern_topic(&record.topic);
        let (key_schema, value_schema) =
            (number(&mut batch, record.key.1.as_ref()), number(&mut batch, record.value.1.as_ref()));
        let key = record.key.0.as_ref().map_or(Slice::NULL, |bytes| append(&mut batch, bytes));
        let value = record.value.0.as_ref().map_or(Slice::NULL, |bytes| append(&mut batch, bytes));
        let headers = if record.headers.is_empty() {
            Slice::NULL
        } else {
            let encoded = encode_headers(&record.headers, |schema| batch.intern_schema(schema));
            append(&mut batch, &encoded)
        };
        batch.push(Row {
            topic,
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key,
            value,
            headers,
            key_schema,
            value_schema,
            origin: record.origin,
            ..Row::EMPTY
        });
    }
    batch
}

/// What a batch means.
pub fn view(batch: &RecordBatch) -> Vec<Rec> {
    let part = |slice: Slice, value: Value<'_>, schema: Option<&SchemaRef>| {
        ((!slice.is_null()).then(|| value.bytes().to_vec()), schema.cloned())
    };
    batch
        .iter()
        .map(|record| Rec {
            topic: record.topic().to_owned(),
            partition: record.partition().unwrap_or(NO_PARTITION),
            offset: record.offset(),
            timestamp: record.timestamp().unwrap_or(NO_TIMESTAMP),
            key: part(record.row().key, record.key(), record.key_schema()),
            value: part(record.row().value, record.value(), record.value_schema()),
            headers: record
                .headers()
                .map(|h| (h.name.to_owned(), (Some(h.value.bytes().to_vec()), h.schema.cloned())))
                .collect(),
            origin: record.row().origin,
        })
        .collect()
}

/// Everything a batch holds is well-formed.
pub fn check(batch: &RecordBatch) {
    for record in batch.iter() {
        validate(record.key().bytes()).unwrap();
        validate(record.value().bytes()).unwrap();
        record.headers().for_each(|header| validate(header.value.bytes()).unwrap());
    }
}

/// What a batch looks like in memory.
pub fn picture(batch: &RecordBatch) -> (Vec<Row>, Vec<u8>, Vec<Arc<str>>, Vec<SchemaRef>) {
    (batch.rows().to_vec(), batch.heap().to_vec(), batch.topics().to_vec(), batch.schemas().to_vec())
}
