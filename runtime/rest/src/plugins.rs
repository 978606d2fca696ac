//! `/connector-plugins`.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use millrace_api::config::{ConfigKey, Default};
use millrace_api::{Error, ErrorKind};
use millrace_core::herder::PluginInfo;
use millrace_core::versions::VersionRange;
use serde::Serialize;

use crate::answer;
use crate::body::Entity;
use crate::connectors::{Answer, Parameters, class_of, flag, split_nulls};
use crate::error::ApiError;
use crate::json;
use crate::mask::{self, Mask};
use crate::server::Api;

const BAD_REQUEST: &str = "org.apache.kafka.connect.runtime.rest.errors.BadRequestException";

#[derive(Serialize)]
struct PluginBody<'a> {
    class: &'a str,
    r#type: &'static str,
    version: &'a str,
}

impl<'a> From<&'a PluginInfo> for PluginBody<'a> {
    fn from(plugin: &'a PluginInfo) -> Self {
        Self { class: &plugin.class, r#type: plugin.kind, version: &plugin.version }
    }
}

/// `ConfigKeyInfo`, with the field names of 4.3.
#[derive(Serialize)]
struct KeyBody<'a> {
    name: &'a str,
    r#type: &'static str,
    required: bool,
    default_value: Option<&'a str>,
    importance: &'static str,
    documentation: &'a str,
    group: Option<&'a str>,
    order_in_group: i32,
    width: &'static str,
    display_name: &'a str,
    dependents: &'a [String],
}

impl<'a> KeyBody<'a> {
    fn new(mask: &Mask<'_>, key: &'a ConfigKey) -> Self {
        let default = if let Default::Value(text) = &key.default { Some(text.as_str()) } else { None };
        Self {
            name: &key.name,
            r#type: key.kind.name(),
            required: key.default == Default::Required,
            default_value: mask.shown(key.kind, default),
            importance: key.importance.name(),
            documentation: &key.doc,
            group: key.group.as_deref(),
            order_in_group: key.order,
            width: key.width.name(),
            display_name: &key.display_name,
            dependents: &key.dependents,
        }
    }
}

#[derive(Serialize)]
struct ValueBody<'a> {
    name: &'a str,
    value: Option<&'a str>,
    recommended_values: &'a [String],
    errors: &'a [String],
    visible: bool,
}

#[derive(Serialize)]
struct ConfigBody<'a> {
    definition: Option<KeyBody<'a>>,
    value: ValueBody<'a>,
}

#[derive(Serialize)]
struct ConfigInfosBody<'a> {
    name: &'a str,
    error_count: usize,
    groups: &'a [String],
    configs: Vec<ConfigBody<'a>>,
}

pub(crate) async fn list(State(api): State<Arc<Api>>, Query(parameters): Parameters) -> Answer {
    let plugins = api.herder.plugins(flag(&parameters, "connectorsOnly", true));
    let plugins: Vec<PluginBody<'_>> = plugins.iter().map(PluginBody::from).collect();
    Ok(answer::json(StatusCode::OK, &plugins))
}

pub(crate) async fn config(
    State(api): State<Arc<Api>>,
    Path(plugin): Path<String>,
    Query(parameters): Parameters,
) -> Answer {
    let unknown = |error: Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::Config => {
            ApiError::new(StatusCode::NOT_FOUND, format!("Unknown plugin {plugin}."))
        }
        _ => error.into(),
    };
    let keys = api.herder.plugin_config(&plugin).map_err(unknown)?;
    if let Some((_, version)) = parameters.iter().find(|(key, _)| key == "version") {
        check_version(&api, &plugin, version)?;
    }
    let mask = Mask::new(&api);
    let keys: Vec<KeyBody<'_>> = keys.iter().map(|key| KeyBody::new(&mask, key)).collect();
    Ok(answer::json(StatusCode::OK, &keys))
}

/// KIP-891: a worker has one version of each plugin, so it is that one, `latest`, or an error.
fn check_version(api: &Api, plugin: &str, version: &str) -> Result<(), ApiError> {
    let plugins = api.herder.plugins(false);
    let Some(found) = plugins.iter().find(|known| is_named(plugin, &known.class)) else { return Ok(()) };
    let invalid = |_| ApiError::bad_request(format!("Invalid version specification: {version}"));
    match VersionRange::parse(version).map_err(invalid)? {
        Some(range) if !range.contains(&found.version) => Err(ApiError::bad_request(format!(
            "Plugin {} not found that matches the version range {range}, available versions: [{}]",
            found.class, found.version
        ))),
        _ => Ok(()),
    }
}

/// Whether `class` is the class called `name`, or one whose simple name, with or without `Connector`, it is.
fn is_named(name: &str, class: &str) -> bool {
    let simple = class.rsplit('.').next().unwrap_or(class);
    name == class || name == simple || Some(name) == simple.strip_suffix("Connector")
}

/// Answers 200 whatever is wrong with the values: `error_count` tells.
pub(crate) async fn validate(State(api): State<Arc<Api>>, Path(plugin): Path<String>, Entity(body): Entity) -> Answer {
    let no_config = "Cannot invoke \"java.util.Map.get(Object)\" because \"connectorConfig\" is null";
    let config = json::read_config(&body)?.ok_or_else(|| ApiError::server(no_config))?;
    let included = config.get("connector.class").and_then(Option::as_deref);
    if let Some(included) = included.filter(|included| !alias(included).ends_with(alias(&plugin))) {
        let message = format!("Included connector type {included} does not match request type {plugin}");
        return Err(ApiError::bad_request(message));
    }
    class_of(&api, &config).map_err(|error| ApiError::server(format!("{BAD_REQUEST}: {}", error.message())))?;
    let (mut config, nulls) = split_nulls(config);
    let mut mask = Mask::new(&api);
    if let Some(name) = config.get("name").cloned() {
        // What cannot be restored is validated as it is.
        let _ = mask.restore(&name, &mut config).await;
    }
    let secrets = mask.secrets(&config);
    let validated = api.validations.run(api.options.validate_timeout, api.herder.validate(&plugin, config)).await?;
    let mut infos = validated.map_err(|error| nested(error).without(&secrets))?;
    for error in infos.configs.iter_mut().flat_map(|(_, value)| &mut value.errors) {
        mask::scrub(&secrets, error);
    }

    let known = |key: &&String| infos.configs.iter().any(|(_, value)| value.name == **key);
    let nulls: Vec<&String> = nulls.iter().filter(|key| !known(key)).collect();
    let null_value = ["Null value can not be supplied as the configuration value.".to_owned()];
    let unknown = nulls.iter().map(|key| ConfigBody {
        definition: None,
        value: ValueBody { name: key, value: None, recommended_values: &[], errors: &null_value, visible: true },
    });
    let known = infos.configs.iter().map(|(key, value)| ConfigBody {
        definition: Some(KeyBody::new(&mask, key)),
        value: ValueBody {
            name: &value.name,
            value: mask.shown(key.kind, value.value.as_deref()),
            recommended_values: &value.recommended_values,
            errors: &value.errors,
            visible: value.visible,
        },
    });
    let body = ConfigInfosBody {
        name: &infos.name,
        error_count: infos.error_count + nulls.len(),
        groups: &infos.groups,
        configs: unknown.chain(known).collect(),
    };
    Ok(answer::json(StatusCode::OK, &body))
}

/// A class name without `Connector` at its end.
fn alias(class: &str) -> &str {
    class.strip_suffix("Connector").filter(|rest| !rest.is_empty()).unwrap_or(class)
}

/// Validation runs on another thread in Kafka Connect, and what it throws arrives wrapped.
fn nested(error: Error) -> ApiError {
    if !matches!(error.kind(), ErrorKind::Config | ErrorKind::NotFound) {
        return error.into();
    }
    let unknown_class = error.message().starts_with("Failed to find any class");
    let class = if unknown_class { "org.apache.kafka.connect.errors.ConnectException: " } else { "" };
    ApiError::server(format!("{BAD_REQUEST}: {class}{}", error.message()))
}
