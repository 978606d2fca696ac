//! The herder of the worker that the golden answers came from, reduced to what its answers tell: file connectors with one task.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::config::{
    ConfigKey, ConfigType, ConfigValue, Default as KeyDefault, Importance, Props, Validator, Width,
};
use millrace_api::connector::Json;
use millrace_api::{Error, ErrorKind, Result};
use millrace_core::herder::{
    ConfigInfos, ConnectorInfo, ConnectorStatus, Herder, PluginInfo, Position, Signing, State, Status, TargetState,
    not_found,
};
use millrace_core::loggers::{Level, LoggerLevel, LoggerTable, Loggers};
use millrace_core::progress::TaskProgress;
use serde_json::Value;

const PLUGINS: &str = include_str!("../golden/connector-plugins-4.3.1.json");
const SOURCE: &str = include_str!("../golden/validate-filestream-source-4.3.1.json");
const VERSION: &str = "4.3.1";

/// The herder.
pub(crate) struct FakeHerder {
    connectors: Mutex<BTreeMap<String, Connector>>,
    plugins: Vec<PluginInfo>,
    source_keys: Vec<(ConfigKey, ConfigValue)>,
    groups: Vec<String>,
    worker_id: String,
    /// Whether startup has finished.
    pub(crate) ready: AtomicBool,
    /// How long every call takes.
    pub(crate) delay: Mutex<Duration>,
    /// How long a validation takes.
    pub(crate) validate_delay: Mutex<Duration>,
    /// The last configuration that was written.
    pub(crate) written: Mutex<Props>,
    /// Where every write is answered.
    pub(crate) leader: Mutex<Leader>,
    /// What requests of other workers are checked with.
    pub(crate) signing: Mutex<Signing>,
    /// Writes that other parts of a worker would carry out, as text.
    pub(crate) done: Mutex<Vec<String>>,
    /// Levels of loggers.
    pub(crate) loggers: Arc<FakeLoggers>,
    offsets: Mutex<BTreeMap<String, Vec<Position>>>,
    /// All metrics, as `OpenMetrics`.
    pub(crate) metrics: Mutex<String>,
    pub(crate) progress: Mutex<Vec<TaskProgress>>,
}

/// Who answers writes.
#[derive(Debug, Default)]
pub(crate) enum Leader {
    #[default]
    Here,
    Unknown,
    At(String),
}

/// A connector.
#[derive(Clone)]
struct Connector {
    config: Props,
    state: State,
    tasks: Vec<Status>,
}

impl FakeHerder {
    pub(crate) fn new(worker_id: &str) -> Self {
        let plugins: Vec<Value> = serde_json::from_str(PLUGINS).unwrap();
        let source: Value = serde_json::from_str(SOURCE).unwrap();
        Self {
            connectors: Mutex::default(),
            plugins: plugins.iter().map(plugin).collect(),
            source_keys: source["configs"].as_array().unwrap().iter().map(key).collect(),
            groups: texts(&source["groups"]),
            worker_id: worker_id.to_owned(),
            ready: AtomicBool::new(true),
            delay: Mutex::default(),
            validate_delay: Mutex::default(),
            written: Mutex::default(),
            leader: Mutex::default(),
            signing: Mutex::new(Signing::Off),
            done: Mutex::default(),
            loggers: Arc::default(),
            offsets: Mutex::default(),
            progress: Mutex::default(),
            metrics: Mutex::new("# TYPE millrace_up gauge\nmillrace_up 1\n# EOF\n".to_owned()),
        }
    }

    /// Sets the states of a connector and its only task; a task that has not started yet has no version.
    pub(crate) fn set_states(&self, name: &str, connector: State, task: State, version: Option<&str>) {
        let status = Status { version: version.map(str::to_owned), ..self.status_of(task) };
        let mut connectors = self.connectors.lock().unwrap();
        let found = connectors.get_mut(name).unwrap();
        found.state = connector;
        found.tasks = vec![status];
    }

    /// Fails the only task of a connector.
    pub(crate) fn fail_task(&self, name: &str, trace: &str) {
        let status = Status { trace: Some(trace.to_owned()), ..self.status_of(State::Failed) };
        self.connectors.lock().unwrap().get_mut(name).unwrap().tasks = vec![status];
    }

    /// Stores a connector without any check.
    pub(crate) fn store(&self, name: &str, config: Props) {
        let tasks = vec![self.status_of(State::Running)];
        self.connectors.lock().unwrap().insert(name.to_owned(), Connector { config, state: State::Running, tasks });
    }

    /// Fails while another worker answers.
    fn here(&self) -> Result<()> {
        let url = match &*self.leader.lock().unwrap() {
            Leader::Here => return Ok(()),
            Leader::Unknown => None,
            Leader::At(url) => Some(url.clone()),
        };
        Err(Error::elsewhere("Only the leader answers", url))
    }

    fn note(&self, what: String) {
        self.done.lock().unwrap().push(what);
    }

    fn status_of(&self, state: State) -> Status {
        Status { state, worker_id: self.worker_id.clone(), version: Some(VERSION.to_owned()), trace: None }
    }

    async fn wait(&self) {
        let delay = *self.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    async fn get(&self, name: &str) -> Result<Connector> {
        self.wait().await;
        self.connectors.lock().unwrap().get(name).cloned().ok_or_else(|| not_found(name))
    }

    fn class(&self, name: &str) -> Result<&PluginInfo> {
        let named = |plugin: &&PluginInfo| {
            let simple = plugin.class.rsplit('.').next().unwrap();
            name == plugin.class || name == simple || simple.strip_suffix("Connector") == Some(name)
        };
        self.plugins.iter().filter(|plugin| is_connector(plugin)).find(named).ok_or_else(|| {
            let describe = |plugin: &PluginInfo| {
                let PluginInfo { class, kind, .. } = plugin;
                format!("PluginDesc{{klass=class {class}, name='{class}', version='{VERSION}', encodedVersion={VERSION}, type={kind}, typeName='{kind}', location='classpath'}}")
            };
            let known: Vec<String> = self.plugins.iter().filter(|plugin| is_connector(plugin)).map(describe).collect();
            Error::config(format!(
                "Failed to find any class that implements Connector and which name matches {name}, available connectors are: {}",
                known.join(", ")
            ))
        })
    }

    fn groups_of(&self, props: &Props) -> Vec<String> {
        let mut groups = self.groups.clone();
        groups.retain(|group| group != "Transforms: a" || props.contains_key("transforms"));
        groups
    }

    fn keys(&self, plugin: &str, props: &Props) -> Result<Vec<(ConfigKey, ConfigValue)>> {
        let class = self.class(plugin)?;
        let transforms = props.get("transforms").is_some_and(|transforms| transforms == "a");
        let is_source = class.class.ends_with("FileStreamSourceConnector");
        let own = |name: &str| matches!(name, "topic" | "batch.size" | "file");
        let mut keys: Vec<_> = self.source_keys.clone();
        keys.retain(|(key, _)| {
            (transforms || !key.name.starts_with("transforms.a.")) && (is_source || !own(&key.name))
        });
        if plugin == "Secretive" || class.class.ends_with("MirrorSourceConnector") {
            let key = |name: &str, kind| ConfigKey::new(name, kind, KeyDefault::Null, Importance::High, "");
            keys.push(described(key("connection.password", ConfigType::Password)));
            keys.push(described(key("batch.token", ConfigType::String)));
            keys.push(described(key("connection.url", ConfigType::String)));
        }
        Ok(keys)
    }

    fn check(&self, config: &Props) -> Result<()> {
        let class = config.get("connector.class").map(String::as_str).unwrap_or_default();
        let keys = self.keys(class, config)?;
        let mut errors: Vec<String> = keys.iter().flat_map(|(key, _)| key.validate(config).errors).collect();
        if config.get("exactly.once.support").is_some_and(|support| support == "required") {
            errors.push(
                "The connector does not support exactly-once semantics with the provided configuration.".to_owned(),
            );
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(Error::config(format!(
            "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also find the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
            errors.len(),
            errors.join("\n")
        )))
    }
}

#[async_trait]
impl Herder for FakeHerder {
    async fn connectors(&self) -> Result<Vec<String>> {
        self.wait().await;
        Ok(self.connectors.lock().unwrap().keys().cloned().collect())
    }

    async fn info(&self, name: &str) -> Result<ConnectorInfo> {
        let Connector { config, tasks, .. } = self.get(name).await?;
        let kind = self.class(&config["connector.class"])?.kind;
        let tasks = (0..).take(tasks.len()).collect();
        Ok(ConnectorInfo { name: name.to_owned(), config: java_order(&config), tasks, kind })
    }

    async fn status(&self, name: &str) -> Result<ConnectorStatus> {
        let Connector { config, state, tasks } = self.get(name).await?;
        let kind = self.class(&config["connector.class"])?.kind;
        Ok(ConnectorStatus {
            name: name.to_owned(),
            connector: self.status_of(state),
            tasks: (0..).zip(tasks).collect(),
            kind,
        })
    }

    async fn task_configs(&self, name: &str) -> Result<Vec<Props>> {
        let Connector { mut config, tasks, .. } = self.get(name).await?;
        config.insert("task.class".to_owned(), "org.apache.kafka.connect.file.FileStreamSourceTask".to_owned());
        Ok(vec![java_order(&config); tasks.len()])
    }

    async fn put_config(
        &self,
        name: &str,
        config: Props,
        initial: Option<TargetState>,
        replace: bool,
    ) -> Result<(bool, ConnectorInfo)> {
        self.check(&config)?;
        self.here()?;
        let before = self.get(name).await.ok();
        if before.is_some() && !replace {
            return Err(Error::new(ErrorKind::Conflict, format!("Connector {name} already exists")));
        }
        let kind = self.class(&config["connector.class"])?.kind;
        let same_kind =
            |before: &&Connector| self.class(&before.config["connector.class"]).is_ok_and(|c| c.kind == kind);
        let tasks = before.as_ref().filter(same_kind).map(|before| before.tasks.len()).unwrap_or_default();
        self.store(name, config.clone());
        match initial {
            Some(TargetState::Stopped) => self.set_target(name, TargetState::Stopped).await?,
            Some(TargetState::Paused) => self.set_target(name, TargetState::Paused).await?,
            _ => {}
        }
        if before.is_some() && tasks == 0 {
            // As in the capture: the tasks of the new kind come later.
            self.connectors.lock().unwrap().get_mut(name).unwrap().tasks.clear();
        }
        self.written.lock().unwrap().clone_from(&config);
        let info = ConnectorInfo { name: name.to_owned(), config, tasks: (0..).take(tasks).collect(), kind };
        Ok((before.is_none(), info))
    }

    async fn patch_config(&self, name: &str, patch: Vec<(String, Option<String>)>) -> Result<ConnectorInfo> {
        let mut config = self.get(name).await?.config;
        for (key, value) in patch {
            match value {
                Some(value) => drop(config.insert(key, value)),
                None => drop(config.shift_remove(&key)),
            }
        }
        self.put_config(name, config, None, true).await.map(|(_, info)| info)
    }

    async fn offsets(&self, name: &str) -> Result<Vec<Position>> {
        self.get(name).await?;
        Ok(self.offsets.lock().unwrap().get(name).cloned().unwrap_or_default())
    }

    async fn alter_offsets(&self, name: &str, offsets: Option<Vec<Position>>) -> Result<String> {
        let Connector { state, .. } = self.get(name).await?;
        self.here()?;
        if state != State::Stopped {
            return Err(Error::config(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        let mut all = self.offsets.lock().unwrap();
        let Some(offsets) = offsets else {
            all.remove(name);
            return Ok("The offsets for this connector have been reset successfully".to_owned());
        };
        for (partition, offset) in &offsets {
            check_file_offset(partition, offset.as_ref())?;
        }
        let known = all.entry(name.to_owned()).or_default();
        for (partition, offset) in offsets {
            known.retain(|(other, _)| *other != partition);
            if offset.is_some() {
                known.insert(0, (partition, offset));
            }
        }
        Ok("The offsets for this connector have been altered successfully".to_owned())
    }

    async fn active_topics(&self, _name: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn reset_active_topics(&self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn set_cluster_logger(&self, namespace: &str, level: &str) -> Result<()> {
        self.loggers.set(namespace, Level::parse(level).unwrap());
        Ok(())
    }

    async fn put_task_configs(&self, name: &str, configs: Vec<Props>) -> Result<()> {
        self.here()?;
        self.note(format!("tasks of {name}: {configs:?}"));
        Ok(())
    }

    async fn fence_zombies(&self, name: &str) -> Result<()> {
        self.here()?;
        self.note(format!("fence {name}"));
        Ok(())
    }

    fn signing(&self) -> Signing {
        self.signing.lock().unwrap().clone()
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.here()?;
        self.connectors.lock().unwrap().remove(name).map(drop).ok_or_else(|| not_found(name))
    }

    async fn set_target(&self, name: &str, target: TargetState) -> Result<()> {
        let Connector { tasks, .. } = self.get(name).await?;
        self.here()?;
        let state = match target {
            TargetState::Started => State::Running,
            TargetState::Paused => State::Paused,
            TargetState::Stopped => State::Stopped,
        };
        let stopped = target == TargetState::Stopped;
        let tasks = tasks.into_iter().filter(|_| !stopped).map(|_| self.status_of(state)).collect();
        let mut connectors = self.connectors.lock().unwrap();
        let connector = connectors.get_mut(name).unwrap();
        (connector.state, connector.tasks) = (state, tasks);
        Ok(())
    }

    async fn restart(&self, name: &str, include_tasks: bool, only_failed: bool) -> Result<ConnectorStatus> {
        let mut plan = self.status(name).await?;
        self.here()?;
        if !only_failed {
            plan.connector.state = State::Restarting;
        }
        for (_, task) in plan.tasks.iter_mut().filter(|_| include_tasks && !only_failed) {
            task.state = State::Restarting;
        }
        Ok(plan)
    }

    async fn restart_task(&self, name: &str, task: i32) -> Result<()> {
        let Connector { tasks, .. } = self.get(name).await?;
        self.here()?;
        let known = usize::try_from(task).is_ok_and(|task| task < tasks.len());
        known.then_some(()).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("Unknown task: {name}-{task}")))
    }

    async fn validate(&self, plugin: &str, config: Props) -> Result<ConfigInfos> {
        let delay = *self.validate_delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut configs = self.keys(plugin, &config)?;
        for (key, value) in &mut configs {
            let recommended_values = std::mem::take(&mut value.recommended_values);
            *value = ConfigValue { recommended_values, ..key.validate(&config) };
        }
        let error_count = configs.iter().filter(|(_, value)| !value.errors.is_empty()).count();
        Ok(ConfigInfos { name: plugin.to_owned(), error_count, groups: self.groups_of(&config), configs })
    }

    fn plugins(&self, connectors_only: bool) -> Vec<PluginInfo> {
        self.plugins.iter().filter(|plugin| !connectors_only || is_connector(plugin)).cloned().collect()
    }

    fn plugin_config(&self, plugin: &str) -> Result<Vec<ConfigKey>> {
        let mut keys: Vec<ConfigKey> = self.keys(plugin, &Props::new())?.into_iter().map(|(key, _)| key).collect();
        keys.sort_by_key(|key| !matches!(key.name.as_str(), "topic" | "batch.size" | "file"));
        Ok(keys)
    }

    async fn cluster_id(&self) -> Result<String> {
        Ok("q5GcIerES3WETlRguMwmKQ".to_owned())
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn metrics(&self) -> String {
        self.metrics.lock().unwrap().clone()
    }

    fn progress(&self) -> Vec<TaskProgress> {
        self.progress.lock().unwrap().clone()
    }
}

/// Loggers that nothing logs to.
#[derive(Debug)]
pub(crate) struct FakeLoggers(Mutex<LoggerTable>);

impl Default for FakeLoggers {
    fn default() -> Self {
        let mut table = LoggerTable::new(Level::Info);
        table.learn("org.apache.kafka.connect.runtime.WorkerSourceTask");
        Self(Mutex::new(table))
    }
}

impl Loggers for FakeLoggers {
    fn list(&self) -> Vec<(String, LoggerLevel)> {
        self.0.lock().unwrap().list()
    }

    fn get(&self, name: &str) -> Option<LoggerLevel> {
        self.0.lock().unwrap().get(name)
    }

    fn set(&self, namespace: &str, level: Level) -> Vec<String> {
        self.0.lock().unwrap().set(namespace, level, 1_795_273_516_258)
    }
}

/// What the file source says to a position that is none of its.
fn check_file_offset(partition: &Json, offset: Option<&Json>) -> Result<()> {
    let refuse = |message: String| Err(Error::external(message));
    let primitive = |value: &Value| !value.is_array() && !value.is_object();
    if let Some((name, value)) = partition.iter().find(|(_, value)| !primitive(value)) {
        let kind = if value.is_array() { "ARRAY" } else { "MAP" };
        return refuse(format!("Offsets may only contain primitive types as values, but field {name} contains {kind}"));
    }
    let Some(offset) = offset else { return Ok(()) };
    if !partition.contains_key("filename") {
        return refuse("Partition objects should contain the key 'filename'".to_owned());
    }
    match offset.get("position") {
        None => refuse("Offset objects should either be null or contain the key 'position'".to_owned()),
        Some(position) => match position.as_i64() {
            None => refuse("The value for the 'position' key in the offset is expected to be a Long value".to_owned()),
            Some(..0) => {
                refuse("The value for the 'position' key in the offset should be a non-negative value".to_owned())
            }
            Some(_) => Ok(()),
        },
    }
}

fn is_connector(plugin: &PluginInfo) -> bool {
    matches!(plugin.kind, "source" | "sink")
}

/// The order in which Java's `HashMap` yields its keys: by hash, modulo a power of two.
fn java_order(props: &Props) -> Props {
    let mut size = 16;
    while props.len() * 4 > size * 3 {
        size *= 2;
    }
    let bucket = |key: &str| {
        let hash = key.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        (hash ^ (hash >> 16)) as usize % size
    };
    let mut ordered = props.clone();
    ordered.sort_by_key(|key, _| bucket(key));
    ordered
}

fn described(key: ConfigKey) -> (ConfigKey, ConfigValue) {
    let value = key.validate(&Props::new());
    (key, value)
}

fn plugin(plugin: &Value) -> PluginInfo {
    let kinds = ["sink", "source", "converter", "header_converter", "transformation", "predicate"];
    let kind = kinds.into_iter().find(|kind| plugin["type"] == *kind).unwrap();
    PluginInfo { class: text(&plugin["class"]), kind, version: text(&plugin["version"]) }
}

fn key(config: &Value) -> (ConfigKey, ConfigValue) {
    let definition = &config["definition"];
    let (name, kind) = (text(&definition["name"]), text(&definition["type"]));
    let kinds = [
        ConfigType::Boolean,
        ConfigType::String,
        ConfigType::Int,
        ConfigType::Long,
        ConfigType::List,
        ConfigType::Class,
        ConfigType::Password,
    ];
    let default = match definition["default_value"].as_str() {
        Some(default) => KeyDefault::Value(default.to_owned()),
        None if definition["required"] == true => KeyDefault::Required,
        None => KeyDefault::Null,
    };
    let importances = [Importance::High, Importance::Medium, Importance::Low];
    let importance = importances.into_iter().find(|i| definition["importance"] == i.name()).unwrap();
    let kind = kinds.into_iter().find(|candidate| candidate.name() == kind).unwrap();
    let widths = [Width::None, Width::Short, Width::Medium, Width::Long];
    let key = ConfigKey {
        group: definition["group"].as_str().map(str::to_owned),
        order: definition["order_in_group"].as_i64().unwrap().try_into().unwrap(),
        width: widths.into_iter().find(|width| definition["width"] == width.name()).unwrap(),
        display_name: text(&definition["display_name"]),
        dependents: texts(&definition["dependents"]),
        validator: match name.as_str() {
            "tasks.max" => Validator::AtLeast(1),
            "name" => Validator::Custom(valid_name),
            _ => Validator::Any,
        },
        ..ConfigKey::new(name, kind, default, importance, text(&definition["documentation"]))
    };
    let value = ConfigValue {
        name: key.name.clone(),
        value: None,
        recommended_values: texts(&config["value"]["recommended_values"]),
        errors: Vec::new(),
        visible: true,
    };
    (key, value)
}

fn valid_name(name: &str) -> std::result::Result<(), String> {
    let control: Vec<String> = name.chars().filter(|c| *c < ' ').map(|c| u32::from(c).to_string()).collect();
    if name.is_empty() {
        Err("String may not be empty".to_owned())
    } else if control.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "String may not contain control sequences but had the following ASCII chars: {}",
            control.join(", ")
        ))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}
