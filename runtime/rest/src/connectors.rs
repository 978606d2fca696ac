//! `/connectors` and `/connectors/{name}/…`.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use millrace_api::config::Props;
use millrace_api::{Error, ErrorKind};
use millrace_core::herder::{ConnectorInfo, ConnectorStatus, TargetState, not_found};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::answer::{self, InfoBody, Object, StatusBody};
use crate::body::Entity;
use crate::error::ApiError;
use crate::forward::{Hop, Onward, Outcome};
use crate::json::{self, NullableProps};
use crate::mask::{self, Mask};
use crate::path;
use crate::server::{Api, Origin};

pub(crate) type Answer = Result<Response, ApiError>;
pub(crate) type Parameters = Query<Vec<(String, String)>>;

const NO_CONFIG: &str = "Cannot invoke \"java.util.Map.get(Object)\" because \"connectorConfig\" is null";
const NO_REQUEST: &str = "Cannot invoke \"org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest.name()\" because \"createRequest\" is null";
const NO_PATCH: &str =
    "Cannot invoke \"java.util.Map.forEach(java.util.function.BiConsumer)\" because \"patch\" is null";
const NULL_VALUE: &str = "Null value can not be supplied as the configuration value.";

pub(crate) async fn list(State(api): State<Arc<Api>>, Query(parameters): Parameters) -> Answer {
    let names = api.herder.connectors().await?;
    let wanted: Vec<&str> =
        parameters.iter().filter(|(key, _)| key == "expand").map(|(_, value)| value.as_str()).collect();
    if wanted.is_empty() {
        return Ok(answer::json(StatusCode::OK, &names));
    }
    let mut mask = Mask::new(&api);
    let mut expanded = Vec::with_capacity(names.len());
    for name in names {
        // One that is deleted meanwhile is left out.
        if let Ok(expansions) = expand(&api, &mut mask, &name, &wanted).await {
            expanded.push((name, expansions));
        }
    }
    Ok(answer::json(StatusCode::OK, &Expanded(&expanded)))
}

enum Expansion {
    Info(ConnectorInfo),
    Status(ConnectorStatus),
}

async fn expand(api: &Api, mask: &mut Mask<'_>, name: &str, wanted: &[&str]) -> Result<Vec<Expansion>, Error> {
    let mut expansions = Vec::with_capacity(2);
    for (index, what) in wanted.iter().enumerate() {
        match *what {
            again if wanted.iter().take(index).any(|earlier| *earlier == again) => {}
            "status" => {
                let mut status = api.herder.status(name).await?;
                mask.scrub_status(&mut status).await;
                expansions.push(Expansion::Status(status));
            }
            "info" => {
                let mut info = api.herder.info(name).await?;
                mask.hide(&mut info.config);
                expansions.push(Expansion::Info(info));
            }
            _ => {}
        }
    }
    Ok(expansions)
}

/// Connectors by name, each with what was asked for, in the order in which it was asked for.
struct Expanded<'a>(&'a [(String, Vec<Expansion>)]);

impl Serialize for Expanded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, expansions) in self.0 {
            map.serialize_entry(name, &Expansions(expansions))?;
        }
        map.end()
    }
}

struct Expansions<'a>(&'a [Expansion]);

impl Serialize for Expansions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for expansion in self.0 {
            match expansion {
                Expansion::Info(info) => map.serialize_entry("info", &InfoBody::from(info))?,
                Expansion::Status(status) => map.serialize_entry("status", &StatusBody::from(status))?,
            }
        }
        map.end()
    }
}

pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(origin): Extension<Origin>,
    hop: Hop,
    Entity(body): Entity,
) -> Answer {
    let request = json::read_create(&body)?.ok_or_else(|| ApiError::server(NO_REQUEST))?;
    // Java's `trim` takes control characters too.
    let name = request.name.unwrap_or_default();
    let name = name.trim_matches(|c| c <= ' ');
    let config = named(name, request.config)?;
    put(&api, &origin, &hop, name, config, Write::Create(request.initial_state)).await
}

pub(crate) async fn info(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    let mut info = api.herder.info(&name).await?;
    Mask::new(&api).hide(&mut info.config);
    Ok(answer::json(StatusCode::OK, &InfoBody::from(&info)))
}

pub(crate) async fn config(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    let mut info = api.herder.info(&name).await?;
    Mask::new(&api).hide(&mut info.config);
    Ok(answer::json(StatusCode::OK, &Object(&info.config)))
}

pub(crate) async fn put_config(
    State(api): State<Arc<Api>>,
    Extension(origin): Extension<Origin>,
    Path(name): Path<String>,
    hop: Hop,
    Entity(body): Entity,
) -> Answer {
    let config = named(&name, json::read_config(&body)?)?;
    put(&api, &origin, &hop, &name, config, Write::Replace).await
}

/// KIP-477: JSON merge; a null takes a key away.
pub(crate) async fn patch_config(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    hop: Hop,
    Entity(body): Entity,
) -> Answer {
    let patch = json::read_config(&body)?;
    let stored = api.herder.info(&name).await?.config;
    let mut patch = patch.ok_or_else(|| ApiError::server(NO_PATCH))?;
    let mut mask = Mask::new(&api);
    mask.restore_patch(&name, &stored, &mut patch).await?;
    let mut merged: NullableProps = stored.into_iter().map(|(key, value)| (key, Some(value))).collect();
    for (key, value) in &patch {
        match value {
            Some(_) => drop(merged.insert(key.clone(), value.clone())),
            None => drop(merged.shift_remove(key)),
        }
    }
    class_of(&api, &merged)?;
    let secrets = mask.secrets(&split_nulls(merged).0);
    let body = answer::encode(&Object(&patch));
    let onward = || Onward::new(Method::PATCH, path::of(&name, "config")).body(body);
    let answered = api.herder.patch_config(&name, patch.into_iter().collect()).await;
    let relayed = api.here_or_there(&hop, answered, ApiError::from, onward).await;
    match relayed.map_err(|error| error.without(&secrets))? {
        Outcome::Here(mut info) => {
            mask.hide(&mut info.config);
            Ok(answer::json(StatusCode::OK, &InfoBody::from(&info)))
        }
        Outcome::There(mut relayed) => {
            mask.hide_info(&mut relayed.body);
            Ok(answer::json(StatusCode::OK, &relayed.body))
        }
    }
}

pub(crate) async fn delete(State(api): State<Arc<Api>>, Path(name): Path<String>, hop: Hop) -> Answer {
    let answered = api.herder.delete(&name).await;
    let onward = || Onward::new(Method::DELETE, path::of(&name, ""));
    api.here_or_there(&hop, answered, ApiError::from, onward).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn status(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    let worded = reworded(&name, "No status found for connector ");
    let mut status = api.herder.status(&name).await.map_err(worded)?;
    Mask::new(&api).scrub_status(&mut status).await;
    Ok(answer::json(StatusCode::OK, &StatusBody::from(&status)))
}

pub(crate) async fn pause(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    set_target(&api, &name, TargetState::Paused, StatusCode::ACCEPTED).await
}

pub(crate) async fn resume(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Answer {
    set_target(&api, &name, TargetState::Started, StatusCode::ACCEPTED).await
}

/// Unlike the other two it goes to the leader, which also takes the tasks' configurations away.
pub(crate) async fn stop(State(api): State<Arc<Api>>, Path(name): Path<String>, hop: Hop) -> Answer {
    let answered = api.herder.set_target(&name, TargetState::Stopped).await;
    let onward = || Onward::new(Method::PUT, path::of(&name, "stop"));
    api.here_or_there(&hop, answered, reworded(&name, "Unknown connector "), onward).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

async fn set_target(api: &Api, name: &str, target: TargetState, done: StatusCode) -> Answer {
    api.herder.set_target(name, target).await.map_err(reworded(name, "Unknown connector "))?;
    Ok(answer::empty(done))
}

/// KIP-745: the plan of a restart is shown when it is more than the connector's own.
pub(crate) async fn restart(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Query(parameters): Parameters,
    hop: Hop,
) -> Answer {
    let include_tasks = flag(&parameters, "includeTasks", false);
    let only_failed = flag(&parameters, "onlyFailed", false);
    let worded = reworded(&name, "Unknown connector: ");
    let shown = include_tasks || only_failed;
    let onward = || Onward {
        query: match (include_tasks, only_failed) {
            (false, false) => "",
            (true, false) => "includeTasks=true&onlyFailed=false",
            (false, true) => "includeTasks=false&onlyFailed=true",
            (true, true) => "includeTasks=true&onlyFailed=true",
        },
        ..Onward::new(Method::POST, path::of(&name, "restart"))
    };
    let answered = api.herder.restart(&name, include_tasks, only_failed).await;
    Ok(match api.here_or_there(&hop, answered, worded, onward).await? {
        _ if !shown => answer::empty(StatusCode::NO_CONTENT),
        Outcome::Here(plan) => answer::json(StatusCode::ACCEPTED, &StatusBody::from(&plan)),
        Outcome::There(relayed) => answer::json(StatusCode::ACCEPTED, &relayed.body),
    })
}

/// A boolean parameter, as Java reads one: absent or empty is the default, and what is not `true` is false.
pub(crate) fn flag(parameters: &[(String, String)], name: &str, default: bool) -> bool {
    let given = parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    given.filter(|text| !text.is_empty()).map_or(default, |text| text.eq_ignore_ascii_case("true"))
}

/// Kafka Connect words "there is no such connector" in a different way at each resource.
pub(crate) fn reworded<'a>(name: &'a str, words: &'a str) -> impl Fn(Error) -> ApiError + 'a {
    move |error| {
        let plain = error.kind() == ErrorKind::NotFound && error.message() == not_found(name).message();
        if plain { ApiError::new(StatusCode::NOT_FOUND, format!("{words}{name}")) } else { error.into() }
    }
}

/// The configuration of the connector called `name`, which may not name another.
fn named(name: &str, config: Option<NullableProps>) -> Result<NullableProps, ApiError> {
    let mut config = config.ok_or_else(|| ApiError::server(NO_CONFIG))?;
    match config.get("name").and_then(Option::as_deref) {
        Some(other) if other != name => Err(ApiError::bad_request(format!(
            "Connector name configuration ({other}) doesn't match connector name in the URL ({name})"
        ))),
        Some(_) => Ok(config),
        None => {
            config.insert("name".to_owned(), Some(name.to_owned()));
            Ok(config)
        }
    }
}

/// How a whole configuration is written.
#[derive(Clone, Copy)]
enum Write {
    Create(Option<TargetState>),
    Replace,
}

/// `CreateConnectorRequest`.
#[derive(Serialize)]
struct CreateBody<'a> {
    name: &'a str,
    config: Object<'a>,
    initial_state: Option<&'static str>,
}

/// A write as the leader is asked for it.
fn onward(name: &str, config: &Props, write: Write) -> Onward<'static> {
    let Write::Create(initial) = write else {
        return Onward::new(Method::PUT, path::of(name, "config")).body(answer::encode(&Object(config)));
    };
    let initial_state = initial.map(|initial| match initial {
        TargetState::Started => "RUNNING",
        TargetState::Paused => "PAUSED",
        TargetState::Stopped => "STOPPED",
    });
    let body = answer::encode(&CreateBody { name, config: Object(config), initial_state });
    Onward::new(Method::POST, "/connectors".to_owned()).body(body)
}

async fn put(api: &Api, origin: &Origin, hop: &Hop, name: &str, config: NullableProps, write: Write) -> Answer {
    let mut config = without_nulls(api, config).await?;
    let mut mask = Mask::new(api);
    mask.restore(name, &mut config).await?;
    let (initial, replace) = match write {
        Write::Create(initial) => (initial, false),
        Write::Replace => (None, true),
    };
    let answered = api.herder.put_config(name, config.clone(), initial, replace).await;
    let secrets = mask.secrets(&config);
    let relayed = api.here_or_there(hop, answered, ApiError::from, || onward(name, &config, write)).await;
    let mut response = match relayed.map_err(|error| error.without(&secrets))? {
        Outcome::Here((created, mut info)) => {
            mask.hide(&mut info.config);
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            answer::json(status, &InfoBody::from(&info))
        }
        Outcome::There(mut relayed) => {
            mask.hide_info(&mut relayed.body);
            answer::json(
                if relayed.status == StatusCode::CREATED { StatusCode::CREATED } else { StatusCode::OK },
                &relayed.body,
            )
        }
    };
    if response.status() == StatusCode::CREATED {
        let location = HeaderValue::try_from(format!("{}/connectors/{}", origin.0, path::encode(name)));
        response.headers_mut().extend(location.ok().map(|location| (LOCATION, location)));
    }
    Ok(response)
}

/// The class that a configuration must name before anything can be said about it.
pub(crate) fn class_of<'a>(api: &Api, config: &'a NullableProps) -> Result<&'a str, ApiError> {
    let class = config.get("connector.class").and_then(Option::as_deref);
    class.ok_or_else(|| {
        let shown = mask::in_message(api, config);
        ApiError::bad_request(format!("Connector config {shown} contains no connector type"))
    })
}

/// Takes nulls out. One of a known key leaves it unset; each of an unknown key is an error beside those of validation.
async fn without_nulls(api: &Api, config: NullableProps) -> Result<Props, ApiError> {
    let class = class_of(api, &config)?.to_owned();
    let (config, nulls) = split_nulls(config);
    if nulls.is_empty() {
        return Ok(config);
    }
    let infos = api.herder.validate(&class, config.clone()).await?;
    let known = |key: &String| infos.configs.iter().any(|(_, value)| value.name == *key);
    let mut errors: Vec<&str> = nulls.iter().filter(|key| !known(key)).map(|_| NULL_VALUE).collect();
    if errors.is_empty() {
        return Ok(config);
    }
    errors.extend(infos.configs.iter().flat_map(|(_, value)| value.errors.iter().map(String::as_str)));
    Err(ApiError::bad_request(format!(
        "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also find the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
        errors.len(),
        errors.join("\n")
    )))
}

/// The keys with a value, and the names of those that are null.
pub(crate) fn split_nulls(config: NullableProps) -> (Props, Vec<String>) {
    let mut nulls = Vec::new();
    let mut props = Props::with_capacity(config.len());
    for (key, value) in config {
        match value {
            Some(value) => drop(props.insert(key, value)),
            None => nulls.push(key),
        }
    }
    (props, nulls)
}
