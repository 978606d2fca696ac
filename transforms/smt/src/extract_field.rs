//! `ExtractField`: one field takes the place of the whole key or value. Null stays null.

use std::marker::PhantomData;

use millrace_sdk::prelude::*;

use crate::field_path::{FieldPath, Located};
use crate::part::{Side, class, require_map, require_struct};

const PURPOSE: &str = "field extraction";

/// Keys of [`ExtractField`].
#[derive(Config)]
pub struct ExtractFieldConfig {
    /// The field to extract.
    field: String,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
    /// How `field` is read. With `V1` it is the name of an outermost field. With `V2` it may lead to nested fields, with dots
    /// between their names; names that hold dots themselves stand between backticks.
    #[config(default = "V1", importance = "high", one_of_ignore_case("V1", "V2"))]
    field_syntax_version: String,
}

/// `org.apache.kafka.connect.transforms.ExtractField`.
pub struct ExtractField<S> {
    field: String,
    path: FieldPath,
    replace_null: bool,
    schemas: SchemaCache<Located>,
    side: PhantomData<S>,
}

impl<S: Side> Transform for ExtractField<S> {
    const CLASS: &'static str = class!(S, "ExtractField");
    type Config = ExtractFieldConfig;

    fn configure(config: ExtractFieldConfig) -> Result<Self> {
        let nested = config.field_syntax_version.eq_ignore_ascii_case("V2");
        Ok(Self {
            path: if nested { FieldPath::v2(&config.field)? } else { FieldPath::v1(&config.field) },
            field: config.field,
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
            if !value.is_null() {
                require_map(value, PURPOSE)?;
                out.copy(S::PART, None, self.path.in_map(value)?);
            }
            return Ok(Verdict::Keep);
        };
        if !value.is_null() {
            require_struct(value, PURPOSE)?;
        }
        let Self { field, path, schemas, replace_null, .. } = self;
        let located = schemas.get_or_try(schema, |schema| {
            path.locate(schema)?.ok_or_else(|| {
                Error::data(format!("Unknown field: {field}")).shown_as("java.lang.IllegalArgumentException")
            })
        })?;
        let extracted = if value.is_null() { Value::NULL } else { located.in_struct(schema, value, *replace_null)? };
        out.copy(S::PART, Some(&located.schema), extracted);
        Ok(Verdict::Keep)
    }
}
