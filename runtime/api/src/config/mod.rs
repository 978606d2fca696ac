//! `ConfigDef`: one table behind parsing, validation, REST answers and docs.
//!
//! Connectors do not write tables by hand: `#[derive(Config)]` (crate `millrace-macros`) makes one from a struct, its doc
//! comments and its attributes, and fills the struct from properties:
//!
//! ```ignore
//! /// Writes lines to a file.
//! #[derive(Config)]
//! struct FileSinkConfig {
//!     /// Destination filename. If not specified, the standard output will be used
//!     #[config(name = "file", importance = "high")]
//!     file: Option<String>,
//!     /// Lines to buffer.
//!     #[config(name = "batch.size", default = "2000", range = "1..")]
//!     batch_size: i32,
//! }
//! ```

mod def;
mod parse;
mod value;

pub use def::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Default, Importance, Validator, Width};
pub use value::{FromConfig, Parsed, Password};

use crate::error::Result;

/// Properties as they were given: insertion order is kept, because clients see it.
pub type Props = indexmap::IndexMap<String, String>;

/// A configuration struct. Implemented by `#[derive(Config)]`.
pub trait Config: Sized {
    /// The table.
    fn def() -> ConfigDef;

    /// Parses and checks `props`; keys that the table does not know are ignored, as Kafka Connect does.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming the first key that is wrong, the cause and what is allowed.
    fn parse(props: &Props) -> Result<Self>;
}
