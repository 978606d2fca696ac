//! From text to a tree.

use super::class::{Set, line_terminator};
use super::escape::Escape;
use super::{Assert, Greed, Node, Pattern, SyntaxError};

/// How deep groups and classes may nest: the parser recurses.
const MAX_DEPTH: usize = 100;

pub(super) fn parse(pattern: &str) -> Result<Pattern, SyntaxError> {
    let mut parser =
        Parser { text: unquote(pattern), at: 0, flags: Flags::default(), groups: 0, names: Vec::new(), depth: 0 };
    let root = parser.alternatives()?;
    if parser.peek().is_some() {
        parser.skip(1);
        return Err(parser.error("Unmatched closing ')'"));
    }
    Ok(Pattern { root, names: parser.names, groups: parser.groups })
}

#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are flags, each on or off by itself")]
pub(super) struct Flags {
    /// i
    pub(super) fold: bool,
    /// m
    lines: bool,
    /// s
    all: bool,
    /// x
    comments: bool,
    /// d
    unix: bool,
}

pub(super) struct Parser {
    text: Vec<char>,
    at: usize,
    pub(super) flags: Flags,
    pub(super) groups: usize,
    pub(super) names: Vec<(String, usize)>,
    depth: usize,
}

/// `\Q…\E` as single escapes.
fn unquote(pattern: &str) -> Vec<char> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match (c, chars.peek(), quoted) {
            ('\\', Some('E'), true) => {
                chars.next();
                quoted = false;
            }
            ('\\', Some('Q'), false) => {
                chars.next();
                quoted = true;
            }
            ('\\', Some(_), false) => out.extend([Some(c), chars.next()].into_iter().flatten()),
            (c, _, true) if c.is_ascii() && !c.is_ascii_alphanumeric() => out.extend(['\\', c]),
            // An escaped letter would be another thing; a quoted one is itself.
            (c, _, _) => out.push(c),
        }
    }
    out
}

impl Parser {
    pub(super) fn rest(&self) -> &[char] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip(&mut self, n: usize) {
        self.at += n;
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.text.get(self.at).copied();
        self.at += 1;
        c
    }

    /// The next character, after white space and comments with flag x.
    pub(super) fn peek(&mut self) -> Option<char> {
        while self.flags.comments {
            match self.rest().first() {
                Some(' ' | '\t'..='\r') => self.at += 1,
                Some('#') => self.at += self.rest().iter().take_while(|c| !line_terminator(**c)).count(),
                _ => break,
            }
        }
        self.rest().first().copied()
    }

    pub(super) fn error(&self, what: &str) -> SyntaxError {
        SyntaxError { what: what.to_owned(), at: self.at.saturating_sub(1).min(self.text.len()) }
    }

    /// Alternatives up to `)` or the end.
    fn alternatives(&mut self) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("Groups nest deeper than 100 levels"));
        }
        let mut branches = vec![self.sequence()?];
        while self.peek() == Some('|') {
            self.skip(1);
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 { branches.pop().unwrap_or(Node::Empty) } else { Node::Alternate(branches) })
    }

    fn sequence(&mut self) -> Result<Node, SyntaxError> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if matches!(c, '|' | ')') {
                break;
            }
            // A quantifier after flags such as `(?i)` has nothing to repeat.
            let Some(node) = self.atom(c)? else { continue };
            nodes.push(self.quantified(node)?);
        }
        Ok(if nodes.is_empty() { Node::Empty } else { Node::Concat(nodes) })
    }

    fn atom(&mut self, c: char) -> Result<Option<Node>, SyntaxError> {
        if c == '{' {
            // Quantifies the nothing before it, or is an error there.
            return Ok(Some(Node::Empty));
        }
        self.skip(1);
        let fold = self.flags.fold;
        Ok(Some(match c {
            '(' => return self.group(),
            '[' => Node::Set { set: self.class()?, fold },
            '\\' => self.escape()?.node(self)?,
            '.' => Node::Set { set: self.dot(), fold: false },
            '^' => Node::Assert(if self.flags.lines { Assert::LineBegin } else { Assert::Begin }),
            '$' => Node::Assert(if self.flags.lines { Assert::LineEnd } else { Assert::End }),
            '*' | '+' | '?' => return Err(self.error(&format!("Dangling meta character '{c}'"))),
            c => Node::Char { c, fold },
        }))
    }

    fn dot(&self) -> Set {
        Set::Named(match (self.flags.all, self.flags.unix) {
            (true, _) => |_| true,
            (false, true) => |c| c != '\n',
            (false, false) => |c| !line_terminator(c),
        })
    }

    fn group(&mut self) -> Result<Option<Node>, SyntaxError> {
        let outer = self.flags;
        if self.rest().first() != Some(&'?') {
            self.groups += 1;
            let group = self.groups;
            return self.close(outer, |node| Node::Group(Box::new(node), group)).map(Some);
        }
        self.skip(1);
        let look = |behind, negate| move |node| Node::Look { node: Box::new(node), behind, negate };
        match self.next() {
            Some(':') => self.close(outer, |node| node),
            Some('>') => self.close(outer, |node| Node::Atomic(Box::new(node))),
            Some('=') => self.close(outer, look(false, false)),
            Some('!') => self.close(outer, look(false, true)),
            Some('<') => match self.rest().first() {
                Some('=') => {
                    self.skip(1);
                    self.close(outer, look(true, false))
                }
                Some('!') => {
                    self.skip(1);
                    self.close(outer, look(true, true))
                }
                _ => self.named(outer),
            },
            _ => {
                self.skip_back();
                return self.flags_group(outer);
            }
        }
        .map(Some)
    }

    fn named(&mut self, outer: Flags) -> Result<Node, SyntaxError> {
        let name = self.group_name()?;
        if self.names.iter().any(|(known, _)| *known == name) {
            return Err(self.error(&format!("Named capturing group <{name}> is already defined")));
        }
        self.groups += 1;
        let group = self.groups;
        self.names.push((name, group));
        self.close(outer, |node| Node::Group(Box::new(node), group))
    }

    /// `(?i)`, `(?i-s:…)`: the former holds to the end of the group around it.
    fn flags_group(&mut self, outer: Flags) -> Result<Option<Node>, SyntaxError> {
        let mut on = true;
        loop {
            match self.next() {
                Some('i') => self.flags.fold = on,
                Some('m') => self.flags.lines = on,
                Some('s') => self.flags.all = on,
                Some('x') => self.flags.comments = on,
                Some('d') => self.flags.unix = on,
                // Beyond ASCII, which topic names are.
                Some('u' | 'U') => {}
                Some('-') if on => on = false,
                Some(')') => return Ok(None),
                Some(':') => return self.close(outer, |node| node).map(Some),
                _ => return Err(self.error("Unknown inline modifier")),
            }
        }
    }

    fn skip_back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// The inside of a group and its closing parenthesis, past which the flags of outside hold again.
    fn close(&mut self, outer: Flags, make: impl FnOnce(Node) -> Node) -> Result<Node, SyntaxError> {
        let inside = self.alternatives()?;
        if self.peek() != Some(')') {
            self.skip(1);
            return Err(self.error("Unclosed group"));
        }
        self.skip(1);
        self.flags = outer;
        Ok(make(inside))
    }

    /// The quantifier after a node, if there is one. A second one would quantify nothing, or is an error.
    fn quantified(&mut self, node: Node) -> Result<Node, SyntaxError> {
        let bounds = match self.peek() {
            Some('?') => (0, 1),
            Some('*') => (0, u32::MAX),
            Some('+') => (1, u32::MAX),
            Some('{') => {
                self.skip(1);
                let bounds = self.bounds()?;
                return Ok(self.repeat(node, bounds));
            }
            _ => return Ok(node),
        };
        self.skip(1);
        Ok(self.repeat(node, bounds))
    }

    fn repeat(&mut self, node: Node, (min, max): (u32, u32)) -> Node {
        let greed = match self.peek() {
            Some('?') => Greed::Reluctant,
            Some('+') => Greed::Possessive,
            _ => Greed::Greedy,
        };
        if greed != Greed::Greedy {
            self.skip(1);
        }
        Node::Repeat { node: Box::new(node), min, max, greed }
    }

    /// `n}`, `n,}` or `n,m}`.
    fn bounds(&mut self) -> Result<(u32, u32), SyntaxError> {
        if !self.rest().first().is_some_and(char::is_ascii_digit) {
            return Err(self.error("Illegal repetition"));
        }
        let min = self.number()?;
        let mut max = min;
        if self.rest().first() == Some(&',') {
            self.skip(1);
            max = if self.rest().first() == Some(&'}') { u32::MAX } else { self.number()? };
        }
        if self.next() != Some('}') {
            return Err(self.error("Unclosed counted closure"));
        }
        if max < min {
            return Err(self.error("Illegal repetition range"));
        }
        Ok((min, max))
    }

    fn number(&mut self) -> Result<u32, SyntaxError> {
        let mut number = 0u32;
        while let Some(digit) = self.rest().first().and_then(|c| c.to_digit(10)) {
            self.skip(1);
            number = match number.checked_mul(10).and_then(|n| n.checked_add(digit)) {
                Some(number) if i32::try_from(number).is_ok() => number,
                _ => return Err(self.error("Illegal repetition range")),
            };
        }
        Ok(number)
    }

    /// The inside of a class after `[`, and its closing bracket.
    fn class(&mut self) -> Result<Set, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("Classes nest deeper than 100 levels"));
        }
        let negate = self.rest().first() == Some(&'^');
        if negate {
            self.skip(1);
        }
        let (mut whole, mut first) = (None::<Set>, true);
        loop {
            let union = self.union(first)?;
            first = false;
            whole = match (whole, union) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (left, right) => left.or(right),
            };
            if self.next() == Some(']') {
                break;
            }
            // It was `&&`, of which the first is consumed.
            self.skip(1);
        }
        self.depth -= 1;
        let Some(set) = whole else { return Err(self.error("Bad class syntax")) };
        Ok(if negate { set.not() } else { set })
    }

    /// Members of a class up to `&&` or the closing bracket; a bracket that comes first is a member.
    fn union(&mut self, first: bool) -> Result<Option<Set>, SyntaxError> {
        let mut members = Vec::new();
        loop {
            match (self.peek(), self.rest().get(1)) {
                (None, _) => return Err(self.error("Unclosed character class")),
                (Some(']'), _) if !(members.is_empty() && first) => break,
                (Some('&'), Some('&')) => break,
                (Some('['), _) => {
                    self.skip(1);
                    members.push(self.class()?);
                }
                _ => members.push(self.member()?),
            }
        }
        Ok(if members.len() > 1 { Some(Set::Union(members)) } else { members.pop() })
    }

    /// A character, a range, or an escape of a class.
    fn member(&mut self) -> Result<Set, SyntaxError> {
        let from = match self.class_char()? {
            Ok(c) => c,
            Err(set) => return Ok(set),
        };
        let ranges = self.peek() == Some('-') && !matches!(self.rest().get(1), None | Some('[' | ']'));
        if !ranges {
            return Ok(Set::Range(from, from));
        }
        self.skip(1);
        match self.class_char()? {
            Ok(to) if to >= from => Ok(Set::Range(from, to)),
            _ => Err(self.error("Illegal character range")),
        }
    }

    fn class_char(&mut self) -> Result<Result<char, Set>, SyntaxError> {
        match self.next() {
            Some('\\') => match self.escape()? {
                Escape::Char(c) => Ok(Ok(c)),
                Escape::Set(set) => Ok(Err(set)),
                _ => Err(self.error("Illegal/unsupported escape sequence")),
            },
            Some(c) => Ok(Ok(c)),
            None => Err(self.error("Unclosed character class")),
        }
    }
}
