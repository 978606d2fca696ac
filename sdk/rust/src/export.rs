//! What the export macros expand to: the exports of the worlds in terms of this crate.

use std::cell::RefCell;

use millrace_api::batch::wire::Needs;
use millrace_api::config::{ConfigDef, ConfigKey, ConfigType, Default, Importance, Props, Validator, Width};
use millrace_api::{Error, ErrorKind};

use crate::aggregate::{AggregatePlugin, Folder};
use crate::bindings::smt::exports::millrace::connect::transformations::Stage;
use crate::bindings::smt::millrace::connect::types;
use crate::chain::{Chain, StageConfig};
use crate::plugin::{Make, Plugin};

thread_local! {
    static CHAIN: RefCell<Chain> = RefCell::default();
    static AGGREGATE: RefCell<Option<Box<dyn Folder>>> = const { RefCell::new(None) };
}

/// Lists transformations and predicates as the exports of a component, and as `plugins()` for tests on the host.
///
/// ```ignore
/// millrace_sdk::export_smt!(InsertField<Key>, InsertField<Val>; predicates HasHeaderKey);
/// ```
#[macro_export]
macro_rules! export_smt {
    ($($transform:ty),* $(,)? $(; predicates $($predicate:ty),+ $(,)?)?) => {
        /// The plugins of this component.
        #[must_use]
        pub const fn plugins() -> &'static [$crate::Plugin] {
            const PLUGINS: &[$crate::Plugin] = &[
                $($crate::Plugin::transform::<$transform>(),)*
                $($($crate::Plugin::predicate::<$predicate>(),)+)?
            ];
            PLUGINS
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, clippy::all, clippy::pedantic, reason = "the canonical ABI, generated")]
        const _: () = {
            use $crate::bindings::smt::exports::millrace::connect::transformations as exports;

            struct Component;

            impl exports::Guest for Component {
                fn describe() -> ::std::vec::Vec<exports::Plugin> {
                    $crate::export::describe(plugins(), env!("CARGO_PKG_VERSION"))
                }

                fn configure(
                    stages: ::std::vec::Vec<exports::Stage>,
                ) -> ::std::result::Result<exports::Needs, exports::ConfigError> {
                    $crate::export::configure(plugins(), stages)
                }

                fn apply(batch: ::std::vec::Vec<u8>) -> ::std::vec::Vec<u8> {
                    $crate::export::apply(batch)
                }
            }

            $crate::bindings::smt::__export_smt_world!(Component with_types_in $crate::bindings::smt);
        };
    };
}

/// Lists aggregates as the exports of a component, and as `aggregates()` for tests on the host.
#[macro_export]
macro_rules! export_aggregates {
    ($($aggregate:ty),+ $(,)?) => {
        /// The aggregates of this component.
        #[must_use]
        pub const fn aggregates() -> &'static [$crate::AggregatePlugin] {
            const AGGREGATES: &[$crate::AggregatePlugin] = &[$($crate::AggregatePlugin::of::<$aggregate>(),)+];
            AGGREGATES
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, clippy::all, clippy::pedantic, reason = "the canonical ABI, generated")]
        const _: () = {
            use $crate::bindings::windowed::exports::millrace::connect::aggregates as exports;

            struct Component;

            impl exports::Guest for Component {
                fn describe() -> ::std::vec::Vec<exports::Plugin> {
                    $crate::export::describe_aggregates(aggregates(), env!("CARGO_PKG_VERSION"))
                }

                fn configure(
                    class: ::std::string::String,
                    config: exports::Properties,
                ) -> ::std::result::Result<exports::Needs, exports::ConfigError> {
                    $crate::export::configure_aggregate(aggregates(), &class, config)
                }

                fn update(
                    batch: ::std::vec::Vec<u8>,
                    slots: ::std::vec::Vec<u8>,
                    states: ::std::vec::Vec<u8>,
                ) -> ::std::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                    $crate::export::with_aggregate(|folder| folder.update(batch, &slots, &states))
                }

                fn merge(
                    left: ::std::vec::Vec<u8>,
                    right: ::std::vec::Vec<u8>,
                ) -> ::std::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                    $crate::export::with_aggregate(|folder| folder.merge(&left, &right))
                }

                fn emit(
                    batch: ::std::vec::Vec<u8>,
                ) -> ::std::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                    $crate::export::with_aggregate(|folder| folder.emit(batch))
                }
            }

            $crate::bindings::windowed::__export_windowed_world!(Component with_types_in $crate::bindings::windowed);
        };
    };
}

/// `transformations.describe`.
#[must_use]
pub fn describe(plugins: &[Plugin], version: &str) -> Vec<types::Plugin> {
    let describe = |plugin: &Plugin| types::Plugin {
        class: plugin.class.to_owned(),
        kind: match plugin.make {
            Make::Transform(_) => types::Kind::Transformation,
            Make::Predicate(_) => types::Kind::Predicate,
        },
        version: version.to_owned(),
        keys: keys((plugin.def)()),
    };
    plugins.iter().map(describe).collect()
}

/// `transformations.configure`.
///
/// # Errors
/// The stage at fault.
pub fn configure(plugins: &[Plugin], stages: Vec<Stage>) -> Result<types::Needs, types::ConfigError> {
    let props = |pairs: types::Properties| pairs.into_iter().collect::<Props>();
    let stages = stages.into_iter().map(|stage| StageConfig {
        class: stage.class,
        config: props(stage.config),
        predicate: stage.predicate.map(|condition| (condition.class, props(condition.config))),
        negate: stage.negate,
    });
    let stages: Vec<StageConfig> = stages.collect();
    let chain = Chain::configure(plugins, &stages).map_err(|(index, error)| {
        let keys = |class: Option<&String>| {
            let plugin = plugins.iter().find(|plugin| class.is_some_and(|class| plugin.class == class));
            plugin.map(|plugin| (plugin.def)()).unwrap_or_default()
        };
        let stage = stages.get(index);
        let predicate = stage.and_then(|stage| stage.predicate.as_ref()).map(|(class, _)| class);
        let config = stage.map(|stage| stage.config.clone()).unwrap_or_default();
        refusal(index, &error, keys(stage.map(|stage| &stage.class)).and(keys(predicate)), &config)
    })?;
    let needs = needs(chain.needs());
    CHAIN.set(chain);
    Ok(needs)
}

/// `transformations.apply`. Bytes that are no batch are answered with no delta, which the host reports.
#[must_use]
pub fn apply(batch: Vec<u8>) -> Vec<u8> {
    CHAIN.with_borrow_mut(|chain| chain.apply(batch)).unwrap_or_default()
}

/// `aggregates.describe`.
#[must_use]
pub fn describe_aggregates(plugins: &[AggregatePlugin], version: &str) -> Vec<types::Plugin> {
    let describe = |plugin: &AggregatePlugin| types::Plugin {
        class: plugin.class.to_owned(),
        kind: types::Kind::Aggregate,
        version: version.to_owned(),
        keys: keys((plugin.def)()),
    };
    plugins.iter().map(describe).collect()
}

/// `aggregates.configure`.
///
/// # Errors
/// What is wrong with the configuration.
pub fn configure_aggregate(
    plugins: &[AggregatePlugin],
    class: &str,
    config: types::Properties,
) -> Result<types::Needs, types::ConfigError> {
    let props = config.into_iter().collect();
    let folder = AggregatePlugin::configure(plugins, class, &props).map_err(|error| {
        let plugin = plugins.iter().find(|plugin| plugin.class == class);
        refusal(0, &error, plugin.map(|plugin| (plugin.def)()).unwrap_or_default(), &props)
    })?;
    let needs = needs(folder.needs());
    AGGREGATE.set(Some(folder));
    Ok(needs)
}

/// The other functions of `aggregates`.
///
/// # Errors
/// What `call` returns, as text.
pub fn with_aggregate<T>(call: impl FnOnce(&mut dyn Folder) -> millrace_api::Result<T>) -> Result<T, String> {
    AGGREGATE.with_borrow_mut(|folder| match folder {
        Some(folder) => call(folder.as_mut()).map_err(|error| error.to_string()),
        None => Err("the aggregate was not configured".to_owned()),
    })
}

fn needs(needs: Needs) -> types::Needs {
    types::Needs { key: needs.key, value: needs.value, headers: needs.headers }
}

/// Finds the key that a message in Kafka's wording speaks of, or that was refused with it.
fn refusal(stage: usize, error: &Error, def: ConfigDef, config: &Props) -> types::ConfigError {
    let message = match error.kind() {
        ErrorKind::Config => error.to_string(),
        _ => error.trace(),
    };
    let named = |key: &ConfigKey| {
        message.contains(&format!(" configuration {}:", key.name))
            || message.contains(&format!("\"{}\"", key.name))
            || message.contains(&format!("Configuration '{}'", key.name))
            || key.validate(config).errors.contains(&message)
    };
    let key = def.keys.into_iter().find(named).map(|key| key.name);
    types::ConfigError { stage: u32::try_from(stage).unwrap_or(0), key, message }
}

fn keys(def: ConfigDef) -> Vec<types::ConfigKey> {
    def.keys.into_iter().map(key).collect()
}

fn key(key: ConfigKey) -> types::ConfigKey {
    types::ConfigKey {
        config_type: match key.kind {
            ConfigType::Boolean => types::ConfigType::Boolean,
            ConfigType::String => types::ConfigType::Text,
            ConfigType::Int => types::ConfigType::Int,
            ConfigType::Short => types::ConfigType::Short,
            ConfigType::Long => types::ConfigType::Long,
            ConfigType::Double => types::ConfigType::Double,
            ConfigType::List => types::ConfigType::CommaList,
            ConfigType::Class => types::ConfigType::Class,
            ConfigType::Password => types::ConfigType::Password,
        },
        default_value: match key.default {
            Default::Required => types::DefaultValue::Required,
            Default::Null => types::DefaultValue::Null,
            Default::Value(text) => types::DefaultValue::Value(text),
        },
        valid: valid(key.validator),
        importance: match key.importance {
            Importance::High => types::Importance::High,
            Importance::Medium => types::Importance::Medium,
            Importance::Low => types::Importance::Low,
        },
        width: match key.width {
            Width::None => types::Width::None,
            Width::Short => types::Width::Short,
            Width::Medium => types::Width::Medium,
            Width::Long => types::Width::Long,
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

fn valid(validator: Validator) -> types::ValidValues {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    match validator {
        Validator::Any => types::ValidValues::Any,
        Validator::AtLeast(min) => types::ValidValues::AtLeast(min),
        Validator::Between(min, max) => types::ValidValues::Between((min, max)),
        Validator::OneOf(texts) => types::ValidValues::OneOf(owned(texts)),
        Validator::OneOfIgnoreCase(texts) => types::ValidValues::OneOfIgnoreCase(owned(texts)),
        Validator::OneOfThese(texts) => types::ValidValues::OneOf(texts.to_vec()),
        Validator::OneOfTheseIgnoreCase(texts) => types::ValidValues::OneOfIgnoreCase(texts.to_vec()),
        Validator::NonEmpty => types::ValidValues::NonEmpty,
        Validator::Distinct | Validator::DistinctNonEmpty | Validator::Custom(_) | Validator::Verbatim(_) => {
            types::ValidValues::Custom
        }
    }
}
