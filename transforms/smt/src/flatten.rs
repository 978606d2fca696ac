//! `Flatten`: nested structs or maps become one, in which fields are called after the path that led to them.

use std::marker::PhantomData;

use millrace_sdk::prelude::*;

use crate::part::{Side, class, class_name, or_default, put, require_map, require_struct, with_fields};

const PURPOSE: &str = "flattening";

/// Keys of [`Flatten`].
#[derive(Config)]
pub struct FlattenConfig {
    /// What stands between the names of the fields on the way to a nested one.
    #[config(default = ".")]
    delimiter: String,
}

/// `org.apache.kafka.connect.transforms.Flatten`.
pub struct Flatten<S> {
    delimiter: String,
    schemas: SchemaCache<SchemaRef>,
    side: PhantomData<S>,
}

impl<S: Side> Transform for Flatten<S> {
    const CLASS: &'static str = class!(S, "Flatten");
    type Config = FlattenConfig;

    fn configure(config: FlattenConfig) -> Result<Self> {
        Ok(Self { delimiter: config.delimiter, schemas: SchemaCache::default(), side: PhantomData })
    }

    fn needs(&self) -> Needs {
        S::NEEDS
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let value = record.get(S::PART);
        if value.is_null() {
            return Ok(Verdict::Keep);
        }
        let Self { delimiter, schemas, .. } = self;
        let Some(schema) = record.schema(S::PART) else {
            require_map(value, PURPOSE)?;
            out.write(S::PART, None, |writer| {
                let open = writer.begin_map();
                let mut map = Map { delimiter, path: String::new(), count: 0, ambiguous: delimiter.is_empty() };
                map.entries(writer, value)?;
                if map.ambiguous {
                    writer.end_distinct(open, map.count);
                } else {
                    writer.end(open, map.count);
                }
                Ok(())
            })?;
            return Ok(Verdict::Keep);
        };
        require_struct(value, PURPOSE)?;
        let flat = schemas.get_or_try(schema, |schema| {
            let mut plan = Plan { delimiter, path: String::new(), fields: Vec::new() };
            plan.add(schema, schema.optional, schema.default.as_deref().map_or(Value::NULL, Value::of))?;
            with_fields(schema, plan.fields)
        })?;
        out.write(S::PART, Some(flat), |writer| {
            let open = writer.begin_struct();
            write_struct(writer, schema, Some(value), &mut flat.fields.iter())?;
            writer.end(open, flat.fields.len());
            Ok(())
        })?;
        Ok(Verdict::Keep)
    }
}

/// A map without a schema on its way into the flat one.
struct Map<'d> {
    delimiter: &'d str,
    /// Of the field at hand.
    path: String,
    count: usize,
    /// Whether two paths may look alike: some name has a character of the delimiter, or none at all.
    ambiguous: bool,
}

impl Map<'_> {
    fn entries(&mut self, writer: &mut Writer<'_>, map: Value<'_>) -> Result<()> {
        for (name, value) in map.entries() {
            let Some(name) = name.as_str() else {
                return Err(Error::data("Flatten transformation does not support names of fields that are no text"));
            };
            self.ambiguous |= name.is_empty() || name.contains(|c: char| self.delimiter.contains(c));
            let parent = descend(&mut self.path, self.delimiter, name);
            match value.tag() {
                Tag::Map => self.entries(writer, value)?,
                Tag::Decimal | Tag::Date | Tag::Time | Tag::Timestamp => {
                    let class = class_name(value);
                    return Err(Error::data(format!(
                        "Flatten transformation was passed a value of type class {class} which is not supported by Connect's \
                         data API"
                    )));
                }
                Tag::Struct => {
                    let class = class_name(value);
                    return Err(Error::data(format!(
                        "Flatten transformation does not support class {class} for record without schemas"
                    )));
                }
                _ => {
                    writer.str(&self.path);
                    writer.value(value);
                    self.count += 1;
                }
            }
            self.path.truncate(parent);
        }
        Ok(())
    }
}

/// The fields of a flat struct.
struct Plan<'d> {
    delimiter: &'d str,
    /// Of the field at hand.
    path: String,
    fields: Vec<Field>,
}

impl Plan<'_> {
    /// Adds the fields of `schema`. Below something that is optional everything is; and where a field has no default, its parent's
    /// default has one for it.
    fn add(&mut self, schema: &Schema, optional: bool, default: Value<'_>) -> Result<()> {
        for (index, field) in schema.fields.iter().enumerate() {
            let parent = descend(&mut self.path, self.delimiter, &field.name);
            let optional = optional || field.schema.optional;
            let default = match &field.schema.default {
                Some(own) => Value::of(own),
                None => default.field_at(index).unwrap_or(Value::NULL),
            };
            match field.schema.kind {
                Kind::Struct => self.add(&field.schema, optional, default)?,
                Kind::Map => {
                    let path = &self.path;
                    return Err(Error::data(format!(
                        "Flatten transformation does not support MAP for record with schemas (for field {path})."
                    )));
                }
                _ => {
                    let default = (!default.is_null()).then(|| default.bytes().to_vec());
                    let schema = Schema { optional, default, ..Schema::clone(&field.schema) };
                    self.fields.push(Field::new(&*self.path, schema));
                }
            }
            self.path.truncate(parent);
        }
        Ok(())
    }
}

/// Adds a step to a path and returns how long it was. A step without a name is none.
fn descend(path: &mut String, delimiter: &str, name: &str) -> usize {
    let parent = path.len();
    if parent > 0 {
        path.push_str(delimiter);
    }
    path.push_str(name);
    parent
}

/// Writes the values of the fields of a struct, or as many nulls when it is missing. As in Kafka Connect fields that are missing
/// with it may be required ones.
fn write_struct<'f>(
    writer: &mut Writer<'_>,
    schema: &Schema,
    value: Option<Value<'_>>,
    flat: &mut impl Iterator<Item = &'f Field>,
) -> Result<()> {
    let mut values = value.map(Value::elements);
    for field in &schema.fields {
        let value = values.as_mut().and_then(Iterator::next);
        if field.schema.kind == Kind::Struct {
            write_struct(writer, &field.schema, value.filter(|value| !value.is_null()), flat)?;
            continue;
        }
        match (flat.next(), value) {
            (Some(flat), Some(value)) => put(writer, flat, or_default(value, &field.schema, true))?,
            _ => writer.null(),
        }
    }
    Ok(())
}
