//! `/connectors/{name}/offsets` (KIP-875).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use millrace_api::connector::Json;
use millrace_core::herder::Position;
use serde::Serialize;

use crate::answer;
use crate::body::Entity;
use crate::connectors::Answer;
use crate::error::ApiError;
use crate::forward::{Hop, Onward, Outcome};
use crate::json::{self, OffsetEntry};
use crate::path;
use crate::server::Api;

const NO_BODY: &str = "Cannot invoke \"org.apache.kafka.connect.runtime.rest.entities.ConnectorOffsets.offsets()\" because \"offsets\" is null";
const NO_ENTRY: &str = "Cannot invoke \"org.apache.kafka.connect.runtime.rest.entities.ConnectorOffset.partition()\" because \"offset\" is null";

#[derive(Serialize)]
struct OffsetsBody<'a> {
    offsets: Vec<OffsetBody<'a>>,
}

#[derive(Serialize)]
struct OffsetBody<'a> {
    partition: &'a Json,
    offset: &'a Option<Json>,
}

impl<'a> From<&'a [Position]> for OffsetsBody<'a> {
    fn from(positions: &'a [Position]) -> Self {
        Self { offsets: positions.iter().map(|(partition, offset)| OffsetBody { partition, offset }).collect() }
    }
}

#[derive(Serialize)]
struct MessageBody<'a> {
    message: &'a str,
}

pub(crate) async fn list(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    let positions = api.herder.offsets(&name).await?;
    Ok(answer::json(StatusCode::OK, &OffsetsBody::from(positions.as_slice())))
}

pub(crate) async fn alter(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    hop: Hop,
    Entity(body): Entity,
) -> Answer {
    let entries = json::read_offsets(&body)?.ok_or_else(|| ApiError::server(NO_BODY))?;
    if entries.is_empty() {
        return Err(ApiError::bad_request("Partitions / offsets need to be provided for an alter offsets request"));
    }
    let positions = positions(&api, &name, entries).await?;
    let body = answer::encode(&OffsetsBody::from(positions.as_slice()));
    let onward = || Onward::new(Method::PATCH, path::of(&name, "offsets")).body(body);
    let answered = api.herder.alter_offsets(&name, Some(positions)).await;
    Ok(said(&api.here_or_there(&hop, answered, ApiError::from, onward).await?))
}

pub(crate) async fn reset(State(api): State<Arc<Api>>, Path(name): Path<String>, hop: Hop) -> Answer {
    let answered = api.herder.alter_offsets(&name, None).await;
    let onward = || Onward::new(Method::DELETE, path::of(&name, "offsets"));
    Ok(said(&api.here_or_there(&hop, answered, ApiError::from, onward).await?))
}

fn said(outcome: &Outcome<String>) -> Response {
    match outcome {
        Outcome::Here(message) => answer::json(StatusCode::OK, &MessageBody { message }),
        Outcome::There(relayed) => answer::json(StatusCode::OK, &relayed.body),
    }
}

/// The last entry of a partition counts. A partition that is missing is refused for sources too: none could ever read its position.
async fn positions(api: &Api, name: &str, entries: Vec<Option<OffsetEntry>>) -> Result<Vec<Position>, ApiError> {
    let mut positions: Vec<Position> = Vec::with_capacity(entries.len());
    for entry in entries {
        let OffsetEntry { partition, offset } = entry.ok_or_else(|| ApiError::server(NO_ENTRY))?;
        let Some(partition) = partition else {
            let kind = api.herder.info(name).await?.kind;
            return Err(ApiError::bad_request(format!(
                "The partition for a {kind} connector offset cannot be null or missing"
            )));
        };
        match positions.iter_mut().find(|(known, _)| *known == partition) {
            Some((_, known)) => *known = offset,
            None => positions.push((partition, offset)),
        }
    }
    Ok(positions)
}
