//! The listener: admits requests, reads and checks them, offers them to the intake, and answers when the log has them.

use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use millrace_api::{Error, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::config::HttpSourceConfig;
use crate::intake::{Intake, Offer, Place, Request, now};
use crate::json;
use crate::ledger::Outcome;
use crate::records::{KEY_HEADER, Recipe};
use crate::reply::{self, Refused, Reply};

/// How long a client may take to send its request line and headers, and how long an idle connection stays open.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long open connections have for their last answer when the task stops.
const GOODBYE: Duration = Duration::from_secs(2);

/// Longest idempotency key in bytes.
const MAX_KEY: usize = 255;

/// Everything a request needs.
pub(crate) struct Server {
    config: HttpSourceConfig,
    method: Method,
    key_header: Option<HeaderName>,
    copied: Vec<HeaderName>,
    recipe: Recipe,
    intake: Arc<Intake>,
}

impl Server {
    pub(crate) fn new(config: &HttpSourceConfig, intake: Arc<Intake>) -> Result<Self> {
        let mut copied = Vec::new();
        for name in &config.headers_include {
            let name = header_name("http.headers.include", name)?;
            if name.as_str() != KEY_HEADER {
                copied.push(name);
            }
        }
        Ok(Self {
            method: Method::from_str(&config.method).unwrap_or(Method::POST),
            key_header: config.key_header().map(|name| header_name("idempotency.header", name)).transpose()?,
            copied,
            recipe: Recipe::new(config)?,
            config: config.clone(),
            intake,
        })
    }

    /// Accepts connections until cancelled, then gives those that are open [`GOODBYE`] to finish.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, cancel: CancellationToken) {
        let room = Arc::new(Semaphore::new(self.config.max_connections));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                () = cancel.cancelled() => break,
                accepted = accept(&listener, &room) => accepted,
            };
            if let Some((stream, permit)) = accepted {
                connections.spawn(Arc::clone(&self).serve(stream, permit, cancel.clone()));
            }
        }
        drop(listener);
        let _ = timeout(GOODBYE, async { while connections.join_next().await.is_some() {} }).await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, permit: OwnedSemaphorePermit, cancel: CancellationToken) {
        let _permit = permit;
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.answer(request).await.unwrap_or_else(|refused| *refused)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = cancel.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client's connection broke");
        }
    }

    /// The answer; `Err` is one that refuses the request before it is checked.
    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<Reply, Refused> {
        if request.uri().path() != self.config.path {
            return Err(reply::error(StatusCode::NOT_FOUND, "there is nothing at this path").into());
        }
        if request.method() != self.method {
            return Err(reply::method_not_allowed(self.method.as_str()).into());
        }
        if self.intake.stopping() {
            return Err(stopping().into());
        }
        check_content(request.headers())?;
        let key = self.idempotency_key(request.headers())?;
        let copied = self.copied_headers(request.headers())?;
        let deadline = Instant::now() + Duration::from_millis(self.config.ack_timeout_ms);

        let mut place = self.intake.admit().ok_or_else(busy)?;
        let body = self.read(request.into_body(), &mut place).await?;
        let body = match json::parse(&body, self.config.max_records) {
            Ok(body) => body,
            Err(cause) => {
                return Err(bad_request(&format!("the body is not valid: {cause}")));
            }
        };
        let records = match self.recipe.records(&body, &copied, key.as_deref(), now()) {
            Ok(records) => records,
            Err((wrong, faults)) => {
                let message = match &body {
                    serde_json::Value::Array(items) => {
                        format!("{wrong} of {} records are invalid; nothing was produced", items.len())
                    }
                    _ => "the record is invalid; nothing was produced".to_owned(),
                };
                return Err(reply::invalid(&message, &faults).into());
            }
        };
        drop(body);
        if records.is_empty() {
            return Ok(reply::accepted(0, false));
        }
        place.resize(records.bytes());
        Ok(self.produce(Request { key, records, place }, deadline).await)
    }

    /// Offers the request and waits for its outcome.
    async fn produce(&self, mut request: Request, deadline: Instant) -> Reply {
        let count = u32::try_from(request.records.len()).unwrap_or(u32::MAX);
        loop {
            match self.intake.offer(request) {
                Offer::Queued { id, outcome } => {
                    return match timeout_at(deadline, known(outcome)).await {
                        Ok(Outcome::Committed) => reply::accepted(count, false),
                        Ok(_) => stopping(),
                        Err(_) if self.intake.withdraw(id) => {
                            reply::unavailable("the log did not take the request in time; nothing was produced")
                        }
                        Err(_) => unknown(),
                    };
                }
                Offer::Duplicate(records) => return reply::accepted(records, true),
                Offer::Busy { outcome, request: again } => {
                    if timeout_at(deadline, known(outcome)).await.is_err() {
                        return unknown();
                    }
                    request = again;
                }
                Offer::Mismatch(records) => {
                    return reply::error(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        &format!(
                            "the idempotency key belongs to a request of {records} records, of which a part was \
                             produced; send that request again, or use another key"
                        ),
                    );
                }
                Offer::Stopping => return stopping(),
            }
        }
    }

    async fn read(&self, mut body: Incoming, place: &mut Place) -> Result<Bytes, Refused> {
        let limit = self.config.max_body_bytes;
        let too_large = || {
            let message = format!("the body is larger than {limit} bytes; send several requests");
            Refused::from(reply::error(StatusCode::PAYLOAD_TOO_LARGE, &message))
        };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let reading = async {
            let mut bytes = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| bad_request("the body broke off"))?;
                let Ok(data) = frame.into_data() else { continue };
                if bytes.len() + data.len() > limit {
                    return Err(too_large());
                }
                if !place.grow(data.len()) {
                    return Err(busy());
                }
                bytes.extend_from_slice(&data);
            }
            Ok(bytes.freeze())
        };
        match timeout(Duration::from_millis(self.config.body_timeout_ms), reading).await {
            Ok(read) => read,
            Err(_) => Err(reply::error(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time").into()),
        }
    }

    fn idempotency_key(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Refused> {
        let Some(name) = &self.key_header else { return Ok(None) };
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY);
        match key {
            Some(key) if values.next().is_none() => Ok(Some(Arc::from(key))),
            _ => Err(bad_request(&format!(
                "header {name} must occur once, with 1 to {MAX_KEY} printable ASCII characters"
            ))),
        }
    }

    fn copied_headers(&self, headers: &HeaderMap) -> Result<Vec<(String, String)>, Refused> {
        let mut copied = Vec::new();
        for name in &self.copied {
            for value in headers.get_all(name) {
                let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
                    return Err(bad_request(&format!("header {name} is not UTF-8")));
                };
                copied.push((name.as_str().to_owned(), text.to_owned()));
            }
        }
        Ok(copied)
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Only plain JSON: browsers cannot send it to another site without asking first, and nothing unpacks to more than it is.
fn check_content(headers: &HeaderMap) -> Result<(), Refused> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    if !is_json {
        return Err(unsupported("use Content-Type: application/json"));
    }
    match headers.get(CONTENT_ENCODING).map(hyper::header::HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(()),
        Some(_) => Err(unsupported("send the body without Content-Encoding")),
    }
}

/// What became of a request, once that is known. A sender that is gone stands for a refusal.
async fn known(mut outcome: watch::Receiver<Outcome>) -> Outcome {
    match outcome.wait_for(|outcome| *outcome != Outcome::Pending).await {
        Ok(outcome) => *outcome,
        Err(_) => Outcome::Refused,
    }
}

fn header_name(key: &str, name: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        Error::config(format!("Invalid value {name} for configuration {key}: Expected the name of an HTTP header"))
    })
}

fn bad_request(message: &str) -> Refused {
    reply::error(StatusCode::BAD_REQUEST, message).into()
}

fn unsupported(message: &str) -> Refused {
    reply::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into()
}

fn busy() -> Refused {
    reply::unavailable("too many requests wait for the log; nothing was produced").into()
}

fn stopping() -> Reply {
    reply::unavailable("the connector stops; send the request again, with the same idempotency key")
}

fn unknown() -> Reply {
    let message =
        "the log did not acknowledge in time, and may still; send the request again, with the same idempotency key";
    reply::error(StatusCode::GATEWAY_TIMEOUT, message)
}
