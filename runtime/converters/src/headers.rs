//! Converters of values used for headers: Kafka Connect's JSON, string and byte array converters treat both alike.

use millrace_api::converter::{Converter, HeaderConverter};
use millrace_api::{Result, SchemaRef, Value};

/// A converter as a header converter.
pub(crate) struct AsHeaders<C>(pub(crate) C);

impl<C: Converter> HeaderConverter for AsHeaders<C> {
    fn to_connect_header(
        &mut self,
        topic: &str,
        _name: &str,
        wire: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Option<SchemaRef>> {
        self.0.to_connect(topic, wire, out)
    }

    fn from_connect_header(
        &mut self,
        topic: &str,
        _name: &str,
        schema: Option<&SchemaRef>,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        self.0.from_connect(topic, schema, value, out)
    }
}
