//! The runtime's part, by hand: these tasks use nothing of what a worker lends, except committed offsets.
#![allow(unreachable_pub, missing_docs, reason = "a harness of test files")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use millrace_api::batch::{Row, headers};
use millrace_api::config::Props;
use millrace_api::connector::{
    ConnectorPlugin as _, Json, OffsetReader, Services, SinkContext, SinkTask, SourceContext, SourceTask, Task,
};
use millrace_api::log::*;
use millrace_api::transform::NoComponents;
use millrace_api::{Error, RecordBatch, Result, SchemaRef, Writer};
use millrace_connector_file::{FileStreamSinkPlugin, FileStreamSourcePlugin};
use tokio_util::sync::CancellationToken;

/// A log that nobody may call.
struct NoLog;

fn unused<T>() -> Result<T> {
    Err(Error::internal("a file task uses no log"))
}

#[async_trait]
impl Log for NoLog {
    async fn cluster_id(&self) -> Result<String> {
        unused()
    }
    async fn create_topic(&self, _: &TopicSpec) -> Result<bool> {
        unused()
    }
    async fn delete_topic(&self, _: &str) -> Result<()> {
        unused()
    }
    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        unused()
    }
    async fn offsets(&self, _: &str, _: bool) -> Result<Vec<(i64, i64)>> {
        unused()
    }
    async fn producer(&self, _: ProducerOptions) -> Result<Box<dyn Producer>> {
        unused()
    }
    async fn consumer(&self, _: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        unused()
    }
    async fn group_offsets(&self, _: &str) -> Result<Offsets> {
        unused()
    }
    async fn set_group_offsets(&self, _: &str, _: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        unused()
    }
    fn check_overrides(&self, _: &Props) -> Result<()> {
        unused()
    }
}

struct NoStores;

impl StateStores for NoStores {
    fn open(&self, _: &str) -> Result<Box<dyn StateTable>> {
        unused()
    }
    fn delete(&self, _: &str) -> Result<()> {
        unused()
    }
}

pub fn services() -> Services {
    Services {
        log: Arc::new(NoLog),
        components: Arc::new(NoComponents),
        stores: Arc::new(NoStores),
        cancel: CancellationToken::new(),
    }
}

/// Offsets as they were committed: the only source partition's, if any.
#[derive(Default)]
pub struct Committed(pub Mutex<Option<(Json, Json)>>);

#[async_trait]
impl OffsetReader for Committed {
    async fn offset(&self, partition: &Json) -> Result<Option<Json>> {
        let committed = self.0.lock().unwrap();
        Ok(committed.as_ref().filter(|(known, _)| known == partition).map(|(_, offset)| offset.clone()))
    }
}

pub fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub async fn source(offsets: &Arc<Committed>, config: &[(&str, &str)]) -> Box<dyn SourceTask> {
    let Task::Source(mut task) = FileStreamSourcePlugin.task() else { panic!("a source") };
    let context = SourceContext {
        connector: "lines".into(),
        task: 0,
        offsets: Arc::clone(offsets) as _,
        exactly_once: false,
        services: services(),
    };
    task.start(context, &props(config)).await.unwrap();
    task
}

pub async fn sink(config: &[(&str, &str)]) -> Result<Box<dyn SinkTask>> {
    let Task::Sink(mut task) = FileStreamSinkPlugin.task() else { panic!("a sink") };
    let context =
        SinkContext { connector: "out".into(), task: 0, group: "connect-out".to_owned(), services: services() };
    task.start(context, &props(config)).await.map(|()| task)
}

/// A batch of values of one schema.
pub fn batch(schema: Option<&SchemaRef>, values: &[&dyn Fn(&mut Writer<'_>)]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("t");
    let value_schema = schema.map_or(0, |schema| batch.intern_schema(schema));
    for (offset, write) in values.iter().enumerate() {
        let (value, ()) = batch
            .append(|heap| {
                write(&mut Writer::new(heap));
                Ok(())
            })
            .unwrap();
        let (headers, ()) = batch
            .append(|heap| {
                headers::push(heap, "h", 0, |w| w.bool(true));
                Ok(())
            })
            .unwrap();
        let offset = i64::try_from(offset).unwrap();
        batch.push(Row { topic, partition: 0, offset, value, value_schema, headers, ..Row::EMPTY });
    }
    batch
}
