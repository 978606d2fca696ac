//! What a worker lends to a task, for tests of tasks that use nothing of it.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_api::Result;
use millrace_api::config::Props;
use millrace_api::connector::Services;
use millrace_api::log::{
    Consumer, ConsumerOptions, Log, Offsets, Producer, ProducerOptions, StateStores, StateTable, TopicInfo,
    TopicPartition, TopicSpec,
};
use millrace_api::transform::NoComponents;
use tokio_util::sync::CancellationToken;

/// A log, and state tables, that nobody may call: whoever does fails the test.
#[derive(Debug, Clone, Copy)]
pub struct Unused;

/// Services of which a task may use only the cancellation, which never comes.
#[must_use]
pub fn services() -> Services {
    Services {
        log: Arc::new(Unused),
        components: Arc::new(NoComponents),
        stores: Arc::new(Unused),
        cancel: CancellationToken::new(),
    }
}

#[async_trait]
impl Log for Unused {
    async fn cluster_id(&self) -> Result<String> {
        unreachable!("no log is used")
    }
    async fn create_topic(&self, _: &TopicSpec) -> Result<bool> {
        unreachable!("no log is used")
    }
    async fn delete_topic(&self, _: &str) -> Result<()> {
        unreachable!("no log is used")
    }
    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        unreachable!("no log is used")
    }
    async fn offsets(&self, _: &str, _: bool) -> Result<Vec<(i64, i64)>> {
        unreachable!("no log is used")
    }
    async fn producer(&self, _: ProducerOptions) -> Result<Box<dyn Producer>> {
        unreachable!("no log is used")
    }
    async fn consumer(&self, _: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        unreachable!("no log is used")
    }
    async fn group_offsets(&self, _: &str) -> Result<Offsets> {
        unreachable!("no log is used")
    }
    async fn set_group_offsets(&self, _: &str, _: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        unreachable!("no log is used")
    }
    fn check_overrides(&self, _: &Props) -> Result<()> {
        unreachable!("no log is used")
    }
}

impl StateStores for Unused {
    fn open(&self, _: &str) -> Result<Box<dyn StateTable>> {
        unreachable!("no state is used")
    }
    fn delete(&self, _: &str) -> Result<()> {
        unreachable!("no state is used")
    }
}
