//! The notation of the cases: JSON, in which `{"$i32": 5}` and its kin name types that JSON lacks, and objects are structs where
//! the schema says so.

use millrace_api::schema::{Field, Kind, Schema, logical};
use millrace_api::value::{Tag, java};
use millrace_api::{SchemaRef, Value, Writer};
use serde_json::{Map, Value as Json, json};

pub(crate) fn read_schema(json: Option<&Json>) -> Option<SchemaRef> {
    let json = json.filter(|json| !json.is_null())?;
    if let Some(text) = json.as_str() {
        let (name, optional) = text.strip_suffix('?').map_or((text, false), |name| (name, true));
        return Some(Schema { optional, ..simple(name) }.into());
    }
    let nested = |name: &str| read_schema(json.get(name));
    let mut schema = match json["type"].as_str().expect("type") {
        "array" => Schema { values: nested("items"), ..Schema::of(Kind::Array) },
        "map" => Schema { keys: nested("keys"), values: nested("values"), ..Schema::of(Kind::Map) },
        "struct" => {
            let fields = json["fields"].as_object().expect("fields").iter();
            Schema::structure(
                fields.map(|(name, json)| Field::new(name, read_schema(Some(json)).expect("schema"))).collect(),
            )
        }
        name => simple(name),
    };
    let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
    schema.name = text("name").or(schema.name);
    schema.doc = text("doc");
    if let Some(version) = json.get("version") {
        schema.version = Some(i32::try_from(version.as_i64().expect("version")).expect("version"));
    }
    for (key, value) in json.get("parameters").and_then(Json::as_object).into_iter().flatten() {
        schema.parameters.push((key.clone(), value.as_str().expect("parameter").to_owned()));
    }
    schema.optional = json.get("optional") == Some(&Json::Bool(true));
    if let Some(default) = json.get("default") {
        let mut bytes = Vec::new();
        write_value(&mut Writer::new(&mut bytes), Some(&schema), default);
        schema.default = Some(bytes);
    }
    Some(schema.into())
}

fn simple(name: &str) -> Schema {
    let kind = match name {
        "date" => return Schema::logical(Kind::Int32, logical::DATE),
        "time" => return Schema::logical(Kind::Int32, logical::TIME),
        "timestamp" => return Schema::logical(Kind::Int64, logical::TIMESTAMP),
        "int8" => Kind::Int8,
        "int16" => Kind::Int16,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float32" => Kind::Float32,
        "float64" => Kind::Float64,
        "boolean" => Kind::Boolean,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        other => return Schema::decimal(other.strip_prefix("decimal:").expect(other).parse().expect("scale")),
    };
    Schema::of(kind)
}

#[allow(clippy::cast_possible_truncation, reason = "the cases hold numbers that fit")]
pub(crate) fn write_value(writer: &mut Writer<'_>, schema: Option<&Schema>, json: &Json) {
    match json {
        Json::Null => writer.null(),
        Json::Bool(value) => writer.bool(*value),
        Json::String(text) => writer.str(text),
        Json::Number(number) => match number.as_i64() {
            Some(number) => writer.int64(number),
            None => writer.float64(number.as_f64().expect("number")),
        },
        Json::Array(items) => {
            let open = writer.begin_array();
            for item in items {
                write_value(writer, schema.and_then(|schema| schema.values.as_deref()), item);
            }
            writer.end(open, items.len());
        }
        Json::Object(entries) => match entries.iter().next() {
            Some((tag, value)) if tag.starts_with('$') => {
                let number = value.as_i64().unwrap_or_default();
                match tag.as_str() {
                    "$i8" => writer.int8(number as i8),
                    "$i16" => writer.int16(number as i16),
                    "$i32" => writer.int32(number as i32),
                    "$f32" => writer.float32(read_float(value) as f32),
                    "$f64" => writer.float64(read_float(value)),
                    "$date" => writer.date(number as i32),
                    "$time" => writer.time(number as i32),
                    "$timestamp" => writer.timestamp(number),
                    "$bytes" => writer.bytes(&from_hex(value.as_str().expect("hex"))),
                    "$decimal" => {
                        let (scale, unscaled) = java::parse_decimal(value.as_str().expect("text")).expect("decimal");
                        writer.decimal(scale, &unscaled);
                    }
                    other => panic!("unknown notation {other}"),
                }
            }
            _ if schema.is_some_and(|schema| schema.kind == Kind::Struct) => {
                let fields = &schema.expect("a schema").fields;
                let open = writer.begin_struct();
                for field in fields {
                    write_value(writer, Some(&field.schema), entries.get(&field.name).unwrap_or(&Json::Null));
                }
                writer.end(open, fields.len());
            }
            _ => {
                let open = writer.begin_map();
                for (key, value) in entries {
                    writer.str(key);
                    write_value(writer, schema.and_then(|schema| schema.values.as_deref()), value);
                }
                writer.end(open, entries.len());
            }
        },
    }
}

/// A float; as text where JSON has no number for it, or its readers might not find the closest.
fn read_float(json: &Json) -> f64 {
    json.as_f64().unwrap_or_else(|| json.as_str().and_then(|text| text.parse().ok()).expect("a float"))
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

pub(crate) fn schema_json(schema: Option<&SchemaRef>) -> Json {
    let Some(schema) = schema else { return Json::Null };
    let mut json = Map::new();
    let mut put = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            json.insert(name.to_owned(), value);
        }
    };
    put("type", Some(schema.kind.name().to_lowercase().into()));
    put("optional", schema.optional.then(|| true.into()));
    put("name", schema.name.clone().map(Json::from));
    put("version", schema.version.map(Json::from));
    put("doc", schema.doc.clone().map(Json::from));
    if !schema.parameters.is_empty() {
        let pairs = schema.parameters.iter().map(|(key, value)| (key.clone(), value.clone().into()));
        put("parameters", Some(Json::Object(pairs.collect())));
    }
    put("default", schema.default.as_ref().map(|default| value_json(Some(schema), Value::of(default))));
    match schema.kind {
        Kind::Struct => {
            let fields = schema.fields.iter().map(|field| (field.name.clone(), schema_json(Some(&field.schema))));
            put("fields", Some(Json::Object(fields.collect())));
        }
        Kind::Map => {
            put("keys", Some(schema_json(schema.keys.as_ref())));
            put("values", Some(schema_json(schema.values.as_ref())));
        }
        Kind::Array => put("items", Some(schema_json(schema.values.as_ref()))),
        _ => {}
    }
    Json::Object(json)
}

/// Java has one class for `Date`, `Time` and `Timestamp`; without a schema all read as the last.
pub(crate) fn value_json(schema: Option<&SchemaRef>, value: Value<'_>) -> Json {
    let logical = |name: &str| schema.is_some_and(|schema| schema.is_logical(name));
    match value.tag() {
        Tag::Null => Json::Null,
        Tag::False | Tag::True => value.as_bool().into(),
        Tag::String => value.as_str().into(),
        Tag::Int64 => value.as_i64().into(),
        Tag::Int8 => json!({"$i8": value.as_i64()}),
        Tag::Int16 => json!({"$i16": value.as_i64()}),
        Tag::Int32 => json!({"$i32": value.as_i64()}),
        Tag::Float32 => json!({"$f32": float(value)}),
        Tag::Float64 => json!({"$f64": float(value)}),
        Tag::Bytes => {
            let hex: Vec<String> = value.as_bytes().expect("bytes").iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"$bytes": hex.concat()})
        }
        Tag::Decimal => json!({"$decimal": value.decimal_text()}),
        Tag::Date if logical(logical::DATE) => json!({"$date": value.as_date()}),
        Tag::Date => json!({"$timestamp": value.as_date().map(|days| i64::from(days) * 86_400_000)}),
        Tag::Time if logical(logical::TIME) => json!({"$time": value.as_time()}),
        Tag::Time => json!({"$timestamp": value.as_time()}),
        Tag::Timestamp => json!({"$timestamp": value.as_timestamp()}),
        Tag::Array => {
            let items = schema.and_then(|schema| schema.values.as_ref());
            value.elements().map(|item| value_json(items, item)).collect()
        }
        Tag::Struct => {
            let fields = &schema.expect("a struct has a schema").fields;
            let values = fields.iter().zip(value.elements());
            assert_eq!(value.elements().count(), fields.len(), "fields of {value}");
            Json::Object(
                values.map(|(field, value)| (field.name.clone(), value_json(Some(&field.schema), value))).collect(),
            )
        }
        Tag::Map => {
            let values = schema.and_then(|schema| schema.values.as_ref());
            let entries = value.entries().map(|(key, value)| (java_text(key), value_json(values, value)));
            let json: Map<String, Json> = entries.collect();
            assert_eq!(json.len(), value.count().expect("count"), "keys of {value} are unique");
            Json::Object(json)
        }
    }
}

/// A float as it reads back from Java's text, as those of the oracle were: the reader does not always find the closest.
fn float(value: Value<'_>) -> Json {
    let number = value.as_f64().expect("a float");
    if number.is_finite() {
        let mut text = Vec::new();
        java::double(number, &mut text);
        return serde_json::from_slice(&text).expect("a number");
    }
    if number.is_nan() { "NaN".into() } else { if number > 0.0 { "Infinity" } else { "-Infinity" }.into() }
}

/// A key as the oracle shows it.
fn java_text(value: Value<'_>) -> String {
    let mut text = Vec::new();
    java::text(value, None, &mut text);
    String::from_utf8(text).expect("text")
}
