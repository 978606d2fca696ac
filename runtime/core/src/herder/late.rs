//! A herder that is still being opened: the REST API answers from the first moment on, and what needs the herder waits for it.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_api::config::{ConfigKey, Props};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::watch;

use super::handle::plugin_config;
use super::{
    ConfigInfos, ConnectorInfo, ConnectorStatus, Herder, PluginInfo, Position, Signing, TargetState, WorkerHerder,
};
use crate::plugins::Plugins;
use crate::progress::TaskProgress;

/// Stands for a herder until it is there, and passes everything on to it then. Requests wait meanwhile, as they do for a starting
/// worker of Kafka Connect; whoever serves them has the deadline. It is not [ready](Herder::ready) before.
pub struct LateHerder {
    plugins: Arc<Plugins>,
    opened: watch::Sender<Option<Arc<WorkerHerder>>>,
}

impl LateHerder {
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(plugins: Arc<Plugins>) -> Self {
        Self { plugins, opened: watch::Sender::new(None) }
    }

    /// Here it is.
    pub fn open(&self, herder: Arc<WorkerHerder>) {
        self.opened.send_replace(Some(herder));
    }

    async fn herder(&self) -> Result<Arc<WorkerHerder>> {
        let mut opened = self.opened.subscribe();
        let found = opened.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        found.ok_or_else(|| Error::new(ErrorKind::Cancelled, "Worker is shutting down"))
    }

    fn present(&self) -> Option<Arc<WorkerHerder>> {
        self.opened.borrow().clone()
    }
}

#[async_trait]
impl Herder for LateHerder {
    async fn connectors(&self) -> Result<Vec<String>> {
        self.herder().await?.connectors().await
    }

    async fn info(&self, name: &str) -> Result<ConnectorInfo> {
        self.herder().await?.info(name).await
    }

    async fn status(&self, name: &str) -> Result<ConnectorStatus> {
        self.herder().await?.status(name).await
    }

    async fn task_configs(&self, name: &str) -> Result<Vec<Props>> {
        self.herder().await?.task_configs(name).await
    }

    async fn put_config(
        &self,
        name: &str,
        config: Props,
        initial: Option<TargetState>,
        replace: bool,
    ) -> Result<(bool, ConnectorInfo)> {
        self.herder().await?.put_config(name, config, initial, replace).await
    }

    async fn patch_config(&self, name: &str, patch: Vec<(String, Option<String>)>) -> Result<ConnectorInfo> {
        self.herder().await?.patch_config(name, patch).await
    }

    async fn offsets(&self, name: &str) -> Result<Vec<Position>> {
        self.herder().await?.offsets(name).await
    }

    async fn alter_offsets(&self, name: &str, offsets: Option<Vec<Position>>) -> Result<String> {
        self.herder().await?.alter_offsets(name, offsets).await
    }

    async fn active_topics(&self, name: &str) -> Result<Vec<String>> {
        self.herder().await?.active_topics(name).await
    }

    async fn reset_active_topics(&self, name: &str) -> Result<()> {
        self.herder().await?.reset_active_topics(name).await
    }

    async fn set_cluster_logger(&self, namespace: &str, level: &str) -> Result<()> {
        self.herder().await?.set_cluster_logger(namespace, level).await
    }

    async fn put_task_configs(&self, name: &str, configs: Vec<Props>) -> Result<()> {
        self.herder().await?.put_task_configs(name, configs).await
    }

    async fn fence_zombies(&self, name: &str) -> Result<()> {
        self.herder().await?.fence_zombies(name).await
    }

    fn signing(&self) -> Signing {
        self.present().map_or(Signing::Pending, |herder| herder.signing())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.herder().await?.delete(name).await
    }

    async fn set_target(&self, name: &str, target: TargetState) -> Result<()> {
        self.herder().await?.set_target(name, target).await
    }

    async fn restart(&self, name: &str, include_tasks: bool, only_failed: bool) -> Result<ConnectorStatus> {
        self.herder().await?.restart(name, include_tasks, only_failed).await
    }

    async fn restart_task(&self, name: &str, task: i32) -> Result<()> {
        self.herder().await?.restart_task(name, task).await
    }

    async fn validate(&self, plugin: &str, config: Props) -> Result<ConfigInfos> {
        self.herder().await?.validate(plugin, config).await
    }

    fn plugins(&self, connectors_only: bool) -> Vec<PluginInfo> {
        self.plugins.list(connectors_only)
    }

    fn plugin_config(&self, plugin: &str) -> Result<Vec<ConfigKey>> {
        plugin_config(&self.plugins, plugin)
    }

    async fn cluster_id(&self) -> Result<String> {
        self.herder().await?.cluster_id().await
    }

    fn ready(&self) -> bool {
        self.present().is_some_and(|herder| herder.ready())
    }

    fn metrics(&self) -> String {
        self.present().map(|herder| herder.metrics()).unwrap_or_default()
    }

    fn progress(&self) -> Vec<TaskProgress> {
        self.present().map(|herder| herder.progress()).unwrap_or_default()
    }
}
