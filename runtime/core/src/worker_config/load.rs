//! Checking a whole worker configuration.

use millrace_api::config::{Config as _, ConfigDef, Props};
use millrace_api::{Error, Result};

use super::{WorkerConfig, other_keys};
use crate::plugins::edit_distance;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One process, with Kafka or with the embedded log.
    Standalone,
    /// A worker of a group, with Kafka.
    Distributed,
}

/// Something that is odd but no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Key.
    pub key: String,
    /// What about it.
    pub text: String,
}

/// What Kafka Connect does not start without.
const REQUIRED: [&str; 7] = [
    "bootstrap.servers",
    "group.id",
    "config.storage.topic",
    "offset.storage.topic",
    "status.storage.topic",
    "key.converter",
    "value.converter",
];

/// Keys below these are for somebody else, who checks them.
const PREFIXES: [&str; 12] = [
    "producer.",
    "consumer.",
    "admin.",
    "config.providers.",
    "config.storage.",
    "offset.storage.",
    "status.storage.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "listeners.https.",
    "topics.",
];

/// Keys of older versions and of other distributions, without effect.
const FORMER: [(&str, &str); 10] = [
    ("rest.port", "it is gone since Kafka 3.0; use listeners"),
    ("rest.host.name", "it is gone since Kafka 3.0; use listeners"),
    ("internal.key.converter", "it is gone since Kafka 3.0"),
    ("internal.value.converter", "it is gone since Kafka 3.0"),
    ("internal.key.converter.", "it is gone since Kafka 3.0"),
    ("internal.value.converter.", "it is gone since Kafka 3.0"),
    ("auto.include.jmx.reporter", "metrics are at /metrics, in Prometheus' format"),
    ("metrics.context.", "metrics are at /metrics, in Prometheus' format"),
    ("confluent.", "it is for Confluent's own plugins"),
    ("log4j.", "logging is set with --log or MILLRACE_LOG"),
];

impl WorkerConfig {
    /// Parses and checks all keys, whether something depends on them or not.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] with everything that is wrong: the mandatory keys that are missing, then each wrong value.
    pub fn load(mode: Mode, props: &Props) -> Result<(Self, Vec<Warning>)> {
        let mut props = props.clone();
        if mode == Mode::Distributed {
            props.entry("listeners".to_owned()).or_insert_with(|| "http://:8083".to_owned());
        }
        let errors = errors(mode, &props);
        match errors.as_slice() {
            [] => Ok((Self::parse(&props)?, warnings(&props))),
            [only] => Err(Error::config(only.clone())),
            several => {
                let list = several.join("\n  - ");
                Err(Error::config(format!("the worker's configuration has {} errors:\n  - {list}", several.len())))
            }
        }
    }
}

/// Every key there is.
fn all_keys() -> ConfigDef {
    WorkerConfig::def().and(ConfigDef { keys: other_keys().into_iter().map(|(key, _)| key).collect() })
}

fn errors(mode: Mode, props: &Props) -> Vec<String> {
    let given = |key: &&str| props.get(*key).is_some_and(|value| !value.trim().is_empty());
    let missing: Vec<String> = REQUIRED
        .iter()
        .filter(|key| mode == Mode::Distributed && !given(key))
        .map(|key| format!("\"{key}\""))
        .collect();
    let mut errors = Vec::new();
    if let Some((last, others)) = missing.split_last() {
        errors.push(if others.is_empty() {
            format!("Missing required configuration {last} which has no default value.")
        } else {
            format!("Missing required configurations {} and {last} which have no default value.", others.join(", "))
        });
    }
    let values = all_keys().validate(props);
    let empty = |name: &str| missing.iter().any(|key| key.trim_matches('"') == name);
    errors.extend(
        values.into_iter().filter(|value| !empty(&value.name)).filter_map(|value| value.errors.into_iter().next()),
    );
    errors
}

fn warnings(props: &Props) -> Vec<Warning> {
    let known = all_keys();
    let mut warnings = Vec::new();
    for key in props.keys().filter(|key| known.get(key).is_none()) {
        if PREFIXES.iter().any(|prefix| key.starts_with(prefix)) || key.starts_with("admin.listeners.https.") {
            continue;
        }
        let former = FORMER.iter().find(|(name, _)| key == name || (name.ends_with('.') && key.starts_with(name)));
        let text = match (former, nearest(key, &known)) {
            (Some((_, reason)), _) => format!("has no effect: {reason}"),
            (None, Some(near)) => format!("is no key of a worker; did you mean {near}?"),
            (None, None) => "is no key of a worker".to_owned(),
        };
        warnings.push(Warning { key: key.clone(), text });
    }
    for (key, effect) in other_keys() {
        if let (super::Effect::Ignored(reason), true) = (effect, props.contains_key(&key.name)) {
            warnings.push(Warning { key: key.name, text: format!("has no effect: {reason}") });
        }
    }
    warnings
}

/// The known key with the fewest differences, when there are few.
fn nearest<'a>(key: &str, known: &'a ConfigDef) -> Option<&'a str> {
    let wanted = key.to_ascii_lowercase().replace(['_', '-'], ".");
    let (distance, best) =
        known.keys.iter().map(|known| (edit_distance(&wanted, &known.name), known.name.as_str())).min()?;
    (distance <= (wanted.len() / 4).max(2)).then_some(best)
}
