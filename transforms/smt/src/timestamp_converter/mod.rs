//! `TimestampConverter`: timestamps as text, numbers, or Kafka Connect's `Date`, `Time` and `Timestamp`, and back.

mod convert;

use std::marker::PhantomData;

use millrace_sdk::encoded;
use millrace_sdk::prelude::*;

use crate::part::{Side, class, or_default, put, require_map, require_struct, require_struct_schema, with_fields};
use convert::{Precision, Target, Translator, is_timestamp};
use millrace_dates::DateFormat;

const PURPOSE: &str = "converting timestamp formats";

/// Keys of [`TimestampConverter`].
#[derive(Config)]
pub struct TimestampConverterConfig {
    /// The field that holds the timestamp; empty when the whole key or value is one.
    #[config(default = "", importance = "high")]
    field: String,
    /// What the timestamp becomes: `string`, `unix`, `Date`, `Time` or `Timestamp`.
    #[config(importance = "high", one_of("string", "unix", "Date", "Time", "Timestamp"))]
    target_type: String,
    /// Pattern of timestamps that are text, as `java.text.SimpleDateFormat` has it: for those that are read, and for those that
    /// are written with `target.type=string`.
    #[config(default = "")]
    format: String,
    /// Unit of timestamps that are numbers: for those that are read, and for those that are written with `target.type=unix`.
    /// In between are milliseconds, so what is finer is cut off.
    #[config(
        default = "milliseconds",
        importance = "low",
        one_of("nanoseconds", "microseconds", "milliseconds", "seconds")
    )]
    unix_precision: String,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.transforms.TimestampConverter`.
pub struct TimestampConverter<S> {
    field: String,
    /// Its name as it is in a map.
    encoded: Box<[u8]>,
    translator: Translator,
    replace_null: bool,
    schemas: SchemaCache<Plan>,
    side: PhantomData<S>,
}

/// What becomes of values of a schema.
struct Plan {
    schema: SchemaRef,
    /// Which field is converted, if it is there.
    index: Option<usize>,
}

impl<S: Side> Transform for TimestampConverter<S> {
    const CLASS: &'static str = class!(S, "TimestampConverter");
    type Config = TimestampConverterConfig;

    fn configure(config: TimestampConverterConfig) -> Result<Self> {
        let (target, pattern) = (Target::of(&config.target_type), &config.format);
        if target == Target::Text && pattern.is_empty() {
            return Err(Error::config(
                "TimestampConverter requires format option to be specified when using string timestamps",
            ));
        }
        let format = (!pattern.is_empty()).then(|| DateFormat::new(pattern)).transpose().map_err(|cause| {
            Error::config(format!(
                "TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: {pattern} ({cause})"
            ))
        })?;
        Ok(Self {
            encoded: encoded(&config.field),
            field: config.field,
            translator: Translator::new(target, Precision::of(&config.unix_precision), format),
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
        self.translator.now(record.timestamp());
        match record.schema(S::PART) {
            None if value.is_null() => {}
            None if self.field.is_empty() => {
                out.write(S::PART, None, |writer| self.translator.write(writer, value))?;
            }
            None => require_map(value, PURPOSE)?,
            Some(schema) if self.field.is_empty() => self.whole(value, schema, out)?,
            Some(schema) => self.in_struct(value, schema, out)?,
        }
        Ok(Verdict::Keep)
    }

    fn edits(&self) -> Option<Part> {
        (!self.field.is_empty()).then_some(S::PART)
    }

    fn edit(&mut self, record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()> {
        let Self { encoded, translator, .. } = self;
        translator.now(record.timestamp());
        fields.set(encoded, |writer, present| {
            // A field that is missing is added as null.
            translator.write(writer, present.unwrap_or(Value::NULL))?;
            Ok(true)
        })
    }
}

impl<S: Side> TimestampConverter<S> {
    fn whole(&mut self, value: Value<'_>, schema: &SchemaRef, out: &mut Output<'_>) -> Result<()> {
        is_timestamp(schema)?;
        let Self { translator, schemas, .. } = self;
        let plan = schemas
            .get_or_try(schema, |schema| Ok(Plan { schema: translator.schema(schema.optional).into(), index: None }))?;
        out.write(S::PART, Some(&plan.schema), |writer| translator.write(writer, value))
    }

    fn in_struct(&mut self, value: Value<'_>, schema: &SchemaRef, out: &mut Output<'_>) -> Result<()> {
        if !value.is_null() {
            require_struct(value, PURPOSE)?;
        }
        let Self { field, translator, schemas, replace_null, .. } = self;
        let plan = schemas.get_or_try(schema, |schema| plan(schema, field, translator, *replace_null))?;
        out.write(S::PART, Some(&plan.schema), |writer| {
            if value.is_null() {
                writer.null();
                return Ok(());
            }
            write_struct(writer, value, schema, plan, translator, *replace_null)
        })
    }
}

/// The schema with the field's type changed. Unlike in other transformations the optional flag stays, and so does the default,
/// in which the field is converted.
fn plan(schema: &SchemaRef, field: &str, translator: &mut Translator, replace_null: bool) -> Result<Plan> {
    require_struct_schema(schema)?;
    let index = schema.field_index(field);
    let mut fields = schema.fields.clone();
    if let Some(field) = index.and_then(|index| fields.get_mut(index)) {
        is_timestamp(&field.schema)?;
        field.schema = translator.schema(field.schema.optional).into();
    }
    let mut updated = Schema { optional: schema.optional, ..Schema::clone(&*with_fields(schema, fields)?) };
    let mut plan = Plan { schema: SchemaRef::new(updated.clone()), index };
    if let Some(default) = &schema.default {
        let mut bytes = Vec::new();
        write_struct(&mut Writer::new(&mut bytes), Value::of(default), schema, &plan, translator, replace_null)?;
        updated.default = Some(bytes);
        plan.schema = updated.into();
    }
    Ok(plan)
}

fn write_struct(
    writer: &mut Writer<'_>,
    value: Value<'_>,
    schema: &Schema,
    plan: &Plan,
    translator: &mut Translator,
    replace_null: bool,
) -> Result<()> {
    let open = writer.begin_struct();
    let fields = schema.fields.iter().zip(&plan.schema.fields).zip(value.elements()).enumerate();
    for (index, ((field, updated), value)) in fields {
        let value = or_default(value, &field.schema, replace_null);
        if plan.index == Some(index) && !value.is_null() {
            translator.write(writer, value)?;
        } else {
            put(writer, updated, value)?;
        }
    }
    writer.end(open, schema.fields.len());
    Ok(())
}
