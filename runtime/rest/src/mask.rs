//! Secrets never leave in an answer (invariant 6): their values are shown as `[hidden]`.
//!
//! A key is secret when its table says so (type `PASSWORD`), or, for keys that no table of the plugin knows (converters,
//! transforms, client overrides), when its name says so. A reference such as `${file:/run/secrets:password}` is no secret.
//!
//! Tools read a configuration, change one key and write it back. A `[hidden]` that comes back stands for the stored secret, unless
//! the same request points the connector elsewhere: then the secret has to be sent again, or writing would be a way to read.

use std::collections::{HashMap, HashSet};

use millrace_api::config::{ConfigType, Password, Props};
use millrace_core::herder::{ConnectorStatus, Herder};
use serde_json::Value;

use crate::error::ApiError;
use crate::json::NullableProps;
use crate::server::Api;

/// Hides secrets in the configurations of one answer; a plugin's table is asked for once.
pub(crate) struct Mask<'a> {
    herder: &'a dyn Herder,
    enabled: bool,
    by_class: HashMap<String, Keys>,
}

/// What the table of a plugin knows.
#[derive(Default)]
struct Keys {
    known: HashSet<String>,
    secret: HashSet<String>,
}

impl Keys {
    fn is_secret(&self, key: &str) -> bool {
        self.secret.contains(key) || (!self.known.contains(key) && is_secret_name(key))
    }
}

impl<'a> Mask<'a> {
    pub(crate) fn new(api: &'a Api) -> Self {
        Self { herder: api.herder.as_ref(), enabled: api.options.mask_secrets, by_class: HashMap::new() }
    }

    /// Hides the secrets of a connector's or task's configuration.
    pub(crate) fn hide(&mut self, config: &mut Props) {
        let class = config.get("connector.class").cloned().unwrap_or_default();
        self.hide_as(&class, config);
    }

    /// As [`Mask::hide`] for a configuration that may not name its class.
    pub(crate) fn hide_as(&mut self, class: &str, config: &mut Props) {
        if !self.enabled {
            return;
        }
        let keys = self.keys(class);
        for (_, value) in config.iter_mut().filter(|(key, _)| keys.is_secret(key)) {
            if let Some(mask) = hidden(value) {
                mask.clone_into(value);
            }
        }
    }

    /// The value of a key of a known type as answers show it.
    pub(crate) fn shown<'v>(&self, kind: ConfigType, value: Option<&'v str>) -> Option<&'v str> {
        let secret = self.enabled && kind == ConfigType::Password;
        value.map(|value| hidden(value).filter(|_| secret).unwrap_or(value))
    }

    /// Puts the stored secrets in the place of each `[hidden]` that came back.
    ///
    /// # Errors
    /// 400 when there is none, or when the connector is pointed elsewhere by the same request.
    pub(crate) async fn restore(&mut self, name: &str, config: &mut Props) -> Result<(), ApiError> {
        let masked: Vec<String> = match config.get("connector.class").cloned() {
            Some(class) if self.enabled => {
                let keys = self.keys(&class);
                let masked = |(key, value): &(&String, &String)| *value == Password::HIDDEN && keys.is_secret(key);
                config.iter().filter(masked).map(|(key, _)| key.clone()).collect()
            }
            _ => return Ok(()),
        };
        if masked.is_empty() {
            return Ok(());
        }
        let stored = self.herder.info(name).await.map(|info| info.config).unwrap_or_default();
        for key in &masked {
            if !stored.contains_key(key) {
                return Err(refused(key, "none is stored"));
            }
            if let Some(changed) = elsewhere(&stored, config) {
                return Err(refused(key, &format!("it is kept only while {changed} stays as it is")));
            }
        }
        let secrets = masked.into_iter().filter_map(|key| stored.get(&key).cloned().map(|secret| (key, secret)));
        config.extend(secrets);
        Ok(())
    }

    /// As [`Mask::restore`] for a patch: a `[hidden]` in it leaves the secret alone, and so does a patch without the key; either
    /// is refused when the patch points the connector elsewhere.
    ///
    /// # Errors
    /// 400, as of [`Mask::restore`].
    pub(crate) async fn restore_patch(
        &mut self,
        name: &str,
        stored: &Props,
        patch: &mut NullableProps,
    ) -> Result<(), ApiError> {
        if !self.enabled {
            return Ok(());
        }
        let mut merged = stored.clone();
        for (key, value) in patch.iter() {
            match value {
                Some(value) => drop(merged.insert(key.clone(), value.clone())),
                None => drop(merged.shift_remove(key)),
            }
        }
        let class = merged.get("connector.class").cloned().unwrap_or_default();
        let keys = self.keys(&class);
        for (_, value) in merged.iter_mut().filter(|(key, _)| keys.is_secret(key) && !patch.contains_key(*key)) {
            if let Some(mask) = hidden(value) {
                mask.clone_into(value);
            }
        }
        let before = merged.clone();
        self.restore(name, &mut merged).await?;
        patch.retain(|key, _| before.get(key) == merged.get(key));
        Ok(())
    }

    /// The secrets of a configuration, to be taken out of texts about it with [`scrub`].
    pub(crate) fn secrets(&mut self, config: &Props) -> Vec<String> {
        if !self.enabled {
            return Vec::new();
        }
        let class = config.get("connector.class").cloned().unwrap_or_default();
        let keys = self.keys(&class);
        let secret = |(key, value): &(&String, &String)| {
            keys.is_secret(key) && value.chars().count() >= SHORTEST && hidden(value).is_some()
        };
        config.iter().filter(secret).map(|(_, value)| value.clone()).collect()
    }

    /// Takes the connector's secrets out of the traces of a status. The configuration is only asked for when there is a trace.
    pub(crate) async fn scrub_status(&mut self, status: &mut ConnectorStatus) {
        let tasks = status.tasks.iter_mut().map(|(_, task)| task);
        let traces: Vec<&mut String> =
            std::iter::once(&mut status.connector).chain(tasks).filter_map(|status| status.trace.as_mut()).collect();
        if traces.is_empty() || !self.enabled {
            return;
        }
        let config = self.herder.info(&status.name).await.map(|info| info.config).unwrap_or_default();
        let secrets = self.secrets(&config);
        for trace in traces {
            scrub(&secrets, trace);
        }
    }

    /// Hides the secrets of a connector's configuration in what another worker answered.
    pub(crate) fn hide_info(&mut self, info: &mut Value) {
        let Some(Value::Object(config)) = info.get_mut("config") else { return };
        let text = |(key, value): (&String, &Value)| value.as_str().map(|value| (key.clone(), value.to_owned()));
        let mut props: Props = config.iter().filter_map(text).collect();
        self.hide(&mut props);
        config.extend(props.into_iter().map(|(key, value)| (key, Value::String(value))));
    }

    fn keys(&mut self, class: &str) -> &Keys {
        let herder = self.herder;
        self.by_class.entry(class.to_owned()).or_insert_with(|| {
            let mut keys = Keys::default();
            for key in herder.plugin_config(class).unwrap_or_default() {
                if key.kind == ConfigType::Password {
                    keys.secret.insert(key.name.clone());
                }
                keys.known.insert(key.name);
            }
            keys
        })
    }
}

/// Properties in a message, as Java shows a map. Nothing is known of their plugin there, so names alone decide what is secret.
pub(crate) fn in_message(api: &Api, config: &NullableProps) -> String {
    let show = |(key, value): (&String, &Option<String>)| {
        let secret = api.options.mask_secrets && is_secret_name(key);
        let value = value.as_deref().unwrap_or("null");
        format!("{key}={}", hidden(value).filter(|_| secret).unwrap_or(value))
    };
    format!("{{{}}}", config.iter().map(show).collect::<Vec<_>>().join(", "))
}

/// A shorter secret is not looked for in texts: it would be found everywhere.
const SHORTEST: usize = 4;

/// Takes secrets out of a text that may repeat them: a trace, an error.
pub(crate) fn scrub(secrets: &[String], text: &mut String) {
    for secret in secrets.iter().filter(|secret| *secret != Password::HIDDEN) {
        if text.contains(secret) {
            *text = text.replace(secret, Password::HIDDEN);
        }
    }
}

/// What stands in the place of a secret; `None` for a reference to one.
fn hidden(value: &str) -> Option<&'static str> {
    let reference = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let is_reference = reference.is_some_and(|inner| inner.contains(':') && !inner.contains(['$', '{', '}']));
    (!is_reference).then_some(Password::HIDDEN)
}

/// Names of secrets in Kafka's clients, the schema registry's and common connectors.
fn is_secret_name(key: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        "password",
        "passphrase",
        "passwd",
        "secret",
        "secret.key",
        "secret.access.key",
        "private.key",
        "api.key",
        "sasl.jaas.config",
        "ssl.keystore.key",
        "basic.auth.user.info",
        "token",
    ];
    let key = key.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// The first key that names another place (class, host, URL, proxy, …) than the stored one.
fn elsewhere<'a>(stored: &'a Props, config: &'a Props) -> Option<&'a str> {
    const PLACES: [&str; 9] = ["url", "uri", "host", "endpoint", "server", "address", "proxy", "port", "class"];
    let is_place = |key: &&String| PLACES.iter().any(|place| key.to_ascii_lowercase().contains(place));
    let changed = |key: &&String| stored.get(*key) != config.get(*key);
    config.keys().chain(stored.keys()).filter(is_place).find(changed).map(String::as_str)
}

fn refused(key: &str, cause: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Invalid value {} for configuration {key}: this stands for the stored secret, and {cause}. Send the secret again",
        Password::HIDDEN
    ))
}
