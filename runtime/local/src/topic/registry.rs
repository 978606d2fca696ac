//! All topics, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use millrace_api::config::Props;
use millrace_api::log::{TopicSpec, topic_name_fault};
use millrace_api::{Error, Result};

use super::{Topic, TopicConfig};
use crate::error::{corrupt, no_topic};
use crate::keys::{self, Mark};
use crate::options::LocalOptions;
use crate::store::Store;

/// All topics. Changes here are followed at once by a command to the writer, which makes them durable.
pub(crate) struct Registry {
    inner: RwLock<Inner>,
}

struct Inner {
    topics: BTreeMap<Arc<str>, Arc<Topic>>,
    next: u32,
}

impl Registry {
    /// Reads the topics of a store and finds the ends of their partitions.
    pub(crate) fn load(store: &Store, options: &LocalOptions) -> Result<Self> {
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_be_bytes).map_err(|_| corrupt("reading topics"));
        let next = store.meta(keys::NEXT_TOPIC)?.map_or(Ok(1), |bytes| number(&bytes))?;
        let mut topics = BTreeMap::new();
        for (key, value) in store.scan_meta(keys::TOPICS)? {
            let name = key.get(keys::TOPICS.len()..).and_then(|name| std::str::from_utf8(name).ok());
            let topic = decode(name.ok_or_else(|| corrupt("reading topics"))?, &value, options)?;
            for partition in &topic.partitions {
                let mark = |mark| store.mark(mark, partition);
                let start = mark(Mark::Start)?.unwrap_or(0);
                let last = store.last(partition)?.map_or(0, |last| last + 1);
                partition.restore(start, last.max(start).max(mark(Mark::Floor)?.unwrap_or(0)));
            }
            topics.insert(Arc::clone(&topic.name), Arc::new(topic));
        }
        Ok(Self { inner: RwLock::new(Inner { topics, next }) })
    }

    /// The topic with a name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).topics.get(name).cloned()
    }

    /// The topic with a name, or the error that says it is not there.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Topic>> {
        self.get(name).ok_or_else(|| no_topic(name))
    }

    /// All topics in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).topics.values().cloned().collect()
    }

    /// Adds a topic; the other answer is the topic that exists already. `announce` runs before anybody else sees the topic.
    pub(crate) fn add(
        &self,
        spec: &TopicSpec,
        options: &LocalOptions,
        announce: impl FnOnce(&Arc<Topic>, u32),
    ) -> Result<Result<Arc<Topic>, Arc<Topic>>> {
        check_name(&spec.name)?;
        if spec.replication.is_some_and(|replication| replication < 1 && replication != -1) {
            return Err(Error::config("Replication factor must be larger than 0, or -1 for the log's default"));
        }
        let count = spec.partitions.filter(|count| *count != -1).unwrap_or(options.default_partitions);
        if !(1..=100_000).contains(&count) {
            return Err(Error::config(
                "Number of partitions must be between 1 and 100000, or -1 for the log's default",
            ));
        }
        let config = TopicConfig::parse(&spec.config, options)?;
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = inner.topics.get(spec.name.as_str()) {
            return Ok(Err(Arc::clone(topic)));
        }
        let topic = Arc::new(Topic::new(&spec.name, inner.next, count, spec.config.clone(), config));
        inner.next += 1;
        announce(&topic, inner.next);
        inner.topics.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        Ok(Ok(topic))
    }

    /// Takes a topic out of the list.
    pub(crate) fn remove(&self, name: &str) -> Result<Arc<Topic>> {
        let removed = self.inner.write().unwrap_or_else(PoisonError::into_inner).topics.remove(name);
        let topic = removed.ok_or_else(|| no_topic(name))?;
        topic.mark_deleted();
        Ok(topic)
    }
}

/// A topic as it is stored.
pub(crate) fn encode(topic: &Topic) -> Vec<u8> {
    let config: serde_json::Map<_, _> =
        topic.props.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    let value = serde_json::json!({ "id": topic.id, "partitions": topic.count(), "config": config });
    value.to_string().into_bytes()
}

fn decode(name: &str, bytes: &[u8], options: &LocalOptions) -> Result<Topic> {
    let bad = || corrupt("reading topics").with("topic", name);
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| bad().because(error))?;
    let number = |key| value.get(key).and_then(serde_json::Value::as_u64);
    let id = number("id").and_then(|id| u32::try_from(id).ok()).ok_or_else(bad)?;
    let partitions = number("partitions").and_then(|count| i32::try_from(count).ok()).ok_or_else(bad)?;
    let settings = value.get("config").and_then(serde_json::Value::as_object).ok_or_else(bad)?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let props: Props = settings.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let config = TopicConfig::parse(&props, options)?;
    Ok(Topic::new(name, id, partitions, props, config))
}

/// Refuses names that Kafka would refuse.
fn check_name(name: &str) -> Result<()> {
    let Some(fault) = topic_name_fault(name) else { return Ok(()) };
    Err(Error::config(format!("Invalid topic name: {fault}"))
        .with("topic", name.escape_default().take(260).collect::<String>()))
}
