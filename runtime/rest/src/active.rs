//! `/connectors/{name}/topics`: the topics that a connector has used (KIP-558).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::answer;
use crate::connectors::Answer;
use crate::error::ApiError;
use crate::server::Api;

/// `{"c":{"topics":[…]}}`.
struct ActiveTopics<'a> {
    connector: &'a str,
    topics: &'a [String],
}

impl Serialize for ActiveTopics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Topics<'a> {
            topics: &'a [String],
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.connector, &Topics { topics: self.topics })?;
        map.end()
    }
}

pub(crate) async fn list(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    if !api.options.topic_tracking {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "Topic tracking is disabled."));
    }
    let topics = api.herder.active_topics(&name).await?;
    Ok(answer::json(StatusCode::OK, &ActiveTopics { connector: &name, topics: &topics }))
}

pub(crate) async fn reset(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    if !api.options.topic_tracking {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "Topic tracking is disabled."));
    }
    if !api.options.topic_tracking_reset {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "Topic tracking reset is disabled."));
    }
    api.herder.reset_active_topics(&name).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}
