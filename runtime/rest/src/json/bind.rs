//! From tokens to what a handler wants.

use indexmap::IndexMap;
use millrace_core::herder::TargetState;

use super::error::JsonError;
use super::parser::{Parser, Token};

type Result<T> = std::result::Result<T, JsonError>;

/// A configuration as it came: JSON's null is told from an absent key.
pub(crate) type NullableProps = IndexMap<String, Option<String>>;

const REQUEST: &str = "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest";
const STRING: &str = "java.lang.String";
const MAP: &str = "java.util.LinkedHashMap";
const MAP_OF_STRINGS: &str = "java.util.LinkedHashMap<java.lang.String,java.lang.String>";

/// Body of `POST /connectors`.
#[derive(Debug, Default)]
pub(crate) struct CreateConnectorRequest {
    pub(crate) name: Option<String>,
    pub(crate) initial_state: Option<TargetState>,
    pub(crate) config: Option<NullableProps>,
}

/// Reads the body of `POST /connectors`; `None` for an empty one and for `null`.
pub(crate) fn read_create(body: &[u8]) -> Result<Option<CreateConnectorRequest>> {
    let mut parser = Parser::new(body);
    let request = match parser.next()? {
        None => return Ok(None),
        Some(Token::Null) => None,
        Some(Token::StartObject) => Some(create_request(&mut parser)?),
        Some(token) => return Err(not_an_object(&mut parser, token, REQUEST)),
    };
    no_more(&mut parser, REQUEST)?;
    Ok(request)
}

/// Reads a flat object of strings; `None` for an empty body and for `null`.
pub(crate) fn read_config(body: &[u8]) -> Result<Option<NullableProps>> {
    let mut parser = Parser::new(body);
    let Some(token) = parser.next()? else { return Ok(None) };
    let config = config(&mut parser, token)?;
    no_more(&mut parser, "java.util.Map")?;
    Ok(config)
}

pub(super) fn no_more(parser: &mut Parser<'_>, class: &str) -> Result<()> {
    let Some(token) = parser.next()? else { return Ok(()) };
    let message = format!(
        "Trailing token (of type {}) found after value (bound as `{class}`): not allowed as per `DeserializationFeature.FAIL_ON_TRAILING_TOKENS`",
        token.name()
    );
    Err(JsonError::at(parser.token_location(), message))
}

/// The fields of the request. As long as one of the three is missing, an unknown field is only remembered: Jackson refuses it
/// when it has seen all of them, so a fault in a later field is reported first.
fn create_request(parser: &mut Parser<'_>) -> Result<CreateConnectorRequest> {
    let mut request = CreateConnectorRequest::default();
    let (mut has_name, mut has_state, mut has_config) = (false, false, false);
    let mut unknown = None;
    while parser.next()? == Some(Token::FieldName) {
        let field = parser.take_name();
        let Some(token) = parser.next()? else { break };
        let complete = has_name && has_state && has_config;
        match field.as_str() {
            "name" | "initial_state" | "config" if complete => return Err(set_twice(&field)),
            "name" => (request.name, has_name) = (property(parser, "name", |p| string(p, token))?, true),
            "initial_state" => {
                (request.initial_state, has_state) = (property(parser, "initial_state", |p| state(p, token))?, true);
            }
            "config" => (request.config, has_config) = (property(parser, "config", |p| config(p, token))?, true),
            _ if complete => return Err(unrecognized(parser, unknown.as_deref().unwrap_or(&field))),
            _ => {
                parser.skip()?;
                unknown.get_or_insert(field);
            }
        }
    }
    unknown.map_or(Ok(request), |field| Err(unrecognized(parser, &field)))
}

fn property<T>(parser: &mut Parser<'_>, field: &str, read: impl FnOnce(&mut Parser<'_>) -> Result<T>) -> Result<T> {
    read(parser).map_err(|error| error.through(REQUEST, field))
}

fn set_twice(field: &str) -> JsonError {
    JsonError::limit(format!("No fallback setter/field defined for creator property '{field}' (of `{REQUEST}`)"))
        .through(REQUEST, field)
}

fn unrecognized(parser: &Parser<'_>, field: &str) -> JsonError {
    let message = format!(
        "Unrecognized field \"{field}\" (class {REQUEST}), not marked as ignorable (3 known properties: \"config\", \"name\", \"initial_state\")"
    );
    JsonError::at(parser.location(parser.at), message).through(REQUEST, field)
}

/// A scalar as text, as Jackson coerces it; `None` for null.
fn string(parser: &mut Parser<'_>, token: Token) -> Result<Option<String>> {
    match token {
        Token::Null => Ok(None),
        Token::StartObject | Token::StartArray => Err(mismatch(parser, STRING, token)),
        _ => parser.text().map(Some),
    }
}

fn state(parser: &mut Parser<'_>, token: Token) -> Result<Option<TargetState>> {
    let class = format!("{REQUEST}$InitialState");
    let here = parser.token_location();
    let text = match token {
        Token::Null => return Ok(None),
        Token::StartObject => return Err(mismatch(parser, &class, token)),
        Token::StartArray => {
            let message = format!(
                "Input mismatch reading Enum `{class}`: properties-based `@JsonCreator` ([method {class}#forValue(java.lang.String)]) expects String Value, got Array value (`JsonToken.START_ARRAY`)"
            );
            return Err(JsonError::at(here, message));
        }
        _ => parser.text()?,
    };
    let no_such_state = || {
        let constant = text.to_uppercase();
        let message = format!(
            "Cannot construct instance of `{class}`, problem: No enum constant {REQUEST}.InitialState.{constant}"
        );
        JsonError::at(here, message)
    };
    TargetState::parse_initial(&text).map(Some).ok_or_else(no_such_state)
}

pub(super) fn config(parser: &mut Parser<'_>, token: Token) -> Result<Option<NullableProps>> {
    match token {
        Token::Null => return Ok(None),
        Token::StartObject => {}
        Token::String => return Err(no_map_from_text(parser)),
        _ => return Err(mismatch(parser, MAP_OF_STRINGS, token)),
    }
    let mut config = NullableProps::new();
    while parser.next()? == Some(Token::FieldName) {
        let key = parser.take_name();
        let Some(token) = parser.next()? else { break };
        let value = match token {
            Token::StartObject | Token::StartArray => Err(mismatch(parser, STRING, token).through(MAP, &key)),
            _ => string(parser, token),
        }?;
        config.insert(key, value);
    }
    Ok(Some(config))
}

pub(super) fn mismatch(parser: &Parser<'_>, class: &str, token: Token) -> JsonError {
    let kind = match token {
        Token::StartObject | Token::EndObject | Token::FieldName => "Object",
        Token::StartArray | Token::EndArray => "Array",
        Token::Int => "Integer",
        Token::Float => "Floating-point",
        Token::True | Token::False => "Boolean",
        Token::String => "String",
        Token::Null => "Null",
    };
    let message =
        format!("Cannot deserialize value of type `{class}` from {kind} value (token `JsonToken.{}`)", token.name());
    JsonError::at(parser.token_location(), message)
}

fn not_from_text(before: &str, class: &str, after: &str, text: &str) -> String {
    if text.trim().is_empty() {
        format!(
            "Cannot coerce empty String (\"\") to {before}`{class}`{after} (but could if coercion was enabled using `CoercionConfig`)"
        )
    } else {
        no_creator(
            class,
            &format!("String-argument constructor/factory method to deserialize from String value ('{text}')"),
        )
    }
}

fn no_creator(class: &str, which: &str) -> String {
    format!("Cannot construct instance of `{class}` (although at least one Creator exists): no {which}")
}

/// A string where a map is wanted.
pub(super) fn no_map_from_text(parser: &mut Parser<'_>) -> JsonError {
    let here = parser.token_location();
    match parser.text() {
        Ok(text) => JsonError::at(here, not_from_text("element of ", MAP, "", &text)),
        Err(error) => error,
    }
}

/// Something that is no object where `class` is wanted.
pub(super) fn not_an_object(parser: &mut Parser<'_>, token: Token, class: &str) -> JsonError {
    let here = parser.token_location();
    let text = match parser.text() {
        Ok(text) => text,
        Err(error) => return error,
    };
    let from = |kind: &str, value: &str| {
        no_creator(class, &format!("{kind}-argument constructor/factory method to deserialize from {value}"))
    };
    let number = |kind: &str, text: &str| from(kind, &format!("Number value ({text})"));
    let message = match token {
        Token::String => not_from_text("", class, " value", &text),
        Token::Int if text.parse::<i32>().is_ok() => number("int/Int", &text),
        Token::Int if text.parse::<i64>().is_ok() => number("long/Long", &text),
        Token::Int => number("BigInteger", &text),
        Token::Float => number("double/Double", &double(&text)),
        Token::True | Token::False => from("boolean/Boolean", &format!("boolean value ({text})")),
        _ => return mismatch(parser, class, token),
    };
    JsonError::at(here, message)
}

/// A number as Java shows a `double`.
fn double(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) if number.is_infinite() => if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Ok(number) if number == 0.0 || (1e-3..1e7).contains(&number.abs()) => format!("{number:?}"),
        Ok(number) => {
            let text = format!("{number:E}");
            if text.contains('.') { text } else { text.replacen('E', ".0E", 1) }
        }
        Err(_) => text.to_owned(),
    }
}
