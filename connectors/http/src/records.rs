//! Requests as records.

use std::sync::Arc;

use millrace_api::batch::{Row, Slice, headers};
use millrace_api::schema::Kind;
use millrace_api::{RecordBatch, Result, Schema, SchemaRef, Writer};
use serde_json::Value;

use crate::config::HttpSourceConfig;
use crate::json;
use crate::rules::{Fault, MAX_FAULTS, Rules};

/// Record header with the idempotency key of the request.
pub(crate) const KEY_HEADER: &str = "idempotency-key";

/// Record header of records that came in an array: `index/count`, so that a request of which only a part was appended before
/// a crash is completed and not repeated.
pub(crate) const INDEX_HEADER: &str = "idempotency-index";

/// Turns bodies into records.
pub(crate) struct Recipe {
    topic: String,
    key_field: Option<String>,
    rules: Rules,
    text: SchemaRef,
}

impl Recipe {
    pub(crate) fn new(config: &HttpSourceConfig) -> Result<Self> {
        Ok(Self {
            topic: config.topic.clone(),
            key_field: config.key_field.clone(),
            rules: config.rules()?,
            text: Arc::new(Schema::of(Kind::String)),
        })
    }

    /// Records of a body: of an array, one for each item. `origin` is the index in the request. All or nothing.
    ///
    /// # Errors
    /// Everything that is wrong, up to [`MAX_FAULTS`], and the number of records that are wrong.
    pub(crate) fn records(
        &self,
        body: &Value,
        copied: &[(String, String)],
        idempotency_key: Option<&str>,
        now: i64,
    ) -> Result<RecordBatch, (usize, Vec<Fault>)> {
        let (items, array) = match body {
            Value::Array(items) => (items.as_slice(), true),
            single => (std::slice::from_ref(single), false),
        };
        let mut batch = RecordBatch::with_capacity(items.len(), 0);
        let topic = batch.intern_topic(&self.topic);
        let text = batch.intern_schema(&self.text);
        let (mut wrong, mut faults) = (0, Vec::new());
        for (index, item) in items.iter().enumerate() {
            let position = idempotency_key.map(|key| (key, array.then(|| format!("{index}/{}", items.len()))));
            let row = self
                .check(index, item, &mut faults)
                .then(|| batch.append(|heap| Ok(self.write(item, copied, position.as_ref(), text, heap))));
            match row {
                Some(Ok((at, lengths))) if wrong == 0 => batch.push(Row {
                    topic,
                    timestamp: now,
                    origin: u32::try_from(index).unwrap_or(u32::MAX),
                    ..lengths.row(at)
                }),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    wrong += 1;
                    push(&mut faults, index, String::new(), error.message().to_owned());
                }
                None => wrong += 1,
            }
        }
        if wrong == 0 { Ok(batch) } else { Err((wrong, faults)) }
    }

    fn check(&self, index: usize, item: &Value, faults: &mut Vec<Fault>) -> bool {
        if item.is_null() {
            push(faults, index, String::new(), "a record must not be null".to_owned());
            return false;
        }
        if !self.rules.check(index, item, faults) {
            return false;
        }
        let Some(name) = &self.key_field else { return true };
        let cause = match self.key(item) {
            Some(Value::String(_)) => return true,
            Some(Value::Number(number)) if number.is_i64() => return true,
            Some(Value::Null) | None => "the record's key is missing",
            Some(_) => "the record's key must be a string or an integer",
        };
        let field = if name.starts_with('/') { name.clone() } else { format!("/{name}") };
        push(faults, index, field, cause.to_owned());
        false
    }

    fn key<'v>(&self, item: &'v Value) -> Option<&'v Value> {
        let name = self.key_field.as_deref()?;
        if name.starts_with('/') { item.pointer(name) } else { item.get(name) }
    }

    /// Appends key, value and headers, one after another.
    fn write(
        &self,
        item: &Value,
        copied: &[(String, String)],
        position: Option<&(&str, Option<String>)>,
        text: u32,
        heap: &mut Vec<u8>,
    ) -> Lengths {
        let start = heap.len();
        if let Some(key) = self.key(item) {
            json::encode(key, &mut Writer::new(heap));
        }
        let key = heap.len() - start;
        json::encode(item, &mut Writer::new(heap));
        let value = heap.len() - start - key;
        if let Some((idempotency_key, index)) = position {
            headers::push(heap, KEY_HEADER, text, |writer| writer.str(idempotency_key));
            if let Some(index) = index {
                headers::push(heap, INDEX_HEADER, text, |writer| writer.str(index));
            }
        }
        for (name, value) in copied {
            headers::push(heap, name, text, |writer| writer.str(value));
        }
        Lengths { key, value, headers: heap.len() - start - key - value }
    }
}

fn push(faults: &mut Vec<Fault>, index: usize, field: String, message: String) {
    if faults.len() < MAX_FAULTS {
        faults.push(Fault { index, field, message });
    }
}

/// Lengths of what lies one after another in the heap.
struct Lengths {
    key: usize,
    value: usize,
    headers: usize,
}

impl Lengths {
    fn row(&self, at: Slice) -> Row {
        let mut next = at.start;
        let mut slice = |len: usize| {
            let len = u32::try_from(len).unwrap_or(0);
            let slice = if len == 0 { Slice::NULL } else { Slice { start: next, len } };
            next = next.saturating_add(len);
            slice
        };
        Row { key: slice(self.key), value: slice(self.value), headers: slice(self.headers), ..Row::EMPTY }
    }
}

/// Appends the records of a request to a batch. Both were made by one [`Recipe`], so topic and schema have the same numbers.
///
/// # Errors
/// [`millrace_api::ErrorKind::Limit`] when the batch is full.
pub(crate) fn append(into: &mut RecordBatch, from: &RecordBatch) -> Result<()> {
    for topic in from.topics() {
        into.intern_topic(topic);
    }
    for schema in from.schemas() {
        into.intern_schema(schema);
    }
    for row in from.rows() {
        let mut copy = |slice: Slice| match slice.of(from.heap()) {
            None => Ok(Slice::NULL),
            Some(bytes) => {
                let copied = into.append(|heap| {
                    heap.extend_from_slice(bytes);
                    Ok(())
                });
                copied.map(|(slice, ())| slice)
            }
        };
        let (key, value, headers) = (copy(row.key)?, copy(row.value)?, copy(row.headers)?);
        into.push(Row { key, value, headers, ..*row });
    }
    Ok(())
}
