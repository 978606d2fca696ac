//! Answers: JSON as Jackson writes it, in the order of the fields.

use std::io;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use indexmap::IndexMap;
use millrace_core::herder::{ConnectorInfo, ConnectorStatus, Status};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::ser::{CharEscape, Formatter};

pub(crate) const JSON: &str = "application/json";

/// A JSON answer.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    typed(status, JSON, encode(value))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    untyped(status, Vec::new())
}

pub(crate) fn typed(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = untyped(status, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

pub(crate) fn untyped(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

/// JSON with Jackson's escapes: a character outside of the basic plane becomes two `\uXXXX`, and hex digits are capitals.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Jackson);
    // Every shape here is made of strings, numbers, lists and maps with string keys: none can fail, and a Vec takes all.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "an answer could not be written: {written:?}");
    out
}

struct Jackson;

impl Formatter for Jackson {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| u32::from(c) > 0xffff) {
            let (plain, astral) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut letters = astral.chars();
            for unit in letters.next().unwrap_or_default().encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04X}")?;
            }
            rest = letters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        let short = match escape {
            CharEscape::Quote => "\\\"",
            CharEscape::ReverseSolidus => "\\\\",
            CharEscape::Solidus => "\\/",
            CharEscape::Backspace => "\\b",
            CharEscape::FormFeed => "\\f",
            CharEscape::LineFeed => "\\n",
            CharEscape::CarriageReturn => "\\r",
            CharEscape::Tab => "\\t",
            CharEscape::AsciiControl(code) => return write!(writer, "\\u{code:04X}"),
        };
        writer.write_all(short.as_bytes())
    }
}

/// Properties as an object.
pub(crate) struct Object<'a, V = String>(pub(crate) &'a IndexMap<String, V>);

impl<V: Serialize> Serialize for Object<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// `ConnectorTaskId`.
#[derive(Serialize)]
pub(crate) struct TaskId<'a> {
    pub(crate) connector: &'a str,
    pub(crate) task: i32,
}

/// `ConnectorInfo`.
#[derive(Serialize)]
pub(crate) struct InfoBody<'a> {
    name: &'a str,
    config: Object<'a>,
    tasks: Vec<TaskId<'a>>,
    r#type: &'static str,
}

impl<'a> From<&'a ConnectorInfo> for InfoBody<'a> {
    fn from(info: &'a ConnectorInfo) -> Self {
        let task = |task: &i32| TaskId { connector: &info.name, task: *task };
        Self {
            name: &info.name,
            config: Object(&info.config),
            tasks: info.tasks.iter().map(task).collect(),
            r#type: info.kind,
        }
    }
}

/// `ConnectorStateInfo.ConnectorState`.
#[derive(Serialize)]
pub(crate) struct StateBody<'a> {
    state: &'static str,
    worker_id: &'a str,
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace: &'a str,
}

impl<'a> From<&'a Status> for StateBody<'a> {
    fn from(status: &'a Status) -> Self {
        Self {
            state: status.state.name(),
            worker_id: &status.worker_id,
            version: status.version.as_deref(),
            trace: status.trace.as_deref().unwrap_or_default(),
        }
    }
}

/// `ConnectorStateInfo.TaskState`.
#[derive(Serialize)]
pub(crate) struct TaskStateBody<'a> {
    pub(crate) id: i32,
    #[serde(flatten)]
    pub(crate) state: StateBody<'a>,
}

/// `ConnectorStateInfo`.
#[derive(Serialize)]
pub(crate) struct StatusBody<'a> {
    name: &'a str,
    connector: StateBody<'a>,
    tasks: Vec<TaskStateBody<'a>>,
    r#type: &'static str,
}

impl<'a> From<&'a ConnectorStatus> for StatusBody<'a> {
    fn from(status: &'a ConnectorStatus) -> Self {
        let task = |(id, state): &'a (i32, Status)| TaskStateBody { id: *id, state: state.into() };
        Self {
            name: &status.name,
            connector: (&status.connector).into(),
            tasks: status.tasks.iter().map(task).collect(),
            r#type: status.kind,
        }
    }
}
