//! `Cast`: fields, or the whole key or value, as other types, with Java's rules.

mod convert;
mod float;
mod spec;

use std::marker::PhantomData;

use millrace_sdk::prelude::*;

use crate::part::{Side, class, or_default, put, require_map, require_struct, require_struct_schema, with_fields};
use convert::cast;
use spec::Spec;

const PURPOSE: &str = "cast types";

/// Keys of [`Cast`].
#[derive(Config)]
pub struct CastConfig {
    /// The fields to cast and their new types, as pairs `field:type`, or one type for the whole key or value. Types are `int8`,
    /// `int16`, `int32`, `int64`, `float32`, `float64`, `boolean` and `string`. Numbers that are too large for their new type wrap,
    /// text must hold a number of that type, and bytes become text only (base64).
    #[config(importance = "high", check_verbatim = Spec::check)]
    spec: Vec<String>,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.transforms.Cast`.
pub struct Cast<S> {
    spec: Spec,
    replace_null: bool,
    schemas: SchemaCache<Plan>,
    side: PhantomData<S>,
}

/// What becomes of values of a schema.
struct Plan {
    schema: SchemaRef,
    /// The new type of each field of a struct that gets one.
    targets: Vec<Option<Kind>>,
}

impl<S: Side> Transform for Cast<S> {
    const CLASS: &'static str = class!(S, "Cast");
    type Config = CastConfig;

    fn configure(config: CastConfig) -> Result<Self> {
        Ok(Self {
            spec: Spec::parse(&config.spec).map_err(Error::config)?,
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
        match (record.schema(S::PART), &self.spec) {
            (None, Spec::Whole(target)) => {
                out.write(S::PART, None, |writer| cast(writer, value, None, *target))?;
            }
            (None, Spec::Fields(_)) => require_map(value, PURPOSE)?,
            (Some(schema), Spec::Whole(target)) => {
                let plan = self.schemas.get_or_try(schema, |schema| whole_plan(schema, *target))?;
                out.write(S::PART, Some(&plan.schema), |writer| cast(writer, value, Some(schema), *target))?;
            }
            (Some(schema), Spec::Fields(_)) => self.in_struct(value, schema, out)?,
        }
        Ok(Verdict::Keep)
    }

    fn edits(&self) -> Option<Part> {
        matches!(self.spec, Spec::Fields(_)).then_some(S::PART)
    }

    fn edit(&mut self, _record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()> {
        let Spec::Fields(casts) = &self.spec else { return Ok(()) };
        for field in casts {
            fields.set(&field.encoded, |writer, present| {
                // A field that is missing is added as null.
                cast(writer, present.unwrap_or(Value::NULL), None, field.target)?;
                Ok(true)
            })?;
        }
        Ok(())
    }
}

impl<S: Side> Cast<S> {
    fn in_struct(&mut self, value: Value<'_>, schema: &SchemaRef, out: &mut Output<'_>) -> Result<()> {
        let Self { spec, replace_null, schemas, .. } = self;
        let plan = schemas.get_or_try(schema, |schema| struct_plan(schema, spec))?;
        require_struct(value, PURPOSE)?;
        out.write(S::PART, Some(&plan.schema), |writer| {
            let open = writer.begin_struct();
            let fields = schema.fields.iter().zip(&plan.schema.fields).zip(&plan.targets).zip(value.elements());
            for (((field, updated), target), value) in fields {
                let value = or_default(value, &field.schema, *replace_null);
                match target {
                    Some(target) if !value.is_null() => cast(writer, value, Some(&field.schema), *target)?,
                    _ => put(writer, updated, value)?,
                }
            }
            writer.end(open, schema.fields.len());
            Ok(())
        })
    }
}

/// The schema of values cast as a whole. Name, version, documentation and parameters stay, whatever they meant.
fn whole_plan(schema: &Schema, target: Kind) -> Result<Plan> {
    let default = schema.default.as_deref().map(|default| cast_default(default, schema, target)).transpose()?;
    if default.is_some() && convert::is_logical(schema) {
        return Err(Error::data("Invalid default value"));
    }
    let schema =
        Schema { kind: target, default, fields: Vec::new(), keys: None, values: None, ..Schema::clone(schema) };
    Ok(Plan { schema: schema.into(), targets: Vec::new() })
}

/// The schema of structs of which fields are cast. Unlike in other transformations the optional flag stays.
fn struct_plan(schema: &Schema, spec: &Spec) -> Result<Plan> {
    require_struct_schema(schema)?;
    let targets: Vec<_> = schema.fields.iter().map(|field| spec.target(&field.name)).collect();
    let mut fields = schema.fields.clone();
    for (field, target) in fields.iter_mut().zip(&targets) {
        let Some(target) = *target else { continue };
        let from = &field.schema;
        let default = from.default.as_deref().map(|default| cast_default(default, from, target)).transpose()?;
        field.schema = Schema { optional: from.optional, default, ..Schema::of(target) }.into();
    }
    if schema.default.is_some() {
        return Err(convert::unsupported(Kind::Struct));
    }
    let updated = Schema { optional: schema.optional, ..Schema::clone(&*with_fields(schema, fields)?) };
    Ok(Plan { schema: updated.into(), targets })
}

fn cast_default(default: &[u8], schema: &Schema, target: Kind) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    cast(&mut Writer::new(&mut bytes), Value::of(default), Some(schema), target)?;
    Ok(bytes)
}
