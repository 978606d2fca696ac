//! `HoistField`: the whole key or value, null too, becomes the only field of a new struct or map.

use std::marker::PhantomData;

use millrace_sdk::encoded;
use millrace_sdk::prelude::*;

use crate::part::{Side, class, put};

/// Keys of [`HoistField`].
#[derive(Config)]
pub struct HoistFieldConfig {
    /// Name of the one field of the new struct or map.
    field: String,
}

/// `org.apache.kafka.connect.transforms.HoistField`.
pub struct HoistField<S> {
    field: String,
    key: Box<[u8]>,
    schemas: SchemaCache<SchemaRef>,
    side: PhantomData<S>,
}

impl<S: Side> Transform for HoistField<S> {
    const CLASS: &'static str = class!(S, "HoistField");
    type Config = HoistFieldConfig;

    fn configure(config: HoistFieldConfig) -> Result<Self> {
        let key = encoded(&config.field);
        Ok(Self { field: config.field, key, schemas: SchemaCache::default(), side: PhantomData })
    }

    fn needs(&self) -> Needs {
        S::NEEDS
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let value = record.get(S::PART);
        let Self { field, key, schemas, .. } = self;
        let Some(schema) = record.schema(S::PART) else {
            out.write(S::PART, None, |writer| {
                let open = writer.begin_map();
                writer.raw(key);
                writer.value(value);
                writer.end(open, 1);
                Ok(())
            })?;
            return Ok(Verdict::Keep);
        };
        let hoisted = schemas.get_or_try(schema, |schema| {
            Ok(Schema::structure(vec![Field::new(&*field, SchemaRef::clone(schema))]).into())
        })?;
        out.write(S::PART, Some(hoisted), |writer| {
            let open = writer.begin_struct();
            for field in &hoisted.fields {
                put(writer, field, value)?;
            }
            writer.end(open, hoisted.fields.len());
            Ok(())
        })?;
        Ok(Verdict::Keep)
    }
}
