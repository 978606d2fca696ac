//! Schemas as JSON text and back (`JsonConverter.asConnectSchema` and `asJsonSchema`).

use millrace_api::schema::{Field, Kind, Schema};
use millrace_api::value::MAX_DEPTH;
use millrace_api::{Error, Result, Value};

use super::cursor::{Cursor, Node};
use super::typed::{Place, Typed};
use super::write::{self, Format};

/// Members of an object by name, the last of each name, with their text.
struct Members<'j>(Vec<(String, &'j [u8])>);

impl<'j> Members<'j> {
    fn read(json: &'j [u8]) -> Result<Self> {
        let mut cursor = Cursor::of_schema(json);
        let mut members: Vec<(String, &[u8])> = Vec::new();
        if cursor.node()? != Node::Object {
            return Ok(Self(members));
        }
        cursor.members(0, |cursor, depth| {
            let mut name = Vec::new();
            cursor.unescape(&mut name)?;
            cursor.expect(b':', "a colon is expected")?;
            let text = cursor.skip(depth)?;
            let name = String::from_utf8(name).unwrap_or_default();
            match members.iter_mut().find(|(known, _)| *known == name) {
                Some(member) => member.1 = text,
                None => members.push((name, text)),
            }
            Ok(())
        })?;
        Ok(Self(members))
    }

    fn get(&self, name: &str) -> Option<&'j [u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| *text)
    }

    /// A member that is text.
    fn text(&self, name: &str) -> Result<Option<String>> {
        self.get(name).map_or(Ok(None), text)
    }
}

fn text(json: &[u8]) -> Result<Option<String>> {
    if json.first() != Some(&b'"') {
        return Ok(None);
    }
    let mut text = Vec::new();
    Cursor::of_schema(json).unescape(&mut text)?;
    Ok(String::from_utf8(text).ok())
}

/// The schema that `json` describes, `depth` levels inside another; `None` for null. The text must have been checked already.
///
/// # Errors
/// [`millrace_api::ErrorKind::Data`] in Kafka Connect's wording.
pub(super) fn parse(json: &[u8], typed: &mut Typed, depth: usize) -> Result<Option<Schema>> {
    if json == b"null" {
        return Ok(None);
    }
    if depth >= MAX_DEPTH {
        return Err(Error::data("a schema nests deeper than 64 levels"));
    }
    let members = Members::read(json)?;
    let Some(type_name) = members.text("type")? else {
        return Err(Error::data("Schema must contain 'type' field"));
    };
    let mut schema = Schema::of(kind(&type_name)?);
    match schema.kind {
        Kind::Array => {
            let items = members.get("items").filter(|items| *items != b"null");
            let items = items.ok_or_else(|| Error::data("Array schema did not specify the element type"))?;
            schema.values = parse(items, typed, depth + 1)?.map(Into::into);
        }
        Kind::Map => {
            let missing = |what| move || Error::data(format!("Map schema did not specify the {what} type"));
            let keys = members.get("keys").ok_or_else(missing("key"))?;
            let values = members.get("values").ok_or_else(missing("value"))?;
            schema.keys = Some(part(keys, "keySchema", typed, depth)?.into());
            schema.values = Some(part(values, "valueSchema", typed, depth)?.into());
        }
        Kind::Struct => schema.fields = fields(members.get("fields"), typed, depth)?,
        _ => {}
    }
    schema.optional = members.get("optional") == Some(b"true");
    schema.name = members.text("name")?;
    schema.version = members.get("version").map_or(Ok(None), version)?;
    schema.doc = members.text("doc")?;
    if let Some(parameters) = members.get("parameters") {
        for (name, value) in Members::read(parameters)?.0 {
            let value = text(value)?.ok_or_else(|| Error::data("Schema parameters must have string values."))?;
            schema.parameters.push((name, value));
        }
    }
    if let Some(json) = members.get("default") {
        let mut default = Vec::new();
        let mut cursor = Cursor::new(json);
        typed.value(&mut cursor, &schema, &Place::Default, 0, &mut default).map_err(|error| {
            if error.message().starts_with("Invalid value: null used for required value") {
                Error::data("Invalid default value").because(error)
            } else {
                error
            }
        })?;
        schema.default = Some(default).filter(|default| !Value::of(default).is_null());
    }
    Ok(Some(schema))
}

fn part(json: &[u8], what: &str, typed: &mut Typed, depth: usize) -> Result<Schema> {
    parse(json, typed, depth + 1)?.ok_or_else(|| Error::data(format!("{what} cannot be null")))
}

fn version(json: &[u8]) -> Result<Option<i32>> {
    let mut cursor = Cursor::of_schema(json);
    if cursor.node()? != Node::Number {
        return Ok(None);
    }
    let number = cursor.number()?;
    #[allow(clippy::cast_possible_truncation, reason = "numbers wrap, as Java's casts do")]
    Ok(number.is_integral().then(|| number.long() as i32))
}

fn fields(json: Option<&[u8]>, typed: &mut Typed, depth: usize) -> Result<Vec<Field>> {
    let Some(json) = json.filter(|json| json.first() == Some(&b'[')) else {
        return Err(Error::data("Struct schema's \"fields\" argument is not an array."));
    };
    let mut texts = Vec::new();
    Cursor::of_schema(json).elements(0, |cursor, depth| {
        texts.push(cursor.skip(depth)?);
        Ok(())
    })?;
    let mut names = std::collections::HashSet::new();
    let mut fields = Vec::with_capacity(texts.len());
    for json in texts {
        let name = Members::read(json)?.text("field")?;
        let name = name.ok_or_else(|| Error::data("Struct schema's field name not specified properly"))?;
        let schema = part(json, "schema", typed, depth)?;
        if name.is_empty() {
            return Err(Error::data("fieldName cannot be null."));
        }
        if !names.insert(name.clone()) {
            return Err(Error::data(format!("Cannot create field because of field name duplication {name}")));
        }
        fields.push(Field::new(name, schema));
    }
    Ok(fields)
}

fn kind(name: &str) -> Result<Kind> {
    Ok(match name {
        "boolean" => Kind::Boolean,
        "int8" => Kind::Int8,
        "int16" => Kind::Int16,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float" => Kind::Float32,
        "double" => Kind::Float64,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        "array" => Kind::Array,
        "map" => Kind::Map,
        "struct" => Kind::Struct,
        _ => return Err(Error::data(format!("Unknown schema type: {name}"))),
    })
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Int8 => "int8",
        Kind::Int16 => "int16",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Float32 => "float",
        Kind::Float64 => "double",
        Kind::Bytes => "bytes",
        Kind::String => "string",
        Kind::Array => "array",
        Kind::Map => "map",
        Kind::Struct => "struct",
    }
}

/// Appends the JSON text of a schema, `field` being its name in a struct.
///
/// # Errors
/// [`millrace_api::ErrorKind::Data`] when its default value does not fit it.
pub(super) fn encode(schema: &Schema, field: Option<&str>, format: Format, out: &mut Vec<u8>) -> Result<()> {
    let member = |out: &mut Vec<u8>, name: &str, schema: Option<&Schema>| {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        if let Some(schema) = schema {
            return encode(schema, None, format, out);
        }
        out.extend_from_slice(b"null");
        Ok(())
    };
    let text = |out: &mut Vec<u8>, name: &str, text: &str| {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        write::string(text.as_bytes(), out);
    };
    out.extend_from_slice(format!("{{\"type\":\"{}\"", name(schema.kind)).as_bytes());
    match schema.kind {
        Kind::Array => member(out, "items", schema.values.as_deref())?,
        Kind::Map => {
            member(out, "keys", schema.keys.as_deref())?;
            member(out, "values", schema.values.as_deref())?;
        }
        Kind::Struct => {
            out.extend_from_slice(b",\"fields\":[");
            for (i, field) in schema.fields.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                encode(&field.schema, Some(&field.name), format, out)?;
            }
            out.push(b']');
        }
        _ => {}
    }
    out.extend_from_slice(format!(",\"optional\":{}", schema.optional).as_bytes());
    if let Some(name) = &schema.name {
        text(out, "name", name);
    }
    if let Some(version) = schema.version {
        out.extend_from_slice(format!(",\"version\":{version}").as_bytes());
    }
    if let Some(doc) = &schema.doc {
        text(out, "doc", doc);
    }
    if !schema.parameters.is_empty() {
        out.extend_from_slice(b",\"parameters\":{");
        for (i, (name, value)) in schema.parameters.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write::string(name.as_bytes(), out);
            out.push(b':');
            write::string(value.as_bytes(), out);
        }
        out.push(b'}');
    }
    if let Some(default) = &schema.default {
        out.extend_from_slice(b",\"default\":");
        write::value(Some(schema), Value::of(default), format, 0, out)?;
    }
    if let Some(field) = field {
        text(out, "field", field);
    }
    out.push(b'}');
    Ok(())
}
