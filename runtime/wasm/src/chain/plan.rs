//! A connector's `transforms` and `predicates` as stages, grouped by component.

use std::sync::Arc;

use millrace_api::config::{ConfigDef, Props};
use millrace_api::transform::ComponentKind;
use millrace_api::{Error, Result};

use crate::classes::{Found, find};
use crate::component::Loaded;
use crate::secrets::Secrets;

/// Keys of a transformation that are not its own.
const RESERVED: [&str; 4] = ["type", "plugin.version", "predicate", "negate"];
const RESERVED_PREDICATE: [&str; 2] = ["type", "plugin.version"];

/// One transformation of the chain.
pub(crate) struct StagePlan {
    pub(crate) alias: String,
    pub(crate) plugin: Found,
    pub(crate) config: Props,
    pub(crate) predicate: Option<PredicatePlan>,
    pub(crate) negate: bool,
}

/// The predicate in front of it.
pub(crate) struct PredicatePlan {
    pub(crate) alias: String,
    pub(crate) plugin: Found,
    pub(crate) config: Props,
}

/// Consecutive stages of one component: they are configured together, and a batch crosses once.
pub(crate) struct GroupPlan {
    pub(crate) stages: Vec<StagePlan>,
    /// The predicate of the only stage, when it lives in another component.
    pub(crate) guard: Option<PredicatePlan>,
}

/// Reads the stages of a connector.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming the key.
pub(crate) fn plan(loaded: &[Arc<Loaded>], connector: &Props) -> Result<Vec<GroupPlan>> {
    let mut groups: Vec<GroupPlan> = Vec::new();
    let predicates = aliases(connector, "predicates")?;
    for alias in aliases(connector, "transforms")? {
        let mut stage = stage(loaded, connector, alias, &predicates)?;
        let component = Arc::clone(&stage.plugin.loaded);
        let foreign = |predicate: &mut PredicatePlan| !Arc::ptr_eq(&predicate.plugin.loaded, &component);
        let guard = stage.predicate.take_if(foreign);
        match groups.last_mut() {
            Some(group) if guard.is_none() && group.guard.is_none() && group.is_of(&component) => {
                group.stages.push(stage);
            }
            _ => groups.push(GroupPlan { stages: vec![stage], guard }),
        }
    }
    Ok(groups)
}

impl GroupPlan {
    fn is_of(&self, component: &Arc<Loaded>) -> bool {
        self.stages.first().is_some_and(|stage| Arc::ptr_eq(&stage.plugin.loaded, component))
    }

    /// Secrets that the component is told.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::of(self.stages.iter().flat_map(|stage| {
            let own = (&stage.plugin.plugin.config_def, &stage.config);
            let predicate = stage.predicate.as_ref().map(|p| (&p.plugin.plugin.config_def, &p.config));
            std::iter::once(own).chain(predicate)
        }))
    }
}

fn aliases<'p>(connector: &'p Props, key: &str) -> Result<Vec<&'p str>> {
    let text = connector.get(key).map_or("", |text| text.trim());
    let aliases: Vec<&str> = if text.is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() };
    let invalid =
        |cause: &str| Error::config(format!("Invalid value [{}] for configuration {key}: {cause}", aliases.join(", ")));
    if aliases.iter().any(|alias| alias.is_empty()) {
        return Err(invalid("an alias is empty."));
    }
    if aliases.iter().enumerate().any(|(index, alias)| aliases.iter().take(index).any(|other| other == alias)) {
        return Err(invalid("Duplicate alias provided."));
    }
    Ok(aliases)
}

fn stage(loaded: &[Arc<Loaded>], connector: &Props, alias: &str, predicates: &[&str]) -> Result<StagePlan> {
    let prefix = format!("transforms.{alias}.");
    let plugin = class(loaded, connector, &prefix, ComponentKind::Transformation)?;
    let config = plugin.config(connector, &prefix, &RESERVED)?;
    let (predicate_key, negate_key) = (format!("{prefix}predicate"), format!("{prefix}negate"));
    let given = connector.get(&predicate_key).map(|name| name.trim()).filter(|name| !name.is_empty());
    if given.is_none() && connector.contains_key(&negate_key) {
        return Err(Error::config(format!(
            "Config '{negate_key}' was provided but there is no config '{predicate_key}' defining a predicate to be negated."
        )));
    }
    let negate = match connector.get(&negate_key).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let text = connector.get(&negate_key).map_or("", String::as_str);
            return Err(Error::config(format!(
                "Invalid value {text} for configuration {negate_key}: Expected value to be either true or false"
            )));
        }
    };
    let predicate = given.map(|name| {
        if !predicates.contains(&name) {
            let known = if predicates.is_empty() { "none are".to_owned() } else { predicates.join(", ") + " is" };
            return Err(Error::config(format!(
                "Invalid value {name} for configuration {predicate_key}: there is no such predicate; {known} defined in 'predicates'."
            )));
        }
        predicate(loaded, connector, name)
    });
    Ok(StagePlan { alias: alias.to_owned(), plugin, config, predicate: predicate.transpose()?, negate })
}

fn predicate(loaded: &[Arc<Loaded>], connector: &Props, alias: &str) -> Result<PredicatePlan> {
    let prefix = format!("predicates.{alias}.");
    let plugin = class(loaded, connector, &prefix, ComponentKind::Predicate)?;
    let config = plugin.config(connector, &prefix, &RESERVED_PREDICATE)?;
    Ok(PredicatePlan { alias: alias.to_owned(), plugin, config })
}

fn class(loaded: &[Arc<Loaded>], connector: &Props, prefix: &str, kind: ComponentKind) -> Result<Found> {
    let key = format!("{prefix}type");
    let Some(class) = connector.get(&key) else {
        return Err(Error::config(format!("Missing required configuration \"{key}\" which has no default value.")));
    };
    find(loaded, kind, &key, class)
}

/// What a component said against its configuration, with keys as the connector's author wrote them.
pub(crate) fn refusal(plan: &GroupPlan, stage: usize, key: Option<&str>, message: &str) -> Error {
    let message = plan.secrets().hide(message).into_owned();
    let Some(stage) = plan.stages.get(stage) else { return Error::config(message) };
    let has = |def: &ConfigDef, key: &str| def.get(key).is_some();
    let predicate = stage.predicate.as_ref().filter(|predicate| {
        key.is_some_and(|key| {
            !has(&stage.plugin.plugin.config_def, key) && has(&predicate.plugin.plugin.config_def, key)
        })
    });
    let prefix = match predicate {
        Some(predicate) => format!("predicates.{}", predicate.alias),
        None => format!("transforms.{}", stage.alias),
    };
    name_key(&prefix, key, &message)
}

/// Puts `prefix` in front of the key that a message in Kafka's wording names; other messages get the key in front.
pub(crate) fn name_key(prefix: &str, key: Option<&str>, message: &str) -> Error {
    let Some(key) = key else {
        return Error::config(format!("Invalid configuration of {prefix}: {message}"));
    };
    let (bare, quoted) = (format!("configuration {key}:"), format!("\"{key}\""));
    let listed = format!("Configuration '{key}'");
    if message.contains(&listed) {
        return Error::config(message.replacen(&listed, &format!("Configuration '{prefix}.{key}'"), 1));
    }
    if message.contains(&bare) {
        return Error::config(message.replacen(&bare, &format!("configuration {prefix}.{key}:"), 1));
    }
    if message.contains(&quoted) {
        return Error::config(message.replacen(&quoted, &format!("\"{prefix}.{key}\""), 1));
    }
    Error::config(format!("Invalid value for configuration {prefix}.{key}: {message}"))
}
