//! Connector configurations, kept in a compacted topic in Kafka Connect's format: `connector-<c>` and `target-state-<c>`.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_api::Result;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::config::Props;
use millrace_api::log::{
    ConsumerOptions, Event, Log, Producer, ProducerOptions, Subscription, TopicPartition, TopicSpec,
};
use serde_json::{Map, Value, json};

use super::TargetState;

/// The connectors of a standalone worker on disk.
pub(super) struct ConfigStore {
    topic: String,
    producer: Box<dyn Producer>,
}

impl ConfigStore {
    /// Opens the topic, creating it, and reads what is in it.
    ///
    /// # Errors
    /// When the log is out of reach.
    pub(super) async fn open(
        topic: &str,
        log: &Arc<dyn Log>,
    ) -> Result<(Self, BTreeMap<String, (Props, TargetState)>)> {
        let mut spec = TopicSpec { partitions: Some(1), ..TopicSpec::new(topic) };
        spec.config.insert("cleanup.policy".to_owned(), "compact".to_owned());
        log.create_topic(&spec).await?;
        let connectors = read(topic, log).await?;
        let client_id = "connect-configs-writer".to_owned();
        let producer = log.producer(ProducerOptions { client_id, ..ProducerOptions::default() }).await?;
        Ok((Self { topic: topic.to_owned(), producer }, connectors))
    }

    /// Writes a connector down, or removes it, durably. The target comes first, so that a reader never starts what is to be
    /// stopped.
    ///
    /// # Errors
    /// When the log refuses.
    pub(super) async fn write(&self, name: &str, record: Option<&(Props, TargetState)>) -> Result<()> {
        let (target, connector) = match record {
            Some((props, target)) => {
                (Some(target_json(*target)), Some(json!({ "properties": object(props) }).to_string()))
            }
            None => (None, None),
        };
        let mut batch = RawBatch::new();
        let keys = [(format!("target-state-{name}"), target), (format!("connector-{name}"), connector)];
        for (key, value) in &keys {
            let value = value.as_ref().map(String::as_bytes);
            batch.push(&RawRecord { partition: 0, ..RawRecord::new(&self.topic, Some(key.as_bytes()), value) })?;
        }
        for result in self.producer.send(&batch).await? {
            result?;
        }
        Ok(())
    }
}

fn target_json(target: TargetState) -> String {
    let (old, new) = match target {
        TargetState::Started => ("STARTED", "STARTED"),
        TargetState::Paused => ("PAUSED", "PAUSED"),
        TargetState::Stopped => ("PAUSED", "STOPPED"),
    };
    json!({ "state": old, "state.v2": new }).to_string()
}

fn object(props: &Props) -> Map<String, Value> {
    props.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()
}

async fn read(topic: &str, log: &Arc<dyn Log>) -> Result<BTreeMap<String, (Props, TargetState)>> {
    let partition = TopicPartition::new(topic, 0);
    let mut options = ConsumerOptions::new("connect-configs-reader", "", Subscription::Assign(vec![(partition, -2)]));
    options.end_events = true;
    let mut consumer = log.consumer(options).await?;
    let (mut configs, mut targets) = (BTreeMap::new(), BTreeMap::new());
    loop {
        match consumer.next().await? {
            Event::Records(records) => fold(&*records, &mut configs, &mut targets),
            Event::EndOfPartition { .. } => break,
            Event::Assigned(_) | Event::Revoked { .. } => {}
        }
    }
    consumer.close().await;
    let target = |name: &str| targets.get(name).copied().unwrap_or(TargetState::Started);
    Ok(configs.into_iter().map(|(name, props)| (name.clone(), (props, target(&name)))).collect())
}

fn fold(records: &dyn RawRecords, configs: &mut BTreeMap<String, Props>, targets: &mut BTreeMap<String, TargetState>) {
    for index in 0..records.len() {
        let Some(record) = records.get(index) else { break };
        let Some(key) = record.key.and_then(|key| std::str::from_utf8(key).ok()) else { continue };
        let value: Option<Value> = record.value.and_then(|value| serde_json::from_slice(value).ok());
        if let Some(name) = key.strip_prefix("target-state-") {
            match value.as_ref().and_then(target_of) {
                Some(target) => targets.insert(name.to_owned(), target),
                None => targets.remove(name),
            };
        } else if let Some(name) = key.strip_prefix("connector-") {
            match value.as_ref().and_then(|value| value.get("properties")).and_then(Value::as_object) {
                Some(properties) => configs.insert(name.to_owned(), props(properties)),
                None => configs.remove(name),
            };
        }
    }
}

fn target_of(value: &Value) -> Option<TargetState> {
    match value.get("state.v2").or_else(|| value.get("state"))?.as_str()? {
        "STARTED" => Some(TargetState::Started),
        "PAUSED" => Some(TargetState::Paused),
        "STOPPED" => Some(TargetState::Stopped),
        _ => None,
    }
}

fn props(properties: &Map<String, Value>) -> Props {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    properties.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}
