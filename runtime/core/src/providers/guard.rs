//! What a connector's configuration may not do with variables.

use millrace_api::config::Props;

use super::{IDENTIFIERS_KEY, variables};

/// Pairs of key and error.
pub(super) fn check(props: &Props, identifiers: bool, known: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut errors = Vec::new();
    for (key, value) in props {
        if brings_providers(key) {
            let error = format!(
                "Invalid configuration {key}: config providers are the worker's; configure them in the worker's file and remove it here"
            );
            errors.push((key.clone(), error));
        } else if !identifiers
            && is_identifier(key)
            && let Some(variable) = variables::of(value).find(|variable| known(variable.provider))
        {
            let error = format!(
                "Invalid value {} for configuration {key}: a variable may not be part of a name that others see, because its value \
                 would be shown; write the name itself, or set {IDENTIFIERS_KEY}=true in the worker's file",
                variable.text
            );
            errors.push((key.clone(), error));
        }
    }
    errors
}

/// `config.providers`, for the connector, one of its clients, or anything else it configures.
fn brings_providers(key: &str) -> bool {
    let mut rest = key;
    while let Some(at) = rest.find("config.providers") {
        let (before, after) = (&rest[..at], &rest[at + "config.providers".len()..]);
        if (before.is_empty() || before.ends_with('.')) && (after.is_empty() || after.starts_with('.')) {
            return true;
        }
        rest = after;
    }
    false
}

/// Keys whose values are names of topics, groups, classes and the like, which appear in REST answers, metrics, logs and brokers.
fn is_identifier(key: &str) -> bool {
    const WHOLE: [&str; 8] = [
        "name",
        "connector.class",
        "topics.regex",
        "topic.regex",
        "transforms",
        "predicates",
        "topic.creation.groups",
        "topic.prefix",
    ];
    const LAST: [&str; 9] = [
        "topic",
        "topics",
        "topic.name",
        "group.id",
        "client.id",
        "transactional.id",
        "converter",
        "plugin.version",
        "group.instance.id",
    ];
    let stage = key.starts_with("transforms.") || key.starts_with("predicates.");
    WHOLE.contains(&key)
        || (stage && key.rsplit('.').next().is_some_and(|last| last == "type" || last == "predicate"))
        || (key.starts_with("topic.creation.") && (key.ends_with(".include") || key.ends_with(".exclude")))
        || LAST.iter().any(|last| key.strip_suffix(last).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_see_are_identifiers() {
        for key in [
            "name",
            "connector.class",
            "topics",
            "topics.regex",
            "topic",
            "errors.deadletterqueue.topic.name",
            "operation.log.topic",
            "offsets.storage.topic",
            "consumer.override.group.id",
            "value.converter",
            "transforms.a.type",
            "transforms.a.predicate",
            "topic.creation.default.include",
            "producer.override.client.id",
        ] {
            assert!(is_identifier(key), "{key}");
        }
        for key in [
            "connection.password",
            "connection.url",
            "transforms.a.static.value",
            "value.converter.basic.auth.user.info",
            "filename",
        ] {
            assert!(!is_identifier(key), "{key}");
        }
    }

    #[test]
    fn providers_are_found_under_any_prefix() {
        for key in [
            "config.providers",
            "config.providers.x.class",
            "producer.override.config.providers",
            "a.config.providers.f.param.y",
        ] {
            assert!(brings_providers(key), "{key}");
        }
        for key in ["config.providersx", "myconfig.providers", "config.provider", "xconfig.providers.y"] {
            assert!(!brings_providers(key), "{key}");
        }
    }
}
