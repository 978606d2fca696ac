//! Which resource answers, to which method, in which media type. The order is Jersey's: no such path (404), no such method
//! (405), a body of another type (415), an answer that the client does not accept (406).

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};

use crate::error::ApiError;
use crate::server::Api;
use crate::{
    active, answer, connectors, internal, loggers, metrics, offsets, page, plugins, progress, root, tasks, topics,
};

type Resource = MethodRouter<Arc<Api>>;

/// Which resources a listener has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// `/admin` is elsewhere or nowhere (`admin.listeners`).
    WithoutAdmin,
    /// Only `/admin`.
    Admin,
}

pub(crate) fn router(api: Arc<Api>, scope: Scope) -> Router {
    let resources = match scope {
        Scope::All => common(&api).merge(admin()).route_layer(from_fn(negotiate)),
        Scope::WithoutAdmin => common(&api).route_layer(from_fn(negotiate)),
        Scope::Admin => admin().route_layer(from_fn(negotiate)),
    };
    let resources =
        if scope == Scope::Admin { resources } else { resources.route("/metrics", readable(get(metrics::metrics))) };
    resources
        .fallback(async || ApiError::http(StatusCode::NOT_FOUND).untyped())
        .method_not_allowed_fallback(async || ApiError::http(StatusCode::METHOD_NOT_ALLOWED).untyped())
        .with_state(api)
}

fn admin() -> Router<Arc<Api>> {
    Router::new()
        .route("/admin/loggers", readable(get(loggers::list)))
        .route("/admin/loggers/{logger}", with(get(loggers::get).put(loggers::set), "HEAD, GET, OPTIONS, PUT"))
}

fn common(api: &Arc<Api>) -> Router<Arc<Api>> {
    let connector = get(connectors::info).delete(connectors::delete);
    let config = get(connectors::config).put(connectors::put_config).patch(connectors::patch_config);
    let offsets = get(offsets::list).delete(offsets::reset).patch(offsets::alter);
    Router::new()
        .route("/", readable(get(root::server_info)))
        .route("/health", readable(get(root::health)))
        .route("/connectors", with(get(connectors::list).post(connectors::create), "HEAD, POST, GET, OPTIONS"))
        .route("/connectors/{name}", with(connector, "HEAD, DELETE, GET, OPTIONS"))
        .route("/connectors/{name}/config", with(config, "HEAD, GET, OPTIONS, PUT, PATCH"))
        .route("/connectors/{name}/status", readable(get(connectors::status)))
        .route("/connectors/{name}/pause", settable(put(connectors::pause)))
        .route("/connectors/{name}/resume", settable(put(connectors::resume)))
        .route("/connectors/{name}/stop", settable(put(connectors::stop)))
        .route("/connectors/{name}/restart", with(post(connectors::restart), "POST, OPTIONS"))
        .route("/connectors/{name}/offsets", with(offsets, "HEAD, DELETE, GET, OPTIONS, PATCH"))
        .route("/connectors/{name}/topics", readable(get(active::list)))
        .route("/connectors/{name}/topics/reset", settable(put(active::reset)))
        .route("/connectors/{name}/tasks", with(get(tasks::list).merge(internal::tasks()), "HEAD, POST, GET, OPTIONS"))
        .route("/connectors/{name}/fence", settable(internal::fence()))
        .route("/connectors/{name}/tasks/{task}/status", readable(get(tasks::status)))
        .route("/connectors/{name}/tasks/{task}/restart", with(post(tasks::restart), "POST, OPTIONS"))
        .route("/connector-plugins", readable(get(plugins::list)))
        .route("/connector-plugins/{plugin}/config", readable(get(plugins::config)))
        .route("/connector-plugins/{plugin}/config/validate", settable(put(plugins::validate)))
        .route("/millrace/tasks", readable(get(progress::list)))
        .merge(topics::resources::router(api))
}

pub(crate) fn readable(resource: Resource) -> Resource {
    with(resource, "HEAD, GET, OPTIONS")
}

fn settable(resource: Resource) -> Resource {
    with(resource, "OPTIONS, PUT")
}

/// Adds the answer to `OPTIONS`.
pub(crate) fn with(resource: Resource, methods: &'static str) -> Resource {
    let allowed = move || async move {
        let mut response = answer::typed(StatusCode::OK, "text/plain", methods);
        let header = HeaderValue::try_from(methods.replace(' ', "")).ok();
        response.headers_mut().extend(header.map(|header| (ALLOW, header)));
        response
    };
    resource.options(allowed)
}

async fn negotiate(request: Request, next: Next) -> Response {
    match refused(&request) {
        Some(response) => response,
        None => next.run(request).await,
    }
}

fn refused(request: &Request) -> Option<Response> {
    if request.method() == Method::OPTIONS {
        return None;
    }
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(sent) = header(CONTENT_TYPE) {
        let (kind, subtype) = media_type(sent);
        if subtype.is_empty() {
            return Some(page::bad_request("Bad Request"));
        }
        if !is_json(kind, subtype) && !is_internal(request) {
            return Some(ApiError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE).untyped().into_response());
        }
    }
    let takes_json = |range: &str| {
        let (kind, subtype) = media_type(range);
        is_json(kind, subtype)
    };
    let accepted = header(ACCEPT).filter(|accept| !accept.trim().is_empty());
    let refuses = accepted.is_some_and(|accept| !accept.split(',').any(takes_json));
    refuses.then(|| ApiError::http(StatusCode::NOT_ACCEPTABLE).untyped().into_response())
}

/// What workers send each other is read whatever its type.
fn is_internal(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    match *request.method() {
        Method::POST => route == Some("/connectors/{name}/tasks"),
        Method::PUT => route == Some("/connectors/{name}/fence"),
        _ => false,
    }
}

/// Whether a media range takes in `application/json`.
fn is_json(kind: &str, subtype: &str) -> bool {
    let matches = |given: &str, wanted: &str| given == "*" || given.eq_ignore_ascii_case(wanted);
    matches(kind, "application") && matches(subtype, "json")
}

/// Type and subtype, without parameters.
fn media_type(text: &str) -> (&str, &str) {
    let name = text.split(';').next().unwrap_or_default();
    let (kind, subtype) = name.split_once('/').unwrap_or_default();
    (kind.trim(), subtype.trim())
}
