//! Checking a connector's configuration: the framework's keys, those of its transformations and predicates, and its own.

use std::collections::BTreeSet;
use std::time::Duration;

use millrace_api::config::{ConfigKey, ConfigType, ConfigValue, Default, Importance, Props, Width};
use millrace_api::connector::ConnectorType;
use millrace_api::transform::{ComponentKind, ComponentPlugin};
use millrace_api::{Error, Result};

use super::ConfigInfos;
use crate::config::framework_def;
use crate::plugins::Plugins;

/// A connector may reach for the other side while it validates; the answer does not wait longer than this.
const DEADLINE: Duration = Duration::from_secs(10);

/// Validates `config` for the connector class it names.
///
/// # Errors
/// When it names no class, or an unknown one.
pub(super) async fn validate(plugins: &Plugins, config: &Props) -> Result<ConfigInfos> {
    let Some(class) = config.get("connector.class") else {
        let shown = config.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ");
        return Err(Error::config(format!("Connector config {{{shown}}} contains no connector type")));
    };
    let plugin = plugins.connector(class)?;
    let framework = framework_def(plugin.kind());
    let mut configs: Vec<(ConfigKey, ConfigValue)> = Vec::new();
    for key in framework.keys {
        let value = key.validate(config);
        configs.push((key, value));
    }
    for (aliases, prefix, kind) in [
        ("transforms", "transforms", ComponentKind::Transformation),
        ("predicates", "predicates", ComponentKind::Predicate),
    ] {
        for alias in list(config, aliases) {
            stage(plugins, config, &format!("{prefix}.{alias}"), &alias, kind, &mut configs);
        }
    }
    let own = tokio::time::timeout(DEADLINE, plugin.validate(config)).await;
    let def = plugin.config_def();
    let mut values = own.unwrap_or_else(|_| def.validate(config));
    for key in def.keys {
        let at = values.iter().position(|value| value.name == key.name);
        let value = at.map_or_else(|| key.validate(config), |at| values.swap_remove(at));
        configs.push((key, value));
    }
    check_converters(plugins, config, &mut configs);
    if plugin.kind() == ConnectorType::Sink {
        check_topics(config, &mut configs);
    }
    check_chain(plugins, config, &mut configs);
    Ok(infos(class, configs))
}

/// Keys of one transformation or predicate, under its prefix.
fn stage(
    plugins: &Plugins,
    config: &Props,
    prefix: &str,
    alias: &str,
    kind: ComponentKind,
    configs: &mut Vec<(ConfigKey, ConfigValue)>,
) {
    let (what, group) = match kind {
        ComponentKind::Predicate => ("predicate", format!("Predicates: {alias}")),
        _ => ("transformation", format!("Transforms: {alias}")),
    };
    let mut order = 0;
    let mut add = |mut key: ConfigKey, name: &str| {
        name.clone_into(&mut key.name);
        key.group = Some(group.clone());
        key.order = order;
        order += 1;
        let value = key.validate(config);
        configs.push((key, value));
    };
    let of_kind = |plugin: &ComponentPlugin| plugin.kind == kind;
    let known: Vec<ComponentPlugin> = plugins.components.plugins().into_iter().filter(of_kind).collect();
    let doc = format!("Class for the '{alias}' {what}.");
    let mut class = ConfigKey::new("", ConfigType::Class, Default::Required, Importance::High, doc);
    class.width = Width::Long;
    class.display_name = if kind == ComponentKind::Predicate {
        format!("Predicate type for {alias}")
    } else {
        format!("Transformation type for {alias}")
    };
    class.recommended = known.iter().map(|plugin| plugin.class.clone()).collect();
    add(class, &format!("{prefix}.type"));
    let named = config.get(&format!("{prefix}.type")).map(String::as_str).unwrap_or_default();
    let simple = |class: &str| class.rsplit('.').next().is_some_and(|simple| simple == named);
    let Some(plugin) = known.iter().find(|plugin| plugin.class == named || simple(&plugin.class)) else { return };
    for key in &plugin.config_def.keys {
        add(key.clone(), &format!("{prefix}.{}", key.name));
    }
    if kind == ComponentKind::Transformation {
        let doc = "Whether the configured predicate should be negated.";
        let negate =
            ConfigKey::new("negate", ConfigType::Boolean, Default::Value("false".to_owned()), Importance::Medium, doc);
        add(negate, &format!("{prefix}.negate"));
        let doc = "The alias of a predicate used to determine whether to apply this transformation.";
        let predicate = ConfigKey::new("predicate", ConfigType::String, Default::Null, Importance::Medium, doc);
        add(predicate, &format!("{prefix}.predicate"));
    }
}

fn check_converters(plugins: &Plugins, config: &Props, configs: &mut [(ConfigKey, ConfigValue)]) {
    for name in ["key.converter", "value.converter", "header.converter"] {
        if let Some(class) = config.get(name)
            && let Err(error) = plugins.converter(class)
        {
            add_error(configs, name, format!("Invalid value {class} for configuration {name}: {}", error.message()));
        }
    }
}

fn check_topics(config: &Props, configs: &mut [(ConfigKey, ConfigValue)]) {
    let given = |name: &str| config.get(name).is_some_and(|value| !value.trim().is_empty());
    match (given("topics"), given("topics.regex")) {
        (true, true) => {
            let error = "topics and topics.regex are mutually exclusive options, but both are set.";
            add_error(configs, "topics", error.to_owned());
            add_error(configs, "topics.regex", error.to_owned());
        }
        (false, false) => {
            let error = "Must configure one of topics or topics.regex";
            add_error(configs, "topics", error.to_owned());
            add_error(configs, "topics.regex", error.to_owned());
        }
        _ => {}
    }
    let dlq = config.get("errors.deadletterqueue.topic.name").map(|topic| topic.trim()).unwrap_or_default();
    if !dlq.is_empty() && list(config, "topics").iter().any(|topic| topic == dlq) {
        let error = format!(
            "The DLQ topic '{dlq}' may not be included in the list of topics ({}) consumed by the connector",
            list(config, "topics").join(",")
        );
        add_error(configs, "topics", error);
    }
}

/// What only configuring the chain can tell: a wrong field spec, an unknown predicate.
fn check_chain(plugins: &Plugins, config: &Props, configs: &mut [(ConfigKey, ConfigValue)]) {
    let already = configs.iter().any(|(key, value)| key.name.starts_with("transforms") && !value.errors.is_empty());
    if already {
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

fn add_error(configs: &mut [(ConfigKey, ConfigValue)], name: &str, error: String) {
    if let Some((_, value)) = configs.iter_mut().find(|(key, _)| key.name == name)
        && !value.errors.contains(&error)
    {
        value.errors.push(error);
    }
}

fn infos(class: &str, configs: Vec<(ConfigKey, ConfigValue)>) -> ConfigInfos {
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
