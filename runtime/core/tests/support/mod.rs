//! A worker over the embedded log with connectors that do as a test says.

pub mod away;
pub mod faults;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::config::{Config as _, ConfigDef, Props};
use millrace_api::connector::{
    Commit, Connector, ConnectorPlugin, ConnectorType, PlainConnector, Report, SinkContext, SinkTask, SourceBatch,
    SourceContext, SourcePosition, SourceTask, Task,
};
use millrace_api::log::{
    ConsumerOptions, Event, GroupMetadata, Log, Offsets, Producer, ProducerOptions, Subscription, TopicPartition,
    TopicSpec,
};
use millrace_api::transform::NoComponents;
use millrace_api::{Error, RecordBatch, Result, Value};
use millrace_core::herder::{Herder as _, State, WorkerHerder};
use millrace_core::plugins::Plugins;
use millrace_core::worker::WorkerParts;
use millrace_core::worker_config::WorkerConfig;
use millrace_local::{LocalLog, LocalOptions, LocalStateStores};

/// What the test connectors did, by connector.
#[derive(Default)]
pub struct Seen {
    pub values: Mutex<HashMap<String, Vec<i64>>>,
    pub puts: AtomicU32,
    pub committed: Mutex<Vec<u64>>,
    /// Groups that sink tasks were told of.
    pub groups: Mutex<Vec<String>>,
    /// See [`away::Away`].
    pub away: Arc<AtomicU32>,
}

/// A sink that keeps the numbers it is given. `mode`: `ok`, `retry` (each batch fails once), `odd` (odd numbers fail their
/// batch as data), `reject` (odd numbers are reported), `hang`, `panic`, `transactional` (it commits positions itself).
struct TestSink {
    seen: Arc<Seen>,
    mode: String,
    connector: String,
    failed_once: bool,
    producer: Option<Box<dyn Producer>>,
}

#[async_trait]
impl SinkTask for TestSink {
    async fn start(&mut self, context: SinkContext, props: &Props) -> Result<()> {
        self.connector = context.connector.to_string();
        self.mode = props.get("mode").cloned().unwrap_or_else(|| "ok".to_owned());
        self.seen.groups.lock().unwrap().push(context.group);
        if self.mode == "transactional" {
            let options = ProducerOptions { transactional_id: Some("sink".to_owned()), ..ProducerOptions::default() };
            self.producer = Some(context.services.log.producer(options).await?);
        }
        Ok(())
    }

    async fn pre_commit(&mut self, positions: &Offsets, group: &GroupMetadata) -> Result<Commit> {
        let Some(producer) = &self.producer else { return Ok(Commit::Positions(positions.clone())) };
        producer.begin().await?;
        producer.send_offsets(group, positions).await?;
        producer.commit().await?;
        Ok(Commit::Done)
    }

    async fn put(&mut self, batch: &RecordBatch, report: &mut Report) -> Result<()> {
        self.seen.puts.fetch_add(1, Ordering::Relaxed);
        let numbers: Vec<i64> =
            batch.iter().map(|record| record.field("n").and_then(Value::as_i64).unwrap_or(-1)).collect();
        match self.mode.as_str() {
            "hang" => std::future::pending::<()>().await,
            "panic" => panic!("a connector that panics"),
            "retry" => {
                self.failed_once = !self.failed_once;
                if self.failed_once {
                    return Err(Error::retriable("not now"));
                }
            }
            "odd" if numbers.iter().any(|n| n % 2 != 0) => return Err(Error::data("odd numbers are not wanted")),
            _ => {}
        }
        let mut kept = self.seen.values.lock().unwrap();
        for (index, n) in numbers.into_iter().enumerate() {
            if self.mode == "reject" && n % 2 != 0 {
                report.reject(index, Error::data("odd"));
            } else {
                kept.entry(self.connector.clone()).or_default().push(n);
            }
        }
        Ok(())
    }
}

/// A source of the numbers up to `count`, ten a batch, that goes on from its offset. Numbers that end in 3 go to `odd.topic`.
struct TestSource {
    seen: Arc<Seen>,
    next: u64,
    count: u64,
    odd_topic: Option<String>,
}

#[async_trait]
impl SourceTask for TestSource {
    async fn start(&mut self, context: SourceContext, props: &Props) -> Result<()> {
        self.count = props.get("count").and_then(|n| n.parse().ok()).unwrap_or(100);
        self.odd_topic = props.get("odd.topic").cloned();
        let offset = context.offsets.offset(&partition()).await?;
        self.next = offset.and_then(|offset| offset.get("n")?.as_u64()).unwrap_or(0);
        Ok(())
    }

    async fn poll(&mut self) -> Result<SourceBatch> {
        if self.next >= self.count {
            std::future::pending::<()>().await;
        }
        let mut batch = SourceBatch { token: self.next, ..SourceBatch::default() };
        for _ in 0..10 {
            let (value, ()) = batch.records.append(|out| {
                let mut writer = millrace_api::Writer::new(out);
                let open = writer.begin_map();
                writer.str("n");
                writer.int64(i64::try_from(self.next).unwrap());
                writer.end(open, 1);
                Ok(())
            })?;
            let odd = self.odd_topic.as_deref().filter(|_| self.next % 10 == 3);
            let topic = batch.records.intern_topic(odd.unwrap_or("numbers"));
            batch.records.push(millrace_api::batch::Row { topic, value, ..millrace_api::batch::Row::EMPTY });
            self.next += 1;
        }
        let mut offset = millrace_api::connector::Json::new();
        offset.insert("n".to_owned(), self.next.into());
        batch.positions.push((10, SourcePosition { partition: partition(), offset }));
        Ok(batch)
    }

    async fn committed(&mut self, token: u64) {
        self.seen.committed.lock().unwrap().push(token);
    }
}

fn partition() -> millrace_api::connector::Json {
    [("p".to_owned(), "only".into())].into_iter().collect()
}

struct TestPlugin {
    seen: Arc<Seen>,
    kind: ConnectorType,
}

impl ConnectorPlugin for TestPlugin {
    fn class(&self) -> &'static str {
        match self.kind {
            ConnectorType::Sink => "test.TestSinkConnector",
            ConnectorType::Source => "test.TestSourceConnector",
        }
    }

    fn task_class(&self) -> &'static str {
        "test.TestTask"
    }

    fn kind(&self) -> ConnectorType {
        self.kind
    }

    fn config_def(&self) -> ConfigDef {
        ConfigDef::default()
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PlainConnector::many())
    }

    fn task(&self) -> Task {
        let seen = Arc::clone(&self.seen);
        match self.kind {
            ConnectorType::Sink => Task::Sink(Box::new(TestSink {
                seen,
                mode: String::new(),
                connector: String::new(),
                failed_once: false,
                producer: None,
            })),
            ConnectorType::Source => Task::Source(Box::new(TestSource { seen, next: 0, count: 0, odd_topic: None })),
        }
    }
}

/// What a worker with the test connectors is made of.
pub fn parts(dir: &std::path::Path, more: &[(&str, &str)], log: Arc<dyn Log>, seen: &Arc<Seen>) -> WorkerParts {
    let mut worker = props(&[
        ("offset.flush.interval.ms", "50"),
        ("task.shutdown.graceful.timeout.ms", "1000"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter.schemas.enable", "false"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
    ]);
    worker.extend(props(more));
    let kinds = [ConnectorType::Sink, ConnectorType::Source];
    let plugins = kinds.map(|kind| Arc::new(TestPlugin { seen: Arc::clone(seen), kind }) as Arc<dyn ConnectorPlugin>);
    let mut converters = millrace_converters::plugins();
    converters.push(Box::new(away::Away(Arc::clone(&seen.away))));
    let plugins = Plugins::new(plugins.into(), converters, Arc::new(NoComponents));
    WorkerParts {
        config: WorkerConfig::parse(&worker).expect("a worker configuration"),
        props: worker,
        plugins: Arc::new(plugins),
        internal: Arc::clone(&log),
        log,
        stores: Arc::new(LocalStateStores::open(dir, &LocalOptions::default()).expect("state tables")),
        kafka: false,
    }
}

/// A worker in a directory.
pub struct Bench {
    pub seen: Arc<Seen>,
    pub log: Arc<LocalLog>,
    pub herder: Arc<WorkerHerder>,
}

impl Bench {
    pub async fn open(dir: &std::path::Path) -> Self {
        Self::open_with(dir, &[]).await
    }

    /// With more worker properties.
    pub async fn open_with(dir: &std::path::Path, more: &[(&str, &str)]) -> Self {
        Self::open_on(dir, more, |log| log).await
    }

    /// With a log that fails the producers of sources.
    pub async fn open_faulty(dir: &std::path::Path, more: &[(&str, &str)], faults: Arc<faults::Faults>) -> Self {
        Self::open_on(dir, more, |inner| Arc::new(faults::FaultyLog { inner, faults })).await
    }

    async fn open_on(
        dir: &std::path::Path,
        more: &[(&str, &str)],
        wrap: impl FnOnce(Arc<dyn Log>) -> Arc<dyn Log>,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        // What the worker before has read may be let go a moment after it was dropped.
        let mut opened = LocalLog::open(dir, LocalOptions::default());
        for _ in 0..100 {
            if opened.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            opened = LocalLog::open(dir, LocalOptions::default());
        }
        let log = Arc::new(opened.expect("the embedded log"));
        let parts = parts(dir, more, wrap(Arc::clone(&log) as Arc<dyn Log>), &seen);
        let herder = WorkerHerder::start(parts, "127.0.0.1:1".to_owned(), true).await.expect("a herder");
        herder.set_ready();
        Self { seen, log, herder }
    }

    pub async fn put(&self, name: &str, pairs: &[(&str, &str)]) {
        let mut config = props(pairs);
        config.insert("name".to_owned(), name.to_owned());
        self.herder.put_config(name, config, None, true).await.expect("an accepted configuration");
    }

    pub async fn sink(&self, name: &str, mode: &str, others: &[(&str, &str)]) {
        let mut pairs = vec![("connector.class", "TestSink"), ("topics", "numbers"), ("mode", mode)];
        pairs.extend(others);
        self.put(name, &pairs).await;
    }

    /// Appends `{"n": …}` for each number.
    pub async fn produce(&self, numbers: std::ops::Range<i64>) {
        self.log.create_topic(&TopicSpec { partitions: Some(3), ..TopicSpec::new("numbers") }).await.expect("a topic");
        let producer = self.log.producer(ProducerOptions::default()).await.expect("a producer");
        let mut batch = RawBatch::new();
        for n in numbers {
            let (key, value) = (n.to_string(), format!("{{\"n\":{n}}}"));
            batch.push(&RawRecord::new("numbers", Some(key.as_bytes()), Some(value.as_bytes()))).expect("room");
        }
        producer.send(&batch).await.expect("sent").into_iter().for_each(|result| {
            result.expect("appended");
        });
    }

    /// The numbers a sink was given, sorted.
    pub fn got(&self, name: &str) -> Vec<i64> {
        let mut got = self.seen.values.lock().unwrap().get(name).cloned().unwrap_or_default();
        got.sort_unstable();
        got
    }

    pub async fn task_state(&self, name: &str) -> Option<(State, Option<String>)> {
        let status = self.herder.status(name).await.ok()?;
        status.tasks.first().map(|(_, task)| (task.state, task.trace.clone()))
    }

    /// Every record of a topic: key, value, headers.
    pub async fn read(&self, topic: &str) -> Vec<(Option<String>, String, Vec<(String, String)>)> {
        // A topic that nobody has written to yet holds nothing.
        let Ok(offsets) = self.log.offsets(topic, true).await else { return Vec::new() };
        let partitions = offsets.len();
        let from = (0..i32::try_from(partitions).unwrap()).map(|p| (TopicPartition::new(topic, p), -2)).collect();
        let mut options = ConsumerOptions::new("test", "", Subscription::Assign(from));
        options.end_events = true;
        let mut consumer = self.log.consumer(options).await.expect("a consumer");
        let (mut found, mut open) = (Vec::new(), partitions);
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        while open > 0 {
            match consumer.next().await.expect("an event") {
                Event::Records(records) => {
                    for record in (0..records.len()).filter_map(|index| records.get(index)) {
                        let headers = record
                            .headers
                            .iter()
                            .map(|(k, v)| ((*k).to_owned(), text(*v).unwrap_or_default()))
                            .collect();
                        found.push((text(record.key), text(record.value).unwrap_or_default(), headers));
                    }
                }
                Event::EndOfPartition { .. } => open -= 1,
                _ => {}
            }
        }
        found
    }
}

pub fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Waits until `done` says so.
pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
