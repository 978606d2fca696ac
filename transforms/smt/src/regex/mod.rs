//! Regular expressions with the rules of `java.util.regex.Pattern`, for the names of topics.
//!
//! Connector configurations are written for Java, whose syntax and order of alternatives differ in many small ways from those
//! of other engines. Topic names are short and ASCII, so a backtracking matcher without Unicode tables is all that is needed;
//! it makes the component a sixth of the size a general engine makes it.

mod class;
mod escape;
mod parse;
mod run;

use std::fmt;

use class::Set;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    root: Node,
    names: Vec<(String, usize)>,
    groups: usize,
}

/// Why a pattern does not compile, in Java's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    what: String,
    at: usize,
}

/// The match took more steps than any sensible pattern needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSlow;

/// Groups of a match as positions in characters; group 0 is the whole match.
pub type Groups = Vec<Option<(usize, usize)>>;

/// One element of a pattern.
#[derive(Debug)]
enum Node {
    Empty,
    Char {
        c: char,
        fold: bool,
    },
    Set {
        set: Set,
        fold: bool,
    },
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Group(Box<Node>, usize),
    Atomic(Box<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: u32,
        greed: Greed,
    },
    Look {
        node: Box<Node>,
        behind: bool,
        negate: bool,
    },
    /// What a group matched; a group that did not, or does not exist, matches nothing.
    Back {
        group: usize,
        fold: bool,
    },
    Assert(Assert),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greed {
    Greedy,
    Reluctant,
    Possessive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Assert {
    /// `\A`, `^`.
    Begin,
    /// `^` with flag m.
    LineBegin,
    /// `\Z`, `$`: the end, or before a last line terminator.
    End,
    /// `$` with flag m.
    LineEnd,
    /// `\z`.
    VeryEnd,
    /// `\b`.
    Word,
    /// `\B`.
    NotWord,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Java's description of what is wrong and where.
    pub fn compile(pattern: &str) -> Result<Self, SyntaxError> {
        parse::parse(pattern)
    }

    /// Whether the pattern matches all of the text (`Matcher.matches`).
    ///
    /// # Errors
    /// [`TooSlow`] for a pattern that backtracks without end.
    pub fn matches(&self, text: &[char]) -> Result<bool, TooSlow> {
        Ok(run::at(self, text, 0, true)?.is_some())
    }

    /// The first match anywhere in the text (`Matcher.find`), which need not be the one that [`Pattern::matches`] found.
    ///
    /// # Errors
    /// As [`Pattern::matches`].
    pub fn find(&self, text: &[char]) -> Result<Option<Groups>, TooSlow> {
        for start in 0..=text.len() {
            if let Some(groups) = run::at(self, text, start, false)? {
                return Ok(Some(groups));
            }
        }
        Ok(None)
    }

    /// Number of capturing groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Number of a named group.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<usize> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, group)| *group)
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} near index {}", self.what, self.at)
    }
}
