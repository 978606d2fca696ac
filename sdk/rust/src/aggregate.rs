//! Windowed aggregates.

use millrace_api::batch::wire::{self, Needs, Trust};
use millrace_api::batch::{NO_TIMESTAMP, RecordBatch, Row, flags, headers};
use millrace_api::config::{Config, ConfigDef, Props};
use millrace_api::{Error, Result, SchemaRef, Value, Writer};

use crate::place::Place;
use crate::plugin::unknown;
use crate::record::Record;
use crate::schemas::Canonical;

/// A windowed aggregate: it owns what an aggregate means. Time, windows, keys and the states themselves are the host's.
pub trait Aggregate: Sized + 'static {
    /// Name in a connector's `aggregate`.
    const CLASS: &'static str;

    /// Its keys.
    type Config: Config;

    /// What it remembers of a window and group. [`Default`] is a window that has just been opened, and neutral in
    /// [`Aggregate::merge`].
    type State: State;

    /// As [`crate::Transform::configure`].
    ///
    /// # Errors
    /// As [`crate::Transform::configure`].
    fn configure(config: Self::Config) -> Result<Self>;

    /// Which parts of a record [`Aggregate::fold`] reads.
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// Adds a record to a state.
    ///
    /// # Errors
    /// [`Error::data`] when the record cannot be counted.
    fn fold(&mut self, state: &mut Self::State, record: &Record<'_>) -> Result<()>;

    /// Adds a state to another. Associative and commutative.
    ///
    /// # Errors
    /// [`Error::data`] when the states do not fit each other.
    fn merge(&mut self, left: &mut Self::State, right: &Self::State) -> Result<()>;

    /// Turns a state into records, usually one.
    ///
    /// # Errors
    /// [`Error::data`] when it cannot be shown.
    fn emit(&mut self, window: &Window<'_>, state: &Self::State, out: &mut Emitted<'_>) -> Result<()>;
}

/// A state as bytes. The host stores them and carries them from task to task; a later version of the aggregate must read what an
/// earlier one wrote.
pub trait State: Default {
    /// Reads a state; never called with empty bytes.
    ///
    /// # Errors
    /// [`Error::data`] when the bytes are no state of this aggregate.
    fn decode(bytes: &[u8]) -> Result<Self>;

    /// Appends the state.
    fn encode(&self, out: &mut Vec<u8>);
}

/// The window that [`Aggregate::emit`] speaks of.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    /// The group key.
    pub key: Value<'a>,
    /// Schema of the group key.
    pub key_schema: Option<&'a SchemaRef>,
    /// Start, in milliseconds since the epoch.
    pub start: i64,
    /// End, exclusive.
    pub end: i64,
    /// Whether this is its last result.
    pub closed: bool,
}

/// Collects the records that show a state. Each has the group key as key and the start of the window as timestamp, until told
/// otherwise.
pub struct Emitted<'a> {
    batch: &'a mut RecordBatch,
    row: Row,
}

/// A record just emitted.
pub struct EmittedRecord<'a> {
    batch: &'a mut RecordBatch,
}

impl Emitted<'_> {
    /// Emits a record whose value is what `write` writes.
    ///
    /// # Errors
    /// What `write` returns.
    pub fn value(
        &mut self,
        schema: Option<&SchemaRef>,
        write: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> Result<EmittedRecord<'_>> {
        let (value, ()) = self.batch.append(|heap| write(&mut Writer::new(heap)))?;
        let value_schema = schema.map_or(0, |schema| self.batch.intern_schema(schema));
        self.batch.push(Row { value, value_schema, ..self.row });
        Ok(EmittedRecord { batch: self.batch })
    }
}

impl EmittedRecord<'_> {
    /// Gives it another key.
    ///
    /// # Errors
    /// What `write` returns.
    pub fn key(self, schema: Option<&SchemaRef>, write: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Result<Self> {
        let (key, ()) = self.batch.append(|heap| write(&mut Writer::new(heap)))?;
        let key_schema = schema.map_or(0, |schema| self.batch.intern_schema(schema));
        Ok(self.change(|row| (row.key, row.key_schema) = (key, key_schema)))
    }

    /// Gives it another timestamp, in milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(self, millis: Option<i64>) -> Self {
        self.change(|row| row.timestamp = millis.unwrap_or(NO_TIMESTAMP))
    }

    /// Gives it headers: names and values without schemas.
    ///
    /// # Errors
    /// When the batch grows past its limit.
    pub fn headers(self, pairs: &[(&str, Value<'_>)]) -> Result<Self> {
        let (written, ()) = self.batch.append(|heap| {
            for (name, value) in pairs {
                headers::push(heap, name, 0, |writer| writer.value(*value));
            }
            Ok(())
        })?;
        Ok(self.change(|row| row.headers = written))
    }

    fn change(self, change: impl FnOnce(&mut Row)) -> Self {
        if let Some(row) = self.batch.rows_mut().last_mut() {
            change(row);
        }
        self
    }
}

/// An [`Aggregate`] whose type was forgotten: the exports of the `windowed` world.
pub trait Folder {
    /// Parts of records to be sent.
    fn needs(&self) -> Needs;

    /// As the world's `update`.
    ///
    /// # Errors
    /// What the aggregate returns.
    fn update(&mut self, batch: Vec<u8>, slots: &[u8], states: &[u8]) -> Result<Vec<u8>>;

    /// As the world's `merge`.
    ///
    /// # Errors
    /// What the aggregate returns.
    fn merge(&mut self, left: &[u8], right: &[u8]) -> Result<Vec<u8>>;

    /// As the world's `emit`.
    ///
    /// # Errors
    /// What the aggregate returns.
    fn emit(&mut self, batch: Vec<u8>) -> Result<Vec<u8>>;
}

struct Typed<A: Aggregate> {
    aggregate: A,
    canonical: Canonical,
}

/// An entry of a component's list of aggregates: see [`crate::export_aggregates!`].
pub struct AggregatePlugin {
    pub(crate) class: &'static str,
    pub(crate) def: fn() -> ConfigDef,
    make: fn(&Props) -> Result<Box<dyn Folder>>,
}

impl AggregatePlugin {
    /// The entry of an aggregate.
    #[must_use]
    pub const fn of<A: Aggregate>() -> Self {
        fn make<A: Aggregate>(props: &Props) -> Result<Box<dyn Folder>> {
            let aggregate = A::configure(A::Config::parse(props)?)?;
            Ok(Box::new(Typed { aggregate, canonical: Canonical::default() }))
        }
        Self { class: A::CLASS, def: A::Config::def, make: make::<A> }
    }

    /// Name of its class.
    #[must_use]
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// Its keys.
    #[must_use]
    pub fn config_def(&self) -> ConfigDef {
        (self.def)()
    }

    /// Configures the aggregate called `class`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] when it is unknown or refuses its configuration.
    pub fn configure(plugins: &[Self], class: &str, props: &Props) -> Result<Box<dyn Folder>> {
        let plugin = plugins.iter().find(|plugin| plugin.class == class).ok_or_else(|| unknown(class))?;
        (plugin.make)(props)
    }
}

impl<A: Aggregate> Folder for Typed<A> {
    fn needs(&self) -> Needs {
        self.aggregate.needs()
    }

    fn update(&mut self, batch: Vec<u8>, slots: &[u8], states: &[u8]) -> Result<Vec<u8>> {
        let batch = wire::decode(batch, Trust::Host)?;
        let mut dictionary = batch.schemas().to_vec();
        self.canonical.replace(&mut dictionary);
        let mut states = decode::<A::State>(states)?;
        for pair in slots.chunks_exact(8) {
            let [row, slot]: [u32; 2] = bytemuck::pod_read_unaligned(pair);
            let (Some(row), Some(state)) = (batch.rows().get(row as usize), states.get_mut(slot as usize)) else {
                return Err(Error::internal("a slot names a row or a state that is not there"));
            };
            self.aggregate.fold(state, &view(&batch, row, &dictionary))?;
        }
        Ok(encode(&states))
    }

    fn merge(&mut self, left: &[u8], right: &[u8]) -> Result<Vec<u8>> {
        let mut left = decode::<A::State>(left)?;
        let right = decode::<A::State>(right)?;
        if left.len() != right.len() {
            return Err(Error::internal("states to merge are not in pairs"));
        }
        for (left, right) in left.iter_mut().zip(&right) {
            self.aggregate.merge(left, right)?;
        }
        Ok(encode(&left))
    }

    fn emit(&mut self, batch: Vec<u8>) -> Result<Vec<u8>> {
        let batch = wire::decode(batch, Trust::Host)?;
        let mut answer = RecordBatch::with_capacity(batch.len(), batch.len() * 128);
        for (index, record) in batch.iter().enumerate() {
            let bytes = record.value().as_bytes().unwrap_or_default();
            let state = if bytes.is_empty() { A::State::default() } else { A::State::decode(bytes)? };
            let window = Window {
                key: record.key(),
                key_schema: record.key_schema(),
                start: record.row().timestamp,
                end: record.offset(),
                closed: record.row().flags & flags::FINAL != 0,
            };
            let (key, ()) = answer.append(|heap| {
                heap.extend_from_slice(record.key().bytes());
                Ok(())
            })?;
            let row = Row {
                topic: answer.intern_topic(record.topic()),
                key,
                key_schema: record.key_schema().map_or(0, |schema| answer.intern_schema(schema)),
                timestamp: window.start,
                flags: record.row().flags,
                origin: u32::try_from(index).unwrap_or(u32::MAX),
                ..Row::EMPTY
            };
            self.aggregate.emit(&window, &state, &mut Emitted { batch: &mut answer, row })?;
        }
        let rows: Vec<u32> = (0..u32::try_from(answer.len()).unwrap_or(u32::MAX)).collect();
        let mut out = Vec::new();
        wire::encode(&answer, &rows, Needs::ALL, &mut out);
        Ok(out)
    }
}

fn view<'a>(batch: &'a RecordBatch, row: &'a Row, dictionary: &'a [SchemaRef]) -> Record<'a> {
    Record { row, place: Place { batch, changed: None }, dictionary }
}

fn decode<S: State>(bytes: &[u8]) -> Result<Vec<S>> {
    let malformed = || Error::internal("states are malformed");
    let (count, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
    let count = u32::from_le_bytes(*count) as usize;
    let mut states = Vec::with_capacity(count.min(bytes.len() / 4));
    for _ in 0..count {
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let (state, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(malformed)?;
        states.push(if state.is_empty() { S::default() } else { S::decode(state)? });
        rest = after;
    }
    Ok(states)
}

fn encode<S: State>(states: &[S]) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::with_capacity(4 + states.len() * 32);
    out.extend_from_slice(&number(states.len()));
    for state in states {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        state.encode(&mut out);
        let len = number(out.len() - at - 4);
        out[at..at + 4].copy_from_slice(&len);
    }
    out
}
