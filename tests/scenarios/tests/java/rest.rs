//! The REST API of one worker, as an operator's scripts use it.

use std::path::Path;
use std::time::Duration;

use hyper::Method;
use millrace_scenarios::{Answer, Http, eventually};
use serde_json::Value;

use crate::group::read_properties;

/// How long a state may take to come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// See the module documentation.
#[derive(Clone)]
pub(crate) struct Rest {
    /// Host and port, which also is the worker's id.
    pub(crate) id: String,
    http: Http,
}

impl Rest {
    /// Of the worker with these properties.
    pub(crate) fn of(properties: &Path) -> Self {
        let port = &read_properties(properties)["rest.advertised.port"];
        Self { id: format!("127.0.0.1:{port}"), http: Http::default() }
    }

    /// One request; `None` when nobody answers.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> Option<Answer> {
        self.http.send(method, &format!("http://{}{path}", self.id), &[], body).await
    }

    /// GET, once.
    pub(crate) async fn get(&self, path: &str) -> Option<Answer> {
        self.send(Method::GET, path, "").await
    }

    /// A request that must be answered with `status`. It is asked again while it cannot be done yet, as clients do.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value, status: u16) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let what = format!("{method} {path} at {}", self.id);
        let says = |answer: &Answer, text: &str| answer.body.contains(text);
        let busy = |answer: &Answer| match answer.status {
            409 => says(answer, "rebalance") || says(answer, "stale configuration"),
            // The offsets of a sink whose consumers have not left their group yet.
            500 => says(answer, "can be safely retried"),
            _ => false,
        };
        let send = || self.send(method.clone(), path, &body);
        let answer = eventually(&what, PATIENCE, send, |answer| answer.as_ref().is_some_and(|answer| !busy(answer)));
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        answer.json()
    }

    /// Waits for an answer of 200 that is as it should be.
    pub(crate) async fn until(&self, what: &str, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let seen = || async { self.get(path).await.filter(|answer| answer.status == 200).map(|answer| answer.json()) };
        let what = format!("{what}: {path} at {}", self.id);
        eventually(&what, PATIENCE, seen, |seen| seen.as_ref().is_some_and(&done)).await.unwrap_or_default()
    }

    /// Waits until a connector and so many of its tasks are in `state`.
    pub(crate) async fn until_all(&self, name: &str, tasks: usize, state: &str) -> Value {
        let path = format!("/connectors/{name}/status");
        self.until(&format!("{tasks} tasks {state}"), &path, |status| {
            let all = status["tasks"].as_array().map_or(&[][..], Vec::as_slice);
            status["connector"]["state"] == state && all.len() == tasks && all.iter().all(|task| task["state"] == state)
        })
        .await
    }
}
