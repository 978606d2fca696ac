//! [`KafkaLog`].

use async_trait::async_trait;
use millrace_api::config::Props;
use millrace_api::error::{Error, Result};
use millrace_api::log::{
    Consumer, ConsumerOptions, Log, Offsets, Producer, ProducerOptions, TopicInfo, TopicPartition, TopicSpec,
};

use crate::admin::Admin;
use crate::client::{self, ClientProps};
use crate::consumer::KafkaConsumer;
use crate::producer::KafkaProducer;
use crate::{allow, consumer, producer};

/// Kafka as the log. One per worker; opening it connects nothing yet.
pub struct KafkaLog {
    bootstrap: String,
    props: ClientProps,
    admin: Admin,
}

impl KafkaLog {
    /// A log over the brokers of `bootstrap` (`host:port` pairs, comma-separated), with the worker's settings of its clients.
    /// Connectors' own settings come with [`ProducerOptions`] and [`ConsumerOptions`].
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the setting that is not allowed, the cause and the fix.
    pub fn new(bootstrap: &str, props: ClientProps) -> Result<Self> {
        if bootstrap.trim().is_empty() || bootstrap.contains(|c: char| c.is_control()) {
            return Err(Error::config(
                "Invalid value for configuration bootstrap.servers: use host:port pairs, separated by commas",
            ));
        }
        producer::check(&props)?;
        consumer::check(&props)?;
        let admin = Admin::open(bootstrap, &props)?;
        Ok(Self { bootstrap: bootstrap.to_owned(), props, admin })
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn cluster_id(&self) -> Result<String> {
        self.admin.cluster_id().await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        self.admin.create_topic(spec).await
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        self.admin.delete_topic(name).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.admin.topics().await
    }

    async fn topic_config(&self, name: &str) -> Result<Props> {
        self.admin.topic_config(name).await
    }

    async fn offsets(&self, topic: &str, read_committed: bool) -> Result<Vec<(i64, i64)>> {
        self.admin.offsets(topic, read_committed).await
    }

    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>> {
        Ok(Box::new(KafkaProducer::open(&self.bootstrap, &self.props, options).await?))
    }

    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        let (bootstrap, props) = (self.bootstrap.clone(), self.props.clone());
        let consumer = client::create(move || KafkaConsumer::open(&bootstrap, &props, options)).await?;
        Ok(Box::new(consumer))
    }

    async fn group_offsets(&self, group: &str) -> Result<Offsets> {
        self.admin.group_offsets(group).await
    }

    async fn set_group_offsets(&self, group: &str, offsets: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        self.admin.set_group_offsets(group, offsets).await
    }

    fn check_overrides(&self, overrides: &Props) -> Result<()> {
        allow::check(overrides)
    }
}
