//! Config providers: `${provider:[path:]key}` in the worker's file and in connectors' configurations.
//!
//! A configuration is kept and shown with its variables. Only what starts or validates a connector sees their values, and every
//! value that came from a provider is a secret from then on (invariant 6): [`Redactor`] takes it out of traces and logs, and
//! [`Resolved::unresolve`] puts the variable back into what a connector makes of its configuration.
//!
//! Providers are the worker's: a connector or a client cannot bring its own (CVE-2024-31141), and a variable cannot be a name that
//! others see, such as a topic ([`Providers::check`]).

mod env;
mod files;
mod guard;
mod redact;
mod variables;

use std::collections::BTreeMap;

use millrace_api::config::Props;
use millrace_api::{Error, Result};

pub use redact::{RedactingWriter, Redactor};

use self::env::EnvProvider;
use self::files::{DirectoryProvider, FileProvider};

/// The environment as providers see it.
pub type Environment = BTreeMap<String, String>;

/// Worker key: whether variables may stand where names are (topics, classes, groups).
pub const IDENTIFIERS_KEY: &str = "connector.config.variables.in.identifiers";

/// One source of values. It reads files of this machine at most; a call takes no longer than the disk.
trait Provider: Send + Sync {
    /// The value of `key` at `path` (empty when the variable has none). `None` leaves the variable as it is written.
    fn get(&self, path: &str, key: &str) -> Result<Option<String>>;
}

/// The providers of a worker.
#[derive(Default)]
pub struct Providers {
    by_name: BTreeMap<String, Box<dyn Provider>>,
    identifiers: bool,
}

/// A configuration with the values of its variables.
#[derive(Default)]
pub struct Resolved {
    /// For the start or the validation of a connector, and for nothing else.
    pub props: Props,
    /// Variables and their values, each once.
    secrets: Vec<Secret>,
    /// Keys whose values had variables, with those as they were written.
    raw: Props,
}

struct Secret {
    variable: String,
    value: String,
}

impl Providers {
    /// The providers that a worker's configuration names: `config.providers`, `config.providers.<name>.class`,
    /// `config.providers.<name>.param.<key>`. Said once at startup.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key: no class, an unknown class, a wrong parameter.
    pub fn from_worker(props: &Props, environment: &Environment) -> Result<Self> {
        let names = props.get("config.providers").map(String::as_str).unwrap_or_default();
        let mut providers = Self { identifiers: allows_identifiers(props)?, ..Self::default() };
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let provider = provider(name, props, environment)?;
            providers.by_name.insert(name.to_owned(), provider);
        }
        Ok(providers)
    }

    /// Replaces the variables of all values, as Kafka's `ConfigTransformer`: a variable of an unknown provider, or without a value,
    /// stays as it is written, and what a provider gives is not looked at again. The values become secrets of this process.
    /// A time to live does not exist: the providers there are have none.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key, when a provider refuses (a path that is not allowed) or cannot read.
    pub fn resolve(&self, props: &Props) -> Result<Resolved> {
        let mut resolved = Resolved { props: props.clone(), ..Resolved::default() };
        if self.by_name.is_empty() {
            return Ok(resolved);
        }
        for (key, value) in props {
            self.resolve_value(key, value, &mut resolved)?;
        }
        Redactor::process().add(resolved.secrets.iter().map(|secret| secret.value.as_str()));
        Ok(resolved)
    }

    /// [`Providers::resolve`] for a connector's own configuration, after [`Providers::check`].
    ///
    /// # Errors
    /// As both.
    pub fn resolve_connector(&self, props: &Props) -> Result<Resolved> {
        match self.check(props).into_iter().next() {
            Some((_, error)) => Err(Error::config(error)),
            None => self.resolve(props),
        }
    }

    /// What a connector's configuration may not have: keys that would add providers to a client, and variables in names. Pairs of
    /// key and error.
    #[must_use]
    pub fn check(&self, props: &Props) -> Vec<(String, String)> {
        guard::check(props, self.identifiers, |provider| self.by_name.contains_key(provider))
    }

    fn resolve_value(&self, key: &str, value: &str, resolved: &mut Resolved) -> Result<()> {
        let mut found = false;
        let text = variables::replace(value, |variable| {
            let Some(provider) = self.by_name.get(variable.provider) else { return Ok(None) };
            let given = provider.get(variable.path, variable.key).map_err(|error| {
                Error::config(format!("Invalid value {} for configuration {key}: {}", variable.text, error.message()))
            })?;
            if let Some(value) = &given {
                found = true;
                resolved.remember(variable.text, value);
            }
            Ok::<_, Error>(given)
        })?;
        if found {
            resolved.raw.insert(key.to_owned(), value.to_owned());
            resolved.props.insert(key.to_owned(), text);
        }
        Ok(())
    }
}

impl Resolved {
    fn remember(&mut self, variable: &str, value: &str) {
        if !self.secrets.iter().any(|secret| secret.variable == variable) {
            self.secrets.push(Secret { variable: variable.to_owned(), value: value.to_owned() });
        }
    }

    /// Keys whose values had variables.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.raw.keys().map(String::as_str)
    }

    /// The value of `key` as it was written, when it had variables.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.raw.get(key).map(String::as_str)
    }

    /// Puts variables back into a configuration that was made from this one (a task's): the keys it shares with it get what was
    /// written there (KIP-297), and a secret inside of any other value gives way to its variable, so that the result can be kept
    /// and shown, and gives the same when it is resolved (CVE-2019-12399).
    pub fn unresolve(&self, props: &mut Props) {
        for (key, value) in props {
            if let Some(raw) = self.raw.get(key) {
                raw.clone_into(value);
                continue;
            }
            for secret in self.secrets.iter().filter(|secret| redact::is_telling(&secret.value)) {
                if value.contains(&secret.value) {
                    *value = value.replace(&secret.value, &secret.variable);
                }
            }
        }
    }

    /// Takes the values of variables out of a text about this configuration, also those that are too short to be looked for
    /// everywhere.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        redact::hide(text, self.secrets.iter().map(|secret| secret.value.as_str()))
    }
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolved").field("variables", &self.raw).finish_non_exhaustive()
    }
}

fn allows_identifiers(props: &Props) -> Result<bool> {
    match props.get(IDENTIFIERS_KEY).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Error::config(format!(
            "Invalid value {other} for configuration {IDENTIFIERS_KEY}: Expected value to be either true or false"
        ))),
    }
}

/// One provider by the name of its class. Packages do not matter: Kafka's, Strimzi's and others' copies do the same.
fn provider(name: &str, props: &Props, environment: &Environment) -> Result<Box<dyn Provider>> {
    let class_key = format!("config.providers.{name}.class");
    let class = props.get(&class_key).map(|class| class.trim()).filter(|class| !class.is_empty()).ok_or_else(|| {
        Error::config(format!("Missing required configuration \"{class_key}\" which has no default value."))
    })?;
    let param = |key: &str| {
        let key = format!("config.providers.{name}.param.{key}");
        props.get(&key).map(|value| (key, value.as_str()))
    };
    match class.rsplit('.').next().unwrap_or(class) {
        "FileConfigProvider" => Ok(Box::new(FileProvider::new(name, param("allowed.paths"))?)),
        "DirectoryConfigProvider" => Ok(Box::new(DirectoryProvider::new(name, param("allowed.paths"))?)),
        "EnvVarConfigProvider" => Ok(Box::new(EnvProvider::new(name, param("allowlist.pattern"), environment)?)),
        // Strimzi names these whether they are used or not, so only their use is an error.
        "KubernetesSecretConfigProvider" | "KubernetesConfigMapConfigProvider" => {
            Ok(Box::new(Unavailable { class: class.to_owned() }))
        }
        _ => Err(Error::config(format!(
            "Invalid value {class} for configuration {class_key}: Class {class} could not be found. \
             Use FileConfigProvider, DirectoryConfigProvider or EnvVarConfigProvider of org.apache.kafka.common.config.provider"
        ))),
    }
}

/// A provider that can be named but not used.
struct Unavailable {
    class: String,
}

impl Provider for Unavailable {
    fn get(&self, _path: &str, _key: &str) -> Result<Option<String>> {
        Err(Error::config(format!(
            "{} is not available; mount the secret and use FileConfigProvider or DirectoryConfigProvider, \
             or put it into the environment and use EnvVarConfigProvider",
            self.class
        )))
    }
}
