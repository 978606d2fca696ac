//! What workers ask of each other: `POST /connectors/{c}/tasks` and `PUT /connectors/{c}/fence`, signed (KIP-507).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::{MethodRouter, post, put};
use millrace_api::config::Props;

use crate::answer;
use crate::body::Raw;
use crate::connectors::{Answer, split_nulls};
use crate::error::ApiError;
use crate::forward::{Hop, Onward};
use crate::server::Api;
use crate::{json, path, signature};

type Resource = MethodRouter<Arc<Api>>;

pub(crate) fn tasks() -> Resource {
    post(put_task_configs)
}

pub(crate) fn fence() -> Resource {
    put(fence_zombies)
}

async fn put_task_configs(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    hop: Hop,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Answer {
    let configs = json::read_task_configs(&body)?;
    verify(&api, &headers, &body)?;
    let null = || ApiError::bad_request("The configurations of tasks may not be null");
    let configs = configs.ok_or_else(null)?.into_iter().map(|config| {
        let (config, nulls) = split_nulls(config.ok_or_else(null)?);
        if nulls.is_empty() { Ok(config) } else { Err(null()) }
    });
    let configs: Vec<Props> = configs.collect::<Result<_, ApiError>>()?;
    let answered = api.herder.put_task_configs(&name, configs).await;
    let onward = || Onward::new(Method::POST, path::of(&name, "tasks")).body(body.to_vec());
    api.here_or_there(&hop, answered, ApiError::from, onward).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

async fn fence_zombies(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    hop: Hop,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Answer {
    verify(&api, &headers, &body)?;
    let answered = api.herder.fence_zombies(&name).await;
    let onward = || Onward {
        body: (!body.is_empty()).then(|| body.to_vec()),
        ..Onward::new(Method::PUT, path::of(&name, "fence"))
    };
    api.here_or_there(&hop, answered, ApiError::from, onward).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

fn verify(api: &Api, headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    signature::check(&api.herder.signing(), &api.options.verification_algorithms, headers, body)
}
