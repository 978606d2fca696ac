//! Text as values, and dates as text, with the rules of `org.apache.kafka.connect.data.Values`.
//!
//! What text means is a guess (`Values.parseString`): null, booleans, the smallest number that holds the value, ISO dates and times,
//! arrays and maps of those, else text. Digits must be ASCII, times are in UTC, and nesting ends at 64 levels, past which text stays
//! text.

mod parse;
mod schemas;
mod temporal;
mod tokens;

pub use parse::{Parsed, parse};
pub use temporal::iso;
