//! Where a worker's configuration comes from: a file, overlaid by the environment. Every key knows its source.

mod environment;
mod files;

use std::collections::BTreeMap;
use std::path::Path;

use millrace_api::Result;
use millrace_api::config::{Config as _, ConfigType, Password, Props};
use millrace_core::providers::{Environment, Redactor};
use millrace_core::worker_config::{Mode, WorkerConfig, other_keys};

pub(crate) use files::{parse_connector_json, read_connector, read_worker};

/// A worker's configuration as it was given, variables included.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) props: Props,
    /// Source of each key: a file, or an environment variable.
    origins: BTreeMap<String, String>,
}

impl Settings {
    /// The file, if any, then what the environment says.
    pub(crate) fn read(mode: Mode, file: Option<&Path>, environment: &Environment) -> Result<Self> {
        let mut settings = Self::default();
        if let Some(path) = file {
            for (key, value) in read_worker(path)? {
                settings.set(key, value, &path.display().to_string());
            }
        }
        for setting in environment::overlay(mode, file.is_some(), environment) {
            settings.set(setting.key, setting.value, &setting.variable);
        }
        Ok(settings)
    }

    fn set(&mut self, key: String, value: String, origin: &str) {
        self.origins.insert(key.clone(), origin.to_owned());
        self.props.insert(key, value);
    }

    /// Logs what is in effect and where it comes from. Secrets are hidden, and not shown by what is logged later either.
    pub(crate) fn log(&self) {
        let secret: Vec<&String> = self.props.keys().filter(|key| is_secret(key)).collect();
        Redactor::process().add(secret.iter().filter_map(|key| self.props.get(*key)).map(String::as_str));
        for (key, value) in &self.props {
            let value = if is_secret(key) && !value.starts_with("${") { Password::HIDDEN } else { value.as_str() };
            let source = self.origins.get(key).map_or("", String::as_str);
            tracing::info!(key, value, source, "configuration");
        }
    }
}

/// Whether a key's value is never shown: by its type, or by its name when no table knows it.
fn is_secret(key: &str) -> bool {
    const WORDS: [&str; 9] =
        ["password", "passphrase", "secret", "token", "credential", "jaas", "private.key", "keystore.key", "user.info"];
    let bare = ["producer.", "consumer.", "admin.", "listeners.https.", "admin.listeners.https."]
        .iter()
        .find_map(|prefix| key.strip_prefix(prefix))
        .unwrap_or(key);
    let known = WorkerConfig::def().get(bare).map(|key| key.kind);
    let known = known.or_else(|| other_keys().iter().find(|(key, _)| key.name == bare).map(|(key, _)| key.kind));
    match known {
        Some(kind) => kind == ConfigType::Password,
        None => WORDS.iter().any(|word| bare.to_ascii_lowercase().contains(word)),
    }
}

/// The environment of this process, as far as it is text.
pub(crate) fn process_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_file_and_each_key_knows_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.properties");
        std::fs::write(&path, "group.id=a\nclient.id=b\nplugin.path=/p\n").unwrap();
        let environment = [("CONNECT_GROUP_ID", "c"), ("MILLRACE_CLIENT_ID", "d"), ("GROUP_ID", "not with a file")];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let settings = Settings::read(Mode::Distributed, Some(&path), &environment).unwrap();
        let shown = |key: &str| (settings.props[key].as_str(), settings.origins[key].as_str());
        assert_eq!(shown("group.id"), ("c", "CONNECT_GROUP_ID"));
        assert_eq!(shown("client.id"), ("d", "MILLRACE_CLIENT_ID"));
        assert_eq!(shown("plugin.path").1, path.display().to_string());
    }

    #[test]
    fn secrets_are_known_by_type_and_by_name() {
        for key in [
            "sasl.jaas.config",
            "producer.sasl.jaas.config",
            "listeners.https.ssl.keystore.password",
            "ssl.keystore.key",
            "value.converter.basic.auth.user.info",
            "config.providers.v.param.token",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["group.id", "key.converter", "sasl.oauthbearer.token.endpoint.url", "inter.worker.key.ttl.ms"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
