//! An aggregate on the host, through the bytes a component takes and answers with.

use millrace_api::batch::wire::{self, Needs, Trust};
use millrace_api::batch::{RecordBatch, Row, flags};
use millrace_api::config::Props;
use millrace_api::{Result, Schema, SchemaRef, Value, Writer};
use millrace_sdk::AggregatePlugin;

/// A record batch whose values `write` writes.
pub(crate) fn batch(schema: Option<&SchemaRef>, count: usize, write: impl Fn(usize, &mut Writer<'_>)) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("orders-topic");
    let value_schema = schema.map_or(0, |schema| batch.intern_schema(schema));
    for index in 0..count {
        let (value, ()) = append(&mut batch, |writer| write(index, writer));
        batch.push(Row { topic, value, value_schema, partition: 0, offset: 7, timestamp: 1, ..Row::EMPTY });
    }
    batch
}

fn append(batch: &mut RecordBatch, write: impl FnOnce(&mut Writer<'_>)) -> (millrace_api::batch::Slice, ()) {
    let written = batch.append(|heap| {
        write(&mut Writer::new(heap));
        Ok(())
    });
    written.expect("room")
}

/// An aggregate, by class.
pub(crate) struct Aggregate {
    folder: Box<dyn millrace_sdk::Folder>,
}

impl Aggregate {
    pub(crate) fn new(class: &str, config: &[(&str, &str)]) -> Result<Self> {
        let props: Props = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Ok(Self { folder: AggregatePlugin::configure(millrace_aggregates::aggregates(), class, &props)? })
    }

    /// Folds all records into one state.
    pub(crate) fn update(&mut self, batch: &RecordBatch, state: &[u8]) -> Result<Vec<u8>> {
        let rows: Vec<u32> = (0..u32::try_from(batch.len()).expect("rows")).collect();
        let mut bytes = Vec::new();
        wire::encode(batch, &rows, self.folder.needs(), &mut bytes);
        let slots: Vec<u8> = rows.iter().flat_map(|row| [row.to_le_bytes(), 0u32.to_le_bytes()].concat()).collect();
        Ok(single(&self.folder.update(bytes, &slots, &list(state))?))
    }

    #[allow(dead_code, reason = "not every test merges bytes")]
    pub(crate) fn merge(&mut self, left: &[u8], right: &[u8]) -> Result<Vec<u8>> {
        Ok(single(&self.folder.merge(&list(left), &list(right))?))
    }

    /// The record that shows `state` for the window of 14:00 to 15:00 on 20 November 2026.
    pub(crate) fn emit(
        &mut self,
        state: &[u8],
        schema: Option<&SchemaRef>,
        closed: bool,
        group: impl FnOnce(&mut Writer<'_>),
    ) -> Result<RecordBatch> {
        let mut batch = RecordBatch::new();
        let topic = batch.intern_topic("states");
        let (value, ()) = append(&mut batch, |writer| writer.bytes(state));
        let (key, ()) = append(&mut batch, group);
        let key_schema = schema.map_or(0, |schema| batch.intern_schema(schema));
        let (timestamp, offset) = (1_795_183_200_000, 1_795_186_800_000);
        let flags = if closed { flags::FINAL } else { 0 };
        batch.push(Row { topic, key, key_schema, value, timestamp, offset, flags, origin: 0, ..Row::EMPTY });
        let mut bytes = Vec::new();
        wire::encode(&batch, &[0], Needs::ALL, &mut bytes);
        wire::decode(self.folder.emit(bytes)?, Trust::Nobody)
    }

    /// Key and value of that record as text.
    pub(crate) fn shown(
        &mut self,
        state: &[u8],
        schema: Option<&SchemaRef>,
        group: impl FnOnce(&mut Writer<'_>),
    ) -> (String, String) {
        let batch = self.emit(state, schema, false, group).expect("a record");
        assert_eq!(batch.len(), 1);
        let record = batch.get(0).expect("a record");
        assert!(record.key_schema().is_none() && record.value_schema().is_none(), "results have no schema");
        (record.key().to_string(), record.value().to_string())
    }
}

fn list(state: &[u8]) -> Vec<u8> {
    let mut bytes = 1u32.to_le_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(state.len()).expect("length").to_le_bytes());
    bytes.extend_from_slice(state);
    bytes
}

fn single(states: &[u8]) -> Vec<u8> {
    assert_eq!(states.get(..4), Some(&1u32.to_le_bytes()[..]));
    states.get(8..).expect("a state").to_vec()
}

/// A map of one number under `field`.
pub(crate) fn number_map(writer: &mut Writer<'_>, field: &str, number: Value<'_>) {
    let open = writer.begin_map();
    writer.str(field);
    writer.value(number);
    writer.end(open, 1);
}

/// A struct schema of fields.
#[allow(dead_code, reason = "not every test groups by structs")]
pub(crate) fn structure(fields: Vec<(&str, Schema)>) -> SchemaRef {
    let fields = fields.into_iter().map(|(name, schema)| millrace_api::schema::Field::new(name, schema));
    Schema::structure(fields.collect()).into()
}

/// The key of an aggregate without groups.
pub(crate) fn no_group(writer: &mut Writer<'_>) {
    writer.null();
}
