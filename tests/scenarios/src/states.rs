//! Everything that was ever written to a status topic.

use std::collections::BTreeMap;

use millrace_api::log::{ConsumerOptions, Event, Log as _, Subscription, TopicPartition};
use millrace_kafka::{ClientProps, KafkaLog};

use crate::endpoint;

/// The states that were written under each key, oldest first: `RUNNING 127.0.0.1:8083 3` (state, worker, generation).
pub async fn history(topic: &str) -> BTreeMap<String, Vec<String>> {
    let log = KafkaLog::new(&endpoint("MILLRACE_TEST_KAFKA"), ClientProps::default()).expect("a client");
    let partitions = log.offsets(topic, false).await.expect("the topic").len();
    let from = (0..i32::try_from(partitions).expect("few")).map(|p| (TopicPartition::new(topic, p), -2)).collect();
    let mut options = ConsumerOptions::new("history", "", Subscription::Assign(from));
    options.end_events = true;
    let mut consumer = log.consumer(options).await.expect("a consumer");
    let (mut found, mut open) = (BTreeMap::<String, Vec<String>>::new(), partitions);
    while open > 0 {
        match consumer.next().await.expect("an event") {
            Event::Records(records) => {
                for record in (0..records.len()).filter_map(|index| records.get(index)) {
                    let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
                    found.entry(key).or_default().push(shown(record.value));
                }
            }
            Event::EndOfPartition { .. } => open -= 1,
            _ => {}
        }
    }
    consumer.close().await;
    found
}

fn shown(value: Option<&[u8]>) -> String {
    let Some(value) = value.and_then(|value| serde_json::from_slice::<serde_json::Value>(value).ok()) else {
        return "gone".to_owned();
    };
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    format!("{} {} {}", text("state"), text("worker_id"), value["generation"])
}
