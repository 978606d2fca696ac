//! What the worker file says about the REST API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::{Error, Result};
use millrace_core::loggers::Loggers;

use crate::topics::TopicsOptions;

/// Options of [`serve`](crate::serve). The defaults are Kafka Connect's where it has one.
#[derive(Clone)]
pub struct RestOptions {
    /// `listeners`: comma-separated `http://host:port`. An empty host listens on all interfaces, port 0 picks a free one.
    /// Loopback by default, because nobody is asked for a password yet.
    pub listeners: String,
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
            version: "4.3.1".to_owned(),
            commit: option_env!("MILLRACE_COMMIT")
                .unwrap_or(concat!("millrace-", env!("CARGO_PKG_VERSION")))
                .to_owned(),
            mask_secrets: true,
            max_body_bytes: 1024 * 1024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(90),
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
    /// Resolves `listeners`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the entry at fault.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for listener in self.listeners.split(',').map(str::trim).filter(|listener| !listener.is_empty()) {
            addresses.push(self.resolve(listener).await?);
        }
        if addresses.is_empty() {
            return Err(self.invalid("name at least one, for instance http://127.0.0.1:8083"));
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
