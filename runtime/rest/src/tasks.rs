//! `/connectors/{name}/tasks/…`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use millrace_api::ErrorKind;
use serde::Serialize;

use crate::answer::{self, Object, TaskId, TaskStateBody};
use crate::connectors::{Answer, reworded};
use crate::error::ApiError;
use crate::forward::{Hop, Onward};
use crate::mask::Mask;
use crate::path;
use crate::server::Api;

#[derive(Serialize)]
struct TaskInfo<'a> {
    id: TaskId<'a>,
    config: Object<'a>,
}

pub(crate) async fn list(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    let mut configs = api.herder.task_configs(&name).await?;
    let class = match configs.first() {
        Some(first) if !first.contains_key("connector.class") => {
            api.herder.info(&name).await?.config.get("connector.class").cloned()
        }
        first => first.and_then(|config| config.get("connector.class").cloned()),
    };
    let mut mask = Mask::new(&api);
    for config in &mut configs {
        mask.hide_as(class.as_deref().unwrap_or_default(), config);
    }
    let task = |(task, config)| TaskInfo { id: TaskId { connector: &name, task }, config: Object(config) };
    let tasks: Vec<TaskInfo<'_>> = (0..).zip(&configs).map(task).collect();
    Ok(answer::json(StatusCode::OK, &tasks))
}

pub(crate) async fn status(State(api): State<Arc<Api>>, Path((name, task)): Path<(String, String)>) -> Answer {
    let task = number(&task)?;
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, format!("No status found for task {name}-{task}"));
    let mut status = match api.herder.status(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(unknown()),
        status => status?,
    };
    Mask::new(&api).scrub_status(&mut status).await;
    let (id, state) = status.tasks.iter().find(|(id, _)| *id == task).ok_or_else(unknown)?;
    Ok(answer::json(StatusCode::OK, &TaskStateBody { id: *id, state: state.into() }))
}

pub(crate) async fn restart(
    State(api): State<Arc<Api>>,
    Path((name, task)): Path<(String, String)>,
    hop: Hop,
) -> Answer {
    let task = number(&task)?;
    let answered = api.herder.restart_task(&name, task).await;
    let onward = || Onward::new(Method::POST, path::of(&name, &format!("tasks/{task}/restart")));
    api.here_or_there(&hop, answered, reworded(&name, "Unknown connector: "), onward).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// A task's number; what is none names no resource.
fn number(text: &str) -> Result<i32, ApiError> {
    text.parse().map_err(|_| ApiError::http(StatusCode::NOT_FOUND))
}
