//! The official client, and nothing but it. Everything goes through its transport: bodies are made by us.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::response::Response;
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};
use millrace_api::config::Password;
use millrace_api::{Error, ErrorKind, Result};

use crate::config::ElasticsearchSinkConfig;

/// Of a bulk answer only what is looked at, so that a good one costs 25 bytes a document.
const BULK: &str = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason";

/// How long a node that did not answer is passed over while there are others.
const PASSED_OVER: Duration = Duration::from_secs(10);

/// A connection to a cluster.
pub(crate) struct Client {
    nodes: Vec<Node>,
    next: AtomicUsize,
    timeout: Duration,
}

/// A node. The transport's own pool would go on asking nodes that are gone, so each has a transport of its own.
struct Node {
    url: Url,
    transport: Transport,
    /// Not before then, unless no other is left.
    passed_over: Mutex<Option<Instant>>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Client {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when an address or certificate cannot be read.
    pub(crate) fn new(config: &ElasticsearchSinkConfig) -> Result<Self> {
        let nodes = config.urls.iter().map(|url| Node::new(url, config)).collect::<Result<Vec<_>>>()?;
        Ok(Self { nodes, next: AtomicUsize::new(0), timeout: config.request_timeout() })
    }

    /// Whether a server answers.
    ///
    /// # Errors
    /// [`ErrorKind::External`] when it refuses the credentials, [`ErrorKind::Retriable`] for anything else.
    pub(crate) async fn ping(&self) -> Result<()> {
        let answer = self.call(Method::Get, "/", None).await?;
        match answer.status {
            200..=299 => Ok(()),
            401 | 403 => Err(answer.refused("connect")),
            _ => Err(Error::retriable("what answered is no Elasticsearch, or not ready")),
        }
    }

    /// Sends operations. A status other than 200 is about the request as a whole.
    ///
    /// # Errors
    /// [`ErrorKind::Retriable`] or [`ErrorKind::Timeout`] when there was no answer.
    pub(crate) async fn bulk(&self, body: Bytes) -> Result<Answer> {
        self.send(Method::Post, BULK, "application/x-ndjson", Some(body)).await
    }

    /// Sends a request with a JSON body, or none.
    ///
    /// # Errors
    /// [`ErrorKind::Retriable`] or [`ErrorKind::Timeout`] when there was no answer.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer> {
        self.send(method, path, "application/json", body).await
    }

    /// Nodes take turns. One that cannot be reached is passed over for a while, and the next one is asked.
    async fn send(&self, method: Method, path: &str, kind: &'static str, body: Option<Bytes>) -> Result<Answer> {
        let mut failed = Error::config("Invalid value for configuration connection.url: no address");
        for node in self.turn() {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            let sent = node.transport.send(method, path, headers, None::<&()>, body.clone(), Some(self.timeout)).await;
            let read = match sent {
                Ok(response) => self.read(response).await,
                Err(error) => Err(no_answer(error)),
            };
            match read {
                // Slow is not gone: the request may still be at work, and another node would be no faster.
                Err(error) if error.kind() == ErrorKind::Timeout => {
                    node.pass_over();
                    return Err(error);
                }
                Err(error) if error.is_retriable() => {
                    node.pass_over();
                    failed = error;
                }
                settled => return settled,
            }
        }
        Err(failed)
    }

    /// All nodes, each once, those that are passed over last.
    fn turn(&self) -> Vec<&Node> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len().max(1);
        let (before, from) = self.nodes.split_at(first);
        let mut turn: Vec<&Node> = from.iter().chain(before).collect();
        turn.sort_by_key(|node| node.is_passed_over());
        turn
    }

    /// The client follows redirects; what comes from anywhere but the configured nodes is not believed.
    async fn read(&self, response: Response) -> Result<Answer> {
        if !self.nodes.iter().any(|node| node.url.origin() == response.url().origin()) {
            let message =
                "the server redirects to an address that is not in connection.url; name the final address there";
            return Err(Error::external(message));
        }
        let status = response.status_code().as_u16();
        let body = response.bytes().await.map_err(no_answer)?;
        Ok(Answer { status, body })
    }
}

impl Node {
    fn new(url: &str, config: &ElasticsearchSinkConfig) -> Result<Self> {
        let url = Url::parse(url).map_err(|error| invalid("connection.url", &error.to_string()))?;
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url.clone()))
            .request_body_compression(config.compression)
            .enable_meta_header(false);
        builder = if config.proxy_host.is_empty() {
            // Not the environment's proxies: where records go is written in the connector's configuration.
            builder.disable_proxy()
        } else {
            let proxy = Url::parse(&format!("http://{}:{}", config.proxy_host, config.proxy_port));
            let proxy = proxy.map_err(|error| invalid("proxy.host", &error.to_string()))?;
            let user = (!config.proxy_username.is_empty()).then_some(config.proxy_username.as_str());
            builder.proxy(proxy, user, config.proxy_password.as_ref().map(Password::reveal))
        };
        if let (Some(user), Some(password)) = (&config.username, &config.password) {
            builder = builder.auth(Credentials::Basic(user.clone(), password.reveal().to_owned()));
        }
        let no_certificates = || invalid("elastic.https.ssl.truststore.certificates", "Not certificates in PEM form");
        if let Some(pem) = &config.certificates {
            let certificate = Certificate::from_pem(pem.reveal().as_bytes()).map_err(|_| no_certificates())?;
            builder = builder.cert_validation(CertificateValidation::Full(certificate));
        }
        let transport = builder.build().map_err(|_| no_certificates())?;
        Ok(Self { url, transport, passed_over: Mutex::new(None) })
    }

    fn pass_over(&self) {
        *self.passed_over.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PASSED_OVER);
    }

    fn is_passed_over(&self) -> bool {
        self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}

impl Answer {
    /// The error of an answer that refuses: which kind it is follows from the status.
    pub(crate) fn refused(&self, what: &str) -> Error {
        let kind = match self.status {
            429 | 500 | 502..=504 => ErrorKind::Retriable,
            _ => ErrorKind::External,
        };
        let (class, reason) = self.reason();
        Error::new(kind, format!("Elasticsearch refused to {what}: {class}: {reason}")).with("status", self.status)
    }

    /// Type and reason of the server's exception.
    pub(crate) fn reason(&self) -> (String, String) {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |pointer: &str| body.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned);
        (
            text("/error/type").unwrap_or_else(|| "unknown".to_owned()),
            text("/error/reason").unwrap_or_else(|| "no reason given".to_owned()),
        )
    }
}

fn no_answer(error: elasticsearch::Error) -> Error {
    if error.is_timeout() {
        return Error::new(ErrorKind::Timeout, "Elasticsearch did not answer within read.timeout.ms").because(error);
    }
    Error::retriable("Elasticsearch could not be reached, or broke the connection; see connection.url").because(error)
}

fn invalid(key: &str, cause: &str) -> Error {
    Error::config(format!("Invalid value {} for configuration {key}: {cause}", Password::HIDDEN))
}
