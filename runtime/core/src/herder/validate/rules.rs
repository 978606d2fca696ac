//! Rules about several keys at once.

use millrace_api::config::Props;
use millrace_api::connector::ConnectorPlugin;

use super::{Configs, add_error, list};
use crate::plugins::Plugins;

/// A sink consumes `topics` or `topics.regex`, and not its own dead letters.
pub(super) fn check_topics(config: &Props, configs: &mut Configs) {
    let given = |name: &str| config.get(name).is_some_and(|value| !value.trim().is_empty());
    let both = match (given("topics"), given("topics.regex")) {
        (true, true) => Some("topics and topics.regex are mutually exclusive options, but both are set."),
        (false, false) => Some("Must configure one of topics or topics.regex"),
        _ => None,
    };
    for name in ["topics", "topics.regex"] {
        if let Some(error) = both {
            add_error(configs, name, error.to_owned());
        }
    }
    let dlq = config.get("errors.deadletterqueue.topic.name").map(|topic| topic.trim()).unwrap_or_default();
    if dlq.is_empty() {
        return;
    }
    let topics = list(config, "topics");
    if topics.iter().any(|topic| topic == dlq) {
        let error = format!(
            "The DLQ topic '{dlq}' may not be included in the list of topics ('topics=[{}]') consumed by the connector",
            topics.join(", ")
        );
        add_error(configs, "topics", error);
    }
    let pattern = config.get("topics.regex").map(|pattern| pattern.trim()).unwrap_or_default();
    if !pattern.is_empty() && regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(dlq)) {
        let error = format!(
            "The DLQ topic '{dlq}' may not be matched by the regex for the topics ('topics.regex={pattern}') consumed by the connector"
        );
        add_error(configs, "topics.regex", error);
    }
}

/// A source asks for no more than worker and connector give.
pub(super) fn check_source(plugins: &Plugins, plugin: &dyn ConnectorPlugin, config: &Props, configs: &mut Configs) {
    let is = |name: &str, value: &str| config.get(name).is_some_and(|text| text.trim().eq_ignore_ascii_case(value));
    if is("exactly.once.support", "required") {
        if !plugins.exactly_once() {
            let error = "This worker does not have exactly-once source support enabled.";
            add_error(configs, "exactly.once.support", error.to_owned());
        }
        if !plugin.exactly_once(config) {
            let error = "The connector does not support exactly-once semantics with the provided configuration.";
            add_error(configs, "exactly.once.support", error.to_owned());
        }
    }
    if is("transaction.boundary", "connector") {
        let error = "The connector does not support connector-defined transaction boundaries with the given configuration. \
                     Please reconfigure it to use a different transaction boundary definition.";
        add_error(configs, "transaction.boundary", error.to_owned());
    }
}
