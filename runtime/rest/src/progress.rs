//! `GET /millrace/tasks`: how the tasks of this worker move.
//!
//! An array in the order of connector and task, of `{"connector","task","pollAgeMillis","deliveryAgeMillis","commitAgeMillis",
//! "stalled","load"}`. Ages are `null` for what has never happened; `stalled` says what the task has waited for longer than
//! `task.stalled.after.ms`, and is `null` when it moves or has nothing to do. `load` is the task's weight when leaders divide work, `null` until it is known.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::answer;
use crate::server::Api;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Moves {
    connector: String,
    task: i32,
    poll_age_millis: Option<u64>,
    delivery_age_millis: Option<u64>,
    commit_age_millis: Option<u64>,
    stalled: Option<String>,
    load: Option<u32>,
}

pub(crate) async fn list(State(api): State<Arc<Api>>) -> Response {
    let millis = |age: Option<Duration>| age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    let tasks = api.herder.progress().into_iter().map(|task| Moves {
        connector: task.connector,
        task: task.task,
        poll_age_millis: millis(task.ages.poll),
        delivery_age_millis: millis(task.ages.delivery),
        commit_age_millis: millis(task.ages.commit),
        stalled: task.stalled.map(|stall| stall.to_string()),
        load: task.load,
    });
    answer::json(StatusCode::OK, &tasks.collect::<Vec<_>>())
}
