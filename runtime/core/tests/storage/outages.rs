//! A log that comes and goes: what was written is read once, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::batch::raw::RawRecords;
use millrace_api::config::Props;
use millrace_api::connector::{Json, SourcePosition};
use millrace_api::log::{
    Appended, Committing, Consumer, ConsumerOptions, Event, GroupMetadata, Log, Offsets, Producer, ProducerOptions,
    TopicInfo, TopicPartition, TopicSpec,
};
use millrace_api::{Error, ErrorKind, Result};
use millrace_core::offsets::OffsetStores;
use millrace_core::storage::Entry;
use millrace_core::storage::topic::{CompactedTopic, Delivery, InternalTopic as _, Purpose, TopicOptions};
use millrace_local::{LocalLog, LocalOptions};
use serde_json::json;

/// Out of reach while `down`. Consumers that were open then have ended.
struct Flaky {
    log: LocalLog,
    down: Arc<AtomicBool>,
    failed: Arc<AtomicU32>,
}

struct FlakyConsumer {
    consumer: Box<dyn Consumer>,
    down: Arc<AtomicBool>,
    failed: Arc<AtomicU32>,
    ended: bool,
}

struct FlakyProducer {
    producer: Box<dyn Producer>,
    down: Arc<AtomicBool>,
    failed: Arc<AtomicU32>,
}

fn check(down: &AtomicBool, failed: &AtomicU32) -> Result<()> {
    if down.load(SeqCst) {
        failed.fetch_add(1, SeqCst);
        return Err(Error::retriable("out of reach"));
    }
    Ok(())
}

impl Flaky {
    fn check(&self) -> Result<()> {
        check(&self.down, &self.failed)
    }
}

#[async_trait]
impl Log for Flaky {
    async fn cluster_id(&self) -> Result<String> {
        self.log.cluster_id().await
    }
    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        self.check()?;
        self.log.create_topic(spec).await
    }
    async fn delete_topic(&self, name: &str) -> Result<()> {
        self.log.delete_topic(name).await
    }
    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.log.topics().await
    }
    async fn topic_config(&self, name: &str) -> Result<Props> {
        self.check()?;
        self.log.topic_config(name).await
    }
    async fn offsets(&self, topic: &str, read_committed: bool) -> Result<Vec<(i64, i64)>> {
        self.check()?;
        self.log.offsets(topic, read_committed).await
    }
    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>> {
        self.check()?;
        let producer = self.log.producer(options).await?;
        Ok(Box::new(FlakyProducer { producer, down: Arc::clone(&self.down), failed: Arc::clone(&self.failed) }))
    }
    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        self.check()?;
        let consumer = self.log.consumer(options).await?;
        let (down, failed) = (Arc::clone(&self.down), Arc::clone(&self.failed));
        Ok(Box::new(FlakyConsumer { consumer, down, failed, ended: false }))
    }
    async fn group_offsets(&self, group: &str) -> Result<Offsets> {
        self.log.group_offsets(group).await
    }
    async fn set_group_offsets(&self, group: &str, offsets: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        self.log.set_group_offsets(group, offsets).await
    }
    fn check_overrides(&self, overrides: &Props) -> Result<()> {
        self.log.check_overrides(overrides)
    }
}

#[async_trait]
impl Consumer for FlakyConsumer {
    async fn next(&mut self) -> Result<Event> {
        loop {
            if self.ended {
                return Err(Error::external("this consumer has ended"));
            }
            if let Err(error) = check(&self.down, &self.failed) {
                self.ended = self.failed.load(SeqCst).is_multiple_of(2);
                return Err(error);
            }
            // Notices an outage soon.
            if let Ok(event) = tokio::time::timeout(Duration::from_millis(20), self.consumer.next()).await {
                return event;
            }
        }
    }
    fn commit(&self, offsets: &Offsets) -> Committing {
        self.consumer.commit(offsets)
    }
    fn pause(&mut self, partitions: &[TopicPartition]) {
        self.consumer.pause(partitions);
    }
    fn resume(&mut self, partitions: &[TopicPartition]) {
        self.consumer.resume(partitions);
    }
    async fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.consumer.seek(partition, offset).await
    }
    fn group_metadata(&self) -> GroupMetadata {
        self.consumer.group_metadata()
    }
    fn lag(&self) -> Vec<(TopicPartition, i64)> {
        self.consumer.lag()
    }
    async fn close(self: Box<Self>) {
        self.consumer.close().await;
    }
}

#[async_trait]
impl Producer for FlakyProducer {
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
        check(&self.down, &self.failed)?;
        self.producer.send(records).await
    }
    async fn begin(&self) -> Result<()> {
        self.producer.begin().await
    }
    async fn send_offsets(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()> {
        self.producer.send_offsets(group, offsets).await
    }
    async fn commit(&self) -> Result<()> {
        self.producer.commit().await
    }
    async fn abort(&self) -> Result<()> {
        self.producer.abort().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_out() {
    let dir = tempfile::tempdir().unwrap();
    let (down, failed) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let log = LocalLog::open(dir.path(), LocalOptions::default()).unwrap();
    let log: Arc<dyn Log> = Arc::new(Flaky { log, down: Arc::clone(&down), failed: Arc::clone(&failed) });
    let switch = Arc::clone(&down);
    tokio::spawn(async move {
        for n in 0..6 {
            tokio::time::sleep(Duration::from_millis(if n % 2 == 0 { 400 } else { 150 })).await;
            switch.store(n % 2 != 0, SeqCst);
        }
        switch.store(false, SeqCst);
    });
    // It is down already.
    let (topic, mut deliveries) =
        CompactedTopic::open(log, TopicOptions::new(Purpose::Config, "configs")).await.unwrap();
    let reader = tokio::spawn(async move {
        let mut read: Vec<String> = Vec::new();
        while let Some(delivery) = deliveries.next().await {
            if let Delivery::Records(records) = delivery {
                read.extend(records.into_iter().map(|record| String::from_utf8(record.key).unwrap()));
            }
            if read.last().is_some_and(|key| key == "last") {
                break;
            }
        }
        read
    });
    let mut expected = Vec::new();
    for n in 0..60 {
        let key = format!("k{n}");
        topic.write(vec![Entry { key: key.clone().into_bytes(), value: Some(b"{}".to_vec()) }]).await.unwrap();
        topic.read_to_end().await.unwrap();
        expected.push(key);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    topic.write(vec![Entry { key: b"last".to_vec(), value: None }]).await.unwrap();
    expected.push("last".to_owned());
    assert_eq!(reader.await.unwrap(), expected);
    assert!(failed.load(SeqCst) > 3, "there was no outage");
    assert_eq!(topic.read_to_end().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[allow(clippy::needless_pass_by_value, reason = "callers write literals")]
fn map(value: serde_json::Value) -> Json {
    value.as_object().unwrap().clone()
}

/// The connector's own topic goes first, the worker's is behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_may_have_a_topic_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let log: Arc<dyn Log> = Arc::new(LocalLog::open(dir.path(), LocalOptions::default()).unwrap());
    let stores = OffsetStores::new(Arc::clone(&log), TopicOptions::new(Purpose::Offsets, "offsets"));
    let worker = stores.of_connector("c", None).await.unwrap();
    let own = stores.of_connector("c", Some("own")).await.unwrap();
    assert_eq!((worker.topic(), own.topic()), ("offsets", "own"));
    let (p, q) = (map(json!({"p": 1})), map(json!({"p": 2})));
    worker.alter(&[(p.clone(), Some(map(json!({"n": 1})))), (q.clone(), Some(map(json!({"n": 2}))))]).await.unwrap();
    let reader = own.reader().await.unwrap();
    assert_eq!(reader.offset(&p).await.unwrap(), Some(map(json!({"n": 1}))));
    // What is written to its own is mirrored.
    own.alter(&[(p.clone(), Some(map(json!({"n": 3}))))]).await.unwrap();
    own.refresh().await.unwrap();
    assert_eq!(reader.offset(&p).await.unwrap(), Some(map(json!({"n": 3}))));
    assert_eq!(worker.all().unwrap(), [(p.clone(), map(json!({"n": 3}))), (q.clone(), map(json!({"n": 2})))]);
    assert_eq!(own.all().unwrap().len(), 2);
    own.mirror(&[SourcePosition { partition: q.clone(), offset: map(json!({"n": 4})) }]);
    while worker.all().unwrap()[1].1 != map(json!({"n": 4})) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        worker.refresh().await.unwrap();
    }
    // A reset leaves nothing that could come back.
    own.alter(&[(q.clone(), None)]).await.unwrap();
    own.refresh().await.unwrap();
    assert_eq!(own.all().unwrap(), [(p, map(json!({"n": 3})))]);
    own.reset().await.unwrap();
    own.refresh().await.unwrap();
    assert!(own.all().unwrap().is_empty() && worker.all().unwrap().is_empty());
    stores.close().await;
    assert!(worker.refresh().await.is_err());
}
