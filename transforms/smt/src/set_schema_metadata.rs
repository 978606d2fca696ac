//! `SetSchemaMetadata`: gives the schema of a key or value another name or version.

use std::marker::PhantomData;

use millrace_sdk::prelude::*;

use crate::part::{Side, class, or_default, put, require_struct_schema};

/// Keys of [`SetSchemaMetadata`].
#[derive(Config)]
pub struct SetSchemaMetadataConfig {
    /// The new name.
    #[config(importance = "high")]
    schema_name: Option<String>,
    /// The new version.
    #[config(importance = "high")]
    schema_version: Option<i32>,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.transforms.SetSchemaMetadata`.
pub struct SetSchemaMetadata<S> {
    name: Option<String>,
    version: Option<i32>,
    replace_null: bool,
    schemas: SchemaCache<SchemaRef>,
    side: PhantomData<S>,
}

impl<S: Side> Transform for SetSchemaMetadata<S> {
    const CLASS: &'static str = class!(S, "SetSchemaMetadata");
    type Config = SetSchemaMetadataConfig;

    fn configure(config: SetSchemaMetadataConfig) -> Result<Self> {
        if config.schema_name.is_none() && config.schema_version.is_none() {
            return Err(Error::config("Neither schema name nor version configured"));
        }
        Ok(Self {
            name: config.schema_name,
            version: config.schema_version,
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
        let Some(schema) = record.schema(S::PART) else {
            if value.is_null() {
                return Ok(Verdict::Keep);
            }
            return Err(Error::data("Schema required for [updating schema metadata]"));
        };
        let Self { name, version, replace_null, schemas, .. } = self;
        let updated = schemas.get_or_try(schema, |schema| {
            require_struct_schema(schema)?;
            Ok(SchemaRef::new(Schema {
                name: name.clone().or_else(|| schema.name.clone()),
                version: version.or(schema.version),
                ..Schema::clone(schema)
            }))
        })?;
        if value.tag() != Tag::Struct {
            out.copy(S::PART, Some(updated), value);
            return Ok(Verdict::Keep);
        }
        out.write(S::PART, Some(updated), |writer| {
            let open = writer.begin_struct();
            for (field, value) in updated.fields.iter().zip(value.elements()) {
                put(writer, field, or_default(value, &field.schema, *replace_null))?;
            }
            writer.end(open, updated.fields.len());
            Ok(())
        })?;
        Ok(Verdict::Keep)
    }
}
