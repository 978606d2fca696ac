//! A worker put together: log, components, plugins, herder, REST.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use millrace_api::config::{Config as _, Props};
use millrace_api::log::{Log, StateStores};
use millrace_api::{Error, Result};
use millrace_core::convert::strip_prefix;
use millrace_core::herder::{Herder as _, StandaloneHerder};
use millrace_core::plugins::Plugins;
use millrace_core::worker::WorkerParts;
use millrace_core::worker_config::{WorkerConfig, declared_topics};
use millrace_kafka::{ClientProps, KafkaLog};
use millrace_local::{LocalLog, LocalOptions, LocalStateStores};
use millrace_rest::topics::{LogTopics, TopicsOptions};
use millrace_rest::{RestOptions, RestServer, serve};
use millrace_wasm::{WasmComponents, WasmOptions};

use crate::worker_file::WorkerFile;

/// A running worker.
pub(crate) struct Running {
    pub(crate) herder: Arc<StandaloneHerder>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) rest: RestServer,
    /// Where `millrace topics` finds this worker; none with Kafka, which it asks itself.
    file: Option<WorkerFile>,
}

/// Starts a standalone worker from its properties. The REST API answers before any connector starts.
pub(crate) async fn start(props: Props) -> Result<Running> {
    let config = WorkerConfig::parse(&props)?;
    let listener = listener(&config)?;
    let data = Path::new(&config.data_dir);
    std::fs::create_dir_all(data).map_err(|error| {
        Error::config(format!("Invalid value {} for configuration data.dir: it cannot be created", config.data_dir))
            .because(error)
    })?;
    let log = open_log(&config, &props)?;
    let kafka = config.bootstrap_servers.is_some();
    for topic in declared_topics(&props)? {
        log.create_topic(&topic).await?;
    }
    let components = components(data)?;
    let plugins = Arc::new(Plugins::new(crate::plugins::connectors(), millrace_converters::plugins(), components));
    let worker_id =
        format!("{}:{}", config.advertised_host.clone().unwrap_or_else(|| listener.ip().to_string()), listener.port());
    let stores: Arc<dyn StateStores> = Arc::new(LocalStateStores::open(data, &LocalOptions::default())?);
    let topics = topics(&config, &props, &log);
    let data = data.to_owned();
    let parts = WorkerParts { config, props, plugins, log: Arc::clone(&log), stores, kafka };
    let herder = StandaloneHerder::start(parts, worker_id, !kafka).await?;
    let instance = uuid::Uuid::new_v4().to_string();
    let listeners = format!("http://{listener}");
    let options = RestOptions {
        listeners,
        instance: instance.clone(),
        topics,
        loggers: crate::loggers::global(),
        ..RestOptions::default()
    };
    let rest = serve(Arc::clone(&herder) as Arc<_>, options).await?;
    let file = if kafka { None } else { Some(WorkerFile::write(&data, rest.local_addr, instance)?) };
    Ok(Running { herder, log, rest, file })
}

/// What the REST API shows of the log, if anything.
fn topics(config: &WorkerConfig, props: &Props, log: &Arc<dyn Log>) -> Option<TopicsOptions> {
    if !config.topics_rest_enable.unwrap_or(config.bootstrap_servers.is_none()) {
        return None;
    }
    let mut internal = vec![config.config_storage_topic.clone(), config.offset_storage_topic.clone()];
    internal.extend(props.get("status.storage.topic").cloned());
    Some(TopicsOptions {
        access: Arc::new(LogTopics::new(Arc::clone(log))),
        hidden: vec![config.config_storage_topic.clone()],
        internal,
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
    let clients = ClientProps {
        producer: strip_prefix(props, "producer"),
        consumer: strip_prefix(props, "consumer"),
        admin: strip_prefix(props, "admin"),
    };
    Ok(Arc::new(KafkaLog::new(bootstrap, clients)?))
}

fn components(data: &Path) -> Result<Arc<WasmComponents>> {
    let components =
        WasmComponents::new(WasmOptions { cache_dir: Some(data.join("components")), ..WasmOptions::default() })?;
    components.load_builtin("smt", millrace_guests::SMT)?;
    components.load_builtin("aggregates", millrace_guests::AGGREGATES)?;
    Ok(Arc::new(components))
}

/// Host and port of the first http listener.
fn listener(config: &WorkerConfig) -> Result<SocketAddr> {
    let text = config.listeners.first().map_or("http://127.0.0.1:8083", String::as_str);
    let invalid = |cause: &str| Error::config(format!("Invalid value {text} for configuration listeners: {cause}"));
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("HTTP://"))
        .ok_or_else(|| invalid("only http:// is supported, for instance http://127.0.0.1:8083"))?;
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(|| invalid("the port is missing"))?;
    let port: u16 = port.parse().map_err(|_| invalid("the port is no number up to 65535"))?;
    let host = match host {
        "" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        host => host.trim_start_matches('[').trim_end_matches(']'),
    };
    let ip =
        host.parse().map_err(|_| invalid("the host must be an IP address, localhost, or empty for all interfaces"))?;
    let address = SocketAddr::new(ip, port);
    if port != 0 {
        return Ok(address);
    }
    // The worker's id holds the port, so a free one is chosen before anything starts.
    let bound = std::net::TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.map_err(|error| invalid("no port is free").because(error))
}
