//! Reading the body of a request within its limits of size and time, whatever its sender does.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;

use crate::error::ApiError;
use crate::server::Api;

/// The body of a request that takes JSON.
pub(crate) struct Entity(pub(crate) Bytes);

impl FromRequest<Arc<Api>> for Entity {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        Self::read(request, api, api.options.max_body_bytes).await
    }
}

/// The body of a request that takes any bytes.
pub(crate) struct Raw(pub(crate) Bytes);

impl FromRequest<Arc<Api>> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        read(request.into_body(), api, api.options.max_body_bytes).await.map(Self)
    }
}

impl Entity {
    /// The body of a request that may have `limit` bytes.
    pub(crate) async fn read(request: Request, api: &Api, limit: usize) -> Result<Self, ApiError> {
        let typed = request.headers().contains_key(CONTENT_TYPE);
        let body = read(request.into_body(), api, limit).await?;
        if typed || body.is_empty() { Ok(Self(body)) } else { Err(ApiError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE)) }
    }
}

async fn read(body: Body, api: &Api, limit: usize) -> Result<Bytes, ApiError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large(limit));
    }
    let whole = Limited::new(body, limit).collect();
    match tokio::time::timeout(api.options.body_timeout, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(_)) => Err(ApiError::http(StatusCode::BAD_REQUEST)),
        Err(_) => Err(ApiError::http(StatusCode::REQUEST_TIMEOUT)),
    }
}

fn too_large(limit: usize) -> ApiError {
    let message = ApiError::http(StatusCode::PAYLOAD_TOO_LARGE);
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{}: a body may have {limit} bytes", message.message()))
}
