//! The table itself.

use std::sync::Arc;

use super::Props;
use crate::error::{Error, Result};

/// Kafka's `ConfigDef.Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ConfigType {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl ConfigType {
    /// Name in REST answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// Kafka's `ConfigDef.Importance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Importance {
    High,
    Medium,
    Low,
}

impl Importance {
    /// Name in REST answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// Kafka's `ConfigDef.Width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Width {
    None,
    Short,
    Medium,
    Long,
}

impl Width {
    /// Name in REST answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Short => "SHORT",
            Self::Medium => "MEDIUM",
            Self::Long => "LONG",
        }
    }
}

/// What applies when a key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Default {
    /// The key must be given.
    Required,
    /// Null.
    Null,
    /// This text, parsed like a given one.
    Value(String),
}

/// Which values are valid.
#[derive(Debug, Clone)]
pub enum Validator {
    /// Any.
    Any,
    /// A number of at least this.
    AtLeast(i64),
    /// A number in this inclusive range.
    Between(i64, i64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts in any case.
    OneOfIgnoreCase(&'static [&'static str]),
    /// As [`Validator::OneOf`], for tables that come from a component.
    OneOfThese(Arc<[String]>),
    /// As [`Validator::OneOfIgnoreCase`], for tables that come from a component.
    OneOfTheseIgnoreCase(Arc<[String]>),
    /// Text that is not empty.
    NonEmpty,
    /// A list without empty items and without the same item twice; it may be empty itself.
    Distinct,
    /// As [`Validator::Distinct`], with at least one item.
    DistinctNonEmpty,
    /// Whatever this function accepts; it returns the cause when it does not.
    Custom(fn(&str) -> std::result::Result<(), String>),
    /// As [`Validator::Custom`], but the cause is all that is said.
    Verbatim(fn(&str) -> std::result::Result<(), String>),
}

/// One key. The doc comment of the field is its documentation.
#[derive(Debug, Clone)]
pub struct ConfigKey {
    /// Name.
    pub name: String,
    /// Type.
    pub kind: ConfigType,
    /// What applies when it is absent.
    pub default: Default,
    /// Which values are valid.
    pub validator: Validator,
    /// How much a user should care.
    pub importance: Importance,
    /// Documentation.
    pub doc: String,
    /// Group in forms.
    pub group: Option<String>,
    /// Position in its group, -1 for none.
    pub order: i32,
    /// Width in forms.
    pub width: Width,
    /// Name in forms.
    pub display_name: String,
    /// Keys whose validity depends on this one.
    pub dependents: Vec<String>,
    /// Values to offer in forms.
    pub recommended: Vec<String>,
}

/// A key's value and what is wrong with it: `ConfigValueInfo` in REST answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValue {
    /// Key.
    pub name: String,
    /// Value as text; `None` for null. A password is masked by whoever shows it.
    pub value: Option<String>,
    /// Values to offer.
    pub recommended_values: Vec<String>,
    /// What is wrong, one sentence each.
    pub errors: Vec<String>,
    /// Whether forms show it.
    pub visible: bool,
}

/// The keys of a plugin, in order.
#[derive(Debug, Clone, std::default::Default)]
pub struct ConfigDef {
    /// The keys.
    pub keys: Vec<ConfigKey>,
}

impl ConfigKey {
    /// A key with everything optional left at Kafka's defaults.
    pub fn new(
        name: impl Into<String>,
        kind: ConfigType,
        default: Default,
        importance: Importance,
        doc: impl Into<String>,
    ) -> Self {
        let name = name.into();
        Self {
            display_name: name.clone(),
            name,
            kind,
            default,
            validator: Validator::Any,
            importance,
            doc: doc.into(),
            group: None,
            order: -1,
            width: Width::None,
            dependents: Vec::new(),
            recommended: Vec::new(),
        }
    }
}

impl ConfigDef {
    /// The key called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ConfigKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Appends the keys of another table that this one does not have yet.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for key in other.keys {
            if self.get(&key.name).is_none() {
                self.keys.push(key);
            }
        }
        self
    }

    /// Value and errors of every key, in the order of the table.
    #[must_use]
    pub fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        self.keys.iter().map(|key| key.validate(props)).collect()
    }

    /// The first error, as parsing a struct reports it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`].
    pub fn check(&self, props: &Props) -> Result<()> {
        match self.validate(props).into_iter().flat_map(|value| value.errors).next() {
            Some(error) => Err(Error::config(error)),
            None => Ok(()),
        }
    }
}
