//! `/metrics`, in the format that the scraper asks for.
//!
//! The herder writes `OpenMetrics` 1.0. Prometheus' older text format, 0.0.4, is what everybody gets who does not ask for that. It
//! names the metric of a counter with `_total`, has no `# UNIT` and no `# EOF`, and calls some types differently.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCEPT, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use crate::answer;
use crate::server::Api;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Never refuses: a scraper that accepts neither format gets the older one.
pub(crate) async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let metrics = api.herder.metrics();
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let mut response = if wants_openmetrics(accepted) {
        answer::typed(StatusCode::OK, OPENMETRICS, metrics)
    } else {
        answer::typed(StatusCode::OK, TEXT, text(&metrics))
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// Whether `OpenMetrics` 1.0 is named and nothing that also fits 0.0.4 is preferred.
fn wants_openmetrics<'a>(accepted: impl Iterator<Item = &'a str>) -> bool {
    let (mut open, mut text) = (0.0_f32, 0.0_f32);
    for range in accepted.flat_map(|accept| accept.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut version, mut quality) = (None, 1.0_f32);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "version" => version = Some(value.trim().trim_matches('"')),
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                _ => {}
            }
        }
        match (name.as_str(), version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => open = open.max(quality),
            ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => text = text.max(quality),
            _ => {}
        }
    }
    open > 0.0 && open >= text
}

/// `OpenMetrics` as the text format 0.0.4. Samples are the same in both: the worker's metrics have neither exemplars nor
/// timestamps.
fn text(openmetrics: &str) -> String {
    let types: HashMap<&str, &str> =
        openmetrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        // Writing to a String cannot fail.
        let _ = match (words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), _) => Ok(()),
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name)) => {
                let kind = types.get(name).copied().unwrap_or_default();
                let rest = words.next().unwrap_or_default();
                let rest = if what == "TYPE" { older_type(rest) } else { rest };
                writeln!(text, "# {what} {name}{} {rest}", suffix(kind))
            }
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

/// What a family's samples are called beyond its name, where 0.0.4 takes that for the metric's name.
fn suffix(kind: &str) -> &'static str {
    match kind {
        "counter" => "_total",
        "info" => "_info",
        _ => "",
    }
}

fn older_type(kind: &str) -> &str {
    match kind {
        "info" | "stateset" => "gauge",
        "unknown" => "untyped",
        kind => kind,
    }
}
