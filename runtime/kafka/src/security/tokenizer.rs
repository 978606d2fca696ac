//! Java's `StreamTokenizer` as Kafka's `JaasConfig` sets it up: `//` and `/* */` and `/` comments, quotes of both kinds with escapes,
//! words of letters, digits and `-_$.`, and numbers, which are no text.

use std::iter::Peekable;
use std::str::Chars;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word, or what stands in quotes.
    Text(String),
    /// A number. Java keeps no text of it.
    Number,
    /// Any other character.
    Other(char),
}

impl Token {
    /// What Java calls `sval`.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number | Self::Other(_) => None,
        }
    }
}

/// The tokens of a text.
pub(super) struct Tokenizer<'a> {
    chars: Peekable<Chars<'a>>,
}

impl<'a> Tokenizer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { chars: text.chars().peekable() }
    }

    /// The next token, unless the text has ended.
    pub(super) fn next_token(&mut self) -> Option<Token> {
        loop {
            let c = self.chars.next()?;
            match c {
                '\0'..=' ' => {}
                '0'..='9' | '.' => return Some(self.number(c)),
                // A sign only before a number; alone it is no part of a word, though it may stand inside one.
                '-' if self.chars.peek().is_some_and(|c| matches!(c, '0'..='9' | '.')) => {
                    let first = self.chars.next()?;
                    return Some(self.number(first));
                }
                '-' => return Some(Token::Other('-')),
                '"' | '\'' => return Some(self.quoted(c)),
                '/' => self.comment()?,
                c if is_letter(c) => return Some(self.word(c)),
                c => return Some(Token::Other(c)),
            }
        }
    }

    fn number(&mut self, first: char) -> Token {
        let mut dot = first == '.';
        while let Some(c) = self.chars.peek() {
            match c {
                '0'..='9' => {}
                '.' if !dot => dot = true,
                _ => break,
            }
            self.chars.next();
        }
        Token::Number
    }

    fn word(&mut self, first: char) -> Token {
        let mut word = String::from(first);
        while let Some(c) = self.chars.next_if(|c| is_letter(*c) || matches!(c, '0'..='9' | '.' | '-')) {
            word.push(c);
        }
        Token::Text(word)
    }

    /// Up to the same quote or the end of the line.
    fn quoted(&mut self, quote: char) -> Token {
        let mut text = String::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, '\n' | '\r')) {
            match c {
                c if c == quote => break,
                '\\' => text.push(self.escaped()),
                c => text.push(c),
            }
        }
        Token::Text(text)
    }

    fn escaped(&mut self) -> char {
        match self.chars.next() {
            Some(first @ '0'..='7') => {
                let mut code = first as u32 - '0' as u32;
                for _ in 0..if first <= '3' { 2 } else { 1 } {
                    let Some(digit) = self.chars.next_if(|c| matches!(c, '0'..='7')) else { break };
                    code = code * 8 + (digit as u32 - '0' as u32);
                }
                char::from_u32(code).unwrap_or('\u{ffff}')
            }
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(c) => c,
            // What Java makes of the end of the text.
            None => '\u{ffff}',
        }
    }

    /// What follows a slash: a comment of either kind, or one to the end of the line. `None` when the text ends in it.
    fn comment(&mut self) -> Option<()> {
        if self.chars.next_if_eq(&'*').is_some() {
            let mut before = '\0';
            loop {
                let c = self.chars.next()?;
                if c == '/' && before == '*' {
                    return Some(());
                }
                before = c;
            }
        }
        while self.chars.next_if(|c| !matches!(c, '\n' | '\r')).is_some() {}
        Some(())
    }
}

/// The letters of a word: those of Latin-1's upper half include signs, and everything beyond is one.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '$') || c >= '\u{a0}'
}
