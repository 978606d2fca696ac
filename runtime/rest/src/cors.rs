//! Requests from pages of other origins: `access.control.allow.origin` and `access.control.allow.methods`.
//!
//! As in Kafka Connect, a request of another origin is carried out all the same; its page just may not read the answer. Credentials
//! are never allowed, and bodies of the types that a page may send without asking (`text/plain`, forms) are refused anyway.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method};
use millrace_api::{Error, Result};
use regex::Regex;

/// Which origins may read answers.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    /// None for every origin.
    origins: Option<Vec<Regex>>,
    methods: HeaderValue,
}

/// What an answer has to say to the origin of its request.
pub(crate) enum Asked {
    /// Nothing: the request names no origin, or one that is not allowed.
    Nothing,
    /// Its origin, and whether it asks before it sends (a preflight request).
    Allowed(HeaderValue, bool),
}

impl Cors {
    /// Origins are regular expressions with commas between them, `*` for every origin; none for an empty text. Without methods they
    /// are GET, POST and HEAD.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key.
    pub(crate) fn parse(origins: &str, methods: &str) -> Result<Option<Self>> {
        if origins.trim().is_empty() {
            return Ok(None);
        }
        let invalid = |key: &str, text: &str, cause: &str| {
            Error::config(format!("Invalid value {text} for configuration access.control.allow.{key}: {cause}"))
        };
        let pattern = |origin: &str| {
            let anchored = format!("(?i)^(?:{})$", origin.trim());
            Regex::new(&anchored).map_err(|_| invalid("origin", origins, &format!("{origin} is no regular expression")))
        };
        let any = origins.split(',').any(|origin| origin.trim() == "*");
        let patterns = if any { None } else { Some(origins.split(',').map(pattern).collect::<Result<_>>()?) };
        let shown = if methods.trim().is_empty() {
            "GET,POST,HEAD".to_owned()
        } else {
            methods.split(',').map(str::trim).collect::<Vec<_>>().join(",")
        };
        if !shown.split(',').all(|method| Method::from_bytes(method.as_bytes()).is_ok()) {
            return Err(invalid("methods", methods, "expected methods with commas between them"));
        }
        let value = HeaderValue::try_from(shown).map_err(|_| invalid("methods", methods, "no header"))?;
        Ok(Some(Self { origins: patterns, methods: value }))
    }

    /// Looks at a request.
    pub(crate) fn asked(&self, method: &Method, headers: &HeaderMap) -> Asked {
        let Some(origin) = headers.get(ORIGIN) else { return Asked::Nothing };
        let named = origin.to_str().unwrap_or_default();
        let matches = |patterns: &Vec<Regex>| {
            named
                .split(' ')
                .filter(|origin| !origin.is_empty())
                .any(|origin| patterns.iter().any(|p| p.is_match(origin)))
        };
        if self.origins.as_ref().is_none_or(matches) {
            let preflight = *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
            Asked::Allowed(origin.clone(), preflight)
        } else {
            Asked::Nothing
        }
    }

    /// Adds what the answer has to say.
    pub(crate) fn answer(&self, asked: Asked, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let Asked::Allowed(origin, preflight) = asked else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if preflight {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("60"));
        }
    }
}
