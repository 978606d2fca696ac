//! What is wrong with a body, and where.

use std::fmt;

/// A place in a body, from 1; columns count bytes, as Jackson's do when it reads UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {}, column: {}]",
            self.line, self.column
        )
    }
}

/// Why a body was refused. `Display` is the message that the client sees.
#[derive(Debug)]
pub(crate) struct JsonError {
    message: String,
    location: Option<Location>,
    chain: Vec<String>,
}

impl JsonError {
    pub(super) fn at(location: Location, message: impl Into<String>) -> Self {
        Self { message: message.into(), location: Some(location), chain: Vec::new() }
    }

    /// A limit was exceeded: Jackson names no place then.
    pub(super) fn limit(message: String) -> Self {
        Self { message, location: None, chain: Vec::new() }
    }

    /// A body without a value, where there has to be one.
    pub(super) fn empty(location: Location) -> Self {
        let message = format!(
            "No content to map due to end-of-input\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {}]",
            location.line
        );
        Self::limit(message)
    }

    /// Adds the property in which it happened; called from the inside out.
    pub(super) fn through(mut self, class: &str, key: &str) -> Self {
        self.chain.insert(0, format!("{class}[\"{key}\"]"));
        self
    }

    /// Adds the place in a list in which it happened.
    pub(super) fn through_index(mut self, class: &str, index: usize) -> Self {
        self.chain.insert(0, format!("{class}[{index}]"));
        self
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(location) = self.location {
            write!(f, "\n at {location}")?;
        }
        if !self.chain.is_empty() {
            write!(f, " (through reference chain: {})", self.chain.join("->"))?;
        }
        Ok(())
    }
}

/// A character as Jackson shows it.
pub(super) fn describe(code: u32) -> String {
    match char::from_u32(code) {
        Some(c) if !c.is_control() && code > 255 => format!("'{c}' (code {code} / 0x{code:x})"),
        Some(c) if !c.is_control() => format!("'{c}' (code {code})"),
        _ => format!("(CTRL-CHAR, code {code})"),
    }
}
