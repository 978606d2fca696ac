//! `org.apache.kafka.connect.json.JsonConverter`.
//!
//! With `schemas.enable=true` a record is an envelope `{"schema": …, "payload": …}`; the schema's text is looked up, not parsed
//! again. With `false` it is plain JSON. Either way text becomes tagged values in one pass, without a tree.

mod cache;
mod cursor;
mod keys;
mod number;
mod read;
mod schema;
mod text;
mod typed;
mod write;

use millrace_api::config::{Config as _, ConfigDef, Props};
use millrace_api::converter::{Converter, ConverterPlugin, ConverterUse, HeaderConverter};
use millrace_api::schema::Kind;
use millrace_api::{Error, Result, SchemaRef, Value, Writer};
use millrace_macros::Config;

use crate::headers::AsHeaders;
use cache::{Schemas, Texts};
use cursor::{Cursor, Node};
use typed::{Place, Typed};
use write::Format;
pub use write::string as json_string;

/// The plugin.
pub struct JsonPlugin;

#[derive(Debug, Config)]
struct JsonConfig {
    /// How this converter will be used.
    #[config(importance = "low", one_of("key", "value", "header"))]
    #[allow(dead_code, reason = "checked, and of no consequence")]
    converter_type: String,
    /// Include schemas within each of the serialized values and keys.
    #[config(
        name = "schemas.enable",
        default = "true",
        importance = "high",
        group = "Schemas",
        order = 0,
        width = "medium",
        display = "Enable Schemas"
    )]
    schemas_enable: bool,
    /// The maximum number of schemas that can be cached in this converter instance.
    #[config(
        name = "schemas.cache.size",
        default = "1000",
        importance = "high",
        group = "Schemas",
        order = 1,
        width = "medium",
        display = "Schema Cache Size"
    )]
    schemas_cache_size: i32,
    /// When set, this is used as the schema for all messages, and the schemas within each of the message will be ignored.Otherwise, the schema will be included in the content of each message. This configuration applies only 'schemas.enable' is true, and it exclusively affects the sink connector.
    #[config(
        name = "schema.content",
        importance = "high",
        group = "Schemas",
        order = 2,
        width = "medium",
        display = "Schema Content"
    )]
    schema_content: Option<String>,
    /// Controls which format this converter will serialize decimals in. This value is case insensitive and can be either 'BASE64' (default) or 'NUMERIC'
    #[config(
        name = "decimal.format",
        default = "BASE64",
        importance = "low",
        one_of_ignore_case("NUMERIC", "BASE64"),
        group = "Serialization",
        order = 0,
        width = "medium",
        display = "Decimal Format"
    )]
    decimal_format: String,
    /// Whether to replace fields that have a default value and that are null to the default value. When set to true, the default value is used, otherwise null is used.
    #[config(
        name = "replace.null.with.default",
        default = "true",
        importance = "low",
        group = "Serialization",
        order = 1,
        width = "medium",
        display = "Replace null with default"
    )]
    replace_null_with_default: bool,
}

impl ConverterPlugin for JsonPlugin {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.json.JsonConverter"
    }

    fn config_def(&self) -> ConfigDef {
        JsonConfig::def()
    }

    fn converter(&self, props: &Props, usage: ConverterUse) -> Result<Box<dyn Converter>> {
        Ok(Box::new(JsonConverter::new(props, usage)?))
    }

    fn header_converter(&self, props: &Props) -> Result<Box<dyn HeaderConverter>> {
        Ok(Box::new(AsHeaders(JsonConverter::new(props, ConverterUse::Header)?)))
    }
}

/// A configured converter.
pub struct JsonConverter {
    enveloped: bool,
    /// `schema.content`.
    fixed: Option<SchemaRef>,
    format: Format,
    typed: Typed,
    texts: Texts,
    schemas: Schemas,
}

impl JsonConverter {
    /// A converter.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming key and cause.
    pub fn new(props: &Props, usage: ConverterUse) -> Result<Self> {
        let config = JsonConfig::parse(&crate::with_type(props, usage))?;
        let capacity = usize::try_from(config.schemas_cache_size).unwrap_or_default();
        let mut typed = Typed::new(config.replace_null_with_default);
        let content = config.schema_content.filter(|content| !content.is_empty());
        let fixed = content.map_or(Ok(None), |content| schema_content(&content, &mut typed))?;
        Ok(Self {
            enveloped: config.schemas_enable,
            fixed: fixed.filter(|_| config.schemas_enable).map(Into::into),
            format: Format {
                numeric: config.decimal_format.eq_ignore_ascii_case("NUMERIC"),
                replace_null: config.replace_null_with_default,
            },
            typed,
            texts: Texts::new(capacity),
            schemas: Schemas::new(capacity),
        })
    }

    /// The payload under one schema for all records.
    fn fixed(&mut self, schema: &SchemaRef, wire: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut cursor = Cursor::new(wire);
        cursor.next();
        if cursor.at >= wire.len() {
            return self.missing(schema, out);
        }
        let node = cursor.node()?;
        self.typed.value(&mut cursor, schema, &Place::Top, 0, out)?;
        cursor.end(node)
    }

    /// No text at all where a schema asks for something: it reads as a value of another type.
    fn missing(&mut self, schema: &SchemaRef, out: &mut Vec<u8>) -> Result<()> {
        let what = match schema.kind {
            Kind::Struct => "Structs",
            Kind::Map => "Maps with string fields",
            _ => return self.typed.value(&mut Cursor::new(b"false"), schema, &Place::Top, 0, out),
        };
        Err(Error::data(format!("{what} should be encoded as JSON objects, but found {}", Node::Missing.name())))
    }

    /// Plain JSON; nothing at all is null.
    fn plain(&mut self, wire: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut cursor = Cursor::new(wire);
        cursor.next();
        if cursor.at >= wire.len() {
            Writer::new(out).null();
            return Ok(());
        }
        let node = cursor.node()?;
        read::value(&mut cursor, &mut self.typed.keys, 0, out)?;
        cursor.end(node)
    }

    /// An envelope whose members stand in the usual order. `None` when they do not; what was appended is of no use then.
    #[allow(clippy::option_option, reason = "whether it worked, and whether there is a schema")]
    fn usual(&mut self, wire: &[u8], out: &mut Vec<u8>) -> Result<Option<Option<SchemaRef>>> {
        let mut cursor = Cursor::new(wire);
        if !(take(&mut cursor, b"{") && take(&mut cursor, b"\"schema\"") && take(&mut cursor, b":")) {
            return Ok(None);
        }
        cursor.next();
        let schema = if let Some((schema, len)) = self.texts.recent(wire.get(cursor.at..).unwrap_or_default()) {
            cursor.at += len;
            Some(schema)
        } else {
            let text = cursor.skip_schema(1)?;
            self.schema(text)?
        };
        if !(take(&mut cursor, b",") && take(&mut cursor, b"\"payload\"") && take(&mut cursor, b":")) {
            return Ok(None);
        }
        self.payload(schema.as_ref(), &mut cursor, out)?;
        Ok(take(&mut cursor, b"}").then_some(schema))
    }

    /// Any envelope: exactly the two members, in any order, the last of each name.
    fn envelope(&mut self, wire: &[u8], out: &mut Vec<u8>) -> Result<Option<SchemaRef>> {
        let mut cursor = Cursor::new(wire);
        cursor.next();
        let (mut schema, mut payload, mut others) = (None, None, cursor.at >= wire.len());
        if !others {
            let node = cursor.node()?;
            if node == Node::Object {
                cursor.members(0, |cursor, depth| {
                    let mut name = Vec::new();
                    cursor.unescape(&mut name)?;
                    cursor.expect(b':', "a colon is expected")?;
                    cursor.next();
                    let at = cursor.at;
                    match name.as_slice() {
                        b"schema" => schema = Some(cursor.skip_schema(depth)?),
                        b"payload" => {
                            cursor.skip(depth)?;
                            payload = Some(at);
                        }
                        _ => {
                            cursor.skip(depth)?;
                            others = true;
                        }
                    }
                    Ok(())
                })?;
            } else {
                cursor.skip(0)?;
                cursor.end(node)?;
            }
        }
        let (Some(schema), Some(payload), false) = (schema, payload, others) else {
            return Err(Error::data(
                "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional fields. \
                 If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration.",
            ));
        };
        let schema = self.schema(schema)?;
        cursor.at = payload;
        self.payload(schema.as_ref(), &mut cursor, out)?;
        Ok(schema)
    }

    fn payload(&mut self, schema: Option<&SchemaRef>, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<()> {
        match schema {
            Some(schema) => self.typed.value(cursor, schema, &Place::Top, 1, out),
            None => read::value(cursor, &mut self.typed.keys, 1, out),
        }
    }

    /// The schema of a text that was checked.
    fn schema(&mut self, text: &[u8]) -> Result<Option<SchemaRef>> {
        if let Some(schema) = self.texts.get(text) {
            return Ok(Some(schema));
        }
        let schema = schema::parse(text, &mut self.typed, 0)?.map(SchemaRef::new);
        if let Some(schema) = &schema {
            self.texts.insert(text, schema);
        }
        Ok(schema)
    }

    /// Appends `{"schema":…,"payload":`.
    fn open_envelope(&mut self, schema: Option<&SchemaRef>, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(b"{\"schema\":");
        match schema {
            None => out.extend_from_slice(b"null"),
            Some(schema) => {
                if let Some(text) = self.schemas.get(schema) {
                    out.extend_from_slice(&text);
                } else {
                    let at = out.len();
                    schema::encode(schema, None, self.format, out)?;
                    self.schemas.insert(schema, out.get(at..).unwrap_or_default());
                }
            }
        }
        out.extend_from_slice(b",\"payload\":");
        Ok(())
    }
}

impl Converter for JsonConverter {
    fn to_connect(&mut self, _topic: &str, wire: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Option<SchemaRef>> {
        let Some(wire) = wire else {
            Writer::new(out).null();
            return Ok(None);
        };
        self.typed.clear();
        if !self.enveloped {
            self.plain(wire, out)?;
            return Ok(None);
        }
        if let Some(schema) = self.fixed.clone() {
            self.fixed(&schema, wire, out)?;
            return Ok(Some(schema));
        }
        let start = out.len();
        if let Some(schema) = self.usual(wire, out)? {
            return Ok(schema);
        }
        out.truncate(start);
        self.typed.clear();
        self.envelope(wire, out)
    }

    fn from_connect(
        &mut self,
        _topic: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        if schema.is_none() && value.is_null() {
            return Ok(false);
        }
        if self.enveloped {
            self.open_envelope(schema, out)?;
        }
        write::value(schema.map(|schema| &**schema), value, self.format, 0, out)?;
        if self.enveloped {
            out.push(b'}');
        }
        Ok(true)
    }
}

/// Skips white space and takes `token` if it is next.
#[inline]
fn take(cursor: &mut Cursor<'_>, token: &'static [u8]) -> bool {
    cursor.next();
    let found = cursor.json.get(cursor.at..).is_some_and(|rest| rest.starts_with(token));
    if found {
        cursor.at += token.len();
    }
    found
}

fn schema_content(content: &str, typed: &mut Typed) -> Result<Option<millrace_api::Schema>> {
    let named = |error: Error| {
        let cause = error.message().to_owned();
        Error::config(format!("Invalid value for configuration schema.content: {cause}")).because(error)
    };
    let mut cursor = Cursor::new(content.as_bytes());
    let text = cursor.skip_schema(0).map_err(named)?;
    schema::parse(text, typed, 0).map_err(named)
}
