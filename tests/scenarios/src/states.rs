//! Everything that was ever written to a topic.

use std::collections::BTreeMap;

use millrace_api::log::{ConsumerOptions, Event, Log as _, Subscription, TopicPartition};
use millrace_kafka::{ClientProps, KafkaLog};

use crate::endpoint;

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

/// Keys and values of all records of a topic, in the order of their partitions.
pub async fn records(topic: &str) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    stored(topic).await.into_iter().map(|record| (record.key.unwrap_or_default(), record.value)).collect()
}

/// All records of a topic, in the order of their partitions.
pub async fn stored(topic: &str) -> Vec<Stored> {
    let log = KafkaLog::new(&endpoint("MILLRACE_TEST_KAFKA"), ClientProps::default()).expect("a client");
    let partitions = log.offsets(topic, false).await.expect("the topic").len();
    let from = (0..i32::try_from(partitions).expect("few")).map(|p| (TopicPartition::new(topic, p), -2)).collect();
    let mut options = ConsumerOptions::new("records", "", Subscription::Assign(from));
    options.end_events = true;
    let mut consumer = log.consumer(options).await.expect("a consumer");
    let (mut found, mut open) = (Vec::new(), partitions);
    while open > 0 {
        match consumer.next().await.expect("an event") {
            Event::Records(records) => {
                for record in (0..records.len()).filter_map(|index| records.get(index)) {
                    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                    let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), owned(*value)));
                    found.push(Stored {
                        key: owned(record.key),
                        value: owned(record.value),
                        headers: headers.collect(),
                        timestamp: record.timestamp,
                    });
                }
            }
            Event::EndOfPartition { .. } => open -= 1,
            _ => {}
        }
    }
    consumer.close().await;
    found
}

/// The states that were written under each key, oldest first: `RUNNING 127.0.0.1:8083 3` (state, worker, generation).
pub async fn history(topic: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (key, value) in records(topic).await {
        found.entry(String::from_utf8_lossy(&key).into_owned()).or_default().push(shown(value.as_deref()));
    }
    found
}

fn shown(value: Option<&[u8]>) -> String {
    let Some(value) = value.and_then(|value| serde_json::from_slice::<serde_json::Value>(value).ok()) else {
        return "gone".to_owned();
    };
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    format!("{} {} {}", text("state"), text("worker_id"), value["generation"])
}
