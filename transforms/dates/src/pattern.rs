//! Compiling a pattern.

use std::cell::RefCell;

use crate::format::Second;

/// A compiled pattern.
#[derive(Debug)]
pub struct DateFormat {
    pub(crate) items: Vec<Item>,
    pattern: String,
    /// The second that was written last: times come in order, and a calendar is much arithmetic.
    pub(crate) last: RefCell<Second>,
}

/// A piece of a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Literal(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

impl DateFormat {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Java's description of what is wrong.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut chars = pattern.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match c {
                '\'' if chars.peek() == Some(&'\'') => {
                    chars.next();
                    literal(&mut items, '\'');
                }
                '\'' => quoted = !quoted,
                c if quoted || !c.is_ascii_alphabetic() => literal(&mut items, c),
                c => {
                    let mut count = 1;
                    while chars.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    items.push(field(c, count)?);
                }
            }
        }
        if quoted {
            return Err("Unterminated quote".to_owned());
        }
        Ok(Self { items, pattern: pattern.to_owned(), last: RefCell::default() })
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

fn literal(items: &mut Vec<Item>, c: char) {
    if let Some(Item::Literal(text)) = items.last_mut() {
        text.push(c);
    } else {
        items.push(Item::Literal(c.to_string()));
    }
}

fn field(letter: char, count: usize) -> Result<Item, String> {
    if !"GyMdkHmsSEDFwWahKzZYuXL".contains(letter) {
        return Err(format!("Illegal pattern character '{letter}'"));
    }
    if letter == 'X' && count > 3 {
        return Err(format!("invalid ISO 8601 format: length={count}"));
    }
    Ok(Item::Field(letter, count))
}
