//! Where the keys of TLS come from: `listeners.https.*` when one of them is set, else `ssl.*` of the worker, never a mixture
//! (`AbstractConfig.valuesWithPrefixAllOrNothing`).

use millrace_api::config::Props;
use millrace_api::{Error, Result};
use millrace_tls::{Acceptor, Connector, Tls};

pub(crate) const LISTENERS: &str = "listeners.https.";
pub(crate) const ADMIN_LISTENERS: &str = "admin.listeners.https.";

/// With what the `https` ones of `listeners` encrypt; `None` when there is none.
pub(crate) fn listening(listeners: &[String], props: &Props, prefix: &str) -> Result<Option<Acceptor>> {
    if !listeners.iter().any(|listener| is_https(listener)) {
        return Ok(None);
    }
    let (found, props) = keys(props, prefix);
    Acceptor::from_props(&props).map(Some).map_err(|error| named(&error, prefix, found))
}

/// With what requests to other workers are encrypted. Kafka Connect's workers ask each other with the settings that they listen
/// with. `None` when this worker has no https listener: then its group has none.
pub(crate) fn connecting(listeners: &[String], props: &Props) -> Result<Option<Connector>> {
    if !listeners.iter().any(|listener| is_https(listener)) {
        return Ok(None);
    }
    let (found, props) = keys(props, LISTENERS);
    Tls::from_props(&props)
        .and_then(|tls| Connector::new(&tls))
        .map(Some)
        .map_err(|error| named(&error, LISTENERS, found))
}

fn is_https(listener: &str) -> bool {
    listener.split_once("://").is_some_and(|(scheme, _)| scheme.trim().eq_ignore_ascii_case("https"))
}

/// The keys below `prefix`, with it, or all keys when there is none below.
fn keys<'a>(props: &Props, prefix: &'a str) -> (&'a str, Props) {
    let below: Props =
        props.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))).collect();
    if below.is_empty() { ("", props.clone()) } else { (prefix, below) }
}

/// The error with the keys as they stand in the file, and what asked for them.
fn named(error: &Error, prefix: &str, found: &str) -> Error {
    let message = error.message().replace("configuration ssl.", &format!("configuration {found}ssl."));
    let asked = prefix.trim_end_matches(".https.");
    Error::config(format!("{message} (asked for by https:// in {asked}; its keys are {prefix}ssl.* or else ssl.*)"))
}
