//! What follows a backslash.

use super::class::{Set, vertical};
use super::parse::Parser;
use super::{Assert, Node, SyntaxError};

/// An escape inside or outside a class.
pub(super) enum Escape {
    Char(char),
    Set(Set),
    Assert(Assert),
    Back(usize),
    Named(String),
    Linebreak,
    AnyCluster,
}

impl Parser {
    /// Reads the escape after a backslash.
    pub(super) fn escape(&mut self) -> Result<Escape, SyntaxError> {
        let Some(letter) = self.next() else { return Err(self.error("Unexpected internal error")) };
        if let Some(set) = Set::of_escape(letter) {
            return Ok(Escape::Set(set));
        }
        Ok(match letter {
            'p' | 'P' => Escape::Set(self.property(letter == 'P')?),
            'A' | 'G' => Escape::Assert(Assert::Begin),
            'b' => Escape::Assert(self.boundary()?),
            'B' => Escape::Assert(Assert::NotWord),
            'Z' => Escape::Assert(Assert::End),
            'z' => Escape::Assert(Assert::VeryEnd),
            'R' => Escape::Linebreak,
            'X' => Escape::AnyCluster,
            'k' => Escape::Named(self.reference()?),
            '1'..='9' => Escape::Back(self.back(letter)),
            'a' => Escape::Char('\u{7}'),
            'e' => Escape::Char('\u{1b}'),
            'f' => Escape::Char('\u{c}'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            't' => Escape::Char('\t'),
            'c' => Escape::Char(self.control()?),
            '0' => Escape::Char(self.octal()?),
            'x' => Escape::Char(self.hexadecimal()?),
            'u' => Escape::Char(self.hex(4, "Illegal Unicode escape sequence")?),
            letter if letter.is_ascii_alphabetic() => {
                return Err(self.error("Illegal/unsupported escape sequence"));
            }
            other => Escape::Char(other),
        })
    }

    fn boundary(&mut self) -> Result<Assert, SyntaxError> {
        if self.rest().starts_with(&['{', 'g', '}']) {
            return Err(self.error("\\b{g} is not supported"));
        }
        Ok(Assert::Word)
    }

    fn property(&mut self, negate: bool) -> Result<Set, SyntaxError> {
        let name: String = match self.next() {
            Some('{') => {
                let Some(end) = self.rest().iter().position(|c| *c == '}') else {
                    return Err(self.error("Unclosed character family"));
                };
                let name = self.rest().iter().take(end).collect();
                self.skip(end + 1);
                name
            }
            Some(letter) => letter.to_string(),
            None => return Err(self.error("Illegal/unsupported escape sequence")),
        };
        if name.is_empty() {
            return Err(self.error("Empty character family"));
        }
        let Some(set) = Set::of_property(&name, self.flags.fold) else {
            return Err(self.error(&format!("Unknown character property name {{{name}}}")));
        };
        Ok(if negate { set.not() } else { set })
    }

    fn reference(&mut self) -> Result<String, SyntaxError> {
        if self.next() != Some('<') {
            return Err(self.error("\\k is not followed by '<' for named capturing group"));
        }
        self.group_name()
    }

    /// Name of a group up to `>`.
    pub(super) fn group_name(&mut self) -> Result<String, SyntaxError> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some('>') if !name.is_empty() => return Ok(name),
                Some(c) if c.is_ascii_alphabetic() || (c.is_ascii_digit() && !name.is_empty()) => name.push(c),
                _ if name.is_empty() => {
                    return Err(self.error("capturing group name does not start with a Latin letter"));
                }
                _ => return Err(self.error("named capturing group is missing trailing '>'")),
            }
        }
    }

    /// Number of a back reference: as many digits as name a group that was opened before.
    fn back(&mut self, first: char) -> usize {
        let digit = |c: char| c.to_digit(10).map_or(0, |digit| digit as usize);
        let mut group = digit(first);
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            let longer = group * 10 + digit(c);
            if longer > self.groups {
                break;
            }
            group = longer;
            self.skip(1);
        }
        group
    }

    fn control(&mut self) -> Result<char, SyntaxError> {
        match self.next() {
            Some(c) => Ok(char::from_u32(u32::from(c) ^ 64).unwrap_or(c)),
            None => Err(self.error("Illegal control escape sequence")),
        }
    }

    /// `\0n`, `\0nn`, `\0mnn` with m up to 3.
    fn octal(&mut self) -> Result<char, SyntaxError> {
        let (mut value, mut digits) = (0, 0);
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) {
            if digits == 3 || value * 8 + digit > 0o377 {
                break;
            }
            value = value * 8 + digit;
            digits += 1;
            self.skip(1);
        }
        if digits == 0 {
            return Err(self.error("Illegal octal escape sequence"));
        }
        Ok(char::from_u32(value).unwrap_or('\0'))
    }

    fn hexadecimal(&mut self) -> Result<char, SyntaxError> {
        if self.peek() != Some('{') {
            return self.hex(2, "Illegal hexadecimal escape sequence");
        }
        let Some(end) = self.rest().iter().position(|c| *c == '}') else {
            return Err(self.error("Unclosed hexadecimal escape sequence"));
        };
        let text: String = self.rest().iter().take(end).skip(1).collect();
        self.skip(end + 1);
        match u32::from_str_radix(&text, 16) {
            Ok(value) if value > 0x10_ffff => Err(self.error("Hexadecimal codepoint is too big")),
            Ok(value) => char::from_u32(value).ok_or_else(|| self.error("Illegal hexadecimal escape sequence")),
            Err(_) => Err(self.error("Illegal hexadecimal escape sequence")),
        }
    }

    fn hex(&mut self, digits: usize, what: &str) -> Result<char, SyntaxError> {
        let mut value = 0;
        for _ in 0..digits {
            let Some(digit) = self.next().and_then(|c| c.to_digit(16)) else { return Err(self.error(what)) };
            value = value * 16 + digit;
        }
        char::from_u32(value).ok_or_else(|| self.error(what))
    }
}

impl Escape {
    /// The escape as an element of a pattern.
    pub(super) fn node(self, parser: &Parser) -> Result<Node, SyntaxError> {
        let fold = parser.flags.fold;
        Ok(match self {
            Self::Char(c) => Node::Char { c, fold },
            Self::Set(set) => Node::Set { set, fold },
            Self::Assert(assert) => Node::Assert(assert),
            Self::Back(group) => Node::Back { group, fold },
            Self::Named(name) => match parser.names.iter().find(|(known, _)| *known == name) {
                Some((_, group)) => Node::Back { group: *group, fold },
                None => return Err(parser.error(&format!("named capturing group <{name}> does not exist"))),
            },
            Self::Linebreak => {
                let crlf = ['\r', '\n'].map(|c| Node::Char { c, fold: false });
                Node::Alternate(vec![
                    Node::Concat(Vec::from(crlf)),
                    Node::Set { set: Set::Named(vertical), fold: false },
                ])
            }
            Self::AnyCluster => Node::Set { set: Set::Named(|_| true), fold: false },
        })
    }
}
