//! Results and late records as bytes: text keys and JSON values.

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::batch::{NO_TIMESTAMP, Record, RecordBatch};
use millrace_api::config::Props;
use millrace_api::converter::{Converter, ConverterPlugin, ConverterUse, HeaderConverter};
use millrace_api::{Error, Result};

use crate::fold::Plan;

/// Writes records.
pub(crate) struct Output {
    key: Box<dyn Converter>,
    value: Box<dyn Converter>,
    header: Box<dyn HeaderConverter>,
}

impl Output {
    pub(crate) fn new() -> Result<Self> {
        let plain: Props = [("schemas.enable".to_owned(), "false".to_owned())].into_iter().collect();
        let string = plugin("org.apache.kafka.connect.storage.StringConverter")?;
        Ok(Self {
            key: string.converter(&Props::new(), ConverterUse::Key)?,
            value: plugin("org.apache.kafka.connect.json.JsonConverter")?.converter(&plain, ConverterUse::Value)?,
            header: plugin("org.apache.kafka.connect.storage.SimpleHeaderConverter")?.header_converter(&Props::new())?,
        })
    }

    /// Appends a record for a topic.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Data`] when it cannot be written as text and JSON; nothing is appended then.
    pub(crate) fn push(&mut self, topic: &str, record: Record<'_>, out: &mut RawBatch) -> Result<()> {
        let mut headers = Vec::new();
        for header in record.headers() {
            let mut wire = Vec::new();
            let present =
                self.header.from_connect_header(topic, header.name, header.schema, header.value, &mut wire)?;
            headers.push((header.name, present.then_some(wire)));
        }
        let wire = RawRecord {
            // The log takes no times before 1970.
            timestamp: record.timestamp().filter(|time| *time >= 0).unwrap_or(NO_TIMESTAMP),
            headers: headers.iter().map(|(name, value)| (*name, value.as_deref())).collect(),
            ..RawRecord::new(topic, None, None)
        };
        let (key, value) = (&mut self.key, &mut self.value);
        out.push_with(
            &wire,
            |out| key.from_connect(topic, record.key_schema(), record.key(), out),
            |out| value.from_connect(topic, record.value_schema(), record.value(), out),
        )
    }

    /// The late records of a plan by partition. One that cannot be written is rejected instead.
    pub(crate) fn late(&mut self, topic: &str, batch: &RecordBatch, plan: &mut Plan) -> Vec<RawBatch> {
        let mut late = vec![RawBatch::new(); plan.sources.len()];
        if topic.is_empty() {
            return late;
        }
        for (row, source) in std::mem::take(&mut plan.late) {
            let (Some(record), Some(out)) = (batch.get(row as usize), late.get_mut(source)) else { continue };
            match self.push(topic, record, out) {
                Ok(()) => plan.late.push((row, source)),
                Err(error) => plan.rejected.push((row, error)),
            }
        }
        late
    }
}

fn plugin(class: &'static str) -> Result<Box<dyn ConverterPlugin>> {
    millrace_converters::by_class(class).ok_or_else(|| Error::internal("a converter is missing").with("class", class))
}
