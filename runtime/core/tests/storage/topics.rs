//! Topics, on any log.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::ErrorKind;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{Log, ProducerOptions, TopicSpec};
use millrace_core::storage::config::{ClusterConfig, connector_record, delete_records};
use millrace_core::storage::topic::{
    CompactedTopic, Deliveries, Delivery, InternalTopic, MemoryTopic, Purpose, TopicOptions,
};
use millrace_core::storage::{Entry, offsets};
use millrace_local::{LocalLog, LocalOptions};
use serde_json::json;

fn entry(key: &str, value: &str) -> Entry {
    Entry { key: key.as_bytes().to_vec(), value: Some(value.as_bytes().to_vec()) }
}

/// A name that no other run has.
pub fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{name}-{}", now.as_nanos())
}

async fn open(log: &Arc<dyn Log>, purpose: Purpose, name: &str) -> (CompactedTopic, Deliveries) {
    let mut options = TopicOptions::new(purpose, name);
    options.partitions = options.partitions.map(|partitions| partitions.min(2));
    CompactedTopic::open(Arc::clone(log), options).await.unwrap()
}

/// Values until everything that was there at first has been read.
async fn initial(deliveries: &mut Deliveries) -> Vec<String> {
    let mut values = Vec::new();
    loop {
        match next(deliveries).await {
            Delivery::Records(records) => values.extend(
                records
                    .into_iter()
                    .map(|record| record.value.map_or("null".to_owned(), |value| String::from_utf8(value).unwrap())),
            ),
            Delivery::CaughtUp => return values,
        }
    }
}

async fn next(deliveries: &mut Deliveries) -> Delivery {
    tokio::time::timeout(Duration::from_mins(1), deliveries.next()).await.expect("a delivery").expect("an open topic")
}

/// Reads on until the topic says that the end has been reached.
async fn to_end(topic: &dyn InternalTopic, deliveries: &mut Deliveries) -> Vec<String> {
    let mut values = Vec::new();
    let mut end = topic.read_to_end();
    loop {
        tokio::select! {
            reached = &mut end => {
                reached.unwrap();
                return values;
            }
            delivery = next(deliveries) => if let Delivery::Records(records) = delivery {
                values.extend(records.into_iter().map(|record| {
                    record.value.map_or("null".to_owned(), |value| String::from_utf8(value).unwrap())
                }));
            },
        }
    }
}

fn local(dir: &std::path::Path) -> Arc<dyn Log> {
    Arc::new(LocalLog::open(dir, LocalOptions::default()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_log_has_the_topics() {
    let dir = tempfile::tempdir().unwrap();
    all(&local(dir.path())).await;
}

/// Everything below, on one log.
pub async fn all(log: &Arc<dyn Log>) {
    records_come_in_order(log).await;
    what_it_is_not_is_refused(log).await;
    open_transactions_are_waited_for(log).await;
    one_leader_writes(log).await;
}

async fn records_come_in_order(log: &Arc<dyn Log>) {
    let name = unique("order");
    let (topic, mut deliveries) = open(log, Purpose::Config, &name).await;
    assert_eq!(initial(&mut deliveries).await, Vec::<String>::new());
    let expected: Vec<String> = (0..500).map(|n| format!("{{\"n\":{n}}}")).collect();
    // Writes that were not waited for keep their order, too.
    let writes = expected.iter().map(|value| topic.write(vec![entry("k", value), entry("l", value)]));
    for written in futures::future::join_all(writes).await {
        written.unwrap();
    }
    let read = to_end(&topic, &mut deliveries).await;
    assert_eq!(read, expected.iter().flat_map(|value| [value.clone(), value.clone()]).collect::<Vec<_>>());
    topic.write(vec![Entry { key: b"k".to_vec(), value: None }]).await.unwrap();
    assert_eq!(to_end(&topic, &mut deliveries).await, ["null"]);
    assert_eq!(to_end(&topic, &mut deliveries).await, Vec::<String>::new());
    let (_other, mut others) = open(log, Purpose::Config, &name).await;
    assert_eq!(initial(&mut others).await.last().map(String::as_str), Some("null"));
    topic.close().await;
    assert!(topic.write(vec![entry("k", "late")]).await.is_err());
    assert!(topic.read_to_end().await.is_err());
}

async fn what_it_is_not_is_refused(log: &Arc<dyn Log>) {
    let spec = |policy: &str, partitions: i32| {
        let mut spec = TopicSpec { partitions: Some(partitions), ..TopicSpec::new(unique("refused")) };
        spec.config.insert("cleanup.policy".to_owned(), policy.to_owned());
        spec
    };
    let wide = spec("compact", 2);
    log.create_topic(&wide).await.unwrap();
    let options = TopicOptions::new(Purpose::Config, &wide.name);
    let error = CompactedTopic::open(Arc::clone(log), options).await.err().expect("two partitions");
    assert_eq!(error.kind(), ErrorKind::Config);
    let expected = format!(
        "Topic '{}' supplied via the 'config.storage.topic' property is required to have a single partition in order to \
         guarantee consistency of connector configurations, but found 2 partitions.",
        wide.name
    );
    assert_eq!(error.message(), expected);
    let deleting = spec("delete", 1);
    log.create_topic(&deleting).await.unwrap();
    if log.topic_config(&deleting.name).await.unwrap().is_empty() {
        return;
    }
    let options = TopicOptions::new(Purpose::Status, &deleting.name);
    let error = CompactedTopic::open(Arc::clone(log), options).await.err().expect("not compacted");
    assert!(error.message().contains("but found the topic currently has 'cleanup.policy=delete'"), "{error}");
}

/// What is behind an open transaction may belong to somebody whose own is committed.
async fn open_transactions_are_waited_for(log: &Arc<dyn Log>) {
    let name = unique("transactions");
    let (topic, mut deliveries) = open(log, Purpose::Config, &name).await;
    initial(&mut deliveries).await;
    let producer = |id: &str| {
        let transactional_id = Some(format!("{name}-{id}"));
        log.producer(ProducerOptions { transactional_id, ..ProducerOptions::default() })
    };
    let (slow, quick) = (producer("slow").await.unwrap(), producer("quick").await.unwrap());
    let batch = |value: &str| {
        let mut batch = RawBatch::new();
        batch.push(&RawRecord::new(&name, Some(b"k"), Some(value.as_bytes()))).unwrap();
        batch
    };
    slow.begin().await.unwrap();
    slow.send(&batch("slow")).await.unwrap();
    quick.begin().await.unwrap();
    quick.send(&batch("quick")).await.unwrap();
    quick.commit().await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(1), to_end(&topic, &mut deliveries)).await;
    assert_eq!(early.ok(), None, "the end was reached before a transaction was over");
    slow.abort().await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(30), to_end(&topic, &mut deliveries)).await;
    assert_eq!(read.expect("the end"), ["quick"]);
    let (_again, mut deliveries) = open(log, Purpose::Config, &name).await;
    assert_eq!(initial(&mut deliveries).await, ["quick"]);
}

async fn one_leader_writes(log: &Arc<dyn Log>) {
    let name = unique("leader");
    let (first, mut deliveries) = open(log, Purpose::Config, &name).await;
    let (second, _others) = open(log, Purpose::Config, &name).await;
    assert_eq!(first.write_fenced(vec![entry("a", "0")]).await.unwrap_err().kind(), ErrorKind::Fenced);
    first.claim(&name).await.unwrap();
    first.claim(&name).await.unwrap();
    first.write_fenced(vec![entry("a", "1"), entry("b", "2")]).await.unwrap();
    second.claim(&name).await.unwrap();
    assert!(first.write_fenced(vec![entry("a", "3")]).await.is_err());
    second.write_fenced(vec![entry("a", "4")]).await.unwrap();
    assert_eq!(first.write_fenced(vec![entry("a", "5")]).await.unwrap_err().kind(), ErrorKind::Fenced);
    // What needs no privilege.
    first.write(vec![entry("c", "6")]).await.unwrap();
    assert_eq!(to_end(&first, &mut deliveries).await, ["1", "2", "4", "6"]);
}

#[tokio::test]
async fn memory_is_a_topic() {
    let memory = MemoryTopic::new();
    let (first, mut deliveries) = memory.open();
    assert_eq!(initial(&mut deliveries).await, Vec::<String>::new());
    let props = [("k".to_owned(), "v".to_owned())].into_iter().collect();
    first.write(vec![connector_record("a", &props), connector_record("b", &props)]).await.unwrap();
    first.write(delete_records("a")).await.unwrap();
    let mut config = ClusterConfig::new();
    let mut end = first.read_to_end();
    loop {
        tokio::select! {
            reached = &mut end => break reached.unwrap(),
            delivery = deliveries.next() => if let Some(Delivery::Records(records)) = delivery {
                for record in records {
                    config.apply(&record.key, record.value.as_deref(), record.offset);
                }
            },
        }
    }
    assert_eq!((config.names().collect::<Vec<_>>(), config.offset()), (vec!["b"], 4));
    let (second, mut others) = memory.open();
    assert_eq!(initial(&mut others).await, ["{\"properties\":{\"k\":\"v\"}}"]);
    first.claim("x").await.unwrap();
    second.claim("x").await.unwrap();
    assert_eq!(first.write_fenced(vec![entry("a", "3")]).await.unwrap_err().kind(), ErrorKind::Fenced);
    second.write_fenced(vec![entry("a", "4")]).await.unwrap();
    assert_eq!(to_end(&first, &mut deliveries).await, ["4"]);
}

#[test]
fn options_come_from_the_workers_keys() {
    let props = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let options = TopicOptions::of_worker(
        Purpose::Offsets,
        &props(&[
            ("offset.storage.topic", "o"),
            ("offset.storage.partitions", "7"),
            ("offset.storage.replication.factor", "-1"),
            ("offset.storage.segment.bytes", "1000"),
            ("offset.storage.cleanup.policy", "delete"),
            ("group.id", "g"),
        ]),
    )
    .unwrap();
    assert_eq!((options.name.as_str(), options.partitions, options.replication), ("o", Some(7), None));
    assert_eq!(options.client_id, "g-offsets");
    assert_eq!(options.settings, props(&[("segment.bytes", "1000")]));
    let error = TopicOptions::of_worker(Purpose::Config, &props(&[])).unwrap_err();
    assert!(error.message().contains("\"config.storage.topic\""), "{error}");
    let wrong = props(&[("status.storage.topic", "s"), ("status.storage.partitions", "0")]);
    assert!(
        TopicOptions::of_worker(Purpose::Status, &wrong).unwrap_err().message().contains("status.storage.partitions")
    );
}

#[test]
fn only_primitive_offsets_are_taken() {
    let check = |value: serde_json::Value| {
        offsets::check_format(value.as_object().unwrap()).map_err(|error| error.message().to_owned())
    };
    assert_eq!(check(json!({"a": 1, "b": null, "c": "x"})), Ok(()));
    let expected = "Offsets may only contain primitive types as values, but field b contains ARRAY".to_owned();
    assert_eq!(check(json!({"b": []})), Err(expected));
}
