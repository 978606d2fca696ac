//! Connections and what bounds them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use millrace_api::{Error, Result};
use millrace_core::herder::Herder;
use millrace_tls::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::cors::Cors;
use crate::error::ApiError;
use crate::headers::HeaderRules;
use crate::options::Listener;
use crate::routes::Scope;
use crate::topics::Topics;
use crate::validations::Validations;
use crate::{RestOptions, page, path, routes};

/// Largest head of a request, in bytes; more is a 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// What handlers share.
pub(crate) struct Api {
    pub(crate) herder: Arc<dyn Herder>,
    pub(crate) options: RestOptions,
    /// Asks the worker that answers instead of this one.
    pub(crate) client: Client,
    pub(crate) validations: Validations,
    /// What is below `/millrace/topics`, when it is shown.
    pub(crate) topics: Option<Topics>,
    /// Cancelled when the server is told to stop.
    pub(crate) stop: CancellationToken,
}

/// Scheme, host and port by which the client reached this worker, for `Location`.
#[derive(Debug, Clone)]
pub(crate) struct Origin(pub(crate) String);

/// The running REST API. It ends with [`RestServer::shutdown`]; when it is dropped it stops accepting, and nobody waits for
/// requests under way.
#[derive(Debug)]
pub struct RestServer {
    /// The address of the first listener, with the port that was picked when the option said 0.
    pub local_addr: SocketAddr,
    /// The address of the first listener that answers `/admin` alone, if there is one.
    pub admin_addr: Option<SocketAddr>,
    stop: CancellationToken,
    /// One task per listener, which owns the connections that it accepted.
    listeners: JoinSet<()>,
}

impl RestServer {
    /// Stops accepting, lets requests under way finish within `shutdown_timeout`, and closes every connection.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        while self.listeners.join_next().await.is_some() {}
    }
}

impl Drop for RestServer {
    fn drop(&mut self) {
        self.stop.cancel();
        self.listeners.detach_all();
    }
}

/// Serves the REST API of `herder` on `listeners`. Returns when all of them accept connections.
///
/// A request outlives its client: when the connection is lost, or the deadline has passed, the herder's work goes on, as in
/// Kafka Connect.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming `listeners` when one is malformed, does not resolve, or cannot be bound.
pub async fn serve(herder: Arc<dyn Herder>, options: RestOptions) -> Result<RestServer> {
    let rules = HeaderRules::parse(&options.response_headers)?;
    let cors = Cors::parse(&options.allow_origin, &options.allow_methods)?;
    let mut bound = Vec::new();
    let scope = if options.admin_listeners.is_none() { Scope::All } else { Scope::WithoutAdmin };
    for Listener { address, tls } in options.addresses().await? {
        bound.push((scope, bind(&options, address).await?, tls));
    }
    for Listener { address, tls } in options.admin_addresses().await? {
        bound.push((Scope::Admin, bind(&options, address).await?, tls));
    }
    let first = |admin: bool| {
        let listener = bound.iter().find(|(scope, ..)| (*scope == Scope::Admin) == admin);
        listener.and_then(|(_, listener, _)| listener.local_addr().ok())
    };
    let local_addr = first(false).ok_or_else(|| options.invalid("the first has no address"))?;
    let admin_addr = first(true);
    let connections = Arc::new(Semaphore::new(options.max_connections));
    let stop = CancellationToken::new();
    let topics = options.topics.clone().map(Topics::new);
    let client = Client { timeout: options.forward_timeout, tls: options.forward_tls.clone() };
    let api =
        Arc::new(Api { herder, options, client, validations: Validations::default(), topics, stop: stop.clone() });
    let mut listeners = JoinSet::new();
    for (scope, listener, tls) in bound {
        let own = scope != Scope::Admin;
        let server = Server {
            api: Arc::clone(&api),
            router: TowerToHyperService::new(routes::router(Arc::clone(&api), scope)),
            // Kafka Connect sends neither from its admin listeners.
            rules: if own { rules.clone() } else { HeaderRules::default() },
            cors: cors.clone().filter(|_| own),
            tls,
            stop: stop.clone(),
            connections: Arc::clone(&connections),
        };
        listeners.spawn(Arc::new(server).accept(listener));
    }
    tracing::info!(%local_addr, "REST API is listening");
    Ok(RestServer { local_addr, admin_addr, stop, listeners })
}

async fn bind(options: &RestOptions, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| cannot_bind(options, address, error))
}

fn cannot_bind(options: &RestOptions, address: SocketAddr, error: std::io::Error) -> Error {
    options.invalid(&format!("cannot listen on {address}: {error}. Free the port or choose another")).because(error)
}

struct Server {
    api: Arc<Api>,
    router: TowerToHyperService<Router>,
    rules: HeaderRules,
    cors: Option<Cors>,
    /// There when this listener is https.
    tls: Option<Acceptor>,
    stop: CancellationToken,
    connections: Arc<Semaphore>,
}

impl Server {
    /// Accepts until it is told to stop, then waits for the connections.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut open = JoinSet::new();
        while let Some(accepted) = self.stop.run_until_cancelled(self.next(&listener)).await {
            match accepted {
                Ok((stream, permit)) => {
                    let server = Arc::clone(&self);
                    open.spawn(async move {
                        server.connection(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            while open.try_join_next().is_some() {}
        }
        drop(listener);
        let finished = async { while open.join_next().await.is_some() {} };
        // What is left when the time is up ends with the set.
        let _ = tokio::time::timeout(self.api.options.shutdown_timeout, finished).await;
    }

    async fn next(&self, listener: &TcpListener) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.connections).acquire_owned().await.map_err(std::io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        Ok((stream, permit))
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let Some(tls) = &self.tls else { return self.talk(stream).await };
        // A client that is silent here is one that sends no head.
        let shaken = tokio::time::timeout(self.api.options.header_timeout, tls.accept(stream));
        match self.stop.run_until_cancelled(shaken).await {
            Some(Ok(Ok(stream))) => self.talk(stream).await,
            Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
            Some(Err(_)) => tracing::debug!("a TLS handshake took too long"),
            None => {}
        }
    }

    async fn talk(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
        let server = Arc::clone(&self);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.api.options.header_timeout)
            .max_header_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Response {
        let began = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let asked = self.cors.as_ref().map(|cors| (cors, cors.asked(&method, request.headers())));
        let mut response = match prepare(request.map(Body::new), if self.tls.is_some() { "https" } else { "http" }) {
            Ok(request) => {
                let mut response = self.route(request).await;
                self.rules.apply(response.headers_mut());
                if let Some((cors, asked)) = asked {
                    cors.answer(asked, response.headers_mut());
                }
                response
            }
            Err(reason) => page::bad_request(reason),
        };
        let status = response.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            response.extensions_mut().insert(ReasonPhrase::from_static(b"Server Error"));
        }
        tracing::debug!(%method, path, status = status.as_u16(), elapsed = ?began.elapsed(), "request");
        response
    }

    /// Runs the handler as a task of its own: neither a lost client nor the deadline cuts it off halfway, and a panic is a 500.
    async fn route(&self, request: Request) -> Response {
        let answered = tokio::spawn(self.router.call(request));
        match tokio::time::timeout(self.api.options.request_timeout, answered).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(error)) => {
                tracing::error!(%error, "a request handler panicked");
                ApiError::server("Internal error: see the worker's log").into_response()
            }
            Err(_) => ApiError::server("Request timed out").into_response(),
        }
    }
}

/// Checks path and host, and notes the latter.
fn prepare(mut request: Request, scheme: &str) -> Result<Request, &'static str> {
    let origin = Origin(format!("{scheme}://{}", host(&request)?));
    let uri = path::normalize(request.uri())?;
    *request.uri_mut() = uri;
    request.extensions_mut().insert(origin);
    Ok(request)
}

/// RFC 9112, 3.2: the absolute form of the target wins over `Host`, which HTTP/1.1 must send once.
fn host(request: &Request) -> Result<String, &'static str> {
    if let Some(authority) = request.uri().authority() {
        return Ok(authority.to_string());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => Ok("localhost".to_owned()),
        (None, _) => Err("No Host"),
        (Some(_), Some(_)) => Err("Duplicate Host"),
        (Some(host), None) if host.is_empty() => Err("Blank Host"),
        (Some(host), None) => {
            let authority = Authority::try_from(host.as_bytes()).ok().filter(|host| !host.as_str().contains('@'));
            authority.map(|authority| authority.to_string()).ok_or("Bad HostPort")
        }
    }
}
