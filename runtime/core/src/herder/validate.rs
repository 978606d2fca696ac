//! Checking a connector's configuration: the framework's keys, those of its transformations, predicates and converters, and its own.
//!
//! Variables of config providers are resolved first, because keys are checked by their values; what is answered has the variables
//! again (invariant 6).

mod chain;
mod converters;
mod rules;
mod stages;

use std::time::Duration;

use millrace_api::config::{ConfigKey, ConfigType, ConfigValue, Default, Importance, Props};
use millrace_api::connector::ConnectorType;
use millrace_api::transform::ComponentKind;
use millrace_api::{Error, Result};

use super::ConfigInfos;
use crate::config::framework_def;
use crate::convert::strip_prefix;
use crate::override_policy::ClientType;
use crate::plugins::Plugins;
use crate::providers::Resolved;
use crate::versions::VersionRange;

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
        ConnectorType::Source => rules::check_source(plugins, &*plugin, props, &mut configs),
    }
    chain::check(plugins, props, &mut configs);
    add_overrides(plugin.kind(), props, &mut configs);
    check_versions(&mut configs);
    for (key, error) in refused.into_iter().chain(plugins.override_errors(plugin.kind(), props)) {
        add_or_new_error(&mut configs, &key, error);
    }
    hide(&resolved, &mut configs);
    Ok(infos(class, configs))
}

/// A version may be asked for that is not there, see [`crate::versions`], but it has to be readable.
fn check_versions(configs: &mut Configs) {
    for (key, value) in configs.iter_mut().filter(|(key, _)| key.name.ends_with(".plugin.version")) {
        let given = value.value.as_deref().filter(|text| !text.is_empty());
        if let Some(Err(cause)) = given.map(VersionRange::parse) {
            let error = format!("Invalid value {} for configuration {}: {cause}", given.unwrap_or_default(), key.name);
            value.errors.push(error);
        }
    }
}

/// The settings that the connector gives its Kafka clients.
fn add_overrides(kind: ConnectorType, config: &Props, configs: &mut Configs) {
    const SECRETS: [&str; 7] = [
        "sasl.jaas.config",
        "password",
        "passphrase",
        "secret",
        "ssl.keystore.key",
        "ssl.keystore.certificate.chain",
        "ssl.truststore.certificates",
    ];
    for client in ClientType::of_connector(kind, config) {
        for name in strip_prefix(config, client.prefix()).into_keys() {
            let secret = SECRETS.iter().any(|ending| name.ends_with(ending));
            let kind = if secret { ConfigType::Password } else { ConfigType::String };
            let doc = format!("The setting {name} of the connector's Kafka client.");
            let key =
                ConfigKey::new(format!("{}.{name}", client.prefix()), kind, Default::Null, Importance::Medium, doc);
            let value = key.validate(config);
            configs.push((key, value));
        }
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
