//! Finding a plugin by its class name, as Kafka Connect does.

use std::sync::Arc;

use millrace_api::config::{ConfigDef, Props};
use millrace_api::transform::{ComponentKind, ComponentPlugin};
use millrace_api::{Error, Result};

use crate::component::Loaded;

/// A plugin in its component.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) plugin: ComponentPlugin,
}

impl Found {
    pub(crate) fn class(&self) -> &str {
        &self.plugin.class
    }

    /// Checks the plugin's keys in a connector's properties, where they stand behind `prefix`, and returns them without it.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] in Kafka's wording, with the key as the connector's author wrote it.
    pub(crate) fn config(&self, connector: &Props, prefix: &str, reserved: &[&str]) -> Result<Props> {
        let keys = self.plugin.config_def.keys.iter().filter(|key| !reserved.contains(&key.name.as_str()));
        let prefixed = keys.cloned().map(|mut key| {
            key.name.insert_str(0, prefix);
            key
        });
        ConfigDef { keys: prefixed.collect() }.check(connector)?;
        let own = connector.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
        let own = own.filter(|(key, _)| !reserved.contains(key));
        Ok(own.map(|(key, value)| (key.to_owned(), value.clone())).collect())
    }
}

/// The plugin that `class` means: by its full name, by its simple name (`InsertField$Value`), or by that without the kind at its
/// end.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming `key`, and the class that was probably meant.
pub(crate) fn find(loaded: &[Arc<Loaded>], kind: ComponentKind, key: &str, class: &str) -> Result<Found> {
    let class = class.trim();
    let all = || loaded.iter().flat_map(|loaded| loaded.plugins.iter().map(move |plugin| (loaded, plugin)));
    let of_kind = || all().filter(|(_, plugin)| plugin.kind == kind);
    let found = |(loaded, plugin): (&Arc<Loaded>, &ComponentPlugin)| Found {
        loaded: Arc::clone(loaded),
        plugin: plugin.clone(),
    };
    if let Some(exact) = of_kind().find(|(_, plugin)| plugin.class == class) {
        return Ok(found(exact));
    }
    let mut aliased = of_kind().filter(|(_, plugin)| is_alias(class, &plugin.class, kind));
    match (aliased.next(), aliased.next()) {
        (Some(only), None) => return Ok(found(only)),
        (Some((_, one)), Some((_, other))) => {
            return Err(Error::config(format!(
                "Invalid value {class} for configuration {key}: it could be {} or {}; give the full name.",
                one.class, other.class
            )));
        }
        (None, _) => {}
    }
    if all().any(|(_, plugin)| plugin.class == class) {
        return Err(Error::config(format!("Invalid value {class} for configuration {key}: Not a {}", name(kind))));
    }
    let nearest = of_kind().map(|(_, plugin)| (distance(class, &plugin.class), &plugin.class)).min();
    let hint = match nearest {
        Some((distance, nearest)) if distance <= 2 + class.len() / 4 => format!(" Did you mean {nearest}?"),
        _ => String::new(),
    };
    Err(Error::config(format!(
        "Invalid value {class} for configuration {key}: Class {class} could not be found.{hint}"
    )))
}

fn name(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::Transformation => "Transformation",
        ComponentKind::Predicate => "Predicate",
        ComponentKind::Aggregate => "Aggregate",
    }
}

fn simple(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

fn is_alias(alias: &str, class: &str, kind: ComponentKind) -> bool {
    let simple = simple(class);
    simple == alias || simple.strip_suffix(name(kind)).is_some_and(|pruned| !pruned.is_empty() && pruned == alias)
}

/// Edit distance, ignoring case: to the full name, or to the simple one when only that was given.
fn distance(given: &str, class: &str) -> usize {
    let class = if given.contains('.') { class } else { simple(class) };
    let (given, class): (Vec<char>, Vec<char>) =
        (given.to_lowercase().chars().take(255).collect(), class.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=class.len()).collect();
    for (i, a) in given.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, b) in class.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let cost = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            left = cost;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(given.len())
}
