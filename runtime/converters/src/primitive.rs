//! `org.apache.kafka.connect.converters.{Boolean,Short,Integer,Long,Float,Double}Converter`: one value, in the bytes of Kafka's
//! serializers.

use std::sync::{Arc, LazyLock};

use millrace_api::config::{Config as _, ConfigDef, Props};
use millrace_api::converter::{Converter, ConverterPlugin, ConverterUse, HeaderConverter};
use millrace_api::schema::Kind;
use millrace_api::value::Tag;
use millrace_api::{Error, Result, Schema, SchemaRef, Value, Writer};

use crate::PlainConfig;
use crate::headers::AsHeaders;

/// The plugin of one kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrimitivePlugin {
    /// One byte, 0 or 1.
    Boolean,
    /// Two bytes, big-endian.
    Short,
    /// Four bytes, big-endian.
    Integer,
    /// Eight bytes, big-endian.
    Long,
    /// Four bytes, IEEE 754, big-endian.
    Float,
    /// Eight bytes, IEEE 754, big-endian.
    Double,
}

impl PrimitivePlugin {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Boolean, Self::Short, Self::Integer, Self::Long, Self::Float, Self::Double];

    fn kind(self) -> Kind {
        match self {
            Self::Boolean => Kind::Boolean,
            Self::Short => Kind::Int16,
            Self::Integer => Kind::Int32,
            Self::Long => Kind::Int64,
            Self::Float => Kind::Float32,
            Self::Double => Kind::Float64,
        }
    }

    /// The type as errors call it, and who receives it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Boolean => ("boolean", "BooleanDeserializer"),
            Self::Short => ("short", "ShortDeserializer"),
            Self::Integer => ("integer", "IntegerDeserializer"),
            Self::Long => ("long", "LongDeserializer"),
            Self::Float => ("float", "Deserializer"),
            Self::Double => ("double", "Deserializer"),
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Boolean => 1,
            Self::Short => 2,
            Self::Integer | Self::Float => 4,
            Self::Long | Self::Double => 8,
        }
    }

    fn configured(self, props: &Props, usage: ConverterUse) -> Result<PrimitiveConverter> {
        PlainConfig::parse(&crate::with_type(props, usage))?;
        Ok(PrimitiveConverter { kind: self, schema: Arc::clone(&SCHEMAS[self as usize]) })
    }
}

static SCHEMAS: LazyLock<[SchemaRef; 6]> =
    LazyLock::new(|| PrimitivePlugin::ALL.map(|plugin| Arc::new(Schema::optional(plugin.kind()))));

impl ConverterPlugin for PrimitivePlugin {
    fn class(&self) -> &'static str {
        match self {
            Self::Boolean => "org.apache.kafka.connect.converters.BooleanConverter",
            Self::Short => "org.apache.kafka.connect.converters.ShortConverter",
            Self::Integer => "org.apache.kafka.connect.converters.IntegerConverter",
            Self::Long => "org.apache.kafka.connect.converters.LongConverter",
            Self::Float => "org.apache.kafka.connect.converters.FloatConverter",
            Self::Double => "org.apache.kafka.connect.converters.DoubleConverter",
        }
    }

    fn config_def(&self) -> ConfigDef {
        PlainConfig::def()
    }

    fn converter(&self, props: &Props, usage: ConverterUse) -> Result<Box<dyn Converter>> {
        Ok(Box::new(self.configured(props, usage)?))
    }

    fn header_converter(&self, props: &Props) -> Result<Box<dyn HeaderConverter>> {
        Ok(Box::new(AsHeaders(self.configured(props, ConverterUse::Header)?)))
    }
}

/// A converter of one kind of value.
pub struct PrimitiveConverter {
    kind: PrimitivePlugin,
    schema: SchemaRef,
}

impl PrimitiveConverter {
    fn unreadable(&self, cause: String) -> Error {
        let (name, _) = self.kind.names();
        Error::data(format!("Failed to deserialize {name}: ")).because(Error::data(cause))
    }

    fn read(&self, bytes: &[u8], writer: &mut Writer<'_>) -> Result<()> {
        let (_, receiver) = self.kind.names();
        let size = self.kind.size();
        let wrong = || self.unreadable(format!("Size of data received by {receiver} is not {size}"));
        match self.kind {
            PrimitivePlugin::Boolean => match bytes {
                [0] => writer.bool(false),
                [1] => writer.bool(true),
                [other] => {
                    let other = i8::from_be_bytes([*other]);
                    return Err(self.unreadable(format!("Unexpected byte received by {receiver}: {other}")));
                }
                _ => return Err(wrong()),
            },
            PrimitivePlugin::Short => writer.int16(i16::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
            PrimitivePlugin::Integer => writer.int32(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
            PrimitivePlugin::Long => writer.int64(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
            PrimitivePlugin::Float => writer.float32(f32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
            PrimitivePlugin::Double => writer.float64(f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        }
        Ok(())
    }

    /// Only a value of the very type: `None` for others, also for narrower numbers.
    fn write(&self, value: Value<'_>, out: &mut Vec<u8>) -> Option<()> {
        match (self.kind, value.tag()) {
            (PrimitivePlugin::Boolean, _) => out.push(value.as_bool()?.into()),
            (PrimitivePlugin::Short, Tag::Int16) => out.extend(i16::try_from(value.as_i64()?).ok()?.to_be_bytes()),
            (PrimitivePlugin::Integer, Tag::Int32) => out.extend(i32::try_from(value.as_i64()?).ok()?.to_be_bytes()),
            (PrimitivePlugin::Long, Tag::Int64) => out.extend(value.as_i64()?.to_be_bytes()),
            (PrimitivePlugin::Float, Tag::Float32) => out.extend(value.as_f32()?.to_be_bytes()),
            (PrimitivePlugin::Double, Tag::Float64) => out.extend(value.as_f64()?.to_be_bytes()),
            _ => return None,
        }
        Some(())
    }
}

impl Converter for PrimitiveConverter {
    fn to_connect(&mut self, _topic: &str, wire: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Option<SchemaRef>> {
        let mut writer = Writer::new(out);
        match wire {
            None => writer.null(),
            Some(bytes) => self.read(bytes, &mut writer)?,
        }
        Ok(Some(Arc::clone(&self.schema)))
    }

    /// Numbers are written by their own type, whatever the schema says; of booleans it is the schema that is checked.
    fn from_connect(
        &mut self,
        _topic: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let boolean = self.kind == PrimitivePlugin::Boolean;
        if let Some(schema) = schema.filter(|schema| boolean && schema.kind != Kind::Boolean) {
            let kind = schema.kind.name();
            return Err(Error::data(format!("Invalid schema type for BooleanConverter: {kind}")));
        }
        if value.tag() == Tag::Null {
            return Ok(false);
        }
        if self.write(value, out).is_some() {
            return Ok(true);
        }
        let class = crate::java_class(value.tag());
        Err(Error::data(if boolean {
            format!("BooleanConverter is not compatible with objects of type {class}")
        } else {
            format!("Failed to serialize to {} (was {class}): ", self.kind.names().0)
        }))
    }
}
