//! `HeaderFrom`: moves or copies fields of a key or value into headers.

use std::marker::PhantomData;

use millrace_sdk::prelude::*;

use crate::part::{Side, class, or_default, put, require_map, require_struct, shown, with_fields};

/// Keys of [`HeaderFrom`].
#[derive(Config)]
pub struct HeaderFromConfig {
    /// The fields to move or copy.
    #[config(importance = "high", check = check_entries)]
    fields: Vec<String>,
    /// Names of the headers they become, in the same order.
    #[config(importance = "high", check = check_entries)]
    headers: Vec<String>,
    /// Whether the fields go (`move`) or stay where they are as well (`copy`).
    #[config(importance = "high", one_of("move", "copy"))]
    operation: String,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.transforms.HeaderFrom`.
pub struct HeaderFrom<S> {
    /// Field and header.
    pairs: Vec<(String, String)>,
    moves: bool,
    replace_null: bool,
    schemas: SchemaCache<Plan>,
    side: PhantomData<S>,
}

/// What becomes of the structs of a schema.
struct Plan {
    /// Which fields stay, where some go.
    kept: Vec<bool>,
    schema: SchemaRef,
    /// The field of each header.
    indexes: Vec<usize>,
}

impl<S: Side> Transform for HeaderFrom<S> {
    const CLASS: &'static str = class!(S, "HeaderFrom");
    type Config = HeaderFromConfig;

    fn configure(config: HeaderFromConfig) -> Result<Self> {
        if config.fields.len() != config.headers.len() {
            return Err(Error::config("'fields' config must have the same number of elements as 'headers' config."));
        }
        Ok(Self {
            pairs: config.fields.into_iter().zip(config.headers).collect(),
            moves: config.operation == "move",
            replace_null: config.replace_null_with_default,
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn needs(&self) -> Needs {
        Needs { headers: true, ..S::NEEDS }
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let value = record.get(S::PART);
        let purpose = if self.moves { "header move" } else { "header copy" };
        match record.schema(S::PART) {
            None => {
                require_map(value, purpose)?;
                self.of_map(value, record, out)?;
            }
            Some(schema) => {
                require_struct(value, purpose)?;
                self.of_struct(value, schema, record, out)?;
            }
        }
        Ok(Verdict::Keep)
    }
}

impl<S: Side> HeaderFrom<S> {
    fn of_map(&self, value: Value<'_>, record: &Record<'_>, out: &mut Output<'_>) -> Result<()> {
        out.headers(|headers| {
            record.headers().for_each(|header| headers.copy(&header));
            for (field, header) in &self.pairs {
                let value = value.get(field).unwrap_or(Value::NULL);
                headers.push(header, None, |writer| writer.value(value));
            }
            Ok(())
        })?;
        for (field, _) in self.pairs.iter().filter(|_| self.moves) {
            out.remove(S::PART, field);
        }
        Ok(())
    }

    fn of_struct(
        &mut self,
        value: Value<'_>,
        schema: &SchemaRef,
        record: &Record<'_>,
        out: &mut Output<'_>,
    ) -> Result<()> {
        let Self { pairs, moves, replace_null, schemas, .. } = self;
        let plan = schemas.get_or_try(schema, |schema| plan(schema, pairs))?;
        if *moves {
            out.write(S::PART, Some(&plan.schema), |writer| {
                let open = writer.begin_struct();
                let fields = schema.fields.iter().zip(value.elements()).zip(&plan.kept);
                for ((field, value), _) in fields.filter(|(_, kept)| **kept) {
                    put(writer, field, or_default(value, &field.schema, *replace_null))?;
                }
                writer.end(open, plan.schema.fields.len());
                Ok(())
            })?;
        }
        out.headers(|headers| {
            record.headers().for_each(|header| headers.copy(&header));
            for ((_, header), index) in pairs.iter().zip(&plan.indexes) {
                let (Some(field), Some(value)) = (schema.fields.get(*index), value.field_at(*index)) else { continue };
                let value = or_default(value, &field.schema, *replace_null);
                if value.is_null() && !field.schema.optional {
                    let schema = shown(&field.schema);
                    return Err(Error::data(format!("A null value requires an optional schema but was {schema}")));
                }
                headers.push(header, Some(&field.schema), |writer| writer.value(value));
            }
            Ok(())
        })
    }
}

fn plan(schema: &SchemaRef, pairs: &[(String, String)]) -> Result<Plan> {
    let index =
        |name: &str| schema.field_index(name).ok_or_else(|| Error::data(format!("Field does not exist: {name}")));
    let kept: Vec<_> = schema.fields.iter().map(|field| pairs.iter().all(|(moved, _)| *moved != field.name)).collect();
    let fields = schema.fields.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(field, _)| field.clone());
    Ok(Plan {
        indexes: pairs.iter().map(|(name, _)| index(name)).collect::<Result<_>>()?,
        schema: with_fields(schema, fields.collect())?,
        kept,
    })
}

fn check_entries(list: &str) -> Result<(), String> {
    if list.is_empty() { Err("Empty list".to_owned()) } else { Ok(()) }
}
