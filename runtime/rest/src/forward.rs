//! Requests that another worker answers: they are sent on to it, and its answer is the answer (Kafka Connect's
//! `HerderRequestHandler` and `RestClient`).
//!
//! A client's request goes on with `forward=true`; when that worker is the wrong one too (the leader has just changed) it goes on
//! once more, with `forward=false`, and then no further. So a request makes two hops at most, whatever the workers believe.
//!
//! Where it goes comes from the group's metadata, and whoever may join the group writes that. [`crate::client`] bounds what a
//! hostile member can make of it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use millrace_api::{Error, ErrorKind};
use serde_json::Value;

use crate::client::{Outgoing, Reply};
use crate::error::ApiError;
use crate::server::Api;
use crate::{json, signature};

pub(crate) const NO_LEADER: &str =
    "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.";
const TWO_HOPS: &str = "Cannot complete request because of a conflicting operation (e.g. worker rebalance)";

/// What a request says about going on to another worker.
pub(crate) struct Hop {
    /// Its parameter `forward`: absent from a client, true on the first hop, false on the last.
    forward: Option<bool>,
    /// The only headers that go along: a client's credentials, and the signature of a worker.
    headers: HeaderMap,
}

impl FromRequestParts<Arc<Api>> for Hop {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Infallible> {
        let parameters = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|Query(all)| all);
        let forward = parameters.unwrap_or_default().into_iter().find(|(name, _)| name == "forward");
        let forward = forward.filter(|(_, value)| !value.is_empty());
        let mut headers = HeaderMap::new();
        for name in [AUTHORIZATION.as_str(), signature::SIGNATURE, signature::ALGORITHM] {
            if let Ok(name) = axum::http::HeaderName::from_bytes(name.as_bytes())
                && let Some(value) = parts.headers.get(&name)
            {
                headers.insert(name, value.clone());
            }
        }
        Ok(Self { forward: forward.map(|(_, value)| value.eq_ignore_ascii_case("true")), headers })
    }
}

/// A request as it goes on.
pub(crate) struct Onward<'a> {
    pub(crate) method: Method,
    /// Path below the worker's URL, encoded.
    pub(crate) path: String,
    /// Parameters besides `forward`; they need no encoding.
    pub(crate) query: &'a str,
    pub(crate) body: Option<Vec<u8>>,
}

impl Onward<'_> {
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self { method, path, query: "", body: None }
    }

    pub(crate) fn body(self, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..self }
    }
}

/// What the other worker answered: a status from 200 to 299, and its JSON.
#[derive(Debug)]
pub(crate) struct Relayed {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// The herder's answer, or what another worker answered in its place.
pub(crate) enum Outcome<T> {
    Here(T),
    There(Relayed),
}

impl Api {
    /// Sends a request on when the herder says that another worker answers.
    ///
    /// # Errors
    /// The herder's error, the other worker's, or why that one could not be asked.
    pub(crate) async fn here_or_there<T>(
        &self,
        hop: &Hop,
        answered: Result<T, Error>,
        words: impl FnOnce(Error) -> ApiError,
        onward: impl FnOnce() -> Onward<'static>,
    ) -> Result<Outcome<T>, ApiError> {
        match answered {
            Ok(done) => Ok(Outcome::Here(done)),
            Err(error) if error.kind() == ErrorKind::Elsewhere => {
                self.send_on(hop, error.url(), onward()).await.map(Outcome::There)
            }
            Err(error) => Err(words(error)),
        }
    }

    async fn send_on(&self, hop: &Hop, url: Option<&str>, onward: Onward<'_>) -> Result<Relayed, ApiError> {
        let forward = match hop.forward {
            None => true,
            Some(true) => false,
            Some(false) => {
                tracing::error!(path = onward.path, "a request did not find its worker within two hops");
                return Err(ApiError::new(StatusCode::CONFLICT, TWO_HOPS));
            }
        };
        let url = url.ok_or_else(|| ApiError::new(StatusCode::CONFLICT, NO_LEADER))?;
        let query = if onward.query.is_empty() { String::new() } else { format!("&{}", onward.query) };
        let outgoing = Outgoing {
            url: format!("{}{}?forward={forward}{query}", url.trim_end_matches('/'), onward.path),
            method: onward.method,
            headers: hop.headers.clone(),
            body: onward.body,
        };
        tracing::debug!(method = %outgoing.method, url = outgoing.url, "a request goes on to another worker");
        let reply = self.client.send(outgoing).await.map_err(|error| {
            tracing::error!(%error, url, "a request could not be sent on");
            ApiError::server(error.to_string())
        })?;
        relayed(&reply)
    }
}

/// Takes an answer apart as Kafka Connect's client does.
pub(crate) fn relayed(reply: &Reply) -> Result<Relayed, ApiError> {
    let status = reply.status;
    if status == StatusCode::NO_CONTENT {
        return Ok(Relayed { status, body: Value::Null });
    }
    if !status.is_success() && status.as_u16() < 400 {
        let message = format!("Unexpected status code when handling forwarded request: {}", status.as_u16());
        return Err(ApiError::server(message));
    }
    let io = |what: &str| ApiError::server(format!("IO Error trying to forward REST request: {what}"));
    let body = json::read_any(&reply.body).map_err(|error| io(&error.to_string()))?;
    let body = body.ok_or_else(|| io("No content to map due to end-of-input"))?;
    if status.is_success() {
        return Ok(Relayed { status, body });
    }
    let code = body.get("error_code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
    Err(ApiError::new(status, message).with_code(code.unwrap_or(0)))
}
