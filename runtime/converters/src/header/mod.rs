//! `org.apache.kafka.connect.storage.SimpleHeaderConverter`: text out, and a guess at what the text means in.
//!
//! The guess is Kafka Connect's: see `millrace-literals`.

mod write;

use millrace_api::config::{ConfigDef, Props};
use millrace_api::converter::{Converter, ConverterPlugin, ConverterUse, HeaderConverter};
use millrace_api::{Error, Result, SchemaRef, Value, Writer};

/// The plugin.
pub struct SimpleHeaderPlugin;

impl ConverterPlugin for SimpleHeaderPlugin {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.storage.SimpleHeaderConverter"
    }

    fn config_def(&self) -> ConfigDef {
        ConfigDef::default()
    }

    fn converter(&self, _props: &Props, usage: ConverterUse) -> Result<Box<dyn Converter>> {
        let key = if usage == ConverterUse::Key { "key.converter" } else { "value.converter" };
        let class = self.class();
        Err(Error::config(format!(
            "Invalid value {class} for configuration {key}: it converts headers only; use it as header.converter"
        )))
    }

    fn header_converter(&self, _props: &Props) -> Result<Box<dyn HeaderConverter>> {
        Ok(Box::new(SimpleHeaderConverter))
    }
}

/// The converter.
pub struct SimpleHeaderConverter;

impl HeaderConverter for SimpleHeaderConverter {
    fn to_connect_header(
        &mut self,
        _topic: &str,
        _name: &str,
        wire: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Option<SchemaRef>> {
        let Some(wire) = wire else {
            Writer::new(out).null();
            return Ok(None);
        };
        let parsed = millrace_literals::parse(&String::from_utf8_lossy(wire));
        out.extend_from_slice(&parsed.value);
        Ok(parsed.schema)
    }

    fn from_connect_header(
        &mut self,
        _topic: &str,
        _name: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        if value.is_null() {
            return Ok(false);
        }
        write::append(value, schema.map(|schema| &**schema), false, 0, out);
        Ok(true)
    }
}
