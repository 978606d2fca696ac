//! The plugins of a worker: connectors, converters and components, found by any of their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::connector::{ConnectorPlugin, ConnectorType};
use millrace_api::converter::ConverterPlugin;
use millrace_api::transform::{ComponentKind, Components};
use millrace_api::{Error, ErrorKind, Result};

use crate::convert::strip_prefix;
use crate::herder::PluginInfo;
use crate::override_policy::{ClientType, OverridePolicy, dangerous};
use crate::providers::{Environment, Providers};

const JSON_CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";
const SIMPLE_HEADER_CONVERTER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// Everything a worker can run. Built once by `plugins.rs` of the binary.
pub struct Plugins {
    connectors: Vec<Arc<dyn ConnectorPlugin>>,
    converters: Vec<Arc<dyn ConverterPlugin>>,
    /// Transformations, predicates and aggregates.
    pub components: Arc<dyn Components>,
    /// What resolves the variables of configurations.
    providers: Providers,
    /// The worker's converters, which apply where a connector names none.
    worker: Props,
    /// Which settings of Kafka clients connectors may override.
    overrides: OverridePolicy,
    /// Checks those settings.
    check_client: Option<Box<CheckClient>>,
}

/// Checks settings of a connector's Kafka client by their bare names.
type CheckClient = dyn Fn(&Props) -> Result<()> + Send + Sync;

impl Plugins {
    /// The plugins of a worker.
    #[must_use]
    pub fn new(
        connectors: Vec<Arc<dyn ConnectorPlugin>>,
        converters: Vec<Box<dyn ConverterPlugin>>,
        components: Arc<dyn Components>,
    ) -> Self {
        let converters = converters.into_iter().map(Arc::from).collect();
        Self {
            connectors,
            converters,
            components,
            providers: Providers::default(),
            worker: Props::new(),
            overrides: OverridePolicy::default(),
            check_client: None,
        }
    }

    /// With the config providers, the converters and the override policy of a worker's configuration.
    ///
    /// # Errors
    /// As [`Providers::from_worker`] and [`OverridePolicy::from_props`].
    pub fn with_worker(mut self, props: &Props, environment: &Environment) -> Result<Self> {
        self.providers = Providers::from_worker(props, environment)?;
        self.worker.clone_from(props);
        self.overrides = OverridePolicy::from_props(props)?;
        Ok(self)
    }

    /// With a check of the values that connectors give their Kafka clients, [`millrace_api::log::Log::check_overrides`].
    #[must_use]
    pub fn with_client_check(mut self, check: impl Fn(&Props) -> Result<()> + Send + Sync + 'static) -> Self {
        self.check_client = Some(Box::new(check));
        self
    }

    /// What is wrong with a connector's overrides of client settings: the whole key, and the error. What its policy allows is
    /// checked by itself, as the worker's settings beside it are not for connectors to see.
    pub(crate) fn override_errors(&self, kind: ConnectorType, config: &Props) -> Vec<(String, String)> {
        let violations = self.overrides.violations(kind, config);
        let Some(check) = &self.check_client else { return violations };
        let refused = |key: &str, name: &str, value: &str| {
            let error = check(&Props::from_iter([(name.to_owned(), value.to_owned())])).err()?;
            Some((key.to_owned(), whole_key(error.message(), name, key)))
        };
        let found = config.iter().filter_map(|(key, value)| refused(key, dangerous(key)?, value));
        let mut errors: Vec<(String, String)> = found.collect();
        let known: Vec<String> = errors.iter().map(|(key, _)| key.clone()).collect();
        errors.extend(violations.into_iter().filter(|(key, _)| !known.contains(key)));
        for client in ClientType::of_connector(kind, config) {
            for (name, value) in strip_prefix(config, client.prefix()) {
                let key = format!("{}.{name}", client.prefix());
                // The group is a name for the worker, which takes it from any log.
                let checked = name != "group.id" && !errors.iter().any(|(known, _)| *known == key);
                errors.extend(checked.then(|| refused(&key, &name, &value)).flatten());
            }
        }
        errors
    }

    /// What resolves the variables of configurations.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.providers
    }

    /// The converter class that applies where a connector does not name one under `key`.
    #[must_use]
    pub fn worker_converter(&self, key: &str) -> &str {
        let fallback = if key == "header.converter" { SIMPLE_HEADER_CONVERTER } else { JSON_CONVERTER };
        self.worker.get(key).map_or(fallback, String::as_str)
    }

    /// Whether this worker writes records and offsets of sources in one transaction: as it is configured, by default with the
    /// embedded log only.
    #[must_use]
    pub fn exactly_once(&self) -> bool {
        match self.worker.get("exactly.once.source.support") {
            Some(text) => text.trim().eq_ignore_ascii_case("enabled"),
            None => !self.worker.contains_key("bootstrap.servers"),
        }
    }

    /// Classes of converters, sorted: those of keys and values, or of headers.
    #[must_use]
    pub fn converter_classes(&self, headers: bool) -> Vec<String> {
        let wanted = |class: &&str| headers || *class != SIMPLE_HEADER_CONVERTER;
        let mut classes: Vec<String> =
            self.converters.iter().map(|plugin| plugin.class()).filter(wanted).map(str::to_owned).collect();
        classes.sort();
        classes
    }

    /// The connector called `name`: by class, alias, or simple class name with or without `Connector`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] in Kafka Connect's wording, plus the nearest known class.
    pub fn connector(&self, name: &str) -> Result<Arc<dyn ConnectorPlugin>> {
        let names = |plugin: &Arc<dyn ConnectorPlugin>| answers_to(plugin.class(), plugin.aliases(), "Connector", name);
        self.connectors.iter().find(|plugin| names(plugin)).cloned().ok_or_else(|| self.unknown_connector(name))
    }

    /// The connector class that is meant when there is none of this name.
    pub(crate) fn nearest_connector(&self, name: &str) -> Option<&str> {
        nearest(name, self.connectors.iter().map(|plugin| plugin.class()))
    }

    /// The converter called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the nearest known class.
    pub fn converter(&self, name: &str) -> Result<Arc<dyn ConverterPlugin>> {
        let names = |plugin: &Arc<dyn ConverterPlugin>| answers_to(plugin.class(), plugin.aliases(), "Converter", name);
        self.converters.iter().find(|plugin| names(plugin)).cloned().ok_or_else(|| {
            let nearest = nearest(name, self.converters.iter().map(|plugin| plugin.class()));
            Error::config(format!("Class {name} could not be found.{}", hint(nearest)))
        })
    }

    /// Whether `class` is the full name of a plugin, of whatever kind.
    #[must_use]
    pub(crate) fn is_class(&self, class: &str) -> bool {
        self.connectors.iter().any(|plugin| plugin.class() == class)
            || self.converters.iter().any(|plugin| plugin.class() == class)
            || self.components.plugins().iter().any(|plugin| plugin.class == class)
    }

    /// Connectors, or all plugins, by class name.
    #[must_use]
    pub fn list(&self, connectors_only: bool) -> Vec<PluginInfo> {
        let mut found = BTreeMap::new();
        let mut add = |class: &str, kind: &'static str, version: &str| {
            let info = PluginInfo { class: class.to_owned(), kind, version: version.to_owned() };
            found.insert((kind_order(kind), class.to_owned()), info);
        };
        for plugin in &self.connectors {
            add(plugin.class(), plugin.kind().name(), plugin.version());
        }
        if !connectors_only {
            for (headers, kind) in [(false, "converter"), (true, "header_converter")] {
                self.converter_classes(headers).iter().for_each(|class| add(class, kind, env!("CARGO_PKG_VERSION")));
            }
            for plugin in self.components.plugins() {
                match plugin.kind {
                    ComponentKind::Transformation => add(&plugin.class, "transformation", &plugin.version),
                    ComponentKind::Predicate => add(&plugin.class, "predicate", &plugin.version),
                    ComponentKind::Aggregate => add(&plugin.class, "aggregate", &plugin.version),
                }
            }
        }
        found.into_values().collect()
    }

    fn unknown_connector(&self, name: &str) -> Error {
        let describe = |plugin: &Arc<dyn ConnectorPlugin>| {
            let kind = match plugin.kind() {
                ConnectorType::Source => "source",
                ConnectorType::Sink => "sink",
            };
            let (class, version) = (plugin.class(), plugin.version());
            format!(
                "PluginDesc{{klass=class {class}, name='{class}', version='{version}', encodedVersion={version}, type={kind}, typeName='{kind}', location='classpath'}}"
            )
        };
        let known = self.connectors.iter().map(describe).collect::<Vec<_>>().join(", ");
        let nearest = self.nearest_connector(name);
        Error::new(
            ErrorKind::Config,
            format!(
                "Failed to find any class that implements Connector and which name matches {name}, available connectors are: {known}{}",
                hint(nearest)
            ),
        )
    }
}

fn kind_order(kind: &str) -> u8 {
    match kind {
        "sink" => 0,
        "source" => 1,
        "transformation" => 2,
        "predicate" => 3,
        "converter" => 4,
        "header_converter" => 5,
        _ => 6,
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|class| format!(" Did you mean {class}?")).unwrap_or_default()
}

/// Whether a configuration may call a plugin of `class` by this name.
pub(crate) fn answers_to(class: &str, aliases: &[&str], suffix: &str, name: &str) -> bool {
    let simple = class.rsplit('.').next().unwrap_or(class);
    name == class || name == simple || simple.strip_suffix(suffix) == Some(name) || aliases.contains(&name)
}

/// The known name with the smallest edit distance to the simple class name, when it is close enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let simple = |class: &str| class.rsplit('.').next().unwrap_or(class).to_ascii_lowercase();
    let wanted = simple(name);
    // People leave the suffix out, so a class counts as near when it is near without.
    let distance = |class: &str| {
        let class = simple(class);
        let short = class.trim_end_matches("connector").trim_end_matches("converter");
        edit_distance(&wanted, &class).min(edit_distance(&wanted, short))
    };
    let (distance, best) = known.map(|class| (distance(class), class)).min()?;
    (distance <= wanted.len().max(6) / 2).then_some(best)
}

pub(crate) fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            left = cost.min(left + 1).min(diagonal + 1);
            row[j] = if j == 0 { i + 1 } else { row[j] };
            row[j + 1] = left;
        }
        row[0] = i + 1;
    }
    row.last().copied().unwrap_or(0)
}

/// What is wrong with a client's setting, with the connector's key for it.
fn whole_key(message: &str, name: &str, key: &str) -> String {
    message.replacen(&format!("configuration {name}"), &format!("configuration {key}"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", "abc"), 0);
        assert_eq!(edit_distance("flaw", "lawn"), 2);
    }

    #[test]
    fn the_nearest_name_is_offered_when_it_is_near() {
        let known = ["org.apache.kafka.connect.file.FileStreamSinkConnector", "io.x.HttpSourceConnector"];
        assert_eq!(nearest("FileStreamSnkConnector", known.into_iter()), Some(known[0]));
        assert_eq!(nearest("Zzz", known.into_iter()), None);
    }
}
