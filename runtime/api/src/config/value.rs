//! Parsed values and secrets.

use std::fmt;

/// A value after parsing by type.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// Absent.
    Null,
    /// `BOOLEAN`.
    Bool(bool),
    /// `INT`, `SHORT`, `LONG`.
    Int(i64),
    /// `DOUBLE`.
    Double(f64),
    /// `STRING`, `CLASS`.
    Text(String),
    /// `LIST`.
    List(Vec<String>),
    /// `PASSWORD`.
    Password(Password),
}

impl Parsed {
    /// The value as text that parses to the same; `None` for null. A password in clear, for whoever hides it.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(flag) => Some(flag.to_string()),
            Self::Int(number) => Some(number.to_string()),
            // As Java writes it: 1.0 rather than 1.
            Self::Double(number) => Some(format!("{number:?}")),
            Self::Text(text) => Some(text.clone()),
            Self::List(items) => Some(items.join(",")),
            Self::Password(secret) => Some(secret.reveal().to_owned()),
        }
    }
}

/// A secret. It cannot be shown by accident: `Debug` hides it, and there is no `Display` (invariant 6).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Password(String);

impl Password {
    /// What stands in its place wherever it would be shown.
    pub const HIDDEN: &'static str = "[hidden]";

    /// A secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret, for the one call that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

/// Field types of a configuration struct. A conversion that the table's type rules out yields the field's zero.
pub trait FromConfig: Sized {
    /// Converts a parsed value; `Null` gives `None`, empty or zero.
    fn from_config(value: Parsed) -> Self;
}

macro_rules! integer {
    ($($t:ty),*) => {$(
        impl FromConfig for $t {
            fn from_config(value: Parsed) -> Self {
                match value {
                    Parsed::Int(n) => <$t>::try_from(n).unwrap_or_default(),
                    _ => Self::default(),
                }
            }
        }
    )*};
}
integer!(i16, i32, i64, u16, u32, u64, usize);

impl FromConfig for bool {
    fn from_config(value: Parsed) -> Self {
        matches!(value, Parsed::Bool(true))
    }
}

impl FromConfig for f64 {
    fn from_config(value: Parsed) -> Self {
        if let Parsed::Double(n) = value { n } else { 0.0 }
    }
}

impl FromConfig for String {
    fn from_config(value: Parsed) -> Self {
        if let Parsed::Text(text) = value { text } else { Self::new() }
    }
}

impl FromConfig for Vec<String> {
    fn from_config(value: Parsed) -> Self {
        if let Parsed::List(items) = value { items } else { Self::new() }
    }
}

impl FromConfig for Password {
    fn from_config(value: Parsed) -> Self {
        if let Parsed::Password(secret) = value { secret } else { Self::default() }
    }
}

impl<T: FromConfig> FromConfig for Option<T> {
    fn from_config(value: Parsed) -> Self {
        if value == Parsed::Null { None } else { Some(T::from_config(value)) }
    }
}
