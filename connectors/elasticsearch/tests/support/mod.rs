//! The runtime's part, by hand: batches, a started task, and the server asked directly what it holds.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a harness of tests and examples"
)]

use std::sync::Arc;

use elasticsearch::http::headers::HeaderMap;
use elasticsearch::http::transport::Transport;
use elasticsearch::http::{Method, Url};
use millrace_api::batch::{Row, headers};
use millrace_api::config::Props;
use millrace_api::connector::{Report, SinkContext, SinkTask as _};
use millrace_api::{Error, RecordBatch, Result, SchemaRef, Writer};
use millrace_behaviour::unused::services;
use millrace_connector_elasticsearch::ElasticsearchSinkTask;
use serde_json::Value;

/// The server under test. Its absence is a failure, not a reason to skip.
pub fn url() -> String {
    std::env::var("MILLRACE_TEST_ELASTICSEARCH").expect("MILLRACE_TEST_ELASTICSEARCH")
}

/// A name that no other run has.
pub fn fresh(name: &str) -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("{name}-{nanos:x}")
}

/// Talks to the server past the connector.
pub struct Server(pub Transport);

impl Server {
    pub fn new() -> Self {
        Self(Transport::single_node(Url::parse(&url()).unwrap().as_str()).unwrap())
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&str>) -> Value {
        let response = self.0.send(method, path, HeaderMap::new(), None::<&()>, body, None).await.expect("server");
        serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default()
    }

    pub async fn refresh(&self, index: &str) {
        self.call(Method::Post, &format!("/{index}/_refresh"), None).await;
    }

    pub async fn count(&self, index: &str) -> u64 {
        self.refresh(index).await;
        self.call(Method::Get, &format!("/{index}/_count"), None).await["count"].as_u64().unwrap_or_default()
    }

    /// A document with `_version` and `found`.
    pub async fn get(&self, index: &str, id: &str) -> Value {
        self.call(Method::Get, &format!("/{index}/_doc/{id}"), None).await
    }
}

pub fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub async fn try_start(props: &Props) -> (ElasticsearchSinkTask, Result<()>) {
    let context =
        SinkContext { connector: Arc::from("logs"), task: 0, group: "connect-logs".to_owned(), services: services() };
    let mut task = ElasticsearchSinkTask::default();
    let started = task.start(context, props).await;
    (task, started)
}

/// A started task.
pub async fn start(url: &str, changes: &[(&str, &str)]) -> ElasticsearchSinkTask {
    let mut all = vec![("connection.url", url), ("read.timeout.ms", "60000"), ("schema.ignore", "true")];
    all.extend_from_slice(changes);
    let (task, started) = try_start(&props(&all)).await;
    started.expect("started");
    task
}

/// A record to be: key and value as JSON.
#[derive(Clone)]
pub struct Given<'a> {
    pub topic: &'a str,
    pub offset: i64,
    pub key: Value,
    pub value: Value,
    pub schema: Option<SchemaRef>,
    pub headers: Vec<(&'a str, Value)>,
}

impl<'a> Given<'a> {
    pub fn new(topic: &'a str, offset: i64, key: impl Into<Value>, value: Value) -> Self {
        Self { topic, offset, key: key.into(), value, schema: None, headers: Vec::new() }
    }
}

pub fn batch(records: &[Given<'_>]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    for (origin, given) in (0..).zip(records) {
        let topic = batch.intern_topic(given.topic);
        let value_schema = given.schema.as_ref().map_or(0, |schema| batch.intern_schema(schema));
        let mut write = |value: &Value| {
            let append = |heap: &mut Vec<u8>| {
                encode(value, &mut Writer::new(heap));
                Ok(())
            };
            batch.append(append).expect("appended").0
        };
        let (key, value) = (write(&given.key), write(&given.value));
        let headers = batch
            .append(|heap| {
                for (name, value) in &given.headers {
                    headers::push(heap, name, 0, |writer| encode(value, writer));
                }
                Ok(())
            })
            .expect("appended")
            .0;
        batch.push(Row {
            topic,
            partition: 0,
            offset: given.offset,
            timestamp: 1_790_000_000_000 + given.offset,
            key,
            value,
            headers,
            value_schema,
            origin,
            ..Row::EMPTY
        });
    }
    batch
}

/// JSON without schema as tagged values; an array at the top of a record with a schema is its struct.
fn encode(value: &Value, writer: &mut Writer<'_>) {
    match value {
        Value::Null => writer.null(),
        Value::Bool(flag) => writer.bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => writer.int64(integer),
            None => writer.float64(number.as_f64().unwrap()),
        },
        Value::String(text) => writer.str(text),
        Value::Array(items) => {
            let open = writer.begin_array();
            for item in items {
                encode(item, writer);
            }
            writer.end(open, items.len());
        }
        Value::Object(fields) => {
            let open = writer.begin_map();
            for (name, field) in fields {
                writer.str(name);
                encode(field, writer);
            }
            writer.end(open, fields.len());
        }
    }
}

/// Puts a batch; what was refused, by index and message.
pub async fn put(task: &mut ElasticsearchSinkTask, records: &[Given<'_>]) -> Result<Vec<(usize, String)>> {
    let mut report = Report::default();
    task.put(&batch(records), &mut report).await?;
    let told = |(index, error): (usize, Error)| {
        assert_eq!(error.kind(), millrace_api::ErrorKind::Data);
        (index, error.message().to_owned())
    };
    Ok(report.into_rejected().into_iter().map(told).collect())
}
