//! Everything that was ever written to a topic.

use std::collections::BTreeMap;

use millrace_api::log::{ConsumerOptions, Event, Log as _, Subscription, TopicPartition};
use millrace_kafka::{ClientProps, KafkaLog};

use crate::endpoint;

/// All records of a topic, in the order of their partitions: key and value.
pub async fn records(topic: &str) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
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
                    found.push((record.key.unwrap_or_default().to_vec(), record.value.map(<[u8]>::to_vec)));
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
