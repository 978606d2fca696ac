//! Converters: what the worker's mean for a connector that names none, and the keys of those that it names.

use millrace_api::config::{ConfigKey, Default, Props};
use millrace_api::converter::ConverterPlugin;

use super::{Configs, add_error};
use crate::convert::strip_prefix;
use crate::plugins::Plugins;

const KEYS: [&str; 3] = ["key.converter", "value.converter", "header.converter"];

/// Fills in what only this worker knows: its converters as defaults, classes to offer, and versions.
pub(super) fn complete(plugins: &Plugins, version: &str, config: &Props, key: &mut ConfigKey) {
    let offer = |key: &mut ConfigKey, version: String| {
        key.default = Default::Value(version.clone());
        key.recommended = vec![version];
    };
    match key.name.as_str() {
        name if KEYS.contains(&name) => {
            key.recommended = plugins.converter_classes(name == "header.converter");
            let class = plugins.worker_converter(name);
            let class = plugins.converter(class).map_or_else(|_| class.to_owned(), |plugin| plugin.class().to_owned());
            key.default = Default::Value(class);
        }
        "connector.plugin.version" => offer(key, version.to_owned()),
        name => {
            if let Some(converter) = name.strip_suffix(".plugin.version").filter(|name| KEYS.contains(name)) {
                let class = config.get(converter).map_or_else(|| plugins.worker_converter(converter), String::as_str);
                if plugins.converter(class).is_ok_and(|plugin| suits(&*plugin, converter)) {
                    offer(key, env!("CARGO_PKG_VERSION").to_owned());
                }
            }
        }
    }
}

/// One of the converters is for headers only.
fn suits(plugin: &dyn ConverterPlugin, key: &str) -> bool {
    key == "header.converter" || !plugin.class().ends_with("SimpleHeaderConverter")
}

/// Checks the converters that the connector names, and adds their keys.
pub(super) fn check(plugins: &Plugins, config: &Props, configs: &mut Configs) {
    for name in KEYS {
        let Some(class) = config.get(name).map(|class| class.trim()) else { continue };
        let found = plugins.converter(class);
        let mut shown = found.as_ref().ok().map(|plugin| plugin.class().to_owned());
        match &found {
            Err(_) if plugins.is_class(class) => {
                let wanted = if name == "header.converter" { "HeaderConverter" } else { "Converter" };
                add_error(configs, name, format!("Class class {class} does not implement the {wanted} interface"));
                shown = Some(class.to_owned());
            }
            Err(error) => {
                add_error(
                    configs,
                    name,
                    format!("Invalid value {class} for configuration {name}: {}", error.message()),
                );
            }
            Ok(plugin) if !suits(&**plugin, name) => add_error(
                configs,
                name,
                format!("Class class {} does not implement the Converter interface", plugin.class()),
            ),
            Ok(plugin) => {
                let mut own = strip_prefix(config, name);
                // The worker sets it from how the converter is used.
                let usage = name.strip_suffix(".converter").unwrap_or(name);
                own.insert("converter.type".to_owned(), usage.to_owned());
                for mut key in plugin.config_def().keys {
                    // Its error has the key as the converter knows it, as Kafka Connect's has.
                    let mut value = key.validate(&own);
                    key.name = format!("{name}.{}", key.name);
                    value.name.clone_from(&key.name);
                    configs.push((key, value));
                }
            }
        }
        if let Some((_, value)) = configs.iter_mut().find(|(key, _)| key.name == name) {
            value.value = shown;
        }
    }
}
