//! `EnvVarConfigProvider`.

use millrace_api::{Error, Result};
use regex::Regex;

use super::{Environment, Provider};

/// Environment variables whose names match `allowlist.pattern` as a whole.
pub(super) struct EnvProvider {
    allowed: Environment,
}

impl EnvProvider {
    pub(super) fn new(name: &str, pattern: Option<(String, &str)>, environment: &Environment) -> Result<Self> {
        let Some((key, text)) = pattern else {
            tracing::warn!(
                provider = name,
                "every environment variable can be read by whoever creates connectors; \
                 set config.providers.{name}.param.allowlist.pattern"
            );
            return Ok(Self { allowed: environment.clone() });
        };
        let pattern = Regex::new(&format!("^(?:{text})$")).map_err(|error| {
            Error::config(format!("Invalid value {text} for configuration {key}: Invalid regex")).because(error)
        })?;
        let allowed = environment.iter().filter(|(name, _)| pattern.is_match(name));
        Ok(Self { allowed: allowed.map(|(name, value)| (name.clone(), value.clone())).collect() })
    }
}

impl Provider for EnvProvider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>> {
        if !path.is_empty() {
            return Err(Error::config(format!(
                "Path is not supported for EnvVarConfigProvider, invalid value '{path}'"
            )));
        }
        Ok(self.allowed.get(key).cloned())
    }
}
