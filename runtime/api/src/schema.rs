//! Kafka Connect's schemas (`org.apache.kafka.connect.data.Schema`).

use std::sync::Arc;

mod wire;

pub use wire::{decode, encode};

/// A schema shared by many records. Compare pointers first: converters and SMTs cache.
pub type SchemaRef = Arc<Schema>;

/// Kafka Connect's logical type names.
pub mod logical {
    /// `BYTES` with parameter `scale`.
    pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
    /// `INT32`, days since the epoch.
    pub const DATE: &str = "org.apache.kafka.connect.data.Date";
    /// `INT32`, milliseconds since midnight.
    pub const TIME: &str = "org.apache.kafka.connect.data.Time";
    /// `INT64`, milliseconds since the epoch.
    pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
}

/// Kafka Connect's `Schema.Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Int8 = 0,
    Int16 = 1,
    Int32 = 2,
    Int64 = 3,
    Float32 = 4,
    Float64 = 5,
    Boolean = 6,
    String = 7,
    Bytes = 8,
    Array = 9,
    Map = 10,
    Struct = 11,
}

/// A schema. Plain data: build it with struct update syntax over [`Schema::of`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schema {
    /// The type.
    pub kind: Kind,
    /// Whether null is allowed.
    pub optional: bool,
    /// Full name; logical types are known by it.
    pub name: Option<String>,
    /// Version.
    pub version: Option<i32>,
    /// Documentation.
    pub doc: Option<String>,
    /// Parameters in order, for instance `scale`.
    pub parameters: Vec<(String, String)>,
    /// Default value, encoded as a tagged value.
    pub default: Option<Vec<u8>>,
    /// Fields of a struct, in order.
    pub fields: Vec<Field>,
    /// Key schema of a map.
    pub keys: Option<SchemaRef>,
    /// Value schema of a map, element schema of an array.
    pub values: Option<SchemaRef>,
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Name, unique in its struct.
    pub name: String,
    /// Schema of the value.
    pub schema: SchemaRef,
}

impl Schema {
    /// A required schema of a type, with nothing else set.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        Self {
            kind,
            optional: false,
            name: None,
            version: None,
            doc: None,
            parameters: Vec::new(),
            default: None,
            fields: Vec::new(),
            keys: None,
            values: None,
        }
    }

    /// An optional schema of a type.
    #[must_use]
    pub fn optional(kind: Kind) -> Self {
        Self { optional: true, ..Self::of(kind) }
    }

    /// A logical type: kind and name.
    #[must_use]
    pub fn logical(kind: Kind, name: &str) -> Self {
        Self { name: Some(name.to_owned()), version: Some(1), ..Self::of(kind) }
    }

    /// A decimal of a scale.
    #[must_use]
    pub fn decimal(scale: i32) -> Self {
        Self {
            parameters: vec![("scale".to_owned(), scale.to_string())],
            ..Self::logical(Kind::Bytes, logical::DECIMAL)
        }
    }

    /// A struct of fields.
    #[must_use]
    pub fn structure(fields: Vec<Field>) -> Self {
        Self { fields, ..Self::of(Kind::Struct) }
    }

    /// The same with `optional` set.
    #[must_use]
    pub fn into_optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Position of a field.
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Whether it is the logical type called `name`.
    #[must_use]
    pub fn is_logical(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// A parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Field {
    /// A field.
    pub fn new(name: impl Into<String>, schema: impl Into<SchemaRef>) -> Self {
        Self { name: name.into(), schema: schema.into() }
    }
}

impl Kind {
    /// All of them, in Java's order.
    pub const ALL: [Kind; 12] = [
        Kind::Int8,
        Kind::Int16,
        Kind::Int32,
        Kind::Int64,
        Kind::Float32,
        Kind::Float64,
        Kind::Boolean,
        Kind::String,
        Kind::Bytes,
        Kind::Array,
        Kind::Map,
        Kind::Struct,
    ];

    /// Upper-case name, as in Java (`INT8` … `STRUCT`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Float32 => "FLOAT32",
            Self::Float64 => "FLOAT64",
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Array => "ARRAY",
            Self::Map => "MAP",
            Self::Struct => "STRUCT",
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}
