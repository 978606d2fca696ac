//! What a connector implements. The runtime retries, meters, logs and dead-letters; a connector returns an error kind.

mod sink;
mod source;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use sink::{Commit, Report, SinkContext, SinkTask};
pub use source::{Json, OffsetReader, SourceBatch, SourceContext, SourcePosition, SourceTask};

use crate::config::{ConfigDef, ConfigValue, Props};
use crate::error::Result;
use crate::log::{Log, StateStores};
use crate::transform::Components;

/// What the worker lends to connectors and tasks.
#[derive(Clone)]
pub struct Services {
    /// The log. Only connectors whose meaning is the log itself use it (aggregates, idempotent sources).
    pub log: Arc<dyn Log>,
    /// WASM components.
    pub components: Arc<dyn Components>,
    /// Tables for state.
    pub stores: Arc<dyn StateStores>,
    /// Cancelled when the connector or task is to stop.
    pub cancel: CancellationToken,
}

/// Source or sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ConnectorType {
    Source,
    Sink,
}

impl ConnectorType {
    /// Name in REST answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

/// A new task, not started yet.
pub enum Task {
    /// Of a source connector.
    Source(Box<dyn SourceTask>),
    /// Of a sink connector.
    Sink(Box<dyn SinkTask>),
}

/// What the list of plugins (`plugins.rs`) holds of a connector: a stateless description and a factory.
#[async_trait]
pub trait ConnectorPlugin: Send + Sync {
    /// Class name as Kafka Connect shows it, for instance `org.apache.kafka.connect.file.FileStreamSinkConnector`.
    fn class(&self) -> &'static str;

    /// Other names it answers to, beside the simple class name with and without `Connector`.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// `task.class` in task configurations.
    fn task_class(&self) -> &'static str;

    /// Source or sink.
    fn kind(&self) -> ConnectorType;

    /// Version to show.
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Its own keys, without those every connector has.
    fn config_def(&self) -> ConfigDef;

    /// Value and errors of its own keys. May connect to the other side; the runtime sets a deadline.
    async fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        self.config_def().validate(props)
    }

    /// Whether a source can have its records and offsets written in one transaction with this configuration: what it reads can be read
    /// again from an offset.
    fn exactly_once(&self, _props: &Props) -> bool {
        true
    }

    /// An operator wants other offsets for a stopped source connector (KIP-875): checks them, and changes what the connector keeps
    /// elsewhere; `None` for an offset removes it. Whether the connector took care of it: when not, the answer says that offsets kept
    /// elsewhere are the operator's. Sources that know what their offsets look like refuse others here.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming what is wrong with which offset.
    async fn alter_offsets(&self, _props: &Props, _offsets: &[(Json, Option<Json>)]) -> Result<bool> {
        Ok(false)
    }

    /// A connector, not started yet.
    fn connector(&self) -> Box<dyn Connector>;

    /// A task, not started yet; it may run on another worker than its connector.
    fn task(&self) -> Task;
}

/// A running connector: it only plans tasks. Every call has a deadline and runs off the control thread.
#[async_trait]
pub trait Connector: Send {
    /// Starts with a configuration that passed validation.
    ///
    /// # Errors
    /// Any; the connector is FAILED then, with the error as its trace.
    async fn start(&mut self, services: Services, props: &Props) -> Result<()>;

    /// Configurations for at most `max_tasks` tasks.
    ///
    /// # Errors
    /// As [`Connector::start`].
    async fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Props>>;

    /// Topics that tasks of a sink consume beside `topics`, made by the connector itself (a repartition topic). Called after
    /// [`Connector::start`].
    fn extra_topics(&self) -> Vec<String> {
        Vec::new()
    }

    /// Stops. Called once, also after a failed start.
    async fn stop(&mut self) {}
}

/// A connector whose tasks all get the connector's own configuration: up to `tasks.max` of them, or just one.
pub struct PlainConnector {
    props: Props,
    single: bool,
}

impl PlainConnector {
    /// As many tasks as `tasks.max` allows.
    #[must_use]
    pub fn many() -> Self {
        Self { props: Props::new(), single: false }
    }

    /// One task, whatever `tasks.max` says.
    #[must_use]
    pub fn single() -> Self {
        Self { props: Props::new(), single: true }
    }
}

#[async_trait]
impl Connector for PlainConnector {
    async fn start(&mut self, _services: Services, props: &Props) -> Result<()> {
        self.props.clone_from(props);
        Ok(())
    }

    async fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Props>> {
        Ok(vec![self.props.clone(); if self.single { 1 } else { max_tasks }])
    }
}
