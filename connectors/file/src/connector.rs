//! What the list of plugins holds of them.

use millrace_api::config::{Config as _, ConfigDef};
use millrace_api::connector::{Connector, ConnectorPlugin, ConnectorType, PlainConnector, Task};

use crate::config::{SinkConfig, SourceConfig};
use crate::task::{FileSinkTask, FileSourceTask};

/// `FileStreamSource`: one task, as a file has one reader.
pub struct FileStreamSourcePlugin;

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

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PlainConnector::single())
    }

    fn task(&self) -> Task {
        Task::Source(Box::new(FileSourceTask::default()))
    }
}

/// `FileStreamSink`: any number of tasks append to one file, a batch at a time.
pub struct FileStreamSinkPlugin;

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

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PlainConnector::many())
    }

    fn task(&self) -> Task {
        Task::Sink(Box::new(FileSinkTask::default()))
    }
}
