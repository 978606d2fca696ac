//! What the worker file says about the REST API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::{Error, Result};
use millrace_core::loggers::Loggers;

use crate::cors::Cors;
use crate::headers::HeaderRules;
use crate::signature;
use crate::topics::TopicsOptions;

/// Options of [`serve`](crate::serve). The defaults are Kafka Connect's where it has one.
#[derive(Clone)]
pub struct RestOptions {
    /// `listeners`: comma-separated `http://host:port`. An empty host listens on all interfaces, port 0 picks a free one.
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
    /// Shows `[hidden]` for the value of every key that holds a secret. Kafka Connect shows them in clear.
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
            health_timeout: Duration::from_secs(10),
            max_connections: 1024,
            shutdown_timeout: Duration::from_secs(10),
            instance: String::new(),
            verification_algorithms: vec!["HmacSHA256".to_owned()],
            forward_timeout: Duration::from_mins(1),
            topic_tracking: true,
            topic_tracking_reset: true,
            loggers: None,
            topics: None,
        }
    }
}

impl RestOptions {
    /// The options that the worker file names; the others are the defaults.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key at fault.
    pub fn parse(props: &Props) -> Result<Self> {
        let text = |key: &str| props.get(key).map(|value| value.trim().to_owned());
        let flag = |key: &str| match text(key) {
            None => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(Error::config(format!(
                "Invalid value {value} for configuration {key}: Expected value to be either true or false"
            ))),
        };
        let mut options = Self {
            admin_listeners: text("admin.listeners"),
            response_headers: text("response.http.headers.config").unwrap_or_default(),
            allow_origin: text("access.control.allow.origin").unwrap_or_default(),
            allow_methods: text("access.control.allow.methods").unwrap_or_default(),
            mask_secrets: flag("rest.mask.secrets")?,
            topic_tracking: flag("topic.tracking.enable")?,
            topic_tracking_reset: flag("topic.tracking.allow.reset")?,
            ..Self::default()
        };
        if let Some(listeners) = text("listeners") {
            options.listeners = listeners;
        }
        if let Some(algorithms) = text("inter.worker.verification.algorithms") {
            options.verification_algorithms = verification(&algorithms)?;
        }
        HeaderRules::parse(&options.response_headers)?;
        Cors::parse(&options.allow_origin, &options.allow_methods)?;
        Ok(options)
    }

    /// Resolves `listeners`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the entry at fault.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let addresses = self.resolve_all(&self.listeners).await?;
        if addresses.is_empty() {
            return Err(self.invalid("name at least one, for instance http://127.0.0.1:8083"));
        }
        Ok(addresses)
    }

    /// Resolves `admin.listeners`; none when `/admin` has no listeners of its own.
    ///
    /// # Errors
    /// As of [`RestOptions::addresses`].
    pub(crate) async fn admin_addresses(&self) -> Result<Vec<SocketAddr>> {
        let listeners = self.admin_listeners.as_deref().unwrap_or_default();
        self.resolve_all(listeners).await.map_err(|error| {
            Error::config(error.message().replace("configuration listeners", "configuration admin.listeners"))
        })
    }

    async fn resolve_all(&self, listeners: &str) -> Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for listener in listeners.split(',').map(str::trim).filter(|listener| !listener.is_empty()) {
            addresses.push(self.resolve(listener).await?);
        }
        Ok(addresses)
    }

    async fn resolve(&self, listener: &str) -> Result<SocketAddr> {
        let (scheme, rest) = listener.split_once("://").unwrap_or_default();
        if scheme.eq_ignore_ascii_case("https") {
            return Err(
                self.invalid(&format!("{listener}: https is not supported; put a TLS proxy before it and use http"))
            );
        }
        let form = || self.invalid(&format!("{listener}: expected http://host:port"));
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(form());
        }
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(form)?;
        let port: u16 = port.parse().map_err(|_| form())?;
        let host = match host.trim_start_matches('[').trim_end_matches(']') {
            "" => "0.0.0.0",
            host => host,
        };
        let unknown = |cause: String| self.invalid(&format!("{listener}: host {host} does not resolve: {cause}"));
        let mut found = tokio::net::lookup_host((host, port)).await.map_err(|error| unknown(error.to_string()))?;
        found.next().ok_or_else(|| unknown("no address".to_owned()))
    }

    pub(crate) fn invalid(&self, cause: &str) -> Error {
        Error::config(format!("Invalid value {} for configuration listeners: {cause}", self.listeners))
    }
}

/// The algorithms of `inter.worker.verification.algorithms`.
fn verification(text: &str) -> Result<Vec<String>> {
    let invalid = |cause: String| {
        Error::config(format!("Invalid value {text} for configuration inter.worker.verification.algorithms: {cause}"))
    };
    let names: Vec<String> =
        text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(invalid("At least one signature verification algorithm must be provided".to_owned()));
    }
    match names.iter().find(|name| !signature::is_supported(name)) {
        Some(unknown) => Err(invalid(format!("{unknown} is none of {}", signature::supported()))),
        None => Ok(names),
    }
}
