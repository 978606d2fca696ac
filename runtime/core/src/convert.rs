//! From records as bytes to a record batch, and back.

use std::sync::Arc;

use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::batch::{NO_TIMESTAMP, Row, Slice, flags, headers};
use millrace_api::config::Props;
use millrace_api::converter::{Converter, ConverterUse, HeaderConverter};
use millrace_api::{Error, Record, RecordBatch, Result, Writer};

use crate::errors::{Failure, Patience, Stage};
use crate::plugins::Plugins;

/// A record, or the stage that refused it and why.
type Converted<T> = Result<T, (Stage, Error)>;

/// The converters of a task.
pub struct Converters {
    key: Box<dyn Converter>,
    value: Box<dyn Converter>,
    header: Box<dyn HeaderConverter>,
    classes: [Arc<str>; 3],
    patience: Option<Patience>,
}

impl Converters {
    /// The converters of a connector: its own, else the worker's. `key.converter.*` keys of the connector count only when it
    /// names the converter itself, as in Kafka Connect.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key.
    pub fn new(plugins: &Plugins, connector: &Props, worker: &Props) -> Result<Self> {
        let find = |prefix: &str, fallback: &str| {
            let from = if connector.contains_key(prefix) { connector } else { worker };
            let class = from.get(prefix).map_or(fallback, String::as_str).to_owned();
            let plugin = plugins.converter(&class).map_err(|error| {
                Error::config(format!("Invalid value {class} for configuration {prefix}: {}", error.message()))
            })?;
            Ok::<_, Error>((plugin, strip_prefix(from, prefix)))
        };
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let (key, key_props) = find("key.converter", json)?;
        let (value, value_props) = find("value.converter", json)?;
        let (header, header_props) =
            find("header.converter", "org.apache.kafka.connect.storage.SimpleHeaderConverter")?;
        Ok(Self {
            classes: [key.class().into(), value.class().into(), header.class().into()],
            key: key.converter(&key_props, ConverterUse::Key)?,
            value: value.converter(&value_props, ConverterUse::Value)?,
            header: header.header_converter(&header_props)?,
            patience: None,
        })
    }

    /// What may succeed later is tried again.
    #[must_use]
    pub fn patient(self, patience: Patience) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Appends the records of `raw`, but for those of the topics in `except`, to `batch`; those that do not convert become
    /// failures. `origin` is the index in `raw`.
    ///
    /// # Errors
    /// When the task ends while something that may still succeed is tried again.
    pub fn decode(
        &mut self,
        raw: &dyn RawRecords,
        except: &[String],
        batch: &mut RecordBatch,
        failures: &mut Vec<Failure>,
    ) -> Result<()> {
        let patience = self.patience.clone();
        for index in 0..raw.len() {
            let Some(record) = raw.get(index) else { break };
            if except.iter().any(|topic| topic == record.topic) {
                continue;
            }
            let origin = u32::try_from(index).unwrap_or(u32::MAX);
            match with(patience.as_ref(), || self.decode_one(&record, batch)) {
                Ok(row) => batch.push(Row { origin, ..row }),
                Err((stage, error)) => failures.push(self.failure(origin, stage, error)?),
            }
        }
        Ok(())
    }

    fn decode_one(&mut self, record: &RawRecord<'_>, batch: &mut RecordBatch) -> Converted<Row> {
        let topic = record.topic;
        let (key, key_schema) = batch
            .append(|out| self.key.to_connect(topic, record.key, out))
            .map_err(|error| (Stage::KeyConverter, error))?;
        let (value, value_schema) = batch
            .append(|out| self.value.to_connect(topic, record.value, out))
            .map_err(|error| (Stage::ValueConverter, error))?;
        let headers = if record.headers.is_empty() {
            Slice::NULL
        } else {
            self.decode_headers(record, batch).map_err(|error| (Stage::HeaderConverter, error))?
        };
        Ok(Row {
            offset: record.offset,
            timestamp: record.timestamp,
            topic: batch.intern_topic(topic),
            partition: record.partition,
            key,
            value,
            headers,
            key_schema: key_schema.map_or(0, |schema| batch.intern_schema(&schema)),
            value_schema: value_schema.map_or(0, |schema| batch.intern_schema(&schema)),
            flags: if record.log_append_time { flags::LOG_APPEND_TIME } else { 0 },
            ..Row::EMPTY
        })
    }

    fn decode_headers(&mut self, record: &RawRecord<'_>, batch: &mut RecordBatch) -> Result<Slice> {
        let mut encoded = Vec::new();
        let mut value = Vec::new();
        for (name, wire) in &record.headers {
            value.clear();
            let schema = self.header.to_connect_header(record.topic, name, *wire, &mut value)?;
            let id = schema.map_or(0, |schema| batch.intern_schema(&schema));
            headers::push(&mut encoded, name, id, |writer| writer.raw(&value));
        }
        let (slice, ()) = batch.append(|out| {
            out.extend_from_slice(&encoded);
            Ok(())
        })?;
        Ok(slice)
    }

    /// Appends all records of `batch` to `raw` as bytes. Those that do not convert become failures. Returns, for each record
    /// of `raw`, the origin of the record it came from.
    ///
    /// # Errors
    /// As [`Converters::decode`].
    pub fn encode(&mut self, batch: &RecordBatch, raw: &mut RawBatch, failures: &mut Vec<Failure>) -> Result<Vec<u32>> {
        let mut origins = Vec::with_capacity(batch.len());
        let patience = self.patience.clone();
        for record in batch.iter() {
            match with(patience.as_ref(), || self.encode_one(record, raw)) {
                Ok(()) => origins.push(record.row().origin),
                Err((stage, error)) => failures.push(self.failure(record.row().origin, stage, error)?),
            }
        }
        Ok(origins)
    }

    fn encode_one(&mut self, record: Record<'_>, raw: &mut RawBatch) -> Converted<()> {
        let topic = record.topic();
        let mut values = Vec::new();
        for header in record.headers() {
            let mut wire = Vec::new();
            let present = self
                .header
                .from_connect_header(topic, header.name, header.schema, header.value, &mut wire)
                .map_err(|error| (Stage::HeaderConverter, error))?;
            values.push((header.name, present.then_some(wire)));
        }
        let mut wire = RawRecord::new(topic, None, None);
        wire.partition = record.row().partition;
        wire.timestamp = record.timestamp().unwrap_or(NO_TIMESTAMP);
        wire.headers = values.iter().map(|(name, value)| (*name, value.as_deref())).collect();
        let mut stage = Stage::KeyConverter;
        let (key, value) = (&mut self.key, &mut self.value);
        raw.push_with(
            &wire,
            |out| key.from_connect(topic, record.key_schema(), record.key(), out),
            |out| {
                stage = Stage::ValueConverter;
                value.from_connect(topic, record.value_schema(), record.value(), out)
            },
        )
        .map_err(|error| (stage, error))
    }

    fn failure(&self, origin: u32, stage: Stage, error: Error) -> Result<Failure> {
        if error.is_retriable() && self.patience.as_ref().is_some_and(Patience::is_over) {
            return Err(error);
        }
        let class = match stage {
            Stage::KeyConverter => &self.classes[0],
            Stage::ValueConverter => &self.classes[1],
            _ => &self.classes[2],
        };
        Ok(Failure { origin, stage, class: Arc::clone(class), error })
    }
}

/// Converts with patience, if there is any.
fn with<T>(patience: Option<&Patience>, mut convert: impl FnMut() -> Converted<T>) -> Converted<T> {
    match patience {
        Some(patience) => patience.run(convert, |(_, error)| error.is_retriable()),
        None => convert(),
    }
}

/// Appends a record whose key and value are its bytes, without headers.
pub(crate) fn copy_bytes(record: &RawRecord<'_>, origin: u32, batch: &mut RecordBatch) -> Result<()> {
    let mut copy = |bytes: Option<&[u8]>| -> Result<Slice> {
        let Some(bytes) = bytes else { return Ok(Slice::NULL) };
        let (slice, ()) = batch.append(|out| {
            Writer::new(out).bytes(bytes);
            Ok(())
        })?;
        Ok(slice)
    };
    let (key, value) = (copy(record.key)?, copy(record.value)?);
    let (offset, timestamp, partition) = (record.offset, record.timestamp, record.partition);
    let topic = batch.intern_topic(record.topic);
    batch.push(Row { offset, timestamp, topic, partition, key, value, origin, ..Row::EMPTY });
    Ok(())
}

/// The keys under `prefix.`, without it.
#[must_use]
pub fn strip_prefix(props: &Props, prefix: &str) -> Props {
    let under = |key: &str| Some(key.strip_prefix(prefix)?.strip_prefix('.')?.to_owned());
    props.iter().filter_map(|(key, value)| Some((under(key)?, value.clone()))).collect()
}
