//! What is written to: names, and creation.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use elasticsearch::http::Method;
use millrace_api::{Error, ErrorKind, Result, Schema};
use serde_json::{Map, Value, json};

use crate::client::{Answer, Client};
use crate::config::ElasticsearchSinkConfig;
use crate::mapping;

const MAX_NAME: usize = 255;
const MAX_STREAM_PART: usize = 100;
const MAX_FILE: u64 = 1 << 20;

/// Which topic goes where.
#[derive(Debug)]
pub(crate) struct Names {
    rule: Rule,
    known: HashMap<Box<str>, Result<Arc<str>, String>>,
}

#[derive(Debug)]
enum Rule {
    /// The topic's name, made legal.
    Topic,
    /// A name with `${topic}` in it, perhaps.
    Pattern(String),
    /// A data stream's first two parts, and its namespace.
    Stream { prefix: String, namespace: String },
    /// Names that exist already.
    External(BTreeMap<String, Arc<str>>),
}

impl Names {
    /// From the configuration.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub(crate) fn new(config: &ElasticsearchSinkConfig) -> Result<Self, (&'static str, Error)> {
        let rule = if !config.resource_usage.eq_ignore_ascii_case("disabled") {
            Rule::External(external(config)?)
        } else if !config.resource_mapping.is_empty() {
            return Err(invalid("external.resource.usage", "DISABLED", "topic.to.external.resource.mapping is given"));
        } else if config.makes_stream() {
            let (kind, dataset) = (config.stream_type.to_lowercase(), &config.stream_dataset);
            if dataset.is_empty() || check_part(dataset).is_err() {
                return Err(invalid(
                    "data.stream.dataset",
                    dataset,
                    "Expected 1 to 100 lower-case characters without -",
                ));
            }
            Rule::Stream { prefix: format!("{kind}-{dataset}"), namespace: config.stream_namespace.clone() }
        } else if let Some(pattern) = &config.index {
            check_name(&pattern.replace("${topic}", "t")).map_err(|cause| invalid("index", pattern, &cause))?;
            Rule::Pattern(pattern.clone())
        } else {
            Rule::Topic
        };
        Ok(Self { rule, known: HashMap::new() })
    }

    /// The index, alias or data stream for a topic. The topic is not to be trusted: transformations may have made it from
    /// what a record holds.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] when no legal name can be made of it, [`ErrorKind::Config`] when it is not in the mapping.
    pub(crate) fn of(&mut self, topic: &str) -> Result<Arc<str>> {
        if let Rule::External(names) = &self.rule {
            return names.get(topic).cloned().ok_or_else(|| {
                Error::config(format!(
                    "Invalid value for configuration topic.to.external.resource.mapping: no entry for topic {topic}; add \
                     {topic}:<name>"
                ))
            });
        }
        if let Some(known) = self.known.get(topic) {
            return known.clone().map_err(Error::data);
        }
        let name = match &self.rule {
            Rule::Topic => checked(of_topic(topic)),
            Rule::Pattern(pattern) => checked(pattern.replace("${topic}", &topic.to_lowercase())),
            Rule::Stream { prefix, namespace } => stream(prefix, &namespace.replace("${topic}", topic)),
            Rule::External(_) => Err("not in the mapping".to_owned()),
        };
        let name: Result<Arc<str>, String> =
            name.map(Arc::from).map_err(|cause| format!("no index can be named after the record's topic: {cause}"));
        // Topics are few; one that is made from every record's contents must not fill the memory.
        if self.known.len() < 10_000 {
            self.known.insert(topic.into(), name.clone());
        }
        name.map_err(Error::data)
    }
}

/// Confluent's rule: lower case, cut to 255, one leading `-` or `_` removed, and no `.` or `..`.
fn of_topic(topic: &str) -> String {
    let mut name = topic.to_lowercase();
    let end = (0..=MAX_NAME.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name.truncate(end);
    if name.starts_with(['-', '_']) {
        name.remove(0);
    }
    if name == "." || name == ".." { name.replace('.', "dot") } else { name }
}

fn stream(prefix: &str, namespace: &str) -> Result<String, String> {
    let mut namespace = namespace.to_lowercase();
    let end = (0..=MAX_STREAM_PART.min(namespace.len())).rev().find(|at| namespace.is_char_boundary(*at)).unwrap_or(0);
    namespace.truncate(end);
    checked(format!("{prefix}-{namespace}"))
}

fn checked(name: String) -> Result<String, String> {
    check_name(&name).map(|()| name)
}

/// Elasticsearch's rules for names, and ours for paths of requests: nothing that would have to be escaped in a URL.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("Expected 1 to 255 bytes".to_owned());
    }
    if name == "." || name == ".." || name.starts_with(['-', '_', '+']) {
        return Err("Must not be . or .., nor begin with -, _ or +".to_owned());
    }
    let illegal = |c: char| c.is_uppercase() || c.is_control() || c.is_whitespace() || "\\/*?\"<>|,#:%".contains(c);
    match name.chars().find(|c| illegal(*c)) {
        Some(c) => Err(format!("Must not contain {c:?}")),
        None => Ok(()),
    }
}

fn check_part(part: &str) -> Result<(), String> {
    if part.len() > MAX_STREAM_PART || part.contains('-') {
        return Err("Expected at most 100 characters without -".to_owned());
    }
    check_name(part)
}

fn external(config: &ElasticsearchSinkConfig) -> Result<BTreeMap<String, Arc<str>>, (&'static str, Error)> {
    let key = "topic.to.external.resource.mapping";
    let mut names = BTreeMap::new();
    for entry in &config.resource_mapping {
        let Some((topic, name)) = entry.split_once(':') else {
            return Err(invalid(key, entry, "Expected topic:name"));
        };
        let (topic, name) = (topic.trim(), name.trim());
        check_name(name).map_err(|cause| invalid(key, entry, &cause))?;
        if names.insert(topic.to_owned(), Arc::from(name)).is_some() {
            return Err(invalid(key, entry, "The topic occurs twice"));
        }
    }
    let most = usize::try_from(config.max_resource_mappings).unwrap_or(0);
    match names.len() {
        0 => Err(invalid(key, "", "external.resource.usage needs topic:name entries")),
        n if n > most => Err(invalid(key, &format!("with {n} entries"), "More than max.external.resource.mappings")),
        _ => Ok(names),
    }
}

fn invalid(key: &'static str, value: &str, cause: &str) -> (&'static str, Error) {
    (key, Error::config(format!("Invalid value {value} for configuration {key}: {cause}")))
}

/// Makes sure that an index or data stream exists, with the configured mappings or those of a schema.
///
/// # Errors
/// [`ErrorKind::Config`] when the server refuses the name, mappings or settings; those of the client.
pub(crate) async fn ensure(
    client: &Client,
    config: &ElasticsearchSinkConfig,
    topic: &str,
    name: &str,
    schema: Option<&Schema>,
) -> Result<()> {
    let path = format!("/{name}");
    let external = !config.resource_usage.eq_ignore_ascii_case("disabled");
    let schema = schema.filter(|_| !config.ignores_schema(topic) && !config.is_stream());
    let inferred = schema.and_then(|schema| mapping::of(schema, config.compact_map_entries));
    match client.call(Method::Head, &path, None).await? {
        Answer { status: 200, .. } => {
            let configured = config.mappings.is_some() || config.mapping_file.is_some();
            let add = inferred.filter(|_| !external && !configured);
            return match add {
                Some(mapping) => add_mapping(client, name, &mapping).await,
                None => Ok(()),
            };
        }
        Answer { status: 404, .. } if external => {
            return Err(Error::config(format!(
                "Invalid value for configuration topic.to.external.resource.mapping: {name} does not exist; create it, or \
                 set external.resource.usage=DISABLED"
            )));
        }
        Answer { status: 404, .. } => {}
        other => return Err(other.refused(&format!("tell whether index {name} exists"))),
    }
    let answer = if config.makes_stream() {
        client.call(Method::Put, &format!("/_data_stream/{name}"), None).await?
    } else {
        let mut body = config.index_body()?;
        if let (Some(mapping), false) = (inferred, body.contains_key("mappings")) {
            body.insert("mappings".to_owned(), mapping);
        }
        client.call(Method::Put, &path, Some(json_bytes(&Value::Object(body)))).await?
    };
    created(&answer, name)
}

/// Gives an index without fields the mapping of a schema; one that has some is left alone.
async fn add_mapping(client: &Client, name: &str, mapping: &Value) -> Result<()> {
    let path = format!("/{name}/_mapping");
    let answer = client.call(Method::Get, &format!("{path}?filter_path=*.mappings.properties"), None).await?;
    if answer.status != 200 {
        return Err(answer.refused(&format!("tell the mapping of {name}")));
    }
    let present: Map<String, Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !present.is_empty() {
        return Ok(());
    }
    let answer = client.call(Method::Put, &path, Some(json_bytes(mapping))).await?;
    created(&answer, name)
}

fn created(answer: &Answer, name: &str) -> Result<()> {
    match answer.status {
        200 | 201 => {
            tracing::info!(index = name, "created");
            Ok(())
        }
        400 => match answer.reason() {
            (class, _) if class == "resource_already_exists_exception" => Ok(()),
            (class, reason) => Err(Error::config(format!(
                "Elasticsearch refuses to create {name} as index, index.mappings, mapping.file, index.settings or \
                 data.stream.* say: {class}: {reason}"
            ))),
        },
        _ => {
            let error = answer.refused(&format!("create {name}"));
            // Without a right or a licence no retry helps; a cluster that is not ready will be.
            debug_assert!(matches!(error.kind(), ErrorKind::External | ErrorKind::Retriable));
            Err(error)
        }
    }
}

fn json_bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// For the table of keys.
pub(crate) fn check_object(text: &str) -> Result<(), String> {
    object(text).map(|_| ())
}

/// A JSON object.
///
/// # Errors
/// Why it is none, without repeating it.
pub(crate) fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(json!(object)),
        Ok(_) => Err("Expected a JSON object".to_owned()),
        Err(error) => Err(format!("Not JSON: line {}, column {}", error.line(), error.column())),
    }
}

/// A JSON object in a file.
///
/// # Errors
/// [`ErrorKind::Config`]; it never tells what is in the file: a configuration must not be a way to read files.
pub(crate) fn object_of_file(path: &str) -> Result<Value> {
    let read = || -> Result<String, String> {
        let file = std::fs::File::open(path).map_err(|error| format!("Cannot be opened: {}", error.kind()))?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err("Not a regular file".to_owned());
        }
        let mut text = String::new();
        let read = file.take(MAX_FILE).read_to_string(&mut text);
        read.map_err(|error| format!("Cannot be read: {}", error.kind()))?;
        Ok(text)
    };
    read()
        .and_then(|text| object(&text).map_err(|_| "Not a JSON object of at most 1 MiB".to_owned()))
        .map_err(|cause| Error::config(format!("Invalid value {path} for configuration mapping.file: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_become_names_as_in_confluents_connector() {
        for (topic, name) in [
            ("Orders-Topic", "orders-topic"),
            ("_logs", "logs"),
            ("-logs", "logs"),
            (".", "dot"),
            ("..", "dotdot"),
            ("a.b_c", "a.b_c"),
        ] {
            assert_eq!(checked(of_topic(topic)).as_deref(), Ok(name));
        }
        assert_eq!(of_topic(&"A".repeat(300)), "a".repeat(255));
        assert_eq!(stream("logs-shop", "Orders"), Ok("logs-shop-orders".to_owned()));
    }

    #[test]
    fn names_that_leave_their_place_in_a_request_are_refused() {
        for topic in
            ["__x", "a/b", "../_all", "a\nb", "a\"b", "*", "a,b", "<x-{now/d}>", "a%2fb", "a b", "a#b", "_", "", "a?x"]
        {
            assert!(checked(of_topic(topic)).is_err(), "{topic:?}");
        }
    }
}
