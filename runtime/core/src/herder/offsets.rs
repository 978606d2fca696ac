//! Positions of connectors, read and changed by operators (KIP-875): a source's in the offsets topic, a sink's in its consumer group.
//! Messages are Kafka Connect's.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::connector::{ConnectorPlugin, ConnectorType, Json};
use millrace_api::log::TopicPartition;
use millrace_api::{Error, ErrorKind, Result};
use serde_json::Value;

use super::Position;
use crate::sink::consumer_group;
use crate::storage::offsets::{OffsetView, check_format};
use crate::storage::topic::{CompactedTopic, Delivery, InternalTopic, TopicOptions};
use crate::worker::Worker;

const TOPIC: &str = "kafka_topic";
const PARTITION: &str = "kafka_partition";
const OFFSET: &str = "kafka_offset";

/// For the whole of a request.
const DEADLINE: Duration = Duration::from_secs(85);

pub(super) async fn read(worker: &Worker, topic: &TopicOptions, name: &str, config: &Props) -> Result<Vec<Position>> {
    let plugin = plugin(worker, config)?;
    let failed = |error: Error| match plugin.kind() {
        ConnectorType::Sink => {
            wrap(error, format!("Failed to retrieve consumer group offsets for sink connector {name}"))
        }
        ConnectorType::Source => wrap(error, format!("Failed to retrieve offsets for source connector {name}")),
    };
    let reading = async {
        match plugin.kind() {
            ConnectorType::Sink => {
                let group = consumer_group(name, config, &worker.parts().props);
                let offsets = worker.parts().log.group_offsets(&group).await?;
                Ok(offsets.into_iter().map(|(partition, offset)| sink_position(&partition, offset)).collect())
            }
            ConnectorType::Source => {
                let (_, view) = open(worker, topic, config).await?;
                let offsets = view.offsets_of(name)?;
                Ok(offsets.into_iter().map(|(partition, offset)| (partition, Some(offset))).collect())
            }
        }
    };
    in_time(reading).await.map_err(failed)
}

/// Sets (`Some`) or resets all (`None`) positions of a connector that is stopped; what to answer.
pub(super) async fn alter(
    worker: &Worker,
    topic: &TopicOptions,
    name: &str,
    config: &Props,
    positions: Option<Vec<Position>>,
) -> Result<String> {
    let plugin = plugin(worker, config)?;
    let resets = positions.is_none();
    let altering = async {
        match plugin.kind() {
            ConnectorType::Sink => alter_sink(worker, &*plugin, name, config, positions).await,
            ConnectorType::Source => alter_source(worker, &*plugin, topic, name, config, positions).await,
        }
    };
    let done = if resets { "reset" } else { "altered" };
    Ok(if in_time(altering).await? {
        format!("The offsets for this connector have been {done} successfully")
    } else {
        format!(
            "The Connect framework-managed offsets for this connector have been {done} successfully. However, if this connector manages offsets externally, they will need to be manually {done} in the system that the connector uses."
        )
    })
}

async fn alter_sink(
    worker: &Worker,
    plugin: &dyn ConnectorPlugin,
    name: &str,
    config: &Props,
    positions: Option<Vec<Position>>,
) -> Result<bool> {
    let log = &worker.parts().log;
    let group = consumer_group(name, config, &worker.parts().props);
    let verb = if positions.is_some() { "alter" } else { "reset" };
    let offsets = if let Some(positions) = positions {
        parse_sink(&positions)?
    } else {
        let failed =
            |error| wrap(error, format!("Failed to list offsets prior to resetting offsets for sink connector {name}"));
        let known = log.group_offsets(&group).await.map_err(failed)?;
        known.into_keys().map(|partition| (partition, None)).collect()
    };
    let asked: Vec<Position> = offsets
        .iter()
        .map(|(partition, offset)| {
            let (key, value) = sink_position(partition, offset.unwrap_or_default());
            (key, value.filter(|_| offset.is_some()))
        })
        .collect();
    let managed = plugin.alter_offsets(config, &asked).await?;
    if let Some((_, Some(negative))) = offsets.iter().find(|(_, offset)| offset.is_some_and(|offset| offset < 0)) {
        return Err(Error::external(format!("Failed to modify offsets for sink connector {name}"))
            .because(Error::config(format!("an offset of Kafka is no less than 0, but one is {negative}"))));
    }
    log.set_group_offsets(&group, &offsets).await.map_err(|error| {
        let message = if error.kind() == ErrorKind::Conflict {
            format!(
                "Failed to {verb} consumer group offsets for connector {name} either because its tasks haven't stopped completely yet or the connector was resumed before the request to {verb} its offsets could be successfully completed. If the connector is in a stopped state, this operation can be safely retried. If it doesn't eventually succeed, the Connect cluster may need to be restarted to get rid of the zombie sink tasks."
            )
        } else {
            format!("Failed to {verb} consumer group offsets for connector {name}")
        };
        Error::external(message).because(error)
    })?;
    Ok(managed)
}

async fn alter_source(
    worker: &Worker,
    plugin: &dyn ConnectorPlugin,
    topic: &TopicOptions,
    name: &str,
    config: &Props,
    positions: Option<Vec<Position>>,
) -> Result<bool> {
    let (topic, view) = open(worker, topic, config).await?;
    let resets = positions.is_none();
    let positions = match positions {
        Some(positions) => positions,
        None => view.offsets_of(name)?.into_iter().map(|(partition, _)| (partition, None)).collect(),
    };
    for (partition, offset) in &positions {
        check_format(partition)
            .and_then(|()| offset.as_ref().map_or(Ok(()), check_format))
            .map_err(|error| external(&error))?;
    }
    let managed = plugin.alter_offsets(config, &positions).await?;
    let entries = if resets {
        view.reset_records(name)
    } else {
        positions.iter().map(|(partition, offset)| view.record(name, partition, offset.as_ref())).collect()
    };
    if entries.is_empty() {
        tracing::info!(connector = name, "there are no offsets to reset");
    } else {
        let failed =
            |error| Error::external(format!("Failed to modify offsets for source connector {name}")).because(error);
        topic.write(entries).await.map_err(failed)?;
    }
    Ok(managed)
}

fn plugin(worker: &Worker, config: &Props) -> Result<Arc<dyn ConnectorPlugin>> {
    worker.parts().plugins.connector(config.get("connector.class").map_or("", String::as_str))
}

/// The offsets topic of a connector, and everything in it by now.
async fn open(worker: &Worker, topic: &TopicOptions, config: &Props) -> Result<(CompactedTopic, OffsetView)> {
    let mut options = topic.clone();
    if let Some(own) = config.get("offsets.storage.topic").filter(|own| !own.trim().is_empty()) {
        options.name.clone_from(own);
    }
    let (topic, mut deliveries) = CompactedTopic::open(Arc::clone(&worker.parts().internal), options).await?;
    let mut view = OffsetView::new();
    loop {
        match deliveries.next().await {
            Some(Delivery::Records(records)) => {
                for record in &records {
                    view.apply(&record.key, record.value.as_deref());
                }
            }
            Some(Delivery::CaughtUp) => return Ok((topic, view)),
            None => return Err(Error::external("the offsets topic cannot be read")),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::new(ErrorKind::Timeout, "Request timed out"));
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(late)
}

fn wrap(error: Error, message: String) -> Error {
    Error::new(error.kind(), message).because(error)
}

/// Kafka Connect answers these with 500.
fn external(error: &Error) -> Error {
    Error::external(error.message().to_owned())
}

fn sink_position(partition: &TopicPartition, offset: i64) -> Position {
    let mut key = Json::new();
    // In the order of Java's HashMap.
    key.insert(PARTITION.to_owned(), partition.partition.into());
    key.insert(TOPIC.to_owned(), partition.topic.to_string().into());
    let mut value = Json::new();
    value.insert(OFFSET.to_owned(), offset.into());
    (key, Some(value))
}

/// `SinkUtils.parseSinkConnectorOffsets`; a partition that is named twice counts once, with what was said last.
fn parse_sink(positions: &[Position]) -> Result<Vec<(TopicPartition, Option<i64>)>> {
    let mut parsed: Vec<(TopicPartition, Option<i64>)> = Vec::new();
    for (partition, offset) in positions {
        let (Some(topic), Some(number)) = (partition.get(TOPIC), partition.get(PARTITION)) else {
            return Err(Error::config(format!(
                "The partition for a sink connector offset must contain the keys '{TOPIC}' and '{PARTITION}'"
            )));
        };
        if topic.is_null() {
            return Err(Error::config("Kafka topic names must be valid strings and may not be null"));
        }
        if number.is_null() {
            return Err(Error::config("Kafka partitions must be valid numbers and may not be null"));
        }
        let number = shown(number);
        let partition: i32 = number.parse().map_err(|_| {
            Error::config(format!(
                "Failed to parse the following Kafka partition value in the provided offsets: '{number}'. Partition values for sink connectors need to be integers."
            ))
        })?;
        let offset = offset.as_ref().map(parse_sink_offset).transpose()?;
        let partition = TopicPartition::new(shown(topic), partition);
        parsed.retain(|(known, _)| *known != partition);
        parsed.push((partition, offset));
    }
    Ok(parsed)
}

fn parse_sink_offset(offset: &Json) -> Result<i64> {
    let Some(value) = offset.get(OFFSET) else {
        return Err(Error::config(format!(
            "The offset for a sink connector should either be null or contain the key '{OFFSET}'"
        )));
    };
    let value = shown(value);
    value.parse().map_err(|_| {
        Error::config(format!(
            "Failed to parse the following Kafka offset value in the provided offsets: '{value}'. Offset values for sink connectors need to be integers."
        ))
    })
}

/// As Java's `String.valueOf`.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    fn refused(partition: &str, offset: &str) -> String {
        let offset = (offset != "null").then(|| json(offset));
        parse_sink(&[(json(partition), offset)]).unwrap_err().message().to_owned()
    }

    #[test]
    fn positions_of_sinks_are_read_as_java_does() {
        let text = [(json(r#"{"kafka_topic":"t","kafka_partition":"3"}"#), Some(json(r#"{"kafka_offset":"7"}"#)))];
        assert_eq!(parse_sink(&text).unwrap(), [(TopicPartition::new("t", 3), Some(7))]);
        let reset = [(json(r#"{"kafka_topic":5,"kafka_partition":0}"#), None)];
        assert_eq!(parse_sink(&reset).unwrap(), [(TopicPartition::new("5", 0), None)]);
        assert!(
            refused(r#"{"topic":"t"}"#, "null").starts_with("The partition for a sink connector offset must contain")
        );
        assert!(
            refused(r#"{"kafka_topic":null,"kafka_partition":0}"#, "null").starts_with("Kafka topic names must be")
        );
        assert!(refused(r#"{"kafka_topic":"t","kafka_partition":1.5}"#, "null").contains("'1.5'. Partition values"));
        assert!(
            refused(r#"{"kafka_topic":"t","kafka_partition":0}"#, r#"{"o":1}"#)
                .contains("contain the key 'kafka_offset'")
        );
    }
}
