//! The plugin: names, keys, validation.

use std::time::Duration;

use async_trait::async_trait;
use millrace_api::config::{Config as _, ConfigDef, ConfigValue, Props};
use millrace_api::connector::{Connector, ConnectorPlugin, ConnectorType, PlainConnector, Task};

use crate::config::SinkConfig;
use crate::dialect::{self, Dialect};
use crate::task::JdbcSinkTask;
use crate::url::{self, Target};
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
        let Ok(config) = SinkConfig::parse(props) else {
            // Something is wrong with another key; whoever mends it wants to know of the URL now, not then.
            if let Some(Err(error)) = props.get("connection.url").map(|url| url::parse(url.trim())) {
                say("connection.url", error.message().to_owned());
            }
            return values;
        };
        let mut problems = config.problems(props);
        match url::parse(&config.connection_url) {
            Err(error) => problems.push(("connection.url", error.message().to_owned())),
            Ok(target) => {
                problems.extend(target_problems(&config, &target));
                if problems.is_empty() && !answers(&target, &config).await {
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

/// Whether the database lets the connector in. Why not is for the worker's log only.
async fn answers(target: &Target, config: &SinkConfig) -> bool {
    match in_time(PROBE, dialect::connect(target, config)).await {
        Ok(session) => tokio::time::timeout(Duration::from_secs(1), session.close()).await.map_or(true, |()| true),
        Err(error) => {
            tracing::debug!(error = error.message, "validation could not connect");
            false
        }
    }
}

/// What does not go with the database that `connection.url` names: the key to show it at, and the sentence.
pub(crate) fn target_problems(config: &SinkConfig, target: &Target) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let (named, dialect) = (config.dialect_name.as_str(), Dialect::of(target).name);
    if !named.is_empty() && named != dialect {
        let cause = format!("connection.url is one of {dialect}; leave dialect.name out");
        problems.push(("dialect.name", format!("Invalid value {named} for configuration dialect.name: {cause}")));
    }
    if target.wants_user() && config.connection_user.as_deref().unwrap_or_default().is_empty() {
        let fix = "set it to the user to connect as";
        problems.push((
            "connection.user",
            format!("Missing configuration \"connection.user\", which this database needs; {fix}"),
        ));
    }
    problems
}
