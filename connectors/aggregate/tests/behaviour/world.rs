//! The embedded log with an aggregate's topics, and records in and out of it.

use std::path::Path;
use std::sync::Arc;

use millrace_api::Result;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::config::Props;
use millrace_api::connector::{ConnectorPlugin as _, Services};
use millrace_api::log::{
    ConsumerOptions, Event, Log, ProducerOptions, StateStores, Subscription, TopicPartition, TopicSpec,
};
use millrace_api::transform::{Chain, ComponentPlugin, Components, NoChain, Windowed};
use millrace_connector_aggregate::AggregatePlugin;
use millrace_local::{LocalLog, LocalOptions, LocalStateStores};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::counter::Counter;
use crate::faults::{Faults, FaultyLog, FaultyStores};

pub(crate) const HOUR: i64 = 3_600_000;

/// One log, one connector named `hourly`.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) services: Services,
    pub(crate) faults: Arc<Faults>,
    pub(crate) props: Props,
    pub(crate) partitions: i32,
}

/// A result, as the output topic has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Emitted {
    pub(crate) window: i64,
    pub(crate) group: String,
    pub(crate) count: i64,
    pub(crate) last: bool,
}

impl World {
    /// Hourly counts of the topic `orders`, an hour of grace, late records to `late`; `more` overrides.
    pub(crate) async fn new(partitions: i32, more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let faults = Arc::default();
        let services = open(dir.path(), &faults);
        let base = [
            ("name", "hourly"),
            ("topics", "orders"),
            ("aggregate", "Counter"),
            ("window.size.ms", "3600000"),
            ("window.grace.ms", "3600000"),
            ("watermark.idle.ms", "3600000"),
            ("output.topic", "counts"),
            ("late.topic", "late"),
            ("repartition.partitions", "2"),
        ];
        let props = base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let world = Self { dir, services, faults, props, partitions };
        for topic in ["orders", "refunds"] {
            let spec = TopicSpec { partitions: Some(partitions), ..TopicSpec::new(topic) };
            world.services.log.create_topic(&spec).await.expect("created");
        }
        world.start_connector().await.expect("started");
        world
    }

    pub(crate) async fn start_connector(&self) -> Result<()> {
        AggregatePlugin.connector().start(self.services.clone(), &self.props).await
    }

    /// The same log, and other tables.
    pub(crate) fn other_worker(&self) -> Services {
        let stores = LocalStateStores::open(self.dir.path().join("other"), &LocalOptions::default());
        Services { stores: Arc::new(stores.expect("state tables")), ..self.services.clone() }
    }

    /// Closes log and tables and opens them again; with `forget`, without the tables. No member may be left.
    pub(crate) fn reopen(self, forget: bool) -> Self {
        let Self { dir, services, faults, props, partitions } = self;
        drop(services);
        if forget {
            std::fs::remove_dir_all(dir.path().join("state")).expect("removed");
        }
        let services = open(dir.path(), &faults);
        Self { dir, services, faults, props, partitions }
    }

    /// Appends records to a partition of `orders`: event time and value.
    pub(crate) async fn produce(&self, partition: i32, records: &[(i64, Json)]) {
        self.produce_to("orders", partition, records).await;
    }

    pub(crate) async fn produce_to(&self, topic: &str, partition: i32, records: &[(i64, Json)]) {
        let producer = self.services.log.producer(ProducerOptions::default()).await.expect("a producer");
        let mut batch = RawBatch::new();
        for (timestamp, value) in records {
            let value = value.to_string();
            let headers = vec![("origin", Some(b"test".as_slice()))];
            let record = RawRecord::new(topic, Some(b"k"), Some(value.as_bytes()));
            batch.push(&RawRecord { partition, timestamp: *timestamp, headers, ..record }).expect("pushed");
        }
        for appended in producer.send(&batch).await.expect("sent") {
            appended.expect("appended");
        }
    }

    /// Records without fields, at these times.
    pub(crate) async fn produce_at(&self, partition: i32, times: &[i64]) {
        let records: Vec<_> = times.iter().map(|at| (*at, serde_json::json!({}))).collect();
        self.produce(partition, &records).await;
    }

    /// All committed records of a topic, partition by partition: timestamp, value.
    pub(crate) async fn read(&self, topic: &str) -> Vec<(i64, Json)> {
        let mut found = Vec::new();
        let ends = self.services.log.offsets(topic, true).await.expect("offsets");
        for (partition, (begin, end)) in (0..).zip(ends).filter(|(_, (begin, end))| begin < end) {
            let start = vec![(TopicPartition::new(topic, partition), begin)];
            let mut options = ConsumerOptions::new("reader", "", Subscription::Assign(start));
            options.end_events = true;
            let mut consumer = self.services.log.consumer(options).await.expect("a consumer");
            loop {
                match consumer.next().await.expect("an event") {
                    Event::Records(records) => {
                        for record in (0..records.len()).map(|index| records.get(index).expect("a record")) {
                            let value =
                                record.value.map_or(Json::Null, |value| serde_json::from_slice(value).expect("JSON"));
                            found.push((record.timestamp, value));
                        }
                    }
                    Event::EndOfPartition { offset, .. } if offset >= end => break,
                    _ => {}
                }
            }
        }
        found
    }

    /// All results in their order.
    pub(crate) async fn results(&self) -> Vec<Emitted> {
        let emitted = self.read("counts").await.into_iter().map(|(timestamp, value)| {
            let number = |field: &str| value[field].as_i64().expect("a number");
            assert_eq!((number("window"), number("end")), (timestamp, timestamp + size(&self.props)));
            Emitted {
                window: timestamp,
                group: value["group"].as_str().expect("text").to_owned(),
                count: number("count"),
                last: value["final"].as_bool().expect("a flag"),
            }
        });
        emitted.collect()
    }

    /// The final results: window, group and count, sorted. Fails when a window is final twice or changes after that.
    pub(crate) async fn finals(&self) -> Vec<(i64, String, i64)> {
        let mut finals: Vec<(i64, String, i64)> = Vec::new();
        for Emitted { window, group, count, last } in self.results().await {
            let over = finals.iter().any(|(other, name, _)| *other == window && *name == group);
            assert!(!over, "window {window} of {group} has a result after its final one");
            if last {
                finals.push((window, group, count));
            }
        }
        finals.sort();
        finals
    }
}

fn size(props: &Props) -> i64 {
    props["window.size.ms"].parse().expect("a number")
}

fn open(dir: &Path, faults: &Arc<Faults>) -> Services {
    let options = LocalOptions::default();
    let stores: Arc<dyn StateStores> = Arc::new(LocalStateStores::open(dir, &options).expect("state tables"));
    let log: Arc<dyn Log> = Arc::new(LocalLog::open(dir.join("log"), options).expect("a log"));
    Services {
        log: Arc::new(FaultyLog { inner: log, faults: Arc::clone(faults) }),
        components: Arc::new(Counters),
        stores: Arc::new(FaultyStores { inner: stores, faults: Arc::clone(faults) }),
        cancel: CancellationToken::new(),
    }
}

/// Offers the counter under every name.
struct Counters;

impl Components for Counters {
    fn plugins(&self) -> Vec<ComponentPlugin> {
        Vec::new()
    }

    fn chain(&self, _connector: &Props) -> Result<Box<dyn Chain>> {
        Ok(Box::new(NoChain))
    }

    fn windowed(&self, _class: &str, _props: &Props) -> Result<Box<dyn Windowed>> {
        Ok(Box::new(Counter))
    }
}
