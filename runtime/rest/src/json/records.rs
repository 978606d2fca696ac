//! Bodies that are lists or made of records: offsets (KIP-875), and what workers send each other.

use millrace_api::connector::Json;
use serde_json::Value;

use super::any;
use super::bind::{self, NullableProps};
use super::error::JsonError;
use super::parser::{Parser, Token};

type Result<T> = std::result::Result<T, JsonError>;

const OFFSETS: &str = "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffsets";
const OFFSET: &str = "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffset";
const LIST: &str = "java.util.ArrayList";
const MAP_OF_OBJECTS: &str = "java.util.LinkedHashMap<java.lang.String,java.lang.Object>";

/// One entry of an offsets body. Either part may be missing.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct OffsetEntry {
    pub(crate) partition: Option<Json>,
    pub(crate) offset: Option<Json>,
}

/// Reads the body of `PATCH /connectors/{c}/offsets`: `None` for an empty one and for `null`; an entry that is `null` is `None`.
pub(crate) fn read_offsets(body: &[u8]) -> Result<Option<Vec<Option<OffsetEntry>>>> {
    let mut parser = Parser::new(body);
    let offsets = match parser.next()? {
        None => return Ok(None),
        Some(Token::Null) => None,
        Some(Token::StartObject) => Some(offsets(&mut parser)?),
        Some(token) => return Err(bind::not_an_object(&mut parser, token, OFFSETS)),
    };
    bind::no_more(&mut parser, OFFSETS)?;
    Ok(offsets)
}

/// Reads the body of `POST /connectors/{c}/tasks`; `None` for `null`. What comes after the list is not looked at, as the mapper of
/// that resource does not.
pub(crate) fn read_task_configs(body: &[u8]) -> Result<Option<Vec<Option<NullableProps>>>> {
    let mut parser = Parser::new(body);
    match parser.next()? {
        None => Err(JsonError::empty(parser.token_location())),
        Some(Token::Null) => Ok(None),
        Some(Token::StartArray) => list(&mut parser, bind::config).map(Some),
        Some(token) => {
            Err(bind::mismatch(&parser, &format!("{LIST}<java.util.Map<java.lang.String,java.lang.String>>"), token))
        }
    }
}

/// Reads any value; `None` for an empty body.
pub(crate) fn read_any(body: &[u8]) -> Result<Option<Value>> {
    let mut parser = Parser::new(body);
    let Some(token) = parser.next()? else { return Ok(None) };
    any::value(&mut parser, token).map(Some)
}

fn list<T>(parser: &mut Parser<'_>, read: impl Fn(&mut Parser<'_>, Token) -> Result<T>) -> Result<Vec<T>> {
    let mut items = Vec::new();
    while let Some(token) = parser.next()?
        && token != Token::EndArray
    {
        let item = read(parser, token).map_err(|error| error.through_index(LIST, items.len()))?;
        items.push(item);
    }
    Ok(items)
}

fn offsets(parser: &mut Parser<'_>) -> Result<Vec<Option<OffsetEntry>>> {
    let mut entries = Vec::new();
    record(parser, OFFSETS, &["offsets"], |parser, _, token| {
        entries = match token {
            Token::Null => Vec::new(),
            Token::StartArray => list(parser, entry)?,
            _ => return Err(bind::mismatch(parser, &format!("{LIST}<{OFFSET}>"), token)),
        };
        Ok(())
    })?;
    Ok(entries)
}

fn entry(parser: &mut Parser<'_>, token: Token) -> Result<Option<OffsetEntry>> {
    match token {
        Token::Null => return Ok(None),
        Token::StartObject => {}
        _ => return Err(bind::not_an_object(parser, token, OFFSET)),
    }
    let mut entry = OffsetEntry::default();
    record(parser, OFFSET, &["partition", "offset"], |parser, property, token| {
        let map = map(parser, token)?;
        *(if property == "offset" { &mut entry.offset } else { &mut entry.partition }) = map;
        Ok(())
    })?;
    Ok(Some(entry))
}

fn map(parser: &mut Parser<'_>, token: Token) -> Result<Option<Json>> {
    match token {
        Token::Null => Ok(None),
        Token::StartObject => match any::value(parser, token)? {
            Value::Object(map) => Ok(Some(map)),
            _ => Ok(None),
        },
        Token::String => Err(bind::no_map_from_text(parser)),
        _ => Err(bind::mismatch(parser, MAP_OF_OBJECTS, token)),
    }
}

/// Reads the fields of a Java record. It is made once all properties are there: until then a property may come again and an
/// unknown field is only remembered; from then on either is refused.
fn record(
    parser: &mut Parser<'_>,
    class: &str,
    properties: &[&'static str],
    mut assign: impl FnMut(&mut Parser<'_>, &'static str, Token) -> Result<()>,
) -> Result<()> {
    let mut missing: Vec<&str> = properties.to_vec();
    let mut unknown = None;
    while parser.next()? == Some(Token::FieldName) {
        let field = parser.take_name();
        let Some(token) = parser.next()? else { break };
        let made = missing.is_empty();
        match properties.iter().find(|property| **property == field) {
            Some(property) => {
                assign(parser, property, token).map_err(|error| error.through(class, &field))?;
                if made {
                    let message = format!("Should never call `set()` on setterless property ('{field}')");
                    return Err(JsonError::limit(message).through(class, &field));
                }
                missing.retain(|name| name != property);
            }
            None if made => {
                let field = unknown.unwrap_or(field);
                return Err(unrecognized(parser, class, properties, &field));
            }
            None => {
                parser.skip()?;
                unknown.get_or_insert(field);
            }
        }
    }
    unknown.map_or(Ok(()), |field| Err(unrecognized(parser, class, properties, &field)))
}

fn unrecognized(parser: &Parser<'_>, class: &str, properties: &[&str], field: &str) -> JsonError {
    let known: Vec<String> = properties.iter().map(|property| format!("\"{property}\"")).collect();
    let count =
        if known.len() == 1 { "one known property".to_owned() } else { format!("{} known properties", known.len()) };
    let message = format!(
        "Unrecognized field \"{field}\" (class {class}), not marked as ignorable ({count}: {})",
        known.join(", ")
    );
    JsonError::at(parser.location(parser.at), message).through(class, field)
}
