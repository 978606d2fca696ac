//! `ValueToKey`: a new key out of fields of the value.

use millrace_sdk::prelude::*;
use millrace_sdk::{Part, encoded};

use crate::part::{or_default, put, require_entries, require_map, require_struct, with_fields};

const PURPOSE: &str = "copying fields from value to key";

/// Keys of [`ValueToKey`].
#[derive(Config)]
pub struct ValueToKeyConfig {
    /// The fields of the value that make the key.
    #[config(importance = "high")]
    fields: Vec<String>,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.transforms.ValueToKey`.
pub struct ValueToKey {
    fields: Vec<String>,
    /// The names of the fields, encoded.
    keys: Vec<Box<[u8]>>,
    replace_null: bool,
    schemas: SchemaCache<Plan>,
}

/// Where the fields stand in the value, and the schema they make.
struct Plan {
    indexes: Vec<usize>,
    schema: SchemaRef,
}

impl Transform for ValueToKey {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.ValueToKey";
    type Config = ValueToKeyConfig;

    fn configure(config: ValueToKeyConfig) -> Result<Self> {
        require_entries("fields", &config.fields)?;
        let mut fields: Vec<String> = Vec::with_capacity(config.fields.len());
        for field in config.fields {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        Ok(Self {
            keys: fields.iter().map(|field| encoded(field)).collect(),
            fields,
            replace_null: config.replace_null_with_default,
            schemas: SchemaCache::default(),
        })
    }

    fn needs(&self) -> Needs {
        Needs { value: true, ..Needs::NOTHING }
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let value = record.value();
        let Self { fields, keys, schemas, replace_null } = self;
        let Some(schema) = record.value_schema() else {
            require_map(value, PURPOSE)?;
            out.write(Part::Key, None, |writer| {
                let open = writer.begin_map();
                for (key, field) in keys.iter().zip(&*fields) {
                    writer.raw(key);
                    writer.value(value.get(field).unwrap_or(Value::NULL));
                }
                writer.end(open, keys.len());
                Ok(())
            })?;
            return Ok(Verdict::Keep);
        };
        require_struct(value, PURPOSE)?;
        let plan = schemas.get_or_try(schema, |schema| plan(schema, fields))?;
        out.write(Part::Key, Some(&plan.schema), |writer| {
            let open = writer.begin_struct();
            for (field, index) in plan.schema.fields.iter().zip(&plan.indexes) {
                let value = value.field_at(*index).unwrap_or(Value::NULL);
                put(writer, field, or_default(value, &field.schema, *replace_null))?;
            }
            writer.end(open, plan.indexes.len());
            Ok(())
        })?;
        Ok(Verdict::Keep)
    }
}

fn plan(schema: &Schema, names: &[String]) -> Result<Plan> {
    let mut indexes = Vec::with_capacity(names.len());
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let index = schema.field_index(name);
        let Some((index, field)) = index.and_then(|index| Some((index, schema.fields.get(index)?))) else {
            return Err(Error::data(format!("Field does not exist: {name}")));
        };
        indexes.push(index);
        fields.push(field.clone());
    }
    Ok(Plan { indexes, schema: with_fields(&Schema::of(Kind::Struct), fields)? })
}
