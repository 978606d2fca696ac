//! `/admin/loggers` (KIP-495, KIP-976).

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use millrace_core::loggers::{Level, LoggerLevel};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::answer;
use crate::body::Entity;
use crate::connectors::{Answer, Parameters};
use crate::error::ApiError;
use crate::json;
use crate::server::Api;

const NO_BODY: &str = "Cannot invoke \"java.util.Map.get(Object)\" because \"levelMap\" is null";

#[derive(serde::Serialize)]
struct LevelBody {
    level: &'static str,
    last_modified: Option<i64>,
}

impl From<LoggerLevel> for LevelBody {
    fn from(logger: LoggerLevel) -> Self {
        Self { level: logger.level.name(), last_modified: logger.last_modified }
    }
}

struct Loggers(Vec<(String, LoggerLevel)>);

impl Serialize for Loggers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, logger) in &self.0 {
            map.serialize_entry(name, &LevelBody::from(*logger))?;
        }
        map.end()
    }
}

pub(crate) async fn list(State(api): State<Arc<Api>>) -> Answer {
    let all = api.options.loggers.as_ref().map(|loggers| loggers.list()).unwrap_or_default();
    Ok(answer::json(StatusCode::OK, &Loggers(all)))
}

pub(crate) async fn get(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, format!("Logger {name} not found."));
    let logger = api.options.loggers.as_ref().and_then(|loggers| loggers.get(&name)).ok_or_else(unknown)?;
    Ok(answer::json(StatusCode::OK, &LevelBody::from(logger)))
}

pub(crate) async fn set(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Query(parameters): Parameters,
    Entity(body): Entity,
) -> Answer {
    let levels = json::read_config(&body)?.ok_or_else(|| ApiError::server(NO_BODY))?;
    let missing = || ApiError::bad_request("Desired 'level' parameter was not specified in request.");
    let wanted = levels.get("level").and_then(Option::as_deref).ok_or_else(missing)?;
    if wanted.is_empty() {
        return Err(ApiError::server("Illegal null or empty Level name."));
    }
    let invalid = || ApiError::new(StatusCode::NOT_FOUND, format!("invalid log level '{wanted}'."));
    let level = Level::parse(wanted).ok_or_else(invalid)?;
    let scope = parameters.iter().find(|(key, _)| key == "scope").map_or("worker", |(_, scope)| scope);
    if scope.eq_ignore_ascii_case("cluster") {
        api.herder.set_cluster_logger(&name, level.name()).await?;
        return Ok(answer::empty(StatusCode::NO_CONTENT));
    }
    if !scope.eq_ignore_ascii_case("worker") {
        tracing::warn!(scope, "a logger's level was asked for in an unknown scope; it is changed on this worker");
    }
    let changed = api.options.loggers.as_ref().map(|loggers| loggers.set(&name, level)).unwrap_or_default();
    Ok(answer::json(StatusCode::OK, &changed))
}
