//! Answers, all of them JSON.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::rules::Fault;

/// An answer.
pub(crate) type Reply = Response<Full<Bytes>>;

/// An answer that ends the way of a request early.
pub(crate) type Refused = Box<Reply>;

/// 202: the log has the records.
pub(crate) fn accepted(records: u32, duplicate: bool) -> Reply {
    let body = if duplicate { json!({"accepted": records, "duplicate": true}) } else { json!({"accepted": records}) };
    reply(StatusCode::ACCEPTED, &body)
}

/// An error in the form Kafka Connect's REST interface has.
pub(crate) fn error(status: StatusCode, message: &str) -> Reply {
    reply(status, &json!({"error_code": status.as_u16(), "message": message}))
}

/// 400 with every fault.
pub(crate) fn invalid(message: &str, faults: &[Fault]) -> Reply {
    let errors: Vec<_> = faults
        .iter()
        .map(|fault| json!({"index": fault.index, "field": fault.field, "message": fault.message}))
        .collect();
    reply(StatusCode::BAD_REQUEST, &json!({"error_code": 400, "message": message, "errors": errors}))
}

/// 405.
pub(crate) fn method_not_allowed(method: &str) -> Reply {
    let answer = error(StatusCode::METHOD_NOT_ALLOWED, &format!("use {method}"));
    with(answer, ALLOW, method)
}

/// 503 with the time after which to try again.
pub(crate) fn unavailable(message: &str) -> Reply {
    with(error(StatusCode::SERVICE_UNAVAILABLE, message), RETRY_AFTER, "1")
}

fn with(mut answer: Reply, name: HeaderName, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn reply(status: StatusCode, body: &serde_json::Value) -> Reply {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
