//! The plugin: names, keys, validation.

use std::time::Duration;

use async_trait::async_trait;
use millrace_api::config::{Config as _, ConfigDef, ConfigValue, Props};
use millrace_api::connector::{Connector, ConnectorPlugin, ConnectorType, PlainConnector, Task};

use crate::config::SinkConfig;
use crate::dialect::{self, Dialect};
use crate::task::JdbcSinkTask;
use crate::url;
use crate::writer::in_time;

/// `io.confluent.connect.jdbc.JdbcSinkConnector`.
#[derive(Debug, Default, Clone, Copy)]
pub struct JdbcSinkPlugin;

/// How long `validate` tries to connect.
const PROBE: Duration = Duration::from_secs(5);

/// All that `validate` says of a failed connection, whatever the cause: it must not tell which ports are open.
const UNREACHABLE: &str = "Could not connect to the database with these settings; check connection.url, connection.user and \
    connection.password, and that the worker may reach the database";

#[async_trait]
impl ConnectorPlugin for JdbcSinkPlugin {
    fn class(&self) -> &'static str {
        "io.confluent.connect.jdbc.JdbcSinkConnector"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["io.aiven.connect.jdbc.JdbcSinkConnector"]
    }

    fn task_class(&self) -> &'static str {
        "io.confluent.connect.jdbc.sink.JdbcSinkTask"
    }

    fn kind(&self) -> ConnectorType {
        ConnectorType::Sink
    }

    fn config_def(&self) -> ConfigDef {
        SinkConfig::def()
    }

    async fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        let mut values = SinkConfig::def().validate(props);
        let mut say = |key: &str, problem: String| {
            if let Some(value) = values.iter_mut().find(|value| value.name == key) {
                value.errors.push(problem);
            }
        };
        let Ok(config) = SinkConfig::parse(props) else { return values };
        let mut problems = config.problems(props);
        let target = match url::parse(&config.connection_url) {
            Ok(target) => {
                problems.extend(dialect_problem(&config, Dialect::of(&target)));
                Some(target)
            }
            Err(error) => {
                problems.push(("connection.url", error.message().to_owned()));
                None
            }
        };
        if let (true, Some(target)) = (problems.is_empty(), target) {
            match in_time(PROBE, dialect::connect(&target, &config)).await {
                Ok(session) => drop(tokio::time::timeout(Duration::from_secs(1), session.close()).await),
                Err(error) => {
                    tracing::debug!(error = error.message, "validation could not connect");
                    problems.push(("connection.url", UNREACHABLE.to_owned()));
                }
            }
        }
        for (key, problem) in problems {
            say(key, problem);
        }
        values
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PlainConnector::many())
    }

    fn task(&self) -> Task {
        Task::Sink(Box::new(JdbcSinkTask::default()))
    }
}

/// `dialect.name` can only confirm what the URL says.
pub(crate) fn dialect_problem(config: &SinkConfig, dialect: &Dialect) -> Option<(&'static str, String)> {
    let named = config.dialect_name.as_str();
    if named.is_empty() || named == dialect.name {
        return None;
    }
    let message = format!(
        "Invalid value {named} for configuration dialect.name: connection.url is one of {}; leave dialect.name out",
        dialect.name
    );
    Some(("dialect.name", message))
}
