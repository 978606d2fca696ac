//! Writing headers.

use millrace_api::batch::{Header, headers};
use millrace_api::{SchemaRef, Writer};

use super::Output;

/// The new headers of a record, in the order they are pushed.
pub struct HeaderList<'a, 'o> {
    pub(super) output: &'a mut Output<'o>,
}

impl HeaderList<'_, '_> {
    /// Appends a header whose value is what `write` writes.
    pub fn push(&mut self, name: &str, schema: Option<&SchemaRef>, write: impl FnOnce(&mut Writer<'_>)) {
        let id = self.output.schema(schema);
        headers::push(self.output.heap, name, id, write);
    }

    /// Appends a header of the input.
    pub fn copy(&mut self, header: &Header<'_>) {
        headers::push(self.output.heap, header.name, header.schema_id, |writer| writer.value(header.value));
    }
}
