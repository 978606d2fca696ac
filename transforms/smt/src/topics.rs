//! What `RegexRouter` and `TopicNameMatches` share: a pattern is run once for each topic, not for each record.

use millrace_sdk::prelude::*;
use millrace_sdk::same;

use crate::regex::Pattern;

/// What was worked out about the topics seen last. A task reads few topics, so a short list wins.
pub(crate) struct PerTopic<V> {
    known: Vec<(String, Result<V, String>)>,
}

/// Topics remembered; the oldest is forgotten first.
const REMEMBERED: usize = 64;

impl<V> Default for PerTopic<V> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

impl<V> PerTopic<V> {
    /// What is known about `topic`, made by `make` the first time.
    #[inline]
    pub(crate) fn get(&mut self, topic: &str, make: impl FnOnce(&[char]) -> Result<V, String>) -> Result<&V> {
        let found = self.known.iter().position(|(name, _)| same(name.as_bytes(), topic.as_bytes()));
        let index = found.unwrap_or_else(|| {
            let chars: Vec<char> = topic.chars().collect();
            if self.known.len() == REMEMBERED {
                drop(self.known.remove(0));
            }
            self.known.push((topic.to_owned(), make(&chars)));
            self.known.len() - 1
        });
        match self.known.get(index) {
            Some((_, Ok(value))) => Ok(value),
            Some((_, Err(cause))) => Err(Error::data(cause.clone())),
            None => Err(Error::internal("a topic was forgotten at once")),
        }
    }
}

/// A pattern that is the value of the key `key`.
pub(crate) fn compile(key: &str, pattern: &str) -> Result<Pattern> {
    Pattern::compile(pattern).map_err(|error| {
        Error::config(format!("Invalid value {pattern} for configuration {key}: Invalid regex: {error}"))
    })
}

/// The check of a key that holds a pattern and must not be empty.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("String must be non-empty".to_owned());
    }
    check_regex(pattern)
}

/// The check of a key that holds a pattern.
pub(crate) fn check_regex(pattern: &str) -> Result<(), String> {
    Pattern::compile(pattern).map(|_| ()).map_err(|error| format!("Invalid regex: {error}"))
}

/// The refusal of a record whose topic makes a pattern backtrack without end.
pub(crate) fn too_slow(key: &str) -> String {
    format!("{key} backtracks without end on this topic; write it without nested repetitions")
}
