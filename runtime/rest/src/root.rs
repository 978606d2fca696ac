//! `/` and `/health` (KIP-1017).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::answer;
use crate::error::ApiError;
use crate::options::StalledTasks;
use crate::server::Api;

#[derive(Serialize)]
struct ServerInfo<'a> {
    version: &'a str,
    commit: &'a str,
    kafka_cluster_id: String,
}

#[derive(Serialize)]
struct WorkerStatus<'a> {
    status: &'static str,
    message: &'a str,
}

const HEALTHY: WorkerStatus<'_> =
    WorkerStatus { status: "healthy", message: "Worker has completed startup and is ready to handle requests." };
const STARTING: WorkerStatus<'_> = WorkerStatus { status: "starting", message: "Worker is still starting up." };
const UNHEALTHY: WorkerStatus<'_> = WorkerStatus {
    status: "unhealthy",
    message: "Worker was unable to handle this request and may be unable to handle other requests.",
};

pub(crate) async fn server_info(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let kafka_cluster_id = api.herder.cluster_id().await?;
    let info = ServerInfo { version: &api.options.version, commit: &api.options.commit, kafka_cluster_id };
    Ok(answer::json(StatusCode::OK, &info))
}

/// Healthy means that the herder answers a question in time, not only that it has started, and that no task is stalled, if that is
/// wanted.
pub(crate) async fn health(State(api): State<Arc<Api>>) -> Response {
    if !api.herder.ready() {
        return answer::json(StatusCode::SERVICE_UNAVAILABLE, &STARTING);
    }
    match tokio::time::timeout(api.options.health_timeout, api.herder.connectors()).await {
        Ok(Ok(_)) => moving(&api),
        _ => answer::json(StatusCode::INTERNAL_SERVER_ERROR, &UNHEALTHY),
    }
}

/// Healthy, unless tasks are stalled and `health.stalled.tasks` says that this matters.
fn moving(api: &Api) -> Response {
    let tasks = if api.options.stalled_tasks == StalledTasks::Ignore { Vec::new() } else { api.herder.progress() };
    let stalled: Vec<_> =
        tasks.iter().filter_map(|task| Some(format!("{}-{}: {}", task.connector, task.task, task.stalled?))).collect();
    if stalled.is_empty() {
        return answer::json(StatusCode::OK, &HEALTHY);
    }
    let told = format!("Tasks that do not move: {}.", stalled.join("; "));
    if api.options.stalled_tasks == StalledTasks::Fail {
        return answer::json(
            StatusCode::INTERNAL_SERVER_ERROR,
            &WorkerStatus { status: UNHEALTHY.status, message: &told },
        );
    }
    let message = &format!("{} {told}", HEALTHY.message);
    answer::json(StatusCode::OK, &WorkerStatus { status: HEALTHY.status, message })
}
