//! `millrace:connect@0.1.0`: bindings, and conversions to and from what the worker speaks. A later version gets a module of its
//! own beside this one; this one then converts and stays.

use millrace_api::config::{ConfigDef, ConfigKey, ConfigType, Default, Importance, Props, Validator, Width};
use millrace_api::transform::{ComponentKind, ComponentPlugin};

/// The `smt` world.
#[allow(missing_docs, reason = "generated")]
#[allow(clippy::pedantic, reason = "generated")]
pub(crate) mod smt {
    wasmtime::component::bindgen!({ path: "../../wit/v0.1.0", world: "smt" });
}

/// The `windowed` world.
#[allow(missing_docs, reason = "generated")]
#[allow(clippy::pedantic, reason = "generated")]
pub(crate) mod windowed {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1.0",
        world: "windowed",
        with: {
            "millrace:connect/types": super::smt::millrace::connect::types,
            "millrace:connect/log": super::smt::millrace::connect::log,
        },
    });
}

pub(crate) use smt::exports::millrace::connect::transformations::{Condition, Stage};
pub(crate) use smt::millrace::connect::log::Level;
pub(crate) use smt::millrace::connect::types;

/// The interface that makes a component one of transformations.
pub(crate) const TRANSFORMATIONS: &str = "millrace:connect/transformations@0.1.0";
/// The interface that makes a component one of aggregates.
pub(crate) const AGGREGATES: &str = "millrace:connect/aggregates@0.1.0";
/// Interfaces of this package that a component may import.
pub(crate) const IMPORTS: [&str; 2] = ["millrace:connect/types@0.1.0", LOG];
/// The log.
pub(crate) const LOG: &str = "millrace:connect/log@0.1.0";

pub(crate) fn properties(props: &Props) -> types::Properties {
    props.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(crate) fn needs(needs: types::Needs) -> millrace_api::batch::wire::Needs {
    millrace_api::batch::wire::Needs { key: needs.key, value: needs.value, headers: needs.headers }
}

pub(crate) fn plugin(plugin: types::Plugin) -> ComponentPlugin {
    ComponentPlugin {
        class: plugin.class,
        kind: match plugin.kind {
            types::Kind::Transformation => ComponentKind::Transformation,
            types::Kind::Predicate => ComponentKind::Predicate,
            types::Kind::Aggregate => ComponentKind::Aggregate,
        },
        version: plugin.version,
        config_def: ConfigDef { keys: plugin.keys.into_iter().map(key).collect() },
    }
}

fn key(key: types::ConfigKey) -> ConfigKey {
    ConfigKey {
        kind: match key.config_type {
            types::ConfigType::Boolean => ConfigType::Boolean,
            types::ConfigType::Text => ConfigType::String,
            types::ConfigType::Int => ConfigType::Int,
            types::ConfigType::Short => ConfigType::Short,
            types::ConfigType::Long => ConfigType::Long,
            types::ConfigType::Double => ConfigType::Double,
            types::ConfigType::CommaList => ConfigType::List,
            types::ConfigType::Class => ConfigType::Class,
            types::ConfigType::Password => ConfigType::Password,
        },
        default: match key.default_value {
            types::DefaultValue::Required => Default::Required,
            types::DefaultValue::Null => Default::Null,
            types::DefaultValue::Value(text) => Default::Value(text),
        },
        validator: match key.valid {
            // What only the component can tell, it tells when it is configured.
            types::ValidValues::Any | types::ValidValues::Custom => Validator::Any,
            types::ValidValues::AtLeast(min) => Validator::AtLeast(min),
            types::ValidValues::Between((min, max)) => Validator::Between(min, max),
            types::ValidValues::OneOf(texts) => Validator::OneOfThese(texts.into()),
            types::ValidValues::OneOfIgnoreCase(texts) => Validator::OneOfTheseIgnoreCase(texts.into()),
            types::ValidValues::NonEmpty => Validator::NonEmpty,
        },
        importance: match key.importance {
            types::Importance::High => Importance::High,
            types::Importance::Medium => Importance::Medium,
            types::Importance::Low => Importance::Low,
        },
        width: match key.width {
            types::Width::None => Width::None,
            types::Width::Short => Width::Short,
            types::Width::Medium => Width::Medium,
            types::Width::Long => Width::Long,
        },
        name: key.name,
        doc: key.doc,
        group: key.group,
        order: key.order,
        display_name: key.display_name,
        dependents: key.dependents,
        recommended: key.recommended,
    }
}
