//! `org.apache.kafka.connect.storage.StringConverter`.

use std::sync::{Arc, LazyLock};

use millrace_api::config::{Config as _, ConfigDef, Props};
use millrace_api::converter::{Converter, ConverterPlugin, ConverterUse, HeaderConverter};
use millrace_api::schema::Kind;
use millrace_api::value::{Tag, java};
use millrace_api::{Error, Result, Schema, SchemaRef, Value, Writer};
use millrace_macros::Config;

use crate::headers::AsHeaders;

static OPTIONAL_STRING: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::optional(Kind::String)));

/// The plugin.
pub struct StringPlugin;

#[derive(Debug, Config)]
struct StringConfig {
    /// How this converter will be used.
    #[config(importance = "low", one_of("key", "value", "header"))]
    #[allow(dead_code, reason = "checked, and of no consequence")]
    converter_type: String,
    /// The name of the Java character set to use for encoding strings as byte arrays.
    #[config(
        name = "converter.encoding",
        default = "UTF-8",
        importance = "high",
        width = "medium",
        display = "Encoding"
    )]
    encoding: String,
}

impl ConverterPlugin for StringPlugin {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.storage.StringConverter"
    }

    fn config_def(&self) -> ConfigDef {
        StringConfig::def()
    }

    fn converter(&self, props: &Props, usage: ConverterUse) -> Result<Box<dyn Converter>> {
        Ok(Box::new(StringConverter::new(props, usage)?))
    }

    fn header_converter(&self, props: &Props) -> Result<Box<dyn HeaderConverter>> {
        Ok(Box::new(AsHeaders(StringConverter::new(props, ConverterUse::Header)?)))
    }
}

/// A configured converter.
pub struct StringConverter {
    encoding: Encoding,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
    /// Big-endian with a byte order mark when written; read by its mark.
    Utf16,
    Utf16Be,
    Utf16Le,
}

impl Encoding {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Self::Utf8,
            "ISO-8859-1" | "ISO8859_1" | "ISO8859-1" | "LATIN1" => Self::Latin1,
            "US-ASCII" | "ASCII" => Self::Ascii,
            "UTF-16" | "UTF16" => Self::Utf16,
            "UTF-16BE" => Self::Utf16Be,
            "UTF-16LE" => Self::Utf16Le,
            _ => return None,
        })
    }

    /// What cannot be decoded becomes U+FFFD, as in `new String(bytes, charset)`.
    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
            Self::Ascii => {
                bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }).collect()
            }
            Self::Utf16 => match bytes {
                [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
                [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
                _ => utf16(bytes, u16::from_be_bytes),
            },
            Self::Utf16Be => utf16(bytes, u16::from_be_bytes),
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes),
        }
    }

    /// What cannot be encoded becomes `?`, as in `String.getBytes(charset)`.
    fn encode(self, text: &str, out: &mut Vec<u8>) {
        let narrow = |c: char, limit: u32| if u32::from(c) < limit { u8::try_from(c).unwrap_or(b'?') } else { b'?' };
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Latin1 => out.extend(text.chars().map(|c| narrow(c, 0x100))),
            Self::Ascii => out.extend(text.chars().map(|c| narrow(c, 0x80))),
            Self::Utf16 => {
                if !text.is_empty() {
                    out.extend_from_slice(&[0xfe, 0xff]);
                }
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
    if !rest.is_empty() {
        text.push('\u{fffd}');
    }
    text
}

impl StringConverter {
    /// A converter.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] for an unknown encoding.
    pub fn new(props: &Props, usage: ConverterUse) -> Result<Self> {
        let config = StringConfig::parse(&crate::with_type(props, usage))?;
        let encoding = Encoding::by_name(&config.encoding).ok_or_else(|| {
            let name = &config.encoding;
            Error::config(format!(
                "Invalid value {name} for configuration converter.encoding: supported are UTF-8, UTF-16, UTF-16BE, UTF-16LE, ISO-8859-1 and US-ASCII"
            ))
        })?;
        Ok(Self { encoding })
    }
}

impl Converter for StringConverter {
    fn to_connect(&mut self, _topic: &str, wire: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Option<SchemaRef>> {
        let mut writer = Writer::new(out);
        match wire {
            None => writer.null(),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if self.encoding == Encoding::Utf8 => writer.str(text),
                _ => writer.str(&self.encoding.decode(bytes)),
            },
        }
        Ok(Some(Arc::clone(&OPTIONAL_STRING)))
    }

    fn from_connect(
        &mut self,
        _topic: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        if value.is_null() {
            return Ok(false);
        }
        let schema = schema.map(|schema| &**schema);
        if self.encoding == Encoding::Utf8 {
            java::text(value, schema, out);
        } else if value.tag() == Tag::String {
            self.encoding.encode(value.as_str().unwrap_or_default(), out);
        } else {
            let mut text = Vec::new();
            java::text(value, schema, &mut text);
            self.encoding.encode(&String::from_utf8_lossy(&text), out);
        }
        Ok(true)
    }
}
