//! Converters: wire bytes to tagged values and back, in one pass, without building a tree.

use crate::config::{ConfigDef, Props};
use crate::error::Result;
use crate::schema::SchemaRef;
use crate::value::Value;

/// Whether a converter serves keys, values or headers (`converter.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ConverterUse {
    Key,
    Value,
    Header,
}

/// Kafka Connect's `Converter`. One instance serves one task's keys or values, called from one thread at a time.
#[allow(clippy::wrong_self_convention, reason = "the names are Kafka Connect's")]
pub trait Converter: Send {
    /// Appends the tagged form of `wire` to `out` and returns its schema, `None` for schemaless. `None` in is null bytes.
    /// On failure what was appended does not matter; the caller truncates.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the bytes are malformed.
    fn to_connect(&mut self, topic: &str, wire: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Option<SchemaRef>>;

    /// Appends the wire form of `value` to `out`; `false` means null bytes and nothing was appended.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the value does not fit the schema or the format.
    fn from_connect(
        &mut self,
        topic: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool>;
}

/// Kafka Connect's `HeaderConverter`.
#[allow(clippy::wrong_self_convention, reason = "the names are Kafka Connect's")]
pub trait HeaderConverter: Send {
    /// Appends the tagged form of a header's bytes and returns its schema.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the bytes are malformed.
    fn to_connect_header(
        &mut self,
        topic: &str,
        name: &str,
        wire: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Option<SchemaRef>>;

    /// Appends the wire form of a header's value; `false` means null bytes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the value does not fit.
    fn from_connect_header(
        &mut self,
        topic: &str,
        name: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool>;
}

/// What the list of plugins holds of a converter.
pub trait ConverterPlugin: Send + Sync {
    /// Class name as Kafka Connect shows it.
    fn class(&self) -> &'static str;
    /// Other names it answers to.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
    /// Its keys.
    fn config_def(&self) -> ConfigDef;
    /// A converter for keys or values.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`].
    fn converter(&self, props: &Props, usage: ConverterUse) -> Result<Box<dyn Converter>>;
    /// A header converter, when the class can be one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`].
    fn header_converter(&self, props: &Props) -> Result<Box<dyn HeaderConverter>>;
}
