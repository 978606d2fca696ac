//! The herder as others hold it: it asks the loop, and does what takes time (validation, offsets) in the caller's task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::config::{ConfigKey, Default, Props};
use millrace_api::transform::ComponentKind;
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use super::driver::{Command, Shared};
use super::machine::{Answer, Machine, Request};
use super::validate::validate;
use super::{
    ConfigInfos, ConnectorInfo, ConnectorStatus, Herder, PluginInfo, Position, Signing, State, Status, TargetState,
    not_found, offsets,
};
use crate::config::framework_def;
use crate::peers::Peers;
use crate::plugins::Plugins;
use crate::progress::TaskProgress;
use crate::storage::topic::InternalTopic;
use crate::task::TaskId;
use crate::worker::{Fencing, Worker};

/// Kafka Connect's limit for a request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(90);

/// For a connector's own checks, and a little.
const VALIDATE_DEADLINE: Duration = Duration::from_secs(20);

/// For reading the configuration topic to its end (`worker.sync.timeout.ms`).
const SYNC_DEADLINE: Duration = Duration::from_secs(3);

/// For the tasks of a connector that was stopped to end, wherever they are. Workers give them up after `task.shutdown.graceful.timeout.ms`.
const END_DEADLINE: Duration = Duration::from_mins(1);

/// Between looks whether they have.
const END_PAUSE: Duration = Duration::from_millis(20);

/// The herder of this worker, alone or in a group. Opened by [`WorkerHerder::standalone`] and [`WorkerHerder::distributed`].
pub struct WorkerHerder {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) worker: Arc<Worker>,
    pub(super) config_topic: Arc<dyn InternalTopic>,
    pub(super) shared: Arc<Shared>,
    /// Options of the offsets topic, for connectors without one of their own.
    pub(super) offsets_topic: crate::storage::topic::TopicOptions,
    pub(super) worker_id: String,
    pub(super) ready: AtomicBool,
    /// The way to other workers; none for a worker that is alone.
    pub(super) peers: Option<Arc<dyn Peers>>,
    /// One round at a time: a second one would fence what the first has let start.
    pub(super) fencing: tokio::sync::Mutex<()>,
}

impl WorkerHerder {
    /// Says that startup has finished: every connector of the command line is registered.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Stops all connectors and tasks, committing what they have, writes down that nobody runs them, and leaves the group.
    pub async fn shutdown(&self) {
        let (done, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).is_ok() {
            // The loop has a deadline of its own.
            let _ = stopped.await;
        }
        self.worker.offsets().close().await;
    }

    /// Asks the loop; it answers from what it has read.
    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Machine) -> T + Send + 'static) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let question = Box::new(move |machine: &Machine| {
            // Whoever asked may have gone.
            let _ = reply.send(question(machine));
        });
        self.commands.send(Command::Ask(question)).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }

    async fn request(&self, request: Request) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Request { request, reply }).map_err(|_| stopped())?;
        let late = |_| Error::new(ErrorKind::Timeout, "Request timed out");
        tokio::time::timeout(REQUEST_DEADLINE, answer).await.map_err(late)?.map_err(|_| stopped())?
    }

    async fn done(&self, request: Request) -> Result<()> {
        self.request(request).await.map(|_| ())
    }

    /// What another worker is to answer needs no work here. While nobody knows who leads, work may begin.
    async fn refer(&self, otherwise: &'static str) -> Result<()> {
        match self.ask(move |machine| machine.check_leader(otherwise)).await? {
            Err(error) if error.url().is_some() => Err(error),
            _ => Ok(()),
        }
    }

    /// Connector code may hang or block: it has a thread of its own and a deadline.
    async fn check(&self, config: &Props) -> Result<ConfigInfos> {
        let (worker, config) = (Arc::clone(&self.worker), config.clone());
        let runtime = tokio::runtime::Handle::current();
        let checking = tokio::task::spawn_blocking(move || {
            runtime.block_on(async { validate(&worker.parts().plugins, &config).await })
        });
        match tokio::time::timeout(VALIDATE_DEADLINE, checking).await {
            Ok(Ok(checked)) => checked,
            Ok(Err(panic)) => {
                Err(Error::internal("validating the configuration panicked; this is a bug").because(panic))
            }
            Err(_) => {
                Err(Error::new(ErrorKind::Timeout, "The connector did not validate its configuration within 20 s"))
            }
        }
    }

    fn known(&self) -> &Plugins {
        &self.worker.parts().plugins
    }

    /// A class that other workers of the group have and this one, its leader, has not: it cannot check the configuration.
    async fn refuse_foreign(&self, class: &str, error: Error) -> Result<()> {
        let asked = class.to_owned();
        let others = self.ask(move |machine| machine.others_with(&asked)).await?;
        if others.is_empty() {
            return Ok(());
        }
        Err(Error::config(format!(
            "{}. This worker, {}, leads the group and does not have the class {class}, so it cannot check the configuration; {} has it. \
             Stop this worker, create or change the connector at the other one, and start this worker again: connectors that exist are \
             placed where their class is",
            error.message(),
            self.worker_id,
            others.join(" and ")
        )))
    }

    /// The configuration of a stopped connector, once its tasks have ended. Kafka Connect does not wait: the last commit of a task may
    /// then undo what is written for it.
    async fn ended(&self, name: &str) -> Result<Props> {
        let ending = async {
            loop {
                let asked = name.to_owned();
                if let Some(config) = self.ask(move |machine| machine.stopped_config(&asked)).await?? {
                    return Ok(config);
                }
                tokio::time::sleep(END_PAUSE).await;
            }
        };
        let late = |_| {
            Error::external(format!(
                "Failed to modify offsets for connector {name} because its tasks haven't stopped completely yet. This operation can be safely retried"
            ))
        };
        tokio::time::timeout(END_DEADLINE, ending).await.map_err(late)?
    }

    async fn put_valid(
        &self,
        name: &str,
        config: Props,
        target: Option<TargetState>,
        replace: bool,
    ) -> Result<(bool, ConnectorInfo)> {
        let class = config.get("connector.class").map(String::as_str).unwrap_or_default();
        if let Err(error) = self.known().connector(class) {
            self.refuse_foreign(class, error).await?;
        }
        refuse_invalid(&self.check(&config).await?)?;
        let request = Request::Put { name: name.to_owned(), config, target, replace };
        match self.request(request).await? {
            Answer::Put(created, info) => Ok((created, info)),
            Answer::Done | Answer::Planned(_) => Err(Error::internal("a request was answered with another's answer")),
        }
    }
}

#[async_trait]
impl Herder for WorkerHerder {
    async fn connectors(&self) -> Result<Vec<String>> {
        self.ask(Machine::names).await
    }

    async fn info(&self, name: &str) -> Result<ConnectorInfo> {
        let asked = name.to_owned();
        self.ask(move |machine| machine.info(&asked)).await?.ok_or_else(|| not_found(name))
    }

    async fn status(&self, name: &str) -> Result<ConnectorStatus> {
        let asked = name.to_owned();
        let missing = || Error::new(ErrorKind::NotFound, format!("No status found for connector {name}"));
        self.ask(move |machine| machine.connector_status(&asked)).await?.ok_or_else(missing)
    }

    async fn task_configs(&self, name: &str) -> Result<Vec<Props>> {
        let asked = name.to_owned();
        self.ask(move |machine| machine.task_configs(&asked)).await?.ok_or_else(|| not_found(name))
    }

    async fn put_config(
        &self,
        name: &str,
        config: Props,
        initial: Option<TargetState>,
        replace: bool,
    ) -> Result<(bool, ConnectorInfo)> {
        self.refer("Only the leader can set connector configs.").await?;
        self.put_valid(name, config, initial, replace).await
    }

    async fn patch_config(&self, name: &str, patch: Vec<(String, Option<String>)>) -> Result<ConnectorInfo> {
        self.refer("Only the leader can set connector configs.").await?;
        let mut config = self.info(name).await?.config;
        for (key, value) in patch {
            match value {
                Some(value) => {
                    config.insert(key, value);
                }
                None => {
                    config.shift_remove(&key);
                }
            }
        }
        Ok(self.put_valid(name, config, None, true).await?.1)
    }

    async fn offsets(&self, name: &str) -> Result<Vec<Position>> {
        let config = self.info(name).await?.config;
        offsets::read(&self.worker, &self.offsets_topic, name, &config).await
    }

    async fn alter_offsets(&self, name: &str, positions: Option<Vec<Position>>) -> Result<String> {
        self.refer("Only the leader can process external offsets modification requests").await?;
        // The connector may have been resumed by another worker.
        let late = |_| {
            Error::new(ErrorKind::Timeout, "Failed to read to end of config topic before modifying connector offsets")
        };
        tokio::time::timeout(SYNC_DEADLINE, self.config_topic.read_to_end()).await.map_err(late)??;
        let config = self.ended(name).await?;
        if self.peers.is_some() && self.worker.exactly_once() && self.info(name).await?.kind == "source" {
            let failed = |error| {
                let message = "Failed to perform zombie fencing for source connector prior to modifying offsets";
                Error::external(message).because(error)
            };
            self.fence_zombies(name).await.map_err(failed)?;
        }
        offsets::alter(&self.worker, &self.offsets_topic, name, &config, positions).await
    }

    async fn active_topics(&self, name: &str) -> Result<Vec<String>> {
        let asked = name.to_owned();
        self.ask(move |machine| machine.topics(&asked)).await
    }

    async fn reset_active_topics(&self, name: &str) -> Result<()> {
        self.done(Request::ResetTopics { name: name.to_owned() }).await
    }

    async fn set_cluster_logger(&self, namespace: &str, level: &str) -> Result<()> {
        self.done(Request::Level { namespace: namespace.to_owned(), level: level.to_owned() }).await
    }

    async fn put_task_configs(&self, name: &str, configs: Vec<Props>) -> Result<()> {
        self.done(Request::PutTaskConfigs { name: name.to_owned(), configs }).await
    }

    async fn fence_zombies(&self, name: &str) -> Result<()> {
        let _one_at_a_time = self.fencing.lock().await;
        let asked = name.to_owned();
        let plan = self.ask(move |machine| machine.fencing(&asked)).await??;
        let Some(plan) = plan else { return Ok(()) };
        self.worker.fence(name, plan.former).await?;
        self.done(Request::Fenced { name: name.to_owned(), tasks: plan.tasks }).await
    }

    fn signing(&self) -> Signing {
        self.shared.signing()
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.done(Request::Delete { name: name.to_owned() }).await
    }

    async fn set_target(&self, name: &str, target: TargetState) -> Result<()> {
        self.done(Request::Target { name: name.to_owned(), target }).await
    }

    async fn restart(&self, name: &str, include_tasks: bool, only_failed: bool) -> Result<ConnectorStatus> {
        let request = Request::Restart { name: name.to_owned(), include_tasks, only_failed };
        if let Answer::Planned(plan) = self.request(request).await? {
            return Ok(plan);
        }
        // A connector that nobody has seen running; the answer has no body then.
        let kind = self.info(name).await.map_or("unknown", |info| info.kind);
        let worker_id = self.worker_id.clone();
        let connector = Status { state: State::Restarting, worker_id, version: None, trace: None };
        Ok(ConnectorStatus { name: name.to_owned(), connector, tasks: Vec::new(), kind })
    }

    async fn restart_task(&self, name: &str, task: i32) -> Result<()> {
        self.done(Request::RestartTask { id: TaskId::new(name, task) }).await
    }

    async fn validate(&self, plugin: &str, config: Props) -> Result<ConfigInfos> {
        let mut infos = self.check(&config).await?;
        plugin.clone_into(&mut infos.name);
        Ok(infos)
    }

    fn plugins(&self, connectors_only: bool) -> Vec<PluginInfo> {
        self.known().list(connectors_only)
    }

    fn plugin_config(&self, plugin: &str) -> Result<Vec<ConfigKey>> {
        plugin_config(self.known(), plugin)
    }

    async fn cluster_id(&self) -> Result<String> {
        self.worker.parts().internal.cluster_id().await
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && self.shared.settled.load(Ordering::Acquire)
    }

    fn metrics(&self) -> String {
        self.worker.metrics().render()
    }

    fn progress(&self) -> Vec<TaskProgress> {
        self.worker.metrics().progress()
    }
}

/// Keys of a plugin: its own first, then those every connector has.
pub(super) fn plugin_config(plugins: &Plugins, plugin: &str) -> Result<Vec<ConfigKey>> {
    if let Ok(connector) = plugins.connector(plugin) {
        let mut keys = connector.config_def().and(framework_def(connector.kind())).keys;
        if let Some(key) = keys.iter_mut().find(|key| key.name == "connector.plugin.version") {
            key.default = Default::Value(connector.version().to_owned());
        }
        return Ok(keys);
    }
    if let Ok(converter) = plugins.converter(plugin) {
        return Ok(converter.config_def().keys);
    }
    let named = |class: &str| class == plugin || class.rsplit('.').next() == Some(plugin);
    let mut components = plugins.components.plugins().into_iter();
    let found = components.find(|component| component.kind != ComponentKind::Aggregate && named(&component.class));
    let unknown = || Error::new(ErrorKind::NotFound, format!("Unknown plugin {plugin}."));
    found.map(|component| component.config_def.keys).ok_or_else(unknown)
}

/// Fencing for tasks of this worker: done here, or by the leader.
pub(super) struct FencingByLeader(pub(super) Weak<WorkerHerder>);

#[async_trait]
impl Fencing for FencingByLeader {
    async fn fence(&self, connector: &str) -> Result<()> {
        let herder = self.0.upgrade().ok_or_else(stopped)?;
        let Err(error) = herder.fence_zombies(connector).await else { return Ok(()) };
        if error.kind() != ErrorKind::Elsewhere {
            return Err(error);
        }
        // Who leads may change on the way, or not know it yet.
        let again = |error: Error| match error.kind() {
            ErrorKind::Elsewhere => Error::retriable(error.message().to_owned()),
            _ => error,
        };
        let (Some(url), Some(peers)) = (error.url(), &herder.peers) else { return Err(again(error)) };
        let key = herder.signing().key()?;
        peers.fence_zombies(url, connector, key.as_ref()).await.map_err(again)
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "Worker is shutting down")
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
