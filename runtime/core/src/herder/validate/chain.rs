//! What only configuring transformations and predicates can tell: a wrong field spec, an unknown predicate.

use std::collections::BTreeSet;

use millrace_api::config::{ConfigKey, ConfigValue, Props};

use super::{add_error, list};
use crate::convert::strip_prefix;
use crate::plugins::Plugins;

const FILTER: &str = "org.apache.kafka.connect.transforms.Filter";

pub(super) fn check(plugins: &Plugins, config: &Props, configs: &mut [(ConfigKey, ConfigValue)]) {
    let stage = |name: &str| name.starts_with("transforms") || name.starts_with("predicates");
    if configs.iter().any(|(key, value)| stage(&key.name) && !value.errors.is_empty()) {
        return;
    }
    let chains = std::iter::once(config.clone()).chain(idle_predicates(plugins, config));
    let errors: Vec<String> = chains
        .filter_map(|chain| plugins.components.chain(&chain).err().map(|error| error.message().to_owned()))
        .collect();
    let names: BTreeSet<String> = configs.iter().map(|(key, _)| key.name.clone()).collect();
    for message in errors {
        let at = names
            .iter()
            .filter(|name| name.contains('.') && message.contains(name.as_str()))
            .max_by_key(|name| name.len());
        match at {
            Some(name) => add_error(configs, name, own_words(name, message)),
            None => add_error(configs, "transforms", message),
        }
    }
}

/// Predicates that no transformation uses are configured by nobody: each gets one that does.
fn idle_predicates(plugins: &Plugins, config: &Props) -> Vec<Props> {
    if !plugins.is_class(FILTER) {
        return Vec::new();
    }
    let used: BTreeSet<&str> = config
        .iter()
        .filter(|(key, _)| key.starts_with("transforms.") && key.ends_with(".predicate"))
        .map(|(_, name)| name.trim())
        .collect();
    let idle = list(config, "predicates").into_iter().filter(|alias| !used.contains(alias.as_str()));
    idle.map(|alias| {
        let prefix = format!("predicates.{alias}");
        let own = strip_prefix(config, &prefix).into_iter().map(|(key, value)| (format!("{prefix}.{key}"), value));
        let around = [
            ("transforms", "idle"),
            ("transforms.idle.type", FILTER),
            ("transforms.idle.predicate", &alias),
            ("predicates", &alias),
        ];
        around.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).chain(own).collect()
    })
    .collect()
}

/// As in Kafka Connect, a plugin's validator knows its key without the prefix.
fn own_words(name: &str, message: String) -> String {
    let own =
        name.splitn(3, '.').nth(2).filter(|own| !matches!(*own, "type" | "plugin.version" | "predicate" | "negate"));
    let Some(own) = own else { return message };
    // What a plugin says without naming a key is its own message.
    if let Some(plain) = message.strip_prefix(&format!("Invalid value for configuration {name}: ")) {
        return plain.to_owned();
    }
    message
        .replace(&format!("configuration {name}:"), &format!("configuration {own}:"))
        .replace(&format!("Configuration '{name}'"), &format!("Configuration '{own}'"))
}

#[cfg(test)]
mod tests {
    use super::own_words;

    #[test]
    fn a_message_is_the_plugins_own() {
        let own = |message: &str| own_words("transforms.a.spec", message.to_owned());
        assert_eq!(
            own("Invalid value x for configuration transforms.a.spec: cause"),
            "Invalid value x for configuration spec: cause"
        );
        assert_eq!(
            own("Configuration 'transforms.a.spec' must not be empty."),
            "Configuration 'spec' must not be empty."
        );
        assert_eq!(
            own("Invalid value for configuration transforms.a.spec: Must specify at least one field to cast."),
            "Must specify at least one field to cast."
        );
    }
}
