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
            (None, Default::Required) => return Err(missing(&self.name)),
        };
        let parsed = self.parse_text(text, &self.name)?;
        self.accept(text, &parsed)?;
        Ok(parsed)
    }

    /// Value and errors as `validate` shows them.
    #[must_use]
    pub fn validate(&self, props: &Props) -> ConfigValue {
        self.validate_as(props, &self.name)
    }

    /// As [`ConfigKey::validate`] for a key that is shown as `shown`, with the prefix under which its table is used. As in Kafka, what
    /// is missing or cannot be parsed is said of that name, while a validator knows the key's own only.
    #[must_use]
    pub fn validate_as(&self, props: &Props, shown: &str) -> ConfigValue {
        let given = props.get(&self.name).or(match &self.default {
            Default::Value(text) => Some(text),
            Default::Null | Default::Required => None,
        });
        let mut errors = Vec::new();
        let mut value = None;
        match given.map(|text| (text, self.parse_text(text, shown))) {
            Some((text, Ok(parsed))) => {
                errors.extend(self.accept(text, &parsed).err());
                value = parsed.to_text();
            }
            Some((_, Err(error))) => {
                errors.push(error);
                errors.extend(self.null().err());
            }
            None if self.default == Default::Required => {
                errors.push(missing(shown));
                errors.extend(self.null().err());
            }
            None => {}
        }
        ConfigValue {
            name: shown.to_owned(),
            value,
            recommended_values: self.recommended.clone(),
            errors: errors.into_iter().map(|error| error.message().to_owned()).collect(),
            visible: true,
        }
    }

    /// Kafka goes on with null for what is missing or cannot be parsed, and some validators have an opinion of that. A key that may
    /// be absent has none of those.
    fn null(&self) -> Result<()> {
        if self.default == Default::Null {
            return Ok(());
        }
        let cause = match &self.validator {
            Validator::AtLeast(_) | Validator::Between(..) => "Value must be non-null".to_owned(),
            Validator::OneOf(allowed) => format!("String must be one of: {}", allowed.join(", ")),
            Validator::OneOfThese(allowed) => format!("String must be one of: {}", allowed.join(", ")),
            Validator::OneOfIgnoreCase(allowed) => {
                format!("String must be one of (case insensitive): {}", allowed.join(", "))
            }
            Validator::OneOfTheseIgnoreCase(allowed) => {
                format!("String must be one of (case insensitive): {}", allowed.join(", "))
            }
            Validator::Distinct | Validator::DistinctNonEmpty => {
                return Err(Error::config(format!("Configuration '{}' values must not be null.", self.name)));
            }
            Validator::Any | Validator::NonEmpty | Validator::Custom(_) | Validator::Verbatim(_) => return Ok(()),
        };
        Err(Error::config(format!("Invalid value null for configuration {}: {cause}", self.name)))
    }

    fn parse_text(&self, text: &str, shown: &str) -> Result<Parsed> {
        let trimmed = trim(text);
        let number = |kind: &str| self.invalid(shown, text, &format!("Not a number of type {kind}"));
        match self.kind {
            ConfigType::Boolean => match trimmed.to_ascii_lowercase().as_str() {
                "true" => Ok(Parsed::Bool(true)),
                "false" => Ok(Parsed::Bool(false)),
                _ => Err(self.invalid(shown, text, "Expected value to be either true or false")),
            },
            ConfigType::String | ConfigType::Class => Ok(Parsed::Text(trimmed.to_owned())),
            ConfigType::Password => Ok(Parsed::Password(Password::new(trimmed))),
            ConfigType::Int => trimmed.parse::<i32>().map(|n| Parsed::Int(n.into())).map_err(|_| number("INT")),
            ConfigType::Short => trimmed.parse::<i16>().map(|n| Parsed::Int(n.into())).map_err(|_| number("SHORT")),
            ConfigType::Long => trimmed.parse::<i64>().map(Parsed::Int).map_err(|_| number("LONG")),
            ConfigType::Double => trimmed.parse::<f64>().map(Parsed::Double).map_err(|_| number("DOUBLE")),
            ConfigType::List => {
                let items = trimmed.split(',').map(trim).map(str::to_owned);
                Ok(Parsed::List(if trimmed.is_empty() { Vec::new() } else { items.collect() }))
            }
        }
    }

    fn accept(&self, text: &str, parsed: &Parsed) -> Result<()> {
        let trimmed = trim(text);
        if let (Validator::Distinct | Validator::DistinctNonEmpty, Parsed::List(items)) = (&self.validator, parsed) {
            return self.distinct(items);
        }
        if let Validator::Verbatim(check) = &self.validator {
            return check(trimmed).map_err(Error::config);
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
        cause.map_or(Ok(()), |cause| Err(self.invalid(&self.name, &shown, &cause)))
    }

    /// Kafka's `ValidList`, whose wording differs from that of other validators.
    fn distinct(&self, items: &[String]) -> Result<()> {
        let name = &self.name;
        let mut seen = std::collections::HashSet::new();
        let cause = if items.is_empty() && matches!(self.validator, Validator::DistinctNonEmpty) {
            "must not be empty. Valid values include: any non-empty value"
        } else if !items.iter().all(|item| seen.insert(item)) {
            "values must not be duplicated."
        } else if items.iter().any(String::is_empty) {
            "values must not be empty."
        } else {
            return Ok(());
        };
        Err(Error::config(format!("Configuration '{name}' {cause}")))
    }

    fn invalid(&self, name: &str, text: &str, cause: &str) -> Error {
        let value = if self.kind == ConfigType::Password { Password::HIDDEN } else { text };
        Error::config(format!("Invalid value {value} for configuration {name}: {cause}"))
    }
}

fn missing(name: &str) -> Error {
    Error::config(format!("Missing required configuration \"{name}\" which has no default value."))
}

/// As Java's `String.trim`, which takes control characters away, too.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}
