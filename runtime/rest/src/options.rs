//! What the worker file says about the REST API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::{Error, Result};
use millrace_core::loggers::Loggers;
use millrace_core::worker_config::WorkerConfig;
use millrace_tls::{Acceptor, Connector};

use crate::cors::Cors;
use crate::headers::HeaderRules;
use crate::tls;
use crate::topics::TopicsOptions;

/// Options of [`serve`](crate::serve). The defaults are Kafka Connect's where it has one.
#[derive(Clone)]
pub struct RestOptions {
    /// `listeners`: comma-separated `http://host:port` or `https://host:port`. An empty host listens on all interfaces, port 0 picks a free one.
    /// Loopback by default, because nobody is asked for a password yet.
    pub listeners: String,
    /// `admin.listeners`: where `/admin` answers. `None` for the same listeners, empty for nowhere.
    pub admin_listeners: Option<String>,
    /// `response.http.headers.config`: rules for headers of every answer.
    pub response_headers: String,
    /// `access.control.allow.origin`: origins whose pages may read answers, as regular expressions with commas between them.
    pub allow_origin: String,
    /// `access.control.allow.methods`: the methods that such a page may use; GET, POST and HEAD by default.
    pub allow_methods: String,
    /// `version` of `GET /`: the Kafka Connect that clients should take this worker for.
    pub version: String,
    /// `commit` of `GET /`.
    pub commit: String,
    /// `rest.mask.secrets`: shows `[hidden]` for the value of every key that holds a secret. Kafka Connect shows them in clear.
    pub mask_secrets: bool,
    /// Largest body in bytes; more is a 413.
    pub max_body_bytes: usize,
    /// How long the head of a request may take, which is also how long an idle connection stays open.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a request may take; after that the client gets a 500, while the herder finishes what it began.
    pub request_timeout: Duration,
    /// How long a validation may take, with the wait for its turn.
    pub validate_timeout: Duration,
    /// `health.stalled.tasks`: what `GET /health` makes of tasks that do not move.
    pub stalled_tasks: StalledTasks,
    /// How long `GET /health` waits for the herder (KIP-1017).
    pub health_timeout: Duration,
    /// Connections at the same time; further ones wait to be accepted.
    pub max_connections: usize,
    /// How long [`RestServer::shutdown`](crate::RestServer::shutdown) waits for requests under way.
    pub shutdown_timeout: Duration,
    /// Tells this run of the worker from others, in the header `millrace-worker` of answers below `/millrace`: a client that knows
    /// it from elsewhere can make sure who answers. It is no secret. Empty for none.
    pub instance: String,
    /// `inter.worker.verification.algorithms`: with which algorithms requests of other workers may be signed.
    pub verification_algorithms: Vec<String>,
    /// With what `https` listeners encrypt; without it they are refused.
    pub tls: Option<Acceptor>,
    /// As `tls`, for `admin_listeners`.
    pub admin_tls: Option<Acceptor>,
    /// With what requests to workers that advertise `https` are encrypted; without it they are refused.
    pub forward_tls: Option<Connector>,
    /// How long a request that another worker answers may take there.
    pub forward_timeout: Duration,
    /// `topic.tracking.enable`.
    pub topic_tracking: bool,
    /// `topic.tracking.allow.reset`.
    pub topic_tracking_reset: bool,
    /// What `/admin/loggers` shows and changes; `None` for no loggers at all.
    pub loggers: Option<Arc<dyn Loggers>>,
    /// What is shown below `/millrace/topics`; `None` refuses every request there.
    pub topics: Option<TopicsOptions>,
}

/// What `GET /health` makes of tasks that are `RUNNING` and do not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StalledTasks {
    /// Says nothing.
    Ignore,
    /// Names them in the message of a 200.
    Report,
    /// Answers 500 with them, so that an orchestrator acts.
    Fail,
}

impl Default for RestOptions {
    fn default() -> Self {
        Self {
            listeners: "http://127.0.0.1:8083".to_owned(),
            admin_listeners: None,
            response_headers: String::new(),
            allow_origin: String::new(),
            allow_methods: String::new(),
            version: "4.3.1".to_owned(),
            commit: option_env!("MILLRACE_COMMIT")
                .unwrap_or(concat!("millrace-", env!("CARGO_PKG_VERSION")))
                .to_owned(),
            mask_secrets: true,
            max_body_bytes: 1024 * 1024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(90),
            validate_timeout: Duration::from_mins(1),
            stalled_tasks: StalledTasks::Report,
            health_timeout: Duration::from_secs(10),
            max_connections: 1024,
            shutdown_timeout: Duration::from_secs(10),
            instance: String::new(),
            verification_algorithms: vec!["HmacSHA256".to_owned()],
            tls: None,
            admin_tls: None,
            forward_tls: None,
            forward_timeout: Duration::from_mins(1),
            topic_tracking: true,
            topic_tracking_reset: true,
            loggers: None,
            topics: None,
        }
    }
}

/// Where the server listens.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    /// There for https.
    pub(crate) tls: Option<Acceptor>,
}

impl RestOptions {
    /// What the worker's keys say of the REST API; the others are the defaults. `props` are all of the worker's keys: those of TLS
    /// are read from them, with the key stores that they name, when there is an https listener, so this blocks.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key at fault.
    pub fn of(config: &WorkerConfig, props: &Props) -> Result<Self> {
        let rest = &config.rest;
        let admin = rest.admin_listeners.clone().unwrap_or_default();
        let options = Self {
            listeners: rest.listeners.join(","),
            admin_listeners: rest.admin_listeners.as_ref().map(|listeners| listeners.join(",")),
            response_headers: rest.response_headers.clone(),
            allow_origin: rest.access_control_allow_origin.clone(),
            allow_methods: rest.access_control_allow_methods.clone(),
            mask_secrets: rest.mask_secrets,
            topic_tracking: config.topic_tracking_enable,
            topic_tracking_reset: config.topic_tracking_allow_reset,
            verification_algorithms: config.group.verification_algorithms.clone(),
            stalled_tasks: match config.health_stalled_tasks.as_str() {
                "ignore" => StalledTasks::Ignore,
                "fail" => StalledTasks::Fail,
                _ => StalledTasks::Report,
            },
            tls: tls::listening(&rest.listeners, props, tls::LISTENERS)?,
            admin_tls: tls::listening(&admin, props, tls::ADMIN_LISTENERS)?,
            forward_tls: tls::connecting(&rest.listeners, props)?,
            ..Self::default()
        };
        HeaderRules::parse(&options.response_headers)?;
        Cors::parse(&options.allow_origin, &options.allow_methods)?;
        Ok(options)
    }

    /// Resolves `listeners`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the entry at fault.
    pub(crate) async fn addresses(&self) -> Result<Vec<Listener>> {
        let addresses = self.resolve_all(&self.listeners, self.tls.as_ref()).await?;
        if addresses.is_empty() {
            return Err(self.invalid("name at least one, for instance http://127.0.0.1:8083"));
        }
        Ok(addresses)
    }

    /// Resolves `admin.listeners`; none when `/admin` has no listeners of its own.
    ///
    /// # Errors
    /// As of [`RestOptions::addresses`].
    pub(crate) async fn admin_addresses(&self) -> Result<Vec<Listener>> {
        let listeners = self.admin_listeners.as_deref().unwrap_or_default();
        self.resolve_all(listeners, self.admin_tls.as_ref()).await.map_err(|error| {
            Error::config(error.message().replace("configuration listeners", "configuration admin.listeners"))
        })
    }

    async fn resolve_all(&self, listeners: &str, tls: Option<&Acceptor>) -> Result<Vec<Listener>> {
        let mut addresses = Vec::new();
        for listener in listeners.split(',').map(str::trim).filter(|listener| !listener.is_empty()) {
            addresses.push(self.resolve(listener, tls).await?);
        }
        Ok(addresses)
    }

    async fn resolve(&self, listener: &str, tls: Option<&Acceptor>) -> Result<Listener> {
        let form = || self.invalid(&format!("{listener}: expected http://host:port or https://host:port"));
        let (scheme, rest) = listener.split_once("://").unwrap_or_default();
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => None,
            "https" => Some(tls.cloned().ok_or_else(|| {
                self.invalid(&format!(
                    "{listener}: https needs a certificate; set listeners.https.ssl.keystore.location"
                ))
            })?),
            _ => return Err(form()),
        };
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(form)?;
        let port: u16 = port.parse().map_err(|_| form())?;
        let host = match host.trim_start_matches('[').trim_end_matches(']') {
            "" => "0.0.0.0",
            host => host,
        };
        let unknown = |cause: String| self.invalid(&format!("{listener}: host {host} does not resolve: {cause}"));
        let mut found = tokio::net::lookup_host((host, port)).await.map_err(|error| unknown(error.to_string()))?;
        let address = found.next().ok_or_else(|| unknown("no address".to_owned()))?;
        Ok(Listener { address, tls })
    }

    pub(crate) fn invalid(&self, cause: &str) -> Error {
        Error::config(format!("Invalid value {} for configuration listeners: {cause}", self.listeners))
    }
}
