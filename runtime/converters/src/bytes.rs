//! `org.apache.kafka.connect.converters.ByteArrayConverter`: bytes as they are.

use std::sync::{Arc, LazyLock};

use millrace_api::config::{Config as _, ConfigDef, Props};
use millrace_api::converter::{Converter, ConverterPlugin, ConverterUse, HeaderConverter};
use millrace_api::schema::Kind;
use millrace_api::value::Tag;
use millrace_api::{Error, Result, Schema, SchemaRef, Value, Writer};

use crate::PlainConfig;
use crate::headers::AsHeaders;

static OPTIONAL_BYTES: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::optional(Kind::Bytes)));

/// The plugin.
pub struct ByteArrayPlugin;

impl ConverterPlugin for ByteArrayPlugin {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.converters.ByteArrayConverter"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["io.confluent.connect.replicator.util.ByteArrayConverter"]
    }

    fn config_def(&self) -> ConfigDef {
        PlainConfig::def()
    }

    fn converter(&self, props: &Props, usage: ConverterUse) -> Result<Box<dyn Converter>> {
        PlainConfig::parse(&crate::with_type(props, usage))?;
        Ok(Box::new(ByteArrayConverter))
    }

    fn header_converter(&self, props: &Props) -> Result<Box<dyn HeaderConverter>> {
        PlainConfig::parse(&crate::with_type(props, ConverterUse::Header))?;
        Ok(Box::new(AsHeaders(ByteArrayConverter)))
    }
}

/// The converter.
pub struct ByteArrayConverter;

impl Converter for ByteArrayConverter {
    fn to_connect(&mut self, _topic: &str, wire: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Option<SchemaRef>> {
        let mut writer = Writer::new(out);
        match wire {
            None => writer.null(),
            Some(bytes) => writer.bytes(bytes),
        }
        Ok(Some(Arc::clone(&OPTIONAL_BYTES)))
    }

    fn from_connect(
        &mut self,
        _topic: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        if let Some(schema) = schema.filter(|schema| schema.kind != Kind::Bytes) {
            let kind = schema.kind.name();
            return Err(Error::data(format!("Invalid schema type for ByteArrayConverter: {kind}")));
        }
        match value.tag() {
            Tag::Null => Ok(false),
            Tag::Bytes => {
                out.extend_from_slice(value.as_bytes().unwrap_or_default());
                Ok(true)
            }
            tag => {
                let class = crate::java_class(tag);
                Err(Error::data(format!("ByteArrayConverter is not compatible with objects of type {class}")))
            }
        }
    }
}
