//! Keys of transformations and predicates, under their aliases.

use millrace_api::config::{ConfigKey, ConfigType, Default, Importance, Props, Width};
use millrace_api::transform::{ComponentKind, ComponentPlugin};

use super::{Configs, add_error};
use crate::convert::strip_prefix;
use crate::plugins::Plugins;

/// The aliases of `transforms` or `predicates`, each once. As in Kafka Connect, an alias may be empty.
pub(super) fn aliases(config: &Props, key: &str) -> Vec<String> {
    let text = config.get(key).map(|text| text.trim()).unwrap_or_default();
    let mut aliases: Vec<String> = Vec::new();
    for alias in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
        if !aliases.iter().any(|known| known == alias) {
            aliases.push(alias.to_owned());
        }
    }
    aliases
}

/// Adds the keys of one transformation or predicate: its class and version, then those that must be given, then the others by
/// importance and name.
pub(super) fn add(plugins: &Plugins, config: &Props, alias: &str, kind: ComponentKind, configs: &mut Configs) {
    let (prefix, what, title, group) = match kind {
        ComponentKind::Predicate => ("predicates", "predicate", "Predicate", "Predicates"),
        _ => ("transforms", "transformation", "Transformation", "Transforms"),
    };
    let (prefix, group) = (format!("{prefix}.{alias}"), format!("{group}: {alias}"));
    let of_kind = |plugin: &ComponentPlugin| plugin.kind == kind;
    let known: Vec<ComponentPlugin> = plugins.components.plugins().into_iter().filter(of_kind).collect();
    let type_key = format!("{prefix}.type");
    let named = config.get(&type_key).map_or("", |class| class.trim());
    let simple = |class: &str| class.rsplit('.').next().is_some_and(|simple| simple == named);
    let plugin = known.iter().find(|plugin| plugin.class == named || simple(&plugin.class));

    let mut keys = vec![class_key(alias, what, title, &known), version_key(alias, what, title, plugin)];
    if let Some(plugin) = plugin {
        let implicit = if kind == ComponentKind::Transformation { predicate_keys() } else { Vec::new() };
        let masked = |key: &&ConfigKey| !implicit.iter().any(|implicit| implicit.name == key.name);
        let mut own: Vec<ConfigKey> = plugin.config_def.keys.iter().filter(masked).cloned().collect();
        own.extend(implicit);
        own.sort_by_key(|key| (key.default != Default::Required, rank(key.importance), key.name.clone()));
        keys.extend(own);
    }
    let short = strip_prefix(config, &prefix);
    for (order, mut key) in keys.into_iter().enumerate() {
        let shown = format!("{prefix}.{}", key.name);
        let value = key.validate_as(&short, &shown);
        key.name = shown;
        key.group = Some(group.clone());
        key.order = i32::try_from(order).unwrap_or(i32::MAX);
        configs.push((key, value));
    }
    let Some(plugin) = plugin else {
        if config.contains_key(&type_key) {
            let error = no_such_class(plugins, &known, &type_key, named, title);
            let is_class = !error.starts_with("Invalid value");
            add_error(configs, &type_key, error);
            show_class(configs, &type_key, is_class.then(|| named.to_owned()));
        }
        return;
    };
    show_class(configs, &type_key, Some(plugin.class.clone()));
    check_negate(configs, &prefix, config, plugin);
}

fn show_class(configs: &mut Configs, type_key: &str, class: Option<String>) {
    if let Some((_, value)) = configs.iter_mut().find(|(key, _)| key.name == type_key) {
        value.value = class;
    }
}

/// What is wrong with a class that is no plugin of the kind that is wanted.
fn no_such_class(plugins: &Plugins, known: &[ComponentPlugin], key: &str, named: &str, title: &str) -> String {
    let inner = format!("{named}$");
    let inner: Vec<&str> = known.iter().map(|plugin| plugin.class.as_str()).filter(|c| c.starts_with(&inner)).collect();
    if !inner.is_empty() {
        return format!("This class is abstract and cannot be created. Did you mean {}?", inner.join(", "));
    }
    if plugins.is_class(named) {
        return format!("Class class {named} does not implement the {title} interface");
    }
    format!("Invalid value {named} for configuration {key}: Class {named} could not be found.")
}

fn check_negate(configs: &mut Configs, prefix: &str, config: &Props, plugin: &ComponentPlugin) {
    let type_key = format!("{prefix}.type");
    let (negate, predicate) = (format!("{prefix}.negate"), format!("{prefix}.predicate"));
    if plugin.kind == ComponentKind::Transformation && config.contains_key(&negate) && !config.contains_key(&predicate)
    {
        let error = format!(
            "Config '{negate}' was provided but there is no config '{predicate}' defining a predicate to be negated."
        );
        add_error(configs, &type_key, error);
    }
}

/// Of keys that need not be given, the important ones come first.
fn rank(importance: Importance) -> u8 {
    match importance {
        Importance::High => 0,
        Importance::Medium => 1,
        Importance::Low => 2,
    }
}

fn class_key(alias: &str, what: &str, title: &str, known: &[ComponentPlugin]) -> ConfigKey {
    let doc = format!("Class for the '{alias}' {what}.");
    let mut key = ConfigKey::new("type", ConfigType::Class, Default::Required, Importance::High, doc);
    key.width = Width::Long;
    key.display_name = format!("{title} type for {alias}");
    key.recommended = known.iter().map(|plugin| plugin.class.clone()).collect();
    key.recommended.sort();
    key
}

/// Any version is accepted: there is one of each plugin.
fn version_key(alias: &str, what: &str, title: &str, plugin: Option<&ComponentPlugin>) -> ConfigKey {
    let version = plugin.map(|plugin| plugin.version.clone());
    let default = version.clone().map_or(Default::Null, Default::Value);
    let doc = format!("Version of the '{alias}' {what}.");
    let mut key = ConfigKey::new("plugin.version", ConfigType::String, default, Importance::High, doc);
    key.width = Width::Long;
    key.display_name = format!("{title} version for {alias}");
    key.recommended = version.into_iter().collect();
    key
}

/// Keys that every transformation has.
fn predicate_keys() -> Vec<ConfigKey> {
    let doc = "Whether the configured predicate should be negated.";
    let negate =
        ConfigKey::new("negate", ConfigType::Boolean, Default::Value("false".to_owned()), Importance::Medium, doc);
    let doc = "The alias of a predicate used to determine whether to apply this transformation.";
    let predicate = ConfigKey::new("predicate", ConfigType::String, Default::Null, Importance::Medium, doc);
    vec![negate, predicate]
}
