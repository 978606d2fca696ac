//! Patterns of topic names. Kafka Connect's are Java's, librdkafka's are POSIX extended ones, in which `\d` or `(?:` mean something
//! else. A pattern is parsed here and written down again with nothing but what both understand.

use std::fmt::Write as _;

use millrace_api::error::{Error, Result};
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Writing to a string cannot fail otherwise.
const OUT_OF_MEMORY: &str = "the pattern is too long";
/// The characters of topic names.
const LEGAL: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz.-";

/// The pattern for librdkafka that matches the same topic names as `pattern` matches as a whole.
pub(super) fn posix(pattern: &str) -> Result<String> {
    let parsed = regex_syntax::parse(pattern).map_err(|error| {
        let cause = "the pattern cannot be read; look-around and back references are not supported";
        Error::config(format!("Invalid value for configuration topics.regex: {cause}")).because(error)
    })?;
    let mut text = String::from("^(");
    write(&parsed, &mut text)
        .map_err(|reason| Error::config(format!("Invalid value for configuration topics.regex: {reason}")))?;
    text.push_str(")$");
    Ok(text)
}

fn write(part: &Hir, out: &mut String) -> Result<(), &'static str> {
    match part.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => {
            let literal = std::str::from_utf8(&literal.0).map_err(|_| "the pattern is not UTF-8")?;
            literal.chars().for_each(|c| write_char(c, out));
        }
        HirKind::Class(class) => write_class(class, out),
        // The whole name is matched, so these say nothing new at the ends and nothing possible elsewhere.
        HirKind::Look(Look::Start | Look::End) => {}
        HirKind::Look(_) => return Err("word and line boundaries are not supported; spell the characters out"),
        HirKind::Repetition(repetition) => write_repetition(repetition, out)?,
        HirKind::Capture(capture) => write_group(&capture.sub, out)?,
        HirKind::Concat(parts) => {
            for part in parts {
                match part.kind() {
                    HirKind::Alternation(_) => write_group(part, out)?,
                    _ => write(part, out)?,
                }
            }
        }
        HirKind::Alternation(parts) => {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    out.push('|');
                }
                write(part, out)?;
            }
        }
    }
    Ok(())
}

fn write_group(part: &Hir, out: &mut String) -> Result<(), &'static str> {
    out.push('(');
    write(part, out)?;
    out.push(')');
    Ok(())
}

fn write_repetition(repetition: &Repetition, out: &mut String) -> Result<(), &'static str> {
    if repetition.min > 255 || repetition.max.is_some_and(|max| max > 255) {
        return Err("a topic name has at most 249 characters; repeat less often");
    }
    write_group(&repetition.sub, out)?;
    match (repetition.min, repetition.max) {
        (0, None) => out.push('*'),
        (1, None) => out.push('+'),
        (0, Some(1)) => out.push('?'),
        (min, None) => write!(out, "{{{min},}}").map_err(|_| OUT_OF_MEMORY)?,
        (min, Some(max)) => write!(out, "{{{min},{max}}}").map_err(|_| OUT_OF_MEMORY)?,
    }
    Ok(())
}

/// A class, as far as topic names have its characters. `.` and `-` need no escape within brackets, `-` at the end.
fn write_class(class: &Class, out: &mut String) {
    let contains = |c: char| match class {
        Class::Unicode(class) => class.iter().any(|range| (range.start()..=range.end()).contains(&c)),
        Class::Bytes(class) => {
            class.iter().any(|range| (u32::from(range.start())..=u32::from(range.end())).contains(&u32::from(c)))
        }
    };
    let members: String = LEGAL.chars().filter(|c| contains(*c)).collect();
    if members.is_empty() {
        // A character that no topic name has, in a form that no name matches.
        out.push_str("[/]");
    } else {
        out.push('[');
        out.push_str(&members);
        out.push(']');
    }
}

fn write_char(c: char, out: &mut String) {
    if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || !c.is_ascii() {
        out.push(c);
    } else if c == '^' || c == '\\' {
        out.push('\\');
        out.push(c);
    } else {
        out.push('[');
        out.push(c);
        out.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected by hand from POSIX's and Java's grammars.
    #[test]
    fn patterns_are_written_down_again() {
        let digits = "[0123456789]";
        for (java, expected) in [
            ("orders-topic", "^(orders-topic)$".to_owned()),
            ("shop[.](a|bc)", "^(shop[.](a|bc))$".to_owned()),
            (r"logs-\d+", format!("^(logs-({digits})+)$")),
            (r"^x\.y$", "^(x[.]y)$".to_owned()),
            (r"(?:ab)*?c{2,3}", "^((ab)*(c){2,3})$".to_owned()),
            (r"a|bb", "^(a|bb)$".to_owned()),
            (r"[\w-]?", "^(([0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-])?)$".to_owned()),
            (r"(?i)k", "^([Kk])$".to_owned()),
        ] {
            assert_eq!(posix(java).unwrap(), expected, "{java}");
        }
    }

    #[test]
    fn what_cannot_be_translated_is_refused() {
        for java in [r"(?=a)b", r"(a)\1", r"\ba", "a{1000}", "("] {
            let error = posix(java).unwrap_err();
            assert!(error.message().contains("topics.regex"), "{java}: {error}");
        }
    }
}
