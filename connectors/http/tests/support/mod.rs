//! The runtime's part, by hand: a log in memory, and a task that is polled, appended and told "committed" on command.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a harness of one test file"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords as _};
use millrace_api::config::Props;
use millrace_api::connector::{Json, OffsetReader, Services, SourceBatch, SourceContext, SourceTask as _};
use millrace_api::log::*;
use millrace_api::{Error, ErrorKind, Result};
use millrace_behaviour::unused::services;
use millrace_connector_http::HttpSourceTask;
use serde_json::Value;

/// A stored record: key, value as text, headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub partition: i32,
    pub timestamp: i64,
    pub key: Option<String>,
    pub value: String,
    pub headers: Vec<(String, String)>,
}

/// A topic in memory with two partitions. Offsets start at `begin`, as if older records had been deleted.
#[derive(Default)]
pub struct MemoryLog {
    pub topic: Mutex<Option<[Vec<Stored>; 2]>>,
}

impl MemoryLog {
    pub fn records(&self) -> Vec<Stored> {
        self.topic.lock().unwrap().iter().flatten().flatten().cloned().collect()
    }

    /// Appends as Kafka Connect's simple header converter and a producer would: record `n` goes to partition `n % 2`.
    pub fn append(&self, batch: &SourceBatch, only: impl Fn(usize) -> bool) {
        let mut topic = self.topic.lock().unwrap();
        let partitions = topic.get_or_insert_default();
        for (index, record) in batch.records.iter().enumerate().filter(|(index, _)| only(*index)) {
            assert_eq!(record.topic(), "orders-topic");
            let partition = index % 2;
            partitions[partition].push(Stored {
                partition: i32::try_from(partition).unwrap(),
                timestamp: record.timestamp().expect("timestamp"),
                key: (!record.key().is_null()).then(|| record.key().to_string()),
                value: record.value().to_string(),
                headers: record
                    .headers()
                    .map(|header| (header.name.to_owned(), header.value.as_str().expect("text").to_owned()))
                    .collect(),
            });
        }
    }
}

struct MemoryConsumer {
    events: Vec<Event>,
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self) -> Result<Event> {
        if self.events.is_empty() {
            return std::future::pending().await;
        }
        Ok(self.events.remove(0))
    }
    fn commit(&self, _: &Offsets) -> Committing {
        unreachable!()
    }
    fn pause(&mut self, _: &[TopicPartition]) {}
    fn resume(&mut self, _: &[TopicPartition]) {}
    async fn seek(&mut self, _: &TopicPartition, _: i64) -> Result<()> {
        unreachable!()
    }
    fn group_metadata(&self) -> GroupMetadata {
        unreachable!()
    }
    fn lag(&self) -> Vec<(TopicPartition, i64)> {
        Vec::new()
    }
    async fn close(self: Box<Self>) {}
}

#[async_trait]
impl Log for MemoryLog {
    async fn cluster_id(&self) -> Result<String> {
        Ok("memory".to_owned())
    }
    async fn create_topic(&self, _: &TopicSpec) -> Result<bool> {
        unreachable!()
    }
    async fn delete_topic(&self, _: &str) -> Result<()> {
        unreachable!()
    }
    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        Ok(Vec::new())
    }
    async fn offsets(&self, _: &str, read_committed: bool) -> Result<Vec<(i64, i64)>> {
        assert!(read_committed);
        match &*self.topic.lock().unwrap() {
            None => Err(Error::new(ErrorKind::NotFound, "no such topic")),
            Some(partitions) => Ok(partitions.iter().map(|records| (0, records.len() as i64)).collect()),
        }
    }
    async fn producer(&self, _: ProducerOptions) -> Result<Box<dyn Producer>> {
        unreachable!()
    }
    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        assert!(options.read_committed);
        let Subscription::Assign(starts) = options.subscription else { panic!("not assigned") };
        let topic = self.topic.lock().unwrap();
        let mut events = Vec::new();
        for (partition, start) in starts {
            let records = &topic.as_ref().unwrap()[usize::try_from(partition.partition).unwrap()];
            let mut batch = RawBatch::new();
            for (offset, record) in records.iter().enumerate().skip(usize::try_from(start).unwrap()) {
                let headers = record.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
                batch
                    .push(&RawRecord {
                        partition: partition.partition,
                        offset: offset as i64,
                        timestamp: record.timestamp,
                        headers: headers.collect(),
                        ..RawRecord::new("orders-topic", None, Some(record.value.as_bytes()))
                    })
                    .unwrap();
            }
            assert_eq!(batch.len() as i64, records.len() as i64 - start);
            events.push(Event::Records(Box::new(batch)));
        }
        Ok(Box::new(MemoryConsumer { events }))
    }
    async fn group_offsets(&self, _: &str) -> Result<Offsets> {
        Ok(BTreeMap::new())
    }
    async fn set_group_offsets(&self, _: &str, _: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        unreachable!()
    }
    fn check_overrides(&self, _: &Props) -> Result<()> {
        Ok(())
    }
}

struct NoOffsets;

#[async_trait]
impl OffsetReader for NoOffsets {
    async fn offset(&self, _: &Json) -> Result<Option<Json>> {
        Ok(None)
    }
}

/// Properties of the shop's orders, with changes.
pub fn props(changes: &[(&str, &str)]) -> Props {
    let schema = r#"{"type":"object","required":["orderId","price"],"properties":{"orderId":{"type":"string"},
        "price":{"type":"number","minimum":0}}}"#;
    let base = [
        ("topic", "orders-topic"),
        ("http.listen", "127.0.0.1:0"),
        ("http.path", "/api/orders"),
        ("key.field", "orderId"),
        ("http.schema", schema),
    ];
    base.iter().chain(changes).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Starts a task over a log.
pub async fn try_start(log: &Arc<MemoryLog>, props: &Props) -> (HttpSourceTask, Result<()>) {
    start_over(Arc::clone(log) as Arc<dyn Log>, props).await
}

pub async fn start_over(log: Arc<dyn Log>, props: &Props) -> (HttpSourceTask, Result<()>) {
    let mut task = HttpSourceTask::default();
    let services = Services { log, ..services() };
    let context = SourceContext {
        connector: Arc::from("shop"),
        task: 0,
        offsets: Arc::new(NoOffsets),
        exactly_once: true,
        services,
    };
    let started = task.start(context, props).await;
    (task, started)
}

/// A running task and where it listens.
pub struct Running {
    pub log: Arc<MemoryLog>,
    pub task: HttpSourceTask,
    pub address: SocketAddr,
}

impl Running {
    pub async fn start(log: &Arc<MemoryLog>, changes: &[(&str, &str)]) -> Self {
        let (task, started) = try_start(log, &props(changes)).await;
        started.expect("started");
        let address = task.address().expect("address");
        Self { log: Arc::clone(log), task, address }
    }

    /// The next batch that is not empty.
    pub async fn poll(&mut self) -> SourceBatch {
        loop {
            let batch = self.task.poll().await.expect("polled");
            if !batch.records.is_empty() {
                return batch;
            }
        }
    }

    /// Polls, appends and commits once.
    pub async fn deliver(&mut self) -> usize {
        let batch = self.poll().await;
        self.log.append(&batch, |_| true);
        self.task.committed(batch.token).await;
        batch.records.len()
    }

    /// Sends an order in the background.
    pub fn post(&self, body: &str, headers: &[(&str, &str)]) -> tokio::task::JoinHandle<Answer> {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        tokio::spawn(send(self.request("POST", "/api/orders", body, &all)))
    }

    pub fn request(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
        request(self.address, method, path, body, headers)
    }
}

pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<String>,
    pub allow: Option<String>,
    pub body: Value,
}

pub async fn send(request: Request<Full<Bytes>>) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.expect("answered");
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    let (status, retry_after, allow) = (response.status(), header("retry-after"), header("allow"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, retry_after, allow, body: serde_json::from_slice(&body).expect("JSON") }
}

pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}
