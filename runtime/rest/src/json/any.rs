//! A value of any shape, as Jackson reads an `Object`.

use serde_json::{Map, Number, Value};

use super::error::JsonError;
use super::parser::{Parser, Token};

type Result<T> = std::result::Result<T, JsonError>;

/// An object or array whose end has not been read.
enum Open {
    Object(Map<String, Value>),
    Array(Vec<Value>),
}

/// The value that the parser stands on. Nothing recurses: the parser bounds the depth, the stack does not have to.
pub(super) fn value(parser: &mut Parser<'_>, token: Token) -> Result<Value> {
    let mut open: Vec<(Open, Option<String>)> = Vec::new();
    let mut name = None;
    let mut token = token;
    loop {
        let whole = match token {
            Token::StartObject => {
                open.push((Open::Object(Map::new()), name.take()));
                None
            }
            Token::StartArray => {
                open.push((Open::Array(Vec::new()), name.take()));
                None
            }
            Token::EndObject | Token::EndArray => open.pop().map(|(container, outer)| {
                name = outer;
                match container {
                    Open::Object(map) => Value::Object(map),
                    Open::Array(list) => Value::Array(list),
                }
            }),
            Token::FieldName => {
                name = Some(parser.take_name());
                None
            }
            scalar => Some(self::scalar(parser, scalar)?),
        };
        if let Some(whole) = whole {
            match open.last_mut() {
                None => return Ok(whole),
                Some((Open::Object(map), _)) => drop(map.insert(name.take().unwrap_or_default(), whole)),
                Some((Open::Array(list), _)) => list.push(whole),
            }
        }
        // The parser refuses a body that ends within something.
        let Some(next) = parser.next()? else { return Ok(Value::Null) };
        token = next;
    }
}

/// A number that no 64 bits hold is refused: it would come back as another one.
fn scalar(parser: &mut Parser<'_>, token: Token) -> Result<Value> {
    Ok(match token {
        Token::True => Value::Bool(true),
        Token::False => Value::Bool(false),
        Token::String => Value::String(parser.text()?),
        Token::Int | Token::Float => {
            let (here, text) = (parser.token_location(), parser.text()?);
            let integer =
                || text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from)).ok();
            let number = if token == Token::Int { integer() } else { text.parse().ok().and_then(Number::from_f64) };
            let Some(number) = number else {
                return Err(JsonError::at(here, format!("Numeric value ({text}) out of range of a long or double")));
            };
            Value::Number(number)
        }
        _ => Value::Null,
    })
}
