//! Checking a connector's configuration: the framework's keys, those of its transformations, predicates and converters, and its own.
//!
//! Variables of config providers are resolved first, because keys are checked by their values; what is answered has the variables
//! again (invariant 6).

mod converters;
mod rules;
mod stages;

use std::collections::BTreeSet;
use std::time::Duration;

use millrace_api::config::{ConfigKey, ConfigType, ConfigValue, Default, Importance, Props};
use millrace_api::connector::ConnectorType;
use millrace_api::transform::ComponentKind;
use millrace_api::{Error, Result};

use super::ConfigInfos;
use crate::config::framework_def;
use crate::plugins::Plugins;
use crate::providers::Resolved;

/// A connector may reach for the other side while it validates; the answer does not wait longer than this.
const DEADLINE: Duration = Duration::from_secs(10);

/// Keys with their values, in the order of the answer.
type Configs = Vec<(ConfigKey, ConfigValue)>;

/// Validates `config` for the connector class it names.
///
/// # Errors
/// When it names no class, or an unknown one, or a config provider refuses.
pub(super) async fn validate(plugins: &Plugins, config: &Props) -> Result<ConfigInfos> {
    let Some(class) = config.get("connector.class") else {
        let shown = config.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ");
        return Err(Error::config(format!("Connector config {{{shown}}} contains no connector type")));
    };
    let plugin = plugins.connector(class)?;
    let refused = plugins.providers().check(config);
    let resolved = plugins.providers().resolve(config)?;
    let props = &resolved.props;
    let mut configs: Configs = Vec::new();
    for mut key in framework_def(plugin.kind()).keys {
        converters::complete(plugins, plugin.version(), props, &mut key);
        let value = key.validate(props);
        configs.push((key, value));
    }
    for (prefix, kind) in [("transforms", ComponentKind::Transformation), ("predicates", ComponentKind::Predicate)] {
        for alias in stages::aliases(props, prefix) {
            stages::add(plugins, props, &alias, kind, &mut configs);
        }
    }
    let own = tokio::time::timeout(DEADLINE, plugin.validate(props)).await;
    let def = plugin.config_def();
    let mut values = own.unwrap_or_else(|_| def.validate(props));
    for key in def.keys {
        let at = values.iter().position(|value| value.name == key.name);
        let value = at.map_or_else(|| key.validate(props), |at| values.swap_remove(at));
        configs.push((key, value));
    }
    converters::check(plugins, props, &mut configs);
    match plugin.kind() {
        ConnectorType::Sink => rules::check_topics(props, &mut configs),
        ConnectorType::Source => rules::check_source(plugins, props, &mut configs),
    }
    check_chain(plugins, props, &mut configs);
    for (key, error) in refused.into_iter().chain(plugins.override_errors(plugin.kind(), props)) {
        add_or_new_error(&mut configs, &key, error);
    }
    hide(&resolved, &mut configs);
    Ok(infos(class, configs))
}

/// What only configuring the chain can tell: a wrong field spec, an unknown predicate.
fn check_chain(plugins: &Plugins, config: &Props, configs: &mut [(ConfigKey, ConfigValue)]) {
    let stage = |name: &str| name.starts_with("transforms") || name.starts_with("predicates");
    if configs.iter().any(|(key, value)| stage(&key.name) && !value.errors.is_empty()) {
        return;
    }
    if let Err(error) = plugins.components.chain(config) {
        let message = error.message().to_owned();
        let names: BTreeSet<String> = configs.iter().map(|(key, _)| key.name.clone()).collect();
        let at = names
            .iter()
            .filter(|name| name.contains('.') && message.contains(name.as_str()))
            .max_by_key(|name| name.len());
        add_error(configs, at.map_or("transforms", String::as_str), message);
    }
}

/// Values of variables give way to the variables, in values and in errors.
fn hide(resolved: &Resolved, configs: &mut Configs) {
    for (key, value) in configs {
        if let Some(raw) = resolved.raw(&key.name) {
            value.value = Some(raw.to_owned());
        }
        for text in value.errors.iter_mut().chain(&mut value.recommended_values) {
            *text = resolved.redact(text);
        }
    }
}

fn add_error(configs: &mut [(ConfigKey, ConfigValue)], name: &str, error: String) {
    if let Some((_, value)) = configs.iter_mut().find(|(key, _)| key.name == name)
        && !value.errors.contains(&error)
    {
        value.errors.push(error);
    }
}

/// [`add_error`] for a key that may be in no table.
fn add_or_new_error(configs: &mut Configs, name: &str, error: String) {
    if !configs.iter().any(|(key, _)| key.name == name) {
        let key =
            ConfigKey::new(name, ConfigType::String, Default::Null, Importance::Low, "Not a key of this connector.");
        let value = key.validate(&Props::new());
        configs.push((key, value));
    }
    add_error(configs, name, error);
}

fn infos(class: &str, configs: Configs) -> ConfigInfos {
    let mut groups: Vec<String> = Vec::new();
    for group in configs.iter().filter_map(|(key, _)| key.group.as_ref()) {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    let error_count = configs.iter().map(|(_, value)| value.errors.len()).sum();
    ConfigInfos { name: class.to_owned(), error_count, groups, configs }
}

fn list(config: &Props, key: &str) -> Vec<String> {
    let text = config.get(key).map(String::as_str).unwrap_or_default();
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
