//! The plugin and its connector: topics, and task configurations.

use async_trait::async_trait;
use millrace_api::config::{Config as _, ConfigDef, ConfigValue, Props};
use millrace_api::connector::{Connector, ConnectorPlugin, ConnectorType, Services, Task};
use millrace_api::log::{Log, TopicSpec};
use millrace_api::{Error, Result};

use crate::config::{self, AggregateConfig, Topics};
use crate::task::AggregateTask;

/// `io.millrace.connect.aggregate.AggregateConnector`.
pub struct AggregatePlugin;

#[async_trait]
impl ConnectorPlugin for AggregatePlugin {
    fn class(&self) -> &'static str {
        "io.millrace.connect.aggregate.AggregateConnector"
    }

    fn task_class(&self) -> &'static str {
        "io.millrace.connect.aggregate.AggregateTask"
    }

    fn kind(&self) -> ConnectorType {
        ConnectorType::Sink
    }

    fn config_def(&self) -> ConfigDef {
        AggregateConfig::def()
    }

    async fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        let mut values = self.config_def().validate(props);
        let clean = values.iter().all(|value| value.errors.is_empty());
        if let (true, Err(error)) = (clean, AggregateConfig::read(props))
            && let Some(value) = values.iter_mut().find(|value| value.name == "window.advance.ms")
        {
            value.errors.push(error.message().to_owned());
        }
        values
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(AggregateConnector { props: Props::new(), topics: None })
    }

    fn task(&self) -> Task {
        Task::Sink(Box::new(AggregateTask::default()))
    }
}

struct AggregateConnector {
    props: Props,
    topics: Option<Topics>,
}

#[async_trait]
impl Connector for AggregateConnector {
    async fn start(&mut self, services: Services, props: &Props) -> Result<()> {
        let config = AggregateConfig::read(props)?;
        if config::inputs(props).is_empty() {
            return Err(Error::config(
                "Missing required configuration \"topics\": an aggregate needs its input topics by name, topics.regex is not enough",
            ));
        }
        // Fails early when the aggregate is unknown or refuses its keys.
        services.components.windowed(&config.aggregate, props)?;
        let topics = config.topics(props.get("name").map_or("", String::as_str));
        create_topics(&config, &topics, &*services.log).await?;
        check_partitions(&config, &topics, &*services.log).await?;
        self.topics = Some(topics);
        self.props.clone_from(props);
        Ok(())
    }

    async fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Props>> {
        Ok(vec![self.props.clone(); max_tasks])
    }

    fn extra_topics(&self) -> Vec<String> {
        self.topics.iter().map(|topics| topics.repartition.clone()).collect()
    }
}

async fn create_topics(config: &AggregateConfig, topics: &Topics, log: &dyn Log) -> Result<()> {
    let partitions = Some(config.repartition_partitions);
    // Small segments, because compaction leaves the last one alone and a restart reads it all.
    let compacted = [("cleanup.policy", "compact"), ("segment.bytes", "52428800")];
    let watermarks =
        [("cleanup.policy", "compact"), ("segment.bytes", "4194304"), ("min.cleanable.dirty.ratio", "0.1")];
    // A partial state is needed until it is merged; a week covers an aggregate that was stopped for days.
    let week = [("cleanup.policy", "delete"), ("retention.ms", "604800000")];
    log.create_topic(&spec(&topics.repartition, partitions, &week)).await?;
    log.create_topic(&spec(&topics.changelog, partitions, &compacted)).await?;
    log.create_topic(&spec(&topics.watermarks, Some(1), &watermarks)).await?;
    log.create_topic(&spec(&config.output_topic, config.output_partitions, &[])).await?;
    if !config.late_topic.is_empty() {
        log.create_topic(&spec(&config.late_topic, None, &[])).await?;
    }
    Ok(())
}

/// Partials and watermarks of another number of partitions would miss each other.
async fn check_partitions(config: &AggregateConfig, topics: &Topics, log: &dyn Log) -> Result<()> {
    let internal = [&topics.repartition, &topics.changelog];
    for topic in log.topics().await?.iter().filter(|topic| internal.contains(&&topic.name)) {
        if topic.partitions != config.repartition_partitions {
            return Err(Error::config(format!(
                "Invalid value {} for configuration repartition.partitions: the topic {} has {} partitions already, and that cannot be changed",
                config.repartition_partitions, topic.name, topic.partitions
            )));
        }
    }
    Ok(())
}

fn spec(name: &str, partitions: Option<i32>, settings: &[(&str, &str)]) -> TopicSpec {
    let mut spec = TopicSpec { partitions, ..TopicSpec::new(name) };
    spec.config.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    spec
}
