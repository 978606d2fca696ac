//! Names of tables and columns, quoted so that nothing in a topic or field name can leave its quotes.

use millrace_api::{Error, Result};

/// How a database quotes names, and how long they may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoting {
    /// Opens and closes a quoted name; inside it stands doubled.
    pub(crate) mark: char,
    /// Longest name.
    pub(crate) longest: usize,
    /// Whether `longest` counts bytes (PostgreSQL) or characters.
    pub(crate) bytes: bool,
    /// `quote.sql.identifiers`: without quotes only plain names are let through.
    pub(crate) always: bool,
}

impl Quoting {
    /// Appends a name, quoted.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Data`] for a name the database cannot have.
    pub(crate) fn push(&self, sql: &mut String, name: &str) -> Result<()> {
        let length = if self.bytes { name.len() } else { name.chars().count() };
        if name.is_empty() || length > self.longest {
            return Err(unusable(name, &format!("names have 1 to {} characters", self.longest)));
        }
        if name.contains('\0') {
            return Err(unusable(name, "names cannot contain NUL"));
        }
        if self.always {
            sql.push(self.mark);
            for character in name.chars() {
                if character == self.mark {
                    sql.push(self.mark);
                }
                sql.push(character);
            }
            sql.push(self.mark);
        } else if is_plain(name) {
            sql.push_str(name);
        } else {
            return Err(unusable(name, "it needs quotes; set quote.sql.identifiers to always"));
        }
        Ok(())
    }

    /// A name, quoted.
    pub(crate) fn quoted(&self, name: &str) -> Result<String> {
        let mut sql = String::with_capacity(name.len() + 2);
        self.push(&mut sql, name)?;
        Ok(sql)
    }
}

/// Letters, digits, underscores, not starting with a digit: means the same with and without quotes, apart from case.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unusable(name: &str, cause: &str) -> Error {
    let shown: String = name.chars().take(70).collect();
    Error::data(format!("{shown:?} cannot be the name of a table or column: {cause}"))
}

/// A table, with the schema (MySQL: database) it was qualified with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl TableName {
    /// Reads `table`, `schema.table` or `catalog.schema.table`; parts in quotes may contain dots. A catalog has to be the one
    /// that is connected to, so it is dropped.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] when a part is empty.
    pub(crate) fn parse(text: &str, mark: char) -> Result<Self> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut quoted = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if character == mark && quoted && characters.peek() == Some(&mark) {
                characters.next();
                part.push(mark);
            } else if character == mark && (quoted || part.is_empty()) {
                quoted = !quoted;
            } else if character == '.' && !quoted {
                parts.push(std::mem::take(&mut part));
            } else {
                part.push(character);
            }
        }
        parts.push(part);
        if parts.len() > 3 || parts.iter().any(String::is_empty) {
            return Err(Error::config(format!(
                "Invalid value for configuration table.name.format: it makes {text:?} of a topic, which is no table name; use \
                 schema.table, with a transformation that renames topics, or table.name.normalize=true"
            )));
        }
        let name = parts.pop().unwrap_or_default();
        Ok(Self { schema: parts.pop(), name })
    }

    /// As it stands in a statement.
    pub(crate) fn quoted(&self, quoting: &Quoting) -> Result<String> {
        let mut sql = String::new();
        if let Some(schema) = &self.schema {
            quoting.push(&mut sql, schema)?;
            sql.push('.');
        }
        quoting.push(&mut sql, &self.name)?;
        Ok(sql)
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Quoting, TableName};

    const ANSI: Quoting = Quoting { mark: '"', longest: 63, bytes: true, always: true };

    #[test]
    fn a_quote_inside_a_name_is_doubled() {
        assert_eq!(ANSI.quoted("a\"; DROP TABLE t; --").expect("quoted"), "\"a\"\"; DROP TABLE t; --\"");
        let backtick = Quoting { mark: '`', ..ANSI };
        assert_eq!(backtick.quoted("a`b\"c").expect("quoted"), "`a``b\"c`");
    }

    #[test]
    fn names_the_database_would_cut_or_refuse_are_refused() {
        assert!(ANSI.quoted(&"x".repeat(63)).is_ok());
        for name in [String::new(), "x".repeat(64), "é".repeat(32), "a\0b".to_owned()] {
            assert!(ANSI.quoted(&name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn without_quotes_only_plain_names_pass() {
        let never = Quoting { always: false, ..ANSI };
        assert_eq!(never.quoted("order_id2").expect("plain"), "order_id2");
        for name in ["a b", "a;b", "2a", "a\"b", "a-b", "a.b"] {
            assert!(never.quoted(name).is_err(), "{name}");
        }
    }

    #[test]
    fn tables_are_qualified_by_dots_outside_quotes() {
        let name = |text| TableName::parse(text, '"').map(|table| (table.schema, table.name));
        assert_eq!(name("orders").expect("plain"), (None, "orders".to_owned()));
        assert_eq!(name("shop.orders").expect("qualified"), (Some("shop".to_owned()), "orders".to_owned()));
        assert_eq!(name("db.shop.orders").expect("catalog"), (Some("shop".to_owned()), "orders".to_owned()));
        assert_eq!(name("\"a.b\".\"c\"\"d\"").expect("quoted"), (Some("a.b".to_owned()), "c\"d".to_owned()));
        for text in ["", "a..b", ".a", "a.b.c.d"] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
