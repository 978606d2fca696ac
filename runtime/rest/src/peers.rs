//! Requests that a worker makes to another by itself: [`PeerClient`] is [`Peers`] over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName, Method};
use millrace_api::config::Props;
use millrace_api::{Error, ErrorKind, Result};
use millrace_core::herder::SessionKey;
use millrace_core::peers::Peers;
use millrace_core::task::TaskId;
use millrace_tls::Connector;
use serde_json::Value;

use crate::answer::{self, Object};
use crate::client::{Client, Outgoing, Unsent};
use crate::{forward, path, signature};

/// How long a request to another worker may take, in all.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Asks other workers over HTTP. Cheap to clone; it keeps no connections.
#[derive(Debug, Clone)]
pub struct PeerClient {
    client: Client,
    algorithm: String,
}

impl PeerClient {
    /// A client that signs with `algorithm` (`inter.worker.signature.algorithm`), and encrypts requests to workers that advertise
    /// https with `tls` ([`RestOptions::forward_tls`](crate::RestOptions::forward_tls)).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when this worker cannot sign with it.
    pub fn new(algorithm: &str, tls: Option<Connector>) -> Result<Self> {
        if !signature::is_supported(algorithm) {
            return Err(Error::config(format!(
                "Invalid value {algorithm} for configuration inter.worker.signature.algorithm: it must be one of {}",
                signature::supported()
            )));
        }
        Ok(Self { client: Client { timeout: TIMEOUT, tls }, algorithm: algorithm.to_owned() })
    }

    async fn ask(&self, url: &str, outgoing: Outgoing, key: Option<&SessionKey>) -> Result<Value> {
        let mut outgoing = outgoing;
        let body = outgoing.body.as_deref().unwrap_or_default();
        let signed = key.and_then(|key| signature::headers(&self.algorithm, key, body));
        let signed = signed.into_iter().flatten().map(|(name, value)| (HeaderName::from_static(name), value));
        outgoing.headers.extend(signed);
        let reply = self.client.send(outgoing).await.map_err(|error| {
            let kind = if matches!(error, Unsent::Url(_)) { ErrorKind::External } else { ErrorKind::Retriable };
            Error::new(kind, error.to_string()).with("worker", url)
        })?;
        match forward::relayed(&reply) {
            Ok(relayed) => Ok(relayed.body),
            Err(error) => {
                let kind = match reply.status.as_u16() {
                    404 => ErrorKind::NotFound,
                    409 | 503 => ErrorKind::Retriable,
                    _ => ErrorKind::External,
                };
                Err(Error::new(kind, error.message().to_owned()).with("worker", url))
            }
        }
    }
}

#[async_trait]
impl Peers for PeerClient {
    async fn put_task_configs(
        &self,
        url: &str,
        connector: &str,
        configs: &[Props],
        key: Option<&SessionKey>,
    ) -> Result<()> {
        let configs: Vec<Object<'_>> = configs.iter().map(Object).collect();
        let outgoing = outgoing(Method::POST, url, connector, "tasks", Some(answer::encode(&configs)));
        self.ask(url, outgoing, key).await.map(drop)
    }

    async fn fence_zombies(&self, url: &str, connector: &str, key: Option<&SessionKey>) -> Result<()> {
        self.ask(url, outgoing(Method::PUT, url, connector, "fence", None), key).await.map(drop)
    }

    async fn connector_plugins(&self, url: &str) -> Result<BTreeSet<String>> {
        let target = format!("{}/connector-plugins", url.trim_end_matches('/'));
        let outgoing = Outgoing { method: Method::GET, url: target, headers: HeaderMap::new(), body: None };
        let listed = self.ask(url, outgoing, None).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(ErrorKind::Retriable, error.message().to_owned()).with("worker", url),
            _ => error,
        })?;
        let classes = listed.as_array().into_iter().flatten();
        Ok(classes.filter_map(|plugin| plugin.get("class")?.as_str().map(str::to_owned)).collect())
    }

    async fn task_loads(&self, url: &str) -> Result<BTreeMap<TaskId, u32>> {
        let target = format!("{}/millrace/tasks", url.trim_end_matches('/'));
        let outgoing = Outgoing { method: Method::GET, url: target, headers: HeaderMap::new(), body: None };
        let listed = self.ask(url, outgoing, None).await?;
        let load = |task: &Value| {
            let number = i32::try_from(task.get("task")?.as_i64()?).ok()?;
            let load = u32::try_from(task.get("load")?.as_u64()?).ok()?;
            Some((TaskId::new(task.get("connector")?.as_str()?, number), load))
        };
        Ok(listed.as_array().into_iter().flatten().filter_map(load).collect())
    }
}

fn outgoing(method: Method, url: &str, connector: &str, what: &str, body: Option<Vec<u8>>) -> Outgoing {
    let url = format!("{}/connectors/{}/{what}", url.trim_end_matches('/'), path::segment(connector));
    Outgoing { method, url, headers: HeaderMap::new(), body }
}
