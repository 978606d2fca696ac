//! Errors as clients see them: `{"error_code":N,"message":"…"}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use millrace_api::{Error, ErrorKind};
use serde::Serialize;

use crate::answer;
use crate::forward::NO_LEADER;
use crate::json::JsonError;
use crate::mask;

/// An error answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    /// `error_code`: the status, but for what another worker answered.
    code: u16,
    message: String,
    /// A worker names no media type in errors that it finds before it has chosen a resource's method.
    typed: bool,
}

#[derive(Serialize)]
struct ErrorMessage<'a> {
    error_code: u16,
    message: &'a str,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: status.as_u16(), message: message.into(), typed: true }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The status and its name, as Jersey words what is wrong with the request itself.
    pub(crate) fn http(status: StatusCode) -> Self {
        let reason = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
            _ => status.canonical_reason().unwrap_or_default(),
        };
        Self::new(status, format!("HTTP {} {reason}", status.as_u16()))
    }

    pub(crate) fn untyped(mut self) -> Self {
        self.typed = false;
        self
    }

    /// Takes secrets out of the message.
    pub(crate) fn without(mut self, secrets: &[String]) -> Self {
        mask::scrub(secrets, &mut self.message);
        self
    }

    pub(crate) fn with_code(self, code: u16) -> Self {
        Self { code, ..self }
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::new(StatusCode::NOT_FOUND, error.message()),
            ErrorKind::Config => Self::bad_request(error.message()),
            ErrorKind::Conflict => Self::new(StatusCode::CONFLICT, error.message()),
            // Java's text where the request could not go on.
            ErrorKind::Elsewhere => Self::new(StatusCode::CONFLICT, NO_LEADER),
            _ => {
                tracing::warn!(%error, "a request failed");
                Self::server(error.to_string())
            }
        }
    }
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        Self::server(error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = answer::encode(&ErrorMessage { error_code: self.code, message: &self.message });
        if self.typed { answer::typed(self.status, answer::JSON, body) } else { answer::untyped(self.status, body) }
    }
}
