//! What the list of plugins holds.

use std::time::Duration;

use async_trait::async_trait;
use millrace_api::config::{Config as _, ConfigDef, ConfigValue, Props};
use millrace_api::connector::{Connector, ConnectorPlugin, ConnectorType, PlainConnector, Task};
use millrace_api::{Error, ErrorKind};

use crate::client::Client;
use crate::config::ElasticsearchSinkConfig;
use crate::task::ElasticsearchSinkTask;

/// How long validation waits for the server.
const DEADLINE: Duration = Duration::from_secs(5);

/// The Elasticsearch sink.
#[derive(Debug, Clone, Copy, Default)]
pub struct ElasticsearchPlugin;

#[async_trait]
impl ConnectorPlugin for ElasticsearchPlugin {
    fn class(&self) -> &'static str {
        "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["io.aiven.connect.elasticsearch.ElasticsearchSinkConnector"]
    }

    fn task_class(&self) -> &'static str {
        "io.confluent.connect.elasticsearch.ElasticsearchSinkTask"
    }

    fn kind(&self) -> ConnectorType {
        ConnectorType::Sink
    }

    fn config_def(&self) -> ConfigDef {
        ElasticsearchSinkConfig::def()
    }

    /// Beside the table: what more than one key says, and, when all is well so far, whether the server answers.
    async fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        let mut values = ElasticsearchSinkConfig::def().validate(props);
        if values.iter().any(|value| !value.errors.is_empty()) {
            return values;
        }
        let Ok(config) = ElasticsearchSinkConfig::parse(props) else { return values };
        let found = match config.check() {
            Err(found) => Err(found),
            Ok(()) => reach(&config).await,
        };
        if let Err((key, error)) = found
            && let Some(value) = values.iter_mut().find(|value| value.name == key)
        {
            value.errors.push(error.message().to_owned());
        }
        values
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PlainConnector::many())
    }

    fn task(&self) -> Task {
        Task::Sink(Box::new(ElasticsearchSinkTask::default()))
    }
}

/// Asks the server who it is. Whatever keeps it from answering is told in one text, so that validation is no port scanner.
async fn reach(config: &ElasticsearchSinkConfig) -> Result<(), (&'static str, Error)> {
    let unreachable = || {
        let cause = "No Elasticsearch answered there in time; check the address, and that the worker may reach it";
        ("connection.url", Error::config(format!("Invalid value for configuration connection.url: {cause}")))
    };
    let client = Client::new(config)
        .map_err(|error| ("elastic.https.ssl.truststore.certificates", Error::config(error.message().to_owned())))?;
    match tokio::time::timeout(DEADLINE, client.ping()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::External => {
            let key = if config.username.is_some() { "connection.password" } else { "connection.username" };
            let cause = "The server refuses these credentials";
            Err((key, Error::config(format!("Invalid value [hidden] for configuration {key}: {cause}"))))
        }
        Ok(Err(_)) | Err(_) => Err(unreachable()),
    }
}
