//! What the list of plugins holds.

use async_trait::async_trait;
use millrace_api::config::{Config as _, ConfigDef, ConfigValue, Props};
use millrace_api::connector::{Connector, ConnectorPlugin, ConnectorType, PlainConnector, Task};

use crate::config::{self, HttpSourceConfig};
use crate::task::HttpSourceTask;

/// The HTTP source. One task, whatever `tasks.max` says: it owns the address.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpPlugin;

#[async_trait]
impl ConnectorPlugin for HttpPlugin {
    fn class(&self) -> &'static str {
        "io.millrace.connect.http.HttpSourceConnector"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["HttpSource", "HttpSourceConnector"]
    }

    fn task_class(&self) -> &'static str {
        "io.millrace.connect.http.HttpSourceTask"
    }

    fn kind(&self) -> ConnectorType {
        ConnectorType::Source
    }

    fn config_def(&self) -> ConfigDef {
        HttpSourceConfig::def()
    }

    async fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        config::validate(props)
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PlainConnector::single())
    }

    fn task(&self) -> Task {
        Task::Source(Box::new(HttpSourceTask::default()))
    }
}
