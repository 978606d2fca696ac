//! What the list of plugins holds of them.

use async_trait::async_trait;
use millrace_api::Result;
use millrace_api::config::{Config as _, ConfigDef, Props};
use millrace_api::connector::{Connector, ConnectorPlugin, ConnectorType, Json, PlainConnector, Task};

use crate::config::{SinkConfig, SourceConfig};
use crate::offsets;
use crate::task::{FileSinkTask, FileSourceTask};

/// `FileStreamSource`: one task, as a file has one reader.
pub struct FileStreamSourcePlugin;

#[async_trait]
impl ConnectorPlugin for FileStreamSourcePlugin {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSourceConnector"
    }

    fn task_class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSourceTask"
    }

    fn kind(&self) -> ConnectorType {
        ConnectorType::Source
    }

    fn config_def(&self) -> ConfigDef {
        SourceConfig::def()
    }

    /// Standard input cannot be read again.
    fn exactly_once(&self, props: &Props) -> bool {
        offsets::names_file(props)
    }

    async fn alter_offsets(&self, props: &Props, offsets: &[(Json, Option<Json>)]) -> Result<bool> {
        offsets::check(props, offsets).map(|()| true)
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PlainConnector::single())
    }

    fn task(&self) -> Task {
        Task::Source(Box::new(FileSourceTask::default()))
    }
}

/// `FileStreamSink`: any number of tasks append to one file, a batch at a time.
pub struct FileStreamSinkPlugin;

#[async_trait]
impl ConnectorPlugin for FileStreamSinkPlugin {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSinkConnector"
    }

    fn task_class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSinkTask"
    }

    fn kind(&self) -> ConnectorType {
        ConnectorType::Sink
    }

    fn config_def(&self) -> ConfigDef {
        SinkConfig::def()
    }

    /// A sink keeps no positions beside those of its consumer group.
    async fn alter_offsets(&self, _props: &Props, _offsets: &[(Json, Option<Json>)]) -> Result<bool> {
        Ok(true)
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PlainConnector::many())
    }

    fn task(&self) -> Task {
        Task::Sink(Box::new(FileSinkTask::default()))
    }
}
