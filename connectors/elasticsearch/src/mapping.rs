//! Mappings from schemas, field types as Confluent's connector chooses them.

use millrace_api::Schema;
use millrace_api::schema::{Kind, logical};
use serde_json::{Value, json};

/// The mapping of documents with this schema; `None` when it says nothing about fields.
pub(crate) fn of(schema: &Schema, compact_maps: bool) -> Option<Value> {
    (schema.kind == Kind::Struct).then(|| field(schema, compact_maps))
}

fn field(schema: &Schema, compact_maps: bool) -> Value {
    match schema.name.as_deref() {
        Some(logical::DATE | logical::TIME | logical::TIMESTAMP) => return json!({"type": "date"}),
        Some(logical::DECIMAL) => return json!({"type": "double"}),
        _ => {}
    }
    match schema.kind {
        Kind::Int8 => json!({"type": "byte"}),
        Kind::Int16 => json!({"type": "short"}),
        Kind::Int32 => json!({"type": "integer"}),
        Kind::Int64 => json!({"type": "long"}),
        Kind::Float32 => json!({"type": "float"}),
        Kind::Float64 => json!({"type": "double"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::String => json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}),
        Kind::Bytes => json!({"type": "binary"}),
        // To Elasticsearch every field is a list.
        Kind::Array => schema.values.as_deref().map_or_else(|| json!({}), |inner| field(inner, compact_maps)),
        Kind::Map => map(schema, compact_maps),
        Kind::Struct => {
            let properties: serde_json::Map<String, Value> =
                schema.fields.iter().map(|inner| (inner.name.clone(), field(&inner.schema, compact_maps))).collect();
            json!({"properties": properties})
        }
    }
}

fn map(schema: &Schema, compact_maps: bool) -> Value {
    let (Some(keys), Some(values)) = (schema.keys.as_deref(), schema.values.as_deref()) else {
        return json!({"type": "object"});
    };
    if compact_maps && keys.kind == Kind::String {
        return json!({"type": "object"});
    }
    json!({"properties": {"key": field(keys, compact_maps), "value": field(values, compact_maps)}})
}
