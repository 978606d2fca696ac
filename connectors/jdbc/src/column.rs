//! Columns as the database describes them.

/// What a column takes, as far as binding a value has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    /// Whole numbers of a range.
    Int {
        min: i64,
        max: i64,
    },
    /// `BIGINT UNSIGNED`.
    UInt,
    Float,
    Decimal,
    Text,
    Bytes,
    Date,
    Time,
    /// `zoned`: the column holds points in time; otherwise what a clock in `db.timezone` shows.
    Timestamp {
        zoned: bool,
    },
    Json,
    /// PostgreSQL's arrays.
    Array,
    /// Types that are written as text and read by the database: UUID, enumerations, addresses, intervals.
    Other,
    /// Whatever the value is: SQLite's columns without a type.
    Any,
}

impl Kind {
    /// A signed integer of so many bits.
    pub(crate) const fn int(bits: u32) -> Self {
        Self::Int { min: i64::MIN >> (64 - bits), max: i64::MAX >> (64 - bits) }
    }

    /// An unsigned integer of at most 63 bits.
    pub(crate) const fn unsigned(bits: u32) -> Self {
        Self::Int { min: 0, max: (1 << bits) - 1 }
    }

    /// For messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int { .. } | Self::UInt => "an integer",
            Self::Float => "a floating point number",
            Self::Decimal => "a decimal",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Date => "a date",
            Self::Time => "a time",
            Self::Timestamp { .. } => "a timestamp",
            Self::Json => "JSON",
            Self::Array => "an array",
            Self::Other => "a type written as text",
            Self::Any => "any type",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Computed by the database; writing to it is an error.
    pub(crate) generated: bool,
    /// Text that differs only in case may be equal here.
    pub(crate) folds: bool,
    /// The type that text has to be cast to, ready to be put into a statement; empty for none.
    pub(crate) cast: String,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, generated: false, folds: false, cast: String::new() }
    }
}
