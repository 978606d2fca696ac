//! Parsing text by type, with Kafka's rules and wording (`ConfigDef.parseType`).

use super::Props;
use super::def::{ConfigKey, ConfigType, ConfigValue, Default, Validator};
use super::value::{Parsed, Password};
use crate::error::{Error, Result};

impl ConfigKey {
    /// The key's value in `props`, or its default.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] in Kafka's wording: "Invalid value V for configuration K: cause".
    pub fn parse(&self, props: &Props) -> Result<Parsed> {
        let text = match (props.get(&self.name), &self.default) {
            (Some(text), _) => text,
            (None, Default::Value(text)) => text,
            (None, Default::Null) => return Ok(Parsed::Null),
            (None, Default::Required) => {
                let name = &self.name;
                return Err(Error::config(format!(
                    "Missing required configuration \"{name}\" which has no default value."
                )));
            }
        };
        let parsed = self.parse_text(text)?;
        self.accept(text, &parsed)?;
        Ok(parsed)
    }

    /// Value and errors as `validate` shows them.
    #[must_use]
    pub fn validate(&self, props: &Props) -> ConfigValue {
        let given = props.get(&self.name).or(match &self.default {
            Default::Value(text) => Some(text),
            Default::Null | Default::Required => None,
        });
        let mut errors = self.parse(props).err().map(|error| vec![error.message().to_owned()]).unwrap_or_default();
        let parsed = given.map(|text| self.parse_text(text));
        // Kafka goes on with null for what it cannot parse, and then says so about every number with bounds that is not null by itself.
        let bounded =
            matches!(self.validator, Validator::AtLeast(_) | Validator::Between(..)) && self.default != Default::Null;
        if bounded && matches!(parsed, Some(Err(_))) {
            errors.push(format!("Invalid value null for configuration {}: Value must be non-null", self.name));
        }
        let value = parsed.and_then(std::result::Result::ok).and_then(|parsed| parsed.to_text());
        ConfigValue {
            name: self.name.clone(),
            value,
            recommended_values: self.recommended.clone(),
            errors,
            visible: true,
        }
    }

    fn parse_text(&self, text: &str) -> Result<Parsed> {
        let trimmed = text.trim();
        let number = |kind: &str| self.invalid(text, &format!("Not a number of type {kind}"));
        match self.kind {
            ConfigType::Boolean => match trimmed.to_ascii_lowercase().as_str() {
                "true" => Ok(Parsed::Bool(true)),
                "false" => Ok(Parsed::Bool(false)),
                _ => Err(self.invalid(text, "Expected value to be either true or false")),
            },
            ConfigType::String | ConfigType::Class => Ok(Parsed::Text(trimmed.to_owned())),
            ConfigType::Password => Ok(Parsed::Password(Password::new(trimmed))),
            ConfigType::Int => trimmed.parse::<i32>().map(|n| Parsed::Int(n.into())).map_err(|_| number("INT")),
            ConfigType::Short => trimmed.parse::<i16>().map(|n| Parsed::Int(n.into())).map_err(|_| number("SHORT")),
            ConfigType::Long => trimmed.parse::<i64>().map(Parsed::Int).map_err(|_| number("LONG")),
            ConfigType::Double => trimmed.parse::<f64>().map(Parsed::Double).map_err(|_| number("DOUBLE")),
            ConfigType::List => {
                let items = trimmed.split(',').map(str::trim).map(str::to_owned);
                Ok(Parsed::List(if trimmed.is_empty() { Vec::new() } else { items.collect() }))
            }
        }
    }

    fn accept(&self, text: &str, parsed: &Parsed) -> Result<()> {
        let trimmed = text.trim();
        if let (Validator::Distinct | Validator::DistinctNonEmpty, Parsed::List(items)) = (&self.validator, parsed) {
            return self.distinct(items);
        }
        let cause = match (&self.validator, parsed) {
            (Validator::AtLeast(min), Parsed::Int(n)) if n < min => Some(format!("Value must be at least {min}")),
            (Validator::Between(min, _), Parsed::Int(n)) if n < min => Some(format!("Value must be at least {min}")),
            (Validator::Between(_, max), Parsed::Int(n)) if n > max => {
                Some(format!("Value must be no more than {max}"))
            }
            (Validator::OneOf(allowed), _) if !allowed.contains(&trimmed) => {
                Some(format!("String must be one of: {}", allowed.join(", ")))
            }
            (Validator::OneOfIgnoreCase(allowed), _) if !allowed.iter().any(|a| a.eq_ignore_ascii_case(trimmed)) => {
                Some(format!("String must be one of (case insensitive): {}", allowed.join(", ")))
            }
            (Validator::OneOfThese(allowed), _) if !allowed.iter().any(|a| a == trimmed) => {
                Some(format!("String must be one of: {}", allowed.join(", ")))
            }
            (Validator::OneOfTheseIgnoreCase(allowed), _)
                if !allowed.iter().any(|a| a.eq_ignore_ascii_case(trimmed)) =>
            {
                Some(format!("String must be one of (case insensitive): {}", allowed.join(", ")))
            }
            (Validator::NonEmpty, _) if trimmed.is_empty() => Some("String must be non-empty".to_owned()),
            (Validator::Custom(check), _) => check(trimmed).err(),
            _ => None,
        };
        let shown =
            if let Parsed::List(items) = parsed { format!("[{}]", items.join(", ")) } else { trimmed.to_owned() };
        cause.map_or(Ok(()), |cause| Err(self.invalid(&shown, &cause)))
    }

    /// Kafka's `ValidList`, whose wording differs from that of other validators.
    fn distinct(&self, items: &[String]) -> Result<()> {
        let name = &self.name;
        let mut seen = std::collections::HashSet::new();
        let cause = if items.is_empty() && matches!(self.validator, Validator::DistinctNonEmpty) {
            "must not be empty. Valid values include: any non-empty value"
        } else if items.iter().any(String::is_empty) {
            "values must not be empty."
        } else if !items.iter().all(|item| seen.insert(item)) {
            "values must not be duplicated."
        } else {
            return Ok(());
        };
        Err(Error::config(format!("Configuration '{name}' {cause}")))
    }

    fn invalid(&self, text: &str, cause: &str) -> Error {
        let shown = if self.kind == ConfigType::Password { Password::HIDDEN } else { text };
        Error::config(format!("Invalid value {shown} for configuration {}: {cause}", self.name))
    }
}
