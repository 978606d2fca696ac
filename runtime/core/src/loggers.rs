//! Levels of loggers that can be changed while the worker runs (KIP-495, KIP-976): the seam, and the rules by which levels are
//! inherited and changed. What writes the log implements the seam; the herder applies changes meant for the whole cluster through it.

use std::collections::{BTreeMap, BTreeSet};

/// Name of the logger that every other inherits from. It is also found as the empty name and in any case.
pub const ROOT: &str = "root";

/// A level, as log4j names it. Ordered by how much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Level {
    Off,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
    All,
}

impl Level {
    const EVERY: [Self; 8] =
        [Self::Off, Self::Fatal, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace, Self::All];

    /// Reads a name in any case, with space around it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|level| level.name().eq_ignore_ascii_case(name.trim()))
    }

    /// The name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
            Self::All => "ALL",
        }
    }
}

/// A logger's level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggerLevel {
    /// What is logged: this and what is more severe.
    pub level: Level,
    /// When it was changed through [`Loggers::set`], in milliseconds of Unix time.
    pub last_modified: Option<i64>,
}

/// The loggers of this worker. No call blocks on anything but a short lock.
pub trait Loggers: Send + Sync {
    /// Every logger that is not off, by name.
    fn list(&self) -> Vec<(String, LoggerLevel)>;
    /// One logger; `None` when nobody has named it yet.
    fn get(&self, name: &str) -> Option<LoggerLevel>;
    /// Sets a namespace and all below it; the names whose level changed, sorted.
    fn set(&self, namespace: &str, level: Level) -> Vec<String>;
}

/// Names and levels, by log4j's rules: a name inherits from the nearest one before a dot, and setting a namespace sets every name
/// that starts with it, dot or not.
#[derive(Debug, Clone)]
pub struct LoggerTable {
    /// Levels that were set; the root is always there, under the empty name.
    set: BTreeMap<String, Level>,
    /// Names that somebody logs under or has named.
    known: BTreeSet<String>,
    modified: BTreeMap<String, i64>,
}

impl LoggerTable {
    /// A table with nothing but the root.
    #[must_use]
    pub fn new(root: Level) -> Self {
        Self { set: [(String::new(), root)].into(), known: [String::new()].into(), modified: BTreeMap::new() }
    }

    /// Adds a name that somebody logs under; whether it is new.
    pub fn learn(&mut self, name: &str) -> bool {
        let name = stored(name);
        !self.known.contains(name) && self.known.insert(name.to_owned())
    }

    /// Sets one name at startup, which is no modification.
    pub fn configure(&mut self, name: &str, level: Level) {
        self.learn(name);
        self.set.insert(stored(name).to_owned(), level);
    }

    /// The level that holds for a name, known or not.
    #[must_use]
    pub fn effective(&self, name: &str) -> Level {
        let mut name = stored(name);
        loop {
            if let Some(level) = self.set.get(name) {
                return *level;
            }
            name = name.rfind('.').and_then(|dot| name.get(..dot)).unwrap_or_default();
        }
    }

    /// See [`Loggers::list`].
    #[must_use]
    pub fn list(&self) -> Vec<(String, LoggerLevel)> {
        let mut all: Vec<_> = self.known.iter().map(|name| (shown(name).to_owned(), self.level(name))).collect();
        all.retain(|(_, logger)| logger.level != Level::Off);
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// See [`Loggers::get`].
    #[must_use]
    pub fn get(&self, name: &str) -> Option<LoggerLevel> {
        let name = stored(name);
        self.known.contains(name).then(|| self.level(name))
    }

    /// See [`Loggers::set`]; `now` is in milliseconds of Unix time.
    pub fn set(&mut self, namespace: &str, level: Level, now: i64) -> Vec<String> {
        self.learn(namespace);
        let namespace = stored(namespace);
        // A logger that was off was not listed, so it counts as changed whatever it becomes.
        let differs = |before: Level| before != level || before == Level::Off;
        let within: Vec<String> = self.known.iter().filter(|name| name.starts_with(namespace)).cloned().collect();
        let changed: Vec<String> = within.into_iter().filter(|name| differs(self.effective(name))).collect();
        self.set.insert(namespace.to_owned(), level);
        for (_, own) in self.set.iter_mut().filter(|(name, _)| name.starts_with(namespace)) {
            *own = level;
        }
        for name in &changed {
            self.modified.insert(name.clone(), now);
        }
        let mut changed: Vec<String> = changed.iter().map(|name| shown(name).to_owned()).collect();
        changed.sort();
        changed
    }

    fn level(&self, name: &str) -> LoggerLevel {
        LoggerLevel { level: self.effective(name), last_modified: self.modified.get(name).copied() }
    }
}

fn stored(name: &str) -> &str {
    if name.eq_ignore_ascii_case(ROOT) { "" } else { name }
}

fn shown(name: &str) -> &str {
    if name.is_empty() { ROOT } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(changed: &[String]) -> Vec<&str> {
        changed.iter().map(String::as_str).collect()
    }

    /// The names that Kafka Connect 4.3.1 answered to the same requests.
    #[test]
    fn changes_are_those_of_log4j() {
        let mut table = LoggerTable::new(Level::Info);
        assert_eq!(names(&table.set("org.example.A", Level::Debug, 1)), ["org.example.A"]);
        assert_eq!(names(&table.set("org.example.A.B", Level::Trace, 2)), ["org.example.A.B"]);
        let all = ["org.example", "org.example.A", "org.example.A.B"];
        for level in [Level::Warn, Level::Error, Level::Fatal, Level::Off, Level::All, Level::Info] {
            assert_eq!(names(&table.set("org.example", level, 3)), all, "{level:?}");
        }
        assert!(table.set("org.example", Level::Info, 4).is_empty());
        assert_eq!(table.get("org.example").unwrap().last_modified, Some(3));
        assert!(table.set("a..b", Level::Info, 5).is_empty());
        assert_eq!(table.get("a..b"), Some(LoggerLevel { level: Level::Info, last_modified: None }));
        assert_eq!(table.get("nope"), None);
    }

    #[test]
    fn names_inherit_from_the_nearest_before_a_dot() {
        let mut table = LoggerTable::new(Level::Warn);
        table.configure("a.b", Level::Debug);
        assert_eq!(table.effective("a.b.c"), Level::Debug);
        assert_eq!(table.effective("a.bc"), Level::Warn);
        table.learn("a.bc");
        assert_eq!(names(&table.set("a.b", Level::Trace, 1)), ["a.b", "a.bc"], "what only starts alike is named too");
        assert_eq!(names(&table.set("ROOT", Level::Error, 2)), ["a.b", "a.bc", "root"]);
        assert_eq!(table.effective("a.b.c"), Level::Error);
        assert_eq!(table.get("root").unwrap().last_modified, Some(2));
    }

    #[test]
    fn a_logger_that_is_off_is_not_listed() {
        let mut table = LoggerTable::new(Level::Info);
        table.set("x", Level::Off, 1);
        assert_eq!(table.list().len(), 1);
        assert_eq!(table.get("x").unwrap().level, Level::Off);
    }

    #[test]
    fn levels_are_read_in_any_case() {
        assert_eq!(Level::parse(" fatal "), Some(Level::Fatal));
        assert_eq!(Level::parse("warning"), None);
        assert_eq!(Level::parse(""), None);
    }
}
