//! A converter whose other side (a schema registry, say) is away for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use millrace_api::config::{ConfigDef, Props};
use millrace_api::converter::{Converter, ConverterPlugin, ConverterUse, HeaderConverter};
use millrace_api::{Error, Result, SchemaRef, Value};

/// As the JSON converter without schemas, but for the next so many conversions, which may succeed later.
pub struct Away(pub Arc<AtomicU32>);

struct AwayConverter {
    json: Box<dyn Converter>,
    away: Arc<AtomicU32>,
}

impl AwayConverter {
    fn ask(&self) -> Result<()> {
        let left = |left: u32| (left > 0).then(|| if left == u32::MAX { left } else { left - 1 });
        match self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Err(Error::retriable("the registry is away")),
            Err(_) => Ok(()),
        }
    }
}

impl ConverterPlugin for Away {
    fn class(&self) -> &'static str {
        "test.AwayConverter"
    }

    fn config_def(&self) -> ConfigDef {
        ConfigDef::default()
    }

    fn converter(&self, _props: &Props, usage: ConverterUse) -> Result<Box<dyn Converter>> {
        let props = super::props(&[("schemas.enable", "false")]);
        let json = millrace_converters::by_class("JsonConverter").expect("it is there").converter(&props, usage)?;
        Ok(Box::new(AwayConverter { json, away: Arc::clone(&self.0) }))
    }

    fn header_converter(&self, _props: &Props) -> Result<Box<dyn HeaderConverter>> {
        Err(Error::config("it converts no headers"))
    }
}

impl Converter for AwayConverter {
    fn to_connect(&mut self, topic: &str, wire: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Option<SchemaRef>> {
        self.ask()?;
        self.json.to_connect(topic, wire, out)
    }

    fn from_connect(
        &mut self,
        topic: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        self.ask()?;
        self.json.from_connect(topic, schema, value, out)
    }
}
