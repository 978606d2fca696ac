//! `RegexRouter`: renames the topic of records whose whole topic matches a regular expression.

use millrace_sdk::prelude::*;

use crate::regex::{Groups, Pattern};
use crate::topics::{PerTopic, check_regex, compile, too_slow};

/// Keys of [`RegexRouter`].
#[derive(Config)]
pub struct RegexRouterConfig {
    /// The regular expression, with Java's syntax, that all of the topic's name must match.
    #[config(importance = "high", check = check_regex)]
    regex: String,
    /// The new name, in which `$1` or `${name}` stands for what a group matched.
    #[config(importance = "high")]
    replacement: String,
}

/// `org.apache.kafka.connect.transforms.RegexRouter`.
pub struct RegexRouter {
    regex: Pattern,
    replacement: Vec<char>,
    /// The new name of a topic, `None` for one that stays.
    known: PerTopic<Option<String>>,
}

impl Transform for RegexRouter {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.RegexRouter";
    type Config = RegexRouterConfig;

    fn configure(config: RegexRouterConfig) -> Result<Self> {
        Ok(Self {
            regex: compile("regex", &config.regex)?,
            replacement: config.replacement.chars().collect(),
            known: PerTopic::default(),
        })
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let Self { regex, replacement, known } = self;
        if let Some(topic) = known.get(record.topic(), |topic| route(regex, replacement, topic))? {
            out.topic(topic);
        }
        Ok(Verdict::Keep)
    }
}

/// `Matcher.matches`, then `Matcher.replaceFirst`, which looks for a match anew: `a|ab` matches all of `ab`, and replaces the `a`.
fn route(regex: &Pattern, replacement: &[char], topic: &[char]) -> Result<Option<String>, String> {
    if !regex.matches(topic).map_err(|_| too_slow("regex"))? {
        return Ok(None);
    }
    let Some(groups) = regex.find(topic).map_err(|_| too_slow("regex"))? else { return Ok(None) };
    let (start, end) = groups.first().copied().flatten().unwrap_or((0, topic.len()));
    let mut name: String = topic.iter().take(start).collect();
    expand(regex, replacement, topic, &groups, &mut name)?;
    name.extend(topic.iter().skip(end));
    Ok(Some(name))
}

/// Appends the replacement with its references resolved, as `Matcher.appendReplacement` does.
fn expand(
    regex: &Pattern,
    replacement: &[char],
    topic: &[char],
    groups: &Groups,
    name: &mut String,
) -> Result<(), String> {
    let mut rest = replacement.iter().copied().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(c) => name.push(c),
                None => return Err("character to be escaped is missing".to_owned()),
            },
            '$' => {
                let group = match rest.next() {
                    None => return Err("Illegal group reference: group index is missing".to_owned()),
                    Some('{') => named(regex, &mut rest)?,
                    Some(digit) => numbered(regex, digit, &mut rest)?,
                };
                let matched = groups.get(group).copied().flatten();
                name.extend(matched.and_then(|(from, to)| topic.get(from..to)).unwrap_or_default());
            }
            c => name.push(c),
        }
    }
    Ok(())
}

/// `{name}` after a dollar sign.
fn named(regex: &Pattern, rest: &mut impl Iterator<Item = char>) -> Result<usize, String> {
    let mut name = String::new();
    loop {
        match rest.next() {
            Some('}') if !name.is_empty() => break,
            Some(c) if c.is_ascii_alphanumeric() => name.push(c),
            _ if name.is_empty() => {
                return Err("named capturing group has 0 length name".to_owned());
            }
            _ => return Err("named capturing group is missing trailing '}'".to_owned()),
        }
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("capturing group name {{{name}}} starts with digit character"));
    }
    regex.group_named(&name).ok_or_else(|| format!("No group with name {{{name}}}"))
}

/// Digits after a dollar sign: as many as name a group that exists.
fn numbered(
    regex: &Pattern,
    first: char,
    rest: &mut std::iter::Peekable<impl Iterator<Item = char>>,
) -> Result<usize, String> {
    let digit = |c: char| c.to_digit(10).map(|digit| digit as usize);
    let mut group = digit(first).ok_or("Illegal group reference")?;
    if group > regex.groups() {
        return Err(format!("No group {group}"));
    }
    while let Some(longer) = rest.peek().and_then(|c| Some(group * 10 + digit(*c)?)) {
        if longer > regex.groups() {
            break;
        }
        group = longer;
        rest.next();
    }
    Ok(group)
}
