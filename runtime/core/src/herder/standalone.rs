//! The herder of a single process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use millrace_api::config::{ConfigKey, Props};
use millrace_api::transform::ComponentKind;
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::mpsc;

use super::config_store::ConfigStore;
use super::state::{Effect, Event, HerderState};
use super::validate::validate;
use super::{ConfigInfos, ConnectorInfo, ConnectorStatus, Herder, PluginInfo, State, TargetState, not_found};
use crate::config::framework_def;
use crate::worker::{Worker, WorkerParts};

/// Keeps its state in memory, and on disk when it has a store.
pub struct StandaloneHerder {
    state: Mutex<HerderState>,
    worker: Arc<Worker>,
    store: Option<ConfigStore>,
    /// One change at a time, so that what is written down is in the order of what is done.
    changes: tokio::sync::Mutex<()>,
    ready: AtomicBool,
}

impl StandaloneHerder {
    /// Starts a herder with its worker, and the connectors that were written down before.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(parts: WorkerParts, worker_id: String, keep_configs: bool) -> Result<Arc<Self>> {
        let opened = if keep_configs {
            Some(ConfigStore::open(&parts.config.config_storage_topic, &parts.log).await?)
        } else {
            None
        };
        let (store, known) = opened.map_or((None, None), |(store, known)| (Some(store), Some(known)));
        let (events, receiver) = mpsc::unbounded_channel();
        let herder = Arc::new(Self {
            state: Mutex::new(HerderState::new(worker_id)),
            worker: Worker::new(parts, events),
            store,
            changes: tokio::sync::Mutex::new(()),
            ready: AtomicBool::new(false),
        });
        tokio::spawn(Self::listen(Arc::downgrade(&herder), receiver));
        for (name, (config, target)) in known.into_iter().flatten() {
            if let Err(error) = herder.put_known(name.clone(), config, target) {
                tracing::error!(connector = name, %error, "a connector that was written down cannot run any more");
            }
        }
        Ok(herder)
    }

    /// Says that startup has finished: every connector of the command line is registered.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Stops all connectors and tasks, committing what they have.
    pub async fn shutdown(&self) {
        self.worker.shutdown().await;
    }

    /// Takes what the worker reports, for as long as anybody holds the herder.
    async fn listen(herder: Weak<Self>, mut events: mpsc::UnboundedReceiver<Event>) {
        while let Some(event) = events.recv().await {
            let Some(herder) = herder.upgrade() else { break };
            let effects = herder.state().step(event);
            for effect in effects {
                herder.worker.apply(effect);
            }
        }
    }

    fn put_known(&self, name: String, config: Props, target: TargetState) -> Result<()> {
        let event = self.put_event(name, config, Some(target))?;
        let effects = self.state().step(event);
        for effect in effects {
            self.worker.apply(effect);
        }
        Ok(())
    }

    fn put_event(&self, name: String, config: Props, target: Option<TargetState>) -> Result<Event> {
        let class = config.get("connector.class").map_or("", String::as_str);
        let plugin = self.worker.parts().plugins.connector(class)?;
        let (kind, version) = (plugin.kind().name(), plugin.version().to_owned());
        Ok(Event::Put { name, config, kind, version, target })
    }

    /// Decides under the lock, writes down what must survive, then lets the worker act.
    async fn change(&self, event: Event) -> Result<()> {
        let effects = self.state().step(event);
        for effect in effects {
            if let (Effect::Persist { name, record }, Some(store)) = (&effect, &self.store) {
                store.write(name, record.as_ref()).await?;
            }
            self.worker.apply(effect);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, HerderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plugins(&self) -> &crate::plugins::Plugins {
        &self.worker.parts().plugins
    }
}

#[async_trait]
impl Herder for StandaloneHerder {
    async fn connectors(&self) -> Result<Vec<String>> {
        Ok(self.state().names())
    }

    async fn info(&self, name: &str) -> Result<ConnectorInfo> {
        self.state().info(name).ok_or_else(|| not_found(name))
    }

    async fn status(&self, name: &str) -> Result<ConnectorStatus> {
        let missing = || Error::new(ErrorKind::NotFound, format!("No status found for connector {name}"));
        self.state().connector_status(name).ok_or_else(missing)
    }

    async fn task_configs(&self, name: &str) -> Result<Vec<Props>> {
        self.state().task_configs(name).ok_or_else(|| not_found(name))
    }

    async fn put_config(
        &self,
        name: &str,
        config: Props,
        initial: Option<TargetState>,
        replace: bool,
    ) -> Result<(bool, ConnectorInfo)> {
        let infos = validate(self.plugins(), &config).await?;
        refuse_invalid(&infos)?;
        let _one_at_a_time = self.changes.lock().await;
        let existed = self.state().contains(name);
        if existed && !replace {
            return Err(Error::new(ErrorKind::Conflict, format!("Connector {name} already exists")));
        }
        let event = self.put_event(name.to_owned(), config, initial)?;
        self.change(event).await?;
        Ok((!existed, self.info(name).await?))
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let _one_at_a_time = self.changes.lock().await;
        if !self.state().contains(name) {
            return Err(not_found(name));
        }
        self.change(Event::Delete { name: name.to_owned() }).await
    }

    async fn set_target(&self, name: &str, target: TargetState) -> Result<()> {
        let _one_at_a_time = self.changes.lock().await;
        if !self.state().contains(name) {
            return Err(Error::new(ErrorKind::NotFound, format!("Unknown connector {name}")));
        }
        self.change(Event::Target { name: name.to_owned(), target }).await
    }

    async fn restart(&self, name: &str, include_tasks: bool, only_failed: bool) -> Result<ConnectorStatus> {
        let unknown = || Error::new(ErrorKind::NotFound, format!("Unknown connector: {name}"));
        let status = self.state().connector_status(name).ok_or_else(unknown)?;
        let wanted = |state: State| !only_failed || state == State::Failed;
        let tasks = status
            .tasks
            .iter()
            .filter(|(_, task)| include_tasks && wanted(task.state))
            .map(|(task, _)| *task)
            .collect();
        let event = Event::Restart { name: name.to_owned(), connector: wanted(status.connector.state), tasks };
        // The planned state is the answer, so it is taken before the worker can go further.
        let (effects, planned) = {
            let mut state = self.state();
            (state.step(event), state.connector_status(name))
        };
        for effect in effects {
            self.worker.apply(effect);
        }
        planned.ok_or_else(unknown)
    }

    async fn restart_task(&self, name: &str, task: i32) -> Result<()> {
        let status = self.state().connector_status(name);
        let status = status.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("Unknown connector: {name}")))?;
        if !status.tasks.iter().any(|(known, _)| *known == task) {
            return Err(Error::new(ErrorKind::NotFound, format!("Unknown task: {name}-{task}")));
        }
        self.change(Event::Restart { name: name.to_owned(), connector: false, tasks: vec![task] }).await
    }

    async fn validate(&self, plugin: &str, config: Props) -> Result<ConfigInfos> {
        let mut infos = validate(self.plugins(), &config).await?;
        plugin.clone_into(&mut infos.name);
        Ok(infos)
    }

    fn plugins(&self, connectors_only: bool) -> Vec<PluginInfo> {
        self.plugins().list(connectors_only)
    }

    fn plugin_config(&self, plugin: &str) -> Result<Vec<ConfigKey>> {
        if let Ok(connector) = self.plugins().connector(plugin) {
            return Ok(connector.config_def().and(framework_def(connector.kind())).keys);
        }
        if let Ok(converter) = self.plugins().converter(plugin) {
            return Ok(converter.config_def().keys);
        }
        let named = |class: &str| class == plugin || class.rsplit('.').next() == Some(plugin);
        let mut components = self.plugins().components.plugins().into_iter();
        let found = components.find(|component| component.kind != ComponentKind::Aggregate && named(&component.class));
        let unknown = || Error::new(ErrorKind::NotFound, format!("Unknown plugin {plugin}."));
        found.map(|component| component.config_def.keys).ok_or_else(unknown)
    }

    async fn cluster_id(&self) -> Result<String> {
        self.worker.parts().log.cluster_id().await
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn metrics(&self) -> String {
        self.worker.metrics().render()
    }
}

fn refuse_invalid(infos: &ConfigInfos) -> Result<()> {
    if infos.error_count == 0 {
        return Ok(());
    }
    let errors: Vec<&str> =
        infos.configs.iter().flat_map(|(_, value)| value.errors.iter().map(String::as_str)).collect();
    Err(Error::config(format!(
        "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also find the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
        errors.len(),
        errors.join("\n")
    )))
}
