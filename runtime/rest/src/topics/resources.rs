//! The resources below `/millrace/topics`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use millrace_api::batch::raw::{RawBatch, RawRecords};
use millrace_api::log::Appended;
use millrace_api::{Error, ErrorKind};
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use serde_json::{Map, Value};

use super::held::Held;
use super::json::{RecordBody, read_new};
use super::query::Wanted;
use super::{INSTANCE_HEADER, MAX_RECORDS, Page, Topic, Topics};
use crate::answer;
use crate::body::Entity;
use crate::connectors::{Answer, Parameters};
use crate::error::ApiError;
use crate::routes::{readable, with};
use crate::server::Api;

/// Largest body of an append: the largest record of a topic with Kafka's defaults, however its bytes are escaped.
const MAX_APPEND_BYTES: usize = 8 << 20;

pub(crate) fn router(api: &Arc<Api>) -> Router<Arc<Api>> {
    Router::new()
        .route("/millrace/topics", readable(get(list)))
        .route("/millrace/topics/{topic}", readable(get(describe)))
        .route("/millrace/topics/{topic}/records", with(get(read).post(append), "HEAD, POST, GET, OPTIONS"))
        .route_layer(from_fn_with_state(Arc::clone(api), sign))
}

/// Tells which worker answers.
async fn sign(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Ok(instance) = HeaderValue::try_from(&api.options.instance)
        && !instance.is_empty()
    {
        response.headers_mut().insert(INSTANCE_HEADER, instance);
    }
    response
}

fn enabled(api: &Api) -> Result<&Topics, ApiError> {
    api.topics.as_ref().ok_or_else(|| {
        let message =
            "The topics of this worker are not shown: topics.rest.enable is false, as it is by default with Kafka";
        ApiError::new(StatusCode::FORBIDDEN, message)
    })
}

#[derive(Serialize)]
struct TopicBody<'a> {
    topic: &'a str,
    partitions: i32,
    records: i64,
    internal: bool,
}

impl<'a> From<&'a Topic> for TopicBody<'a> {
    fn from(topic: &'a Topic) -> Self {
        let Topic { name, partitions, records, internal } = topic;
        Self { topic: name, partitions: *partitions, records: *records, internal: *internal }
    }
}

async fn list(State(api): State<Arc<Api>>) -> Answer {
    let topics = enabled(&api)?.options.access.topics().await?;
    let topics: Vec<TopicBody<'_>> = topics.iter().map(TopicBody::from).collect();
    Ok(answer::json(StatusCode::OK, &topics))
}

#[derive(Serialize)]
struct RangeBody {
    partition: i32,
    begin: i64,
    end: i64,
}

#[derive(Serialize)]
struct RangesBody<'a> {
    topic: &'a str,
    partitions: Vec<RangeBody>,
}

async fn describe(State(api): State<Arc<Api>>, Path(topic): Path<String>) -> Answer {
    let offsets = enabled(&api)?.options.access.offsets(&topic).await?;
    let range = |(partition, (begin, end))| RangeBody { partition, begin, end };
    let partitions = (0..).zip(offsets).map(range).collect();
    Ok(answer::json(StatusCode::OK, &RangesBody { topic: &topic, partitions }))
}

#[derive(Serialize)]
struct PositionBody {
    partition: i32,
    offset: i64,
}

#[derive(Serialize)]
struct PageBody<'a> {
    records: Records<'a>,
    next: Vec<PositionBody>,
    end: bool,
}

struct Records<'a>(&'a RawBatch);

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for record in (0..self.0.len()).filter_map(|index| self.0.get(index)) {
            list.serialize_element(&RecordBody(record))?;
        }
        list.end()
    }
}

async fn read(State(api): State<Arc<Api>>, Path(topic): Path<String>, Query(parameters): Parameters) -> Answer {
    let topics = enabled(&api)?;
    if topics.options.hidden.contains(&topic) {
        let message = format!(
            "The records of {topic} are not shown: configurations of connectors, with their secrets, are in it. Use /connectors"
        );
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    let wanted = Wanted::parse(&parameters)?;
    let permit = Arc::clone(&topics.reads).try_acquire_owned().map_err(|_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "Too many reads of topics at once; try again later")
    })?;
    // A client that waits must not hold up the end of the worker.
    let page = api.stop.run_until_cancelled(page(topics, &topic, &wanted)).await.ok_or_else(stopping)??;
    let Page { records, next, end } = page;
    let next = next.into_iter().map(|(partition, offset)| PositionBody { partition, offset }).collect();
    let body = answer::encode(&PageBody { records: Records(&records), next, end });
    // The permit goes when the client has taken the answer.
    Ok(answer::typed(StatusCode::OK, answer::JSON, Body::new(Held::new(body, permit))))
}

async fn page(topics: &Topics, topic: &str, wanted: &Wanted) -> Result<Page, ApiError> {
    let access = &topics.options.access;
    let offsets = access.offsets(topic).await?;
    let from = wanted.starts(topic, &offsets)?;
    let mut reader = access.read(topic, &from).await?;
    Ok(reader.page(wanted.limit, wanted.wait).await?)
}

#[derive(Serialize)]
#[serde(untagged)]
enum AppendedBody {
    Appended(PositionBody),
    Refused { error_code: u16, message: String },
}

#[derive(Serialize)]
struct OffsetsBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    offsets: Vec<AppendedBody>,
}

async fn append(State(api): State<Arc<Api>>, Path(topic): Path<String>, request: Request) -> Answer {
    let topics = enabled(&api)?;
    if is_internal(&api, topics, &topic).await? {
        let message = format!("Records cannot be appended to {topic}: it belongs to the worker or to the log itself");
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    // Bodies are held only as far as there are permits.
    let _permit = topics.appends.acquire().await.map_err(|_| stopping())?;
    let Entity(body) = Entity::read(request, &api, MAX_APPEND_BYTES).await?;
    let records = parse(&body, &topic)?;
    drop(body);
    let appended = topics.options.access.append(&topic, &records).await?;
    Ok(appended_answer(&appended))
}

/// Topics of the worker, of its connectors' offsets, and of Kafka, whose own names begin with two underscores.
async fn is_internal(api: &Api, topics: &Topics, topic: &str) -> Result<bool, Error> {
    if topic.starts_with("__") || topics.options.internal.iter().any(|internal| internal == topic) {
        return Ok(true);
    }
    for name in api.herder.connectors().await? {
        // One that is deleted meanwhile does not count.
        let Ok(info) = api.herder.info(&name).await else { continue };
        if info.config.get("offsets.storage.topic").is_some_and(|offsets| offsets == topic) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn parse(body: &[u8], topic: &str) -> Result<RawBatch, ApiError> {
    let expected = "expected {\"records\": […]}";
    // The position is told, but no contents.
    let no_json = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        ApiError::bad_request(format!("The body is no JSON at line {line}, column {column}: {expected}"))
    };
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(no_json)?;
    if let Some(name) = fields.keys().find(|name| *name != "records") {
        return Err(ApiError::bad_request(format!("Unknown field {name}: {expected}")));
    }
    let records = fields.get("records").and_then(Value::as_array);
    let records = records.ok_or_else(|| ApiError::bad_request(format!("Invalid value for records: {expected}")))?;
    if records.len() > MAX_RECORDS {
        let message = format!("Invalid value for records: at most {MAX_RECORDS} can be appended at once");
        return Err(ApiError::bad_request(message));
    }
    let mut batch = RawBatch::new();
    for (index, record) in records.iter().enumerate() {
        read_new(record, &format!("records[{index}]"), topic, &mut batch)?;
    }
    Ok(batch)
}

/// 200 when every record was appended; else the first refusal, and for each record what became of it.
fn appended_answer(appended: &[millrace_api::Result<Appended>]) -> Response {
    let refused: Vec<(usize, &Error)> =
        appended.iter().enumerate().filter_map(|(index, result)| result.as_ref().err().map(|e| (index, e))).collect();
    let first = refused.first().map(|(index, error)| {
        let message =
            format!("{} of {} records were refused; records[{index}]: {error}", refused.len(), appended.len());
        (refusal(error), message)
    });
    let body = |result: &millrace_api::Result<Appended>| match result {
        Ok(Appended { partition, offset }) => {
            AppendedBody::Appended(PositionBody { partition: *partition, offset: *offset })
        }
        Err(error) => AppendedBody::Refused { error_code: refusal(error).as_u16(), message: error.to_string() },
    };
    let (status, message) = first.map_or((StatusCode::OK, None), |(status, message)| (status, Some(message)));
    let error_code = message.as_ref().map(|_| status.as_u16());
    answer::json(status, &OffsetsBody { error_code, message, offsets: appended.iter().map(body).collect() })
}

fn refusal(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::Data | ErrorKind::Config | ErrorKind::Limit => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn stopping() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "The worker is stopping")
}
