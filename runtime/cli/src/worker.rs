//! A worker put together: log, components, plugins, herder, REST.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::log::{Log, StateStores};
use millrace_api::{Error, Result};
use millrace_core::herder::{Cluster, Herder as _, LateHerder, WorkerHerder};
use millrace_core::plugins::Plugins;
use millrace_core::providers::{Environment, Providers};
use millrace_core::worker::WorkerParts;
use millrace_core::worker_config::{Mode, Store, WorkerConfig, client_props, declared_topics};
use millrace_kafka::{ClientProps, KafkaGroups, KafkaLog};
use millrace_local::{LocalLog, LocalOptions, LocalStateStores};
use millrace_rest::topics::{LogTopics, TopicsOptions};
use millrace_rest::{PeerClient, RestOptions, RestServer, serve};
use millrace_wasm::{WasmComponents, WasmOptions};

use crate::entry::canonical_host_name;
use crate::worker_file::WorkerFile;

/// A running worker.
pub(crate) struct Running {
    pub(crate) herder: Arc<WorkerHerder>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) rest: RestServer,
    /// Where `millrace topics` finds this worker; none with Kafka, which it asks itself.
    file: Option<WorkerFile>,
}

/// A configuration that was checked, its variables resolved.
pub(crate) struct Configured {
    config: WorkerConfig,
    props: Props,
    environment: Environment,
}

impl Configured {
    /// Resolves variables, checks every key, and warns of what has no effect.
    pub(crate) fn new(mode: Mode, props: &Props, environment: Environment) -> Result<Self> {
        let props = Providers::from_worker(props, &environment)?.resolve(props)?.props;
        let (config, warnings) = WorkerConfig::load(mode, &props)?;
        for warning in warnings {
            tracing::warn!("{} {}", warning.key, warning.text);
        }
        Ok(Self { config, props, environment })
    }

    /// What can be checked of the rest without starting anything.
    pub(crate) fn check(&self) -> Result<()> {
        listener(&self.config)?;
        RestOptions::of(&self.config, &self.props)?;
        declared_topics(&self.props)?;
        for store in [Store::Config, Store::Offset, Store::Status] {
            self.config.storage_topic(store, &self.props)?;
        }
        check_converters(&self.config)?;
        if self.config.bootstrap_servers.is_some() {
            open_log(&self.config, &self.props)?;
        }
        Ok(())
    }
}

/// The worker's converters exist: nothing could run without them.
fn check_converters(config: &WorkerConfig) -> Result<()> {
    let given = [
        ("key.converter", &config.key_converter),
        ("value.converter", &config.value_converter),
        ("header.converter", &config.header_converter),
    ];
    for (key, class) in given {
        if millrace_converters::by_class(class).is_none() {
            let known: Vec<_> = millrace_converters::plugins().iter().map(|plugin| plugin.class()).collect();
            return Err(Error::config(format!(
                "Invalid value {class} for configuration {key}: Class {class} could not be found. Use one of {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// Starts a standalone worker. The REST API answers before any connector starts.
pub(crate) async fn start(configured: Configured) -> Result<Running> {
    check_converters(&configured.config)?;
    let data = data_dir(&configured.config)?;
    let Assembled { parts, worker_id, rest, log, .. } = assemble(configured).await?;
    let kafka = parts.kafka;
    let herder = WorkerHerder::start(parts, worker_id, !kafka).await?;
    let instance = rest.instance.clone();
    let rest = serve(Arc::clone(&herder) as Arc<_>, rest).await?;
    let file = if kafka { None } else { Some(WorkerFile::write(&data, rest.local_addr, instance)?) };
    Ok(Running { herder, log, rest, file })
}

/// Starts a worker of a group. The REST API answers before anything was asked of Kafka, so that `/health` says that the worker is starting.
pub(crate) async fn start_distributed(configured: Configured) -> Result<Running> {
    check_converters(&configured.config)?;
    data_dir(&configured.config)?;
    let Assembled { parts, worker_id, url, rest, log } = assemble(configured).await?;
    let bootstrap = parts.config.bootstrap_servers.as_ref().map(|servers| servers.join(",")).unwrap_or_default();
    let cluster = Cluster {
        url,
        groups: Arc::new(KafkaGroups::new(&bootstrap, client_props(&parts.props))?),
        peers: Arc::new(PeerClient::new(&parts.config.group.signature_algorithm, rest.forward_tls.clone())?),
        loggers: crate::loggers::global(),
    };
    let late = Arc::new(LateHerder::new(Arc::clone(&parts.plugins)));
    let rest = serve(Arc::clone(&late) as Arc<_>, rest).await?;
    let herder = WorkerHerder::distributed(parts, worker_id, cluster).await?;
    late.open(Arc::clone(&herder));
    Ok(Running { herder, log, rest, file: None })
}

/// What both kinds of workers are made of.
struct Assembled {
    parts: WorkerParts,
    worker_id: String,
    /// Where other workers reach it.
    url: String,
    rest: RestOptions,
    log: Arc<dyn Log>,
}

fn data_dir(config: &WorkerConfig) -> Result<PathBuf> {
    let data = PathBuf::from(&config.data_dir);
    std::fs::create_dir_all(&data).map_err(|error| {
        Error::config(format!("Invalid value {} for configuration data.dir: it cannot be created", config.data_dir))
            .because(error)
    })?;
    Ok(data)
}

async fn assemble(configured: Configured) -> Result<Assembled> {
    let Configured { config, props, environment } = configured;
    let listener = listener(&config)?;
    let data = Path::new(&config.data_dir);
    let log = open_log(&config, &props)?;
    let kafka = config.bootstrap_servers.is_some();
    for topic in declared_topics(&props)? {
        log.create_topic(&topic).await?;
    }
    let plugins = Plugins::new(crate::plugins::connectors(), millrace_converters::plugins(), components(data)?);
    let checking = Arc::clone(&log);
    let plugins = plugins.with_worker(&props, &environment)?;
    let plugins = Arc::new(plugins.with_client_check(move |client| checking.check_overrides(client)));
    let advertised = config.rest.advertised(listener, &canonical_host_name())?;
    let stores: Arc<dyn StateStores> = Arc::new(LocalStateStores::open(data, &LocalOptions::default())?);
    let rest = RestOptions {
        listeners: listeners(&config, listener),
        instance: uuid::Uuid::new_v4().to_string(),
        topics: topics(&config, &log),
        loggers: crate::loggers::global(),
        ..RestOptions::of(&config, &props)?
    };
    let internal = match &config.bootstrap_servers {
        Some(servers) => Arc::new(KafkaLog::new(&servers.join(","), ClientProps::of_worker(&props))?) as Arc<dyn Log>,
        None => Arc::clone(&log),
    };
    let parts = WorkerParts { config, props, plugins, log: Arc::clone(&log), internal, stores, kafka };
    Ok(Assembled { parts, worker_id: advertised.worker_id(), url: advertised.url(), rest, log })
}

/// What the REST API shows of the log, if anything.
fn topics(config: &WorkerConfig, log: &Arc<dyn Log>) -> Option<TopicsOptions> {
    if !config.topics_rest_enable.unwrap_or(config.bootstrap_servers.is_none()) {
        return None;
    }
    let internal = [&config.config_storage_topic, &config.offset_storage_topic, &config.status_storage_topic];
    Some(TopicsOptions {
        access: Arc::new(LogTopics::new(Arc::clone(log))),
        hidden: vec![config.config_storage_topic.clone()],
        internal: internal.into_iter().cloned().collect(),
    })
}

impl Running {
    /// Registers connectors; those that exist with the same configuration are left alone.
    pub(crate) async fn register(&self, connectors: Vec<(String, Props)>) -> Result<()> {
        for (name, config) in connectors {
            let same = self.herder.info(&name).await.is_ok_and(|info| info.config == config);
            if !same {
                self.herder
                    .put_config(&name, config, None, true)
                    .await
                    .map_err(|error| error.with("connector", &name))?;
            }
        }
        self.herder.set_ready();
        Ok(())
    }

    /// Stops in an orderly way: no more requests, then tasks, then the log.
    pub(crate) async fn stop(self) {
        drop(self.file);
        self.rest.shutdown().await;
        self.herder.shutdown().await;
    }
}

/// Kafka when it is configured, else the embedded log.
fn open_log(config: &WorkerConfig, props: &Props) -> Result<Arc<dyn Log>> {
    let Some(bootstrap) = &config.bootstrap_servers else {
        return Ok(Arc::new(LocalLog::open(&config.data_dir, LocalOptions::default())?));
    };
    Ok(Arc::new(KafkaLog::new(&bootstrap.join(","), ClientProps::of_connectors(props))?))
}

fn components(data: &Path) -> Result<Arc<WasmComponents>> {
    let components =
        WasmComponents::new(WasmOptions { cache_dir: Some(data.join("components")), ..WasmOptions::default() })?;
    components.load_builtin("smt", millrace_guests::SMT)?;
    components.load_builtin("aggregates", millrace_guests::AGGREGATES)?;
    Ok(Arc::new(components))
}

/// Address of the first listener.
fn listener(config: &WorkerConfig) -> Result<SocketAddr> {
    let text = config.rest.listeners.first().map_or("http://127.0.0.1:8083", String::as_str);
    let invalid = |cause: &str| Error::config(format!("Invalid value {text} for configuration listeners: {cause}"));
    let (_, rest) = scheme(text)
        .ok_or_else(|| invalid("expected http://host:port or https://host:port, for instance http://127.0.0.1:8083"))?;
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(|| invalid("the port is missing"))?;
    let port: u16 = port.parse().map_err(|_| invalid("the port is no number up to 65535"))?;
    let host = match host {
        "" => "0.0.0.0",
        host => host.trim_start_matches('[').trim_end_matches(']'),
    };
    let mut found = (host, port).to_socket_addrs().map_err(|error| invalid("the host is not known").because(error))?;
    let address = found.next().ok_or_else(|| invalid("the host has no address"))?;
    if port != 0 {
        return Ok(address);
    }
    // The worker's id holds the port, so a free one is chosen before anything starts.
    let bound = std::net::TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.map_err(|error| invalid("no port is free").because(error))
}

/// The scheme of a listener, and what is behind it.
fn scheme(listener: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = listener.split_once("://")?;
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some((scheme, rest))
}

/// All listeners, the first with its address as it was found.
fn listeners(config: &WorkerConfig, first: SocketAddr) -> String {
    let scheme =
        config.rest.listeners.first().and_then(|listener| scheme(listener)).map_or("http", |(scheme, _)| scheme);
    let others = config.rest.listeners.iter().skip(1).cloned();
    std::iter::once(format!("{scheme}://{first}")).chain(others).collect::<Vec<_>>().join(",")
}
