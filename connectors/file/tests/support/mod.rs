//! The runtime's part, by hand: these tasks use nothing of what a worker lends, except committed offsets.
#![allow(unreachable_pub, missing_docs, reason = "a harness of test files")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use millrace_api::batch::{Row, headers};
use millrace_api::config::Props;
use millrace_api::connector::{
    ConnectorPlugin as _, Json, OffsetReader, SinkContext, SinkTask, SourceContext, SourceTask, Task,
};
use millrace_api::{RecordBatch, Result, SchemaRef, Writer};
use millrace_behaviour::unused::services;
use millrace_connector_file::{FileStreamSinkPlugin, FileStreamSourcePlugin};

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
