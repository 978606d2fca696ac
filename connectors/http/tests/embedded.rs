//! Idempotency over the embedded log: what a task reads back is what a real log stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_wrap, reason = "tests")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::connector::{SourceBatch, SourceTask as _};
use millrace_api::log::{Log, Producer, ProducerOptions, TopicSpec};
use millrace_connector_http::HttpSourceTask;
use millrace_local::{LocalLog, LocalOptions};
use serde_json::json;
use support::{Answer, props, request, send, start_over};
use tokio::task::JoinHandle;

/// The records of a batch as converters write them, those for which `only` says so.
fn wire(batch: &SourceBatch, only: impl Fn(usize) -> bool) -> RawBatch {
    let mut raw = RawBatch::new();
    for (_, record) in batch.records.iter().enumerate().filter(|(index, _)| only(*index)) {
        let value = record.value().to_string();
        let headers = record.headers().map(|header| (header.name, header.value.as_str().map(str::as_bytes)));
        let raw_record = RawRecord {
            timestamp: record.timestamp().unwrap(),
            headers: headers.collect(),
            ..RawRecord::new(record.topic(), record.key().as_str().map(str::as_bytes), Some(value.as_bytes()))
        };
        raw.push(&raw_record).unwrap();
    }
    raw
}

async fn append(producer: &dyn Producer, batch: &SourceBatch, only: impl Fn(usize) -> bool) {
    for appended in producer.send(&wire(batch, only)).await.expect("sent") {
        appended.expect("appended");
    }
}

async fn start(log: &Arc<dyn Log>) -> (HttpSourceTask, SocketAddr) {
    let (task, started) = start_over(Arc::clone(log), &props(&[])).await;
    started.expect("started");
    let address = task.address().expect("address");
    (task, address)
}

async fn poll(task: &mut HttpSourceTask) -> SourceBatch {
    loop {
        let batch = task.poll().await.expect("polled");
        if !batch.records.is_empty() {
            return batch;
        }
    }
}

fn post(address: SocketAddr, body: &str, key: &str) -> JoinHandle<Answer> {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    tokio::spawn(send(request(address, "POST", "/api/orders", body, &headers)))
}

fn orders(count: usize) -> String {
    let orders: Vec<String> = (0..count).map(|id| format!(r#"{{"orderId":"o-{id}","price":{id}}}"#)).collect();
    format!("[{}]", orders.join(","))
}

#[tokio::test]
async fn keys_are_read_back_after_a_kill_but_not_those_of_aborted_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let log: Arc<dyn Log> = Arc::new(LocalLog::open(folder.path(), LocalOptions::default()).expect("log"));
    log.create_topic(&TopicSpec { partitions: Some(3), ..TopicSpec::new("orders-topic") }).await.expect("topic");
    let options = ProducerOptions { transactional_id: Some("shop-0".to_owned()), ..ProducerOptions::default() };
    let producer = log.producer(options.clone()).await.expect("producer");
    {
        let (mut task, address) = start(&log).await;
        let whole = post(address, &orders(20), "whole");
        let batch = poll(&mut task).await;
        producer.begin().await.unwrap();
        append(&*producer, &batch, |_| true).await;
        producer.commit().await.unwrap();
        task.committed(batch.token).await;
        assert_eq!(whole.await.unwrap().body, json!({"accepted": 20}));

        let aborted = post(address, &orders(5), "aborted");
        let batch = poll(&mut task).await;
        producer.begin().await.unwrap();
        append(&*producer, &batch, |_| true).await;
        producer.abort().await.unwrap();
        aborted.abort();

        let open = post(address, &orders(4), "open");
        let batch = poll(&mut task).await;
        producer.begin().await.unwrap();
        append(&*producer, &batch, |_| true).await;
        open.abort();
        // Neither committed nor aborted, and nobody stops the task: as after a kill.
    }
    // Opening the producer anew fences the old one and aborts what it left open; only then the task starts.
    let producer = log.producer(options).await.expect("producer");
    let (mut task, address) = start(&log).await;
    let answer = post(address, &orders(20), "whole").await.unwrap();
    assert_eq!(answer.body, json!({"accepted": 20, "duplicate": true}));
    for (key, count) in [("aborted", 5), ("open", 4)] {
        let answer = post(address, &orders(count), key);
        let batch = poll(&mut task).await;
        assert_eq!(batch.records.len(), count, "{key}");
        producer.begin().await.unwrap();
        append(&*producer, &batch, |_| true).await;
        producer.commit().await.unwrap();
        task.committed(batch.token).await;
        assert_eq!(answer.await.unwrap().body, json!({"accepted": count}));
    }
    task.stop().await;
    let ends: i64 = log.offsets("orders-topic", true).await.unwrap().iter().map(|(_, end)| end).sum();
    assert!(ends >= 29, "{ends}");
}

#[tokio::test]
async fn without_transactions_the_missing_part_of_a_request_is_appended() {
    let folder = tempfile::tempdir().unwrap();
    let log: Arc<dyn Log> = Arc::new(LocalLog::open(folder.path(), LocalOptions::default()).expect("log"));
    let producer = log.producer(ProducerOptions::default()).await.expect("producer");
    {
        // The topic does not exist yet: nothing to read back.
        let (mut task, address) = start(&log).await;
        let cut = post(address, &orders(10), "cut");
        let batch = poll(&mut task).await;
        append(&*producer, &batch, |index| index % 3 == 0).await;
        cut.abort();
    }
    let (mut task, address) = start(&log).await;
    let answer = post(address, &orders(10), "cut");
    let batch = poll(&mut task).await;
    let keys: Vec<_> = batch.records.iter().map(|record| record.key().as_str().unwrap().to_owned()).collect();
    assert_eq!(keys, ["o-1", "o-2", "o-4", "o-5", "o-7", "o-8"]);
    append(&*producer, &batch, |_| true).await;
    task.committed(batch.token).await;
    assert_eq!(answer.await.unwrap().body, json!({"accepted": 10}));
    task.stop().await;
    assert_eq!(log.offsets("orders-topic", true).await.unwrap(), [(0, 10)]);
    let (mut task, address) = start(&log).await;
    assert_eq!(post(address, &orders(10), "cut").await.unwrap().body, json!({"accepted": 10, "duplicate": true}));
    task.stop().await;
}
