//! `InsertField`: adds what is known about a record, or a fixed text, as fields of its key or value.

use std::marker::PhantomData;

use millrace_sdk::api::schema::logical;
use millrace_sdk::encoded;
use millrace_sdk::prelude::*;

use crate::part::{Side, class, or_default, put, require_map, require_struct, with_fields};

const PURPOSE: &str = "field insertion";

/// Keys of [`InsertField`].
#[derive(Config)]
pub struct InsertFieldConfig {
    /// Name of the field that gets the topic. A trailing `!` makes the field required, a trailing `?` optional, which it also
    /// is without either.
    topic_field: Option<String>,
    /// Name of the field that gets the partition. A trailing `!` makes the field required, a trailing `?` optional, which it
    /// also is without either.
    partition_field: Option<String>,
    /// Name of the field that gets the offset; only records of sink connectors have one. A trailing `!` makes the field
    /// required, a trailing `?` optional, which it also is without either.
    offset_field: Option<String>,
    /// Name of the field that gets the timestamp of the record. A trailing `!` makes the field required, a trailing `?`
    /// optional, which it also is without either.
    timestamp_field: Option<String>,
    /// Name of the field that gets the text of `static.value`. A trailing `!` makes the field required, a trailing `?`
    /// optional, which it also is without either.
    static_field: Option<String>,
    /// The text for `static.field`.
    static_value: Option<String>,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.transforms.InsertField`.
pub struct InsertField<S> {
    fields: Vec<Insertion>,
    static_value: String,
    replace_null: bool,
    schemas: SchemaCache<SchemaRef>,
    side: PhantomData<S>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Static,
}

struct Insertion {
    name: String,
    encoded: Box<[u8]>,
    source: Source,
    schema: SchemaRef,
}

impl Insertion {
    fn new(spec: &str, source: Source) -> Self {
        let (name, optional) = match (spec.strip_suffix('?'), spec.strip_suffix('!')) {
            (Some(name), _) => (name, true),
            (_, Some(name)) => (name, false),
            _ => (spec, true),
        };
        let schema = match source {
            Source::Topic | Source::Static => Schema::of(Kind::String),
            Source::Partition => Schema::of(Kind::Int32),
            Source::Offset => Schema::of(Kind::Int64),
            Source::Timestamp => Schema::logical(Kind::Int64, logical::TIMESTAMP),
        };
        Self { name: name.to_owned(), encoded: encoded(name), source, schema: Schema { optional, ..schema }.into() }
    }
}

impl<S: Side> Transform for InsertField<S> {
    const CLASS: &'static str = class!(S, "InsertField");
    type Config = InsertFieldConfig;

    fn configure(config: InsertFieldConfig) -> Result<Self> {
        let specs = [
            (&config.topic_field, Source::Topic),
            (&config.partition_field, Source::Partition),
            (&config.offset_field, Source::Offset),
            (&config.timestamp_field, Source::Timestamp),
            (&config.static_field, Source::Static),
        ];
        let fields: Vec<_> =
            specs.iter().filter_map(|(spec, source)| Some(Insertion::new(spec.as_deref()?, *source))).collect();
        if fields.is_empty() {
            return Err(Error::config("No field insertion configured"));
        }
        if let (Some(field), None) = (&config.static_field, &config.static_value) {
            return Err(Error::config(format!(
                "Invalid value null for configuration static.value: No value specified for static field: {field}"
            )));
        }
        Ok(Self {
            fields,
            static_value: config.static_value.unwrap_or_default(),
            replace_null: config.replace_null_with_default,
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn needs(&self) -> Needs {
        S::NEEDS
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let value = record.get(S::PART);
        if value.is_null() {
            return Ok(Verdict::Keep);
        }
        match record.schema(S::PART) {
            None => require_map(value, PURPOSE)?,
            Some(schema) => self.structure(record, value, schema, out)?,
        }
        Ok(Verdict::Keep)
    }

    fn edits(&self) -> Option<Part> {
        Some(S::PART)
    }

    fn edit(&mut self, record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()> {
        for field in &self.fields {
            fields.set(&field.encoded, |writer, _| match field.source {
                // A map holds the number as it is; only a struct has a type for timestamps.
                Source::Timestamp => Ok(record.timestamp().map(|millis| writer.int64(millis)).is_some()),
                source => insert(source, &self.static_value, record, writer),
            })?;
        }
        Ok(())
    }
}

impl<S: Side> InsertField<S> {
    fn structure(
        &mut self,
        record: &Record<'_>,
        value: Value<'_>,
        schema: &SchemaRef,
        out: &mut Output<'_>,
    ) -> Result<()> {
        require_struct(value, PURPOSE)?;
        let Self { fields, schemas, static_value, replace_null, .. } = self;
        let updated = schemas.get_or_try(schema, |schema| {
            let new = fields.iter().map(|field| Field::new(&field.name, SchemaRef::clone(&field.schema)));
            with_fields(schema, schema.fields.iter().cloned().chain(new).collect())
        })?;
        out.write(S::PART, Some(updated), |writer| {
            let open = writer.begin_struct();
            for (field, value) in schema.fields.iter().zip(value.elements()) {
                put(writer, field, or_default(value, &field.schema, *replace_null))?;
            }
            for field in &*fields {
                if !insert(field.source, static_value, record, writer)? {
                    writer.null();
                }
            }
            writer.end(open, updated.fields.len());
            Ok(())
        })
    }
}

/// Writes what a field is to hold; `false` when the record does not have it.
fn insert(source: Source, static_value: &str, record: &Record<'_>, writer: &mut Writer<'_>) -> Result<bool> {
    match source {
        Source::Topic => writer.str(record.topic()),
        Source::Static => writer.str(static_value),
        Source::Partition => return Ok(record.partition().map(|partition| writer.int32(partition)).is_some()),
        Source::Timestamp => return Ok(record.timestamp().map(|millis| writer.timestamp(millis)).is_some()),
        Source::Offset => match record.offset() {
            Some(offset) => writer.int64(offset),
            None => {
                return Err(Error::data(format!(
                    "Only SinkRecord supported for [{PURPOSE}], found: org.apache.kafka.connect.source.SourceRecord"
                )));
            }
        },
    }
    Ok(true)
}
