//! Taking secrets out of texts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use millrace_api::config::Password;

/// Shorter secrets are not looked for everywhere: they would be found in every other word.
const TELLING: usize = 4;

/// Secrets, and texts without them. Cheap to clone; all clones know the same secrets, and none is ever forgotten.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    patterns: BTreeSet<String>,
    search: Option<AhoCorasick>,
}

static PROCESS: LazyLock<Redactor> = LazyLock::new(Redactor::default);

impl Redactor {
    /// The one of this process, which logs and traces go through.
    #[must_use]
    pub fn process() -> &'static Self {
        &PROCESS
    }

    /// Learns secrets, in the forms in which texts have them.
    pub fn add<'a>(&self, secrets: impl Iterator<Item = &'a str>) {
        let patterns: BTreeSet<String> = secrets.filter(|secret| is_telling(secret)).flat_map(forms).collect();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if patterns.is_subset(&known.patterns) {
            return;
        }
        known.patterns.extend(patterns);
        known.search = search(&known.patterns);
    }

    /// `text` with `[hidden]` for every secret.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match &known.search {
            Some(search) if search.is_match(text) => Cow::Owned(without(search, text)),
            _ => Cow::Borrowed(text),
        }
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

/// Whether finding this in a text says that the secret is in it.
pub(super) fn is_telling(secret: &str) -> bool {
    let trimmed = secret.trim();
    trimmed.chars().count() >= TELLING
        && !matches!(trimmed.to_ascii_lowercase().as_str(), "true" | "false" | "none" | "null")
}

/// `text` without these secrets; short ones are found where they are words.
pub(super) fn hide<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let (telling, short): (Vec<&str>, Vec<&str>) = secrets.partition(|secret| is_telling(secret));
    let patterns: BTreeSet<String> = telling.into_iter().flat_map(forms).collect();
    let mut text = match search(&patterns) {
        Some(search) => without(&search, text),
        None => text.to_owned(),
    };
    for secret in short.into_iter().map(str::trim).filter(|secret| !secret.is_empty()) {
        text = hide_word(&text, secret);
    }
    text
}

fn hide_word(text: &str, word: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        hidden.push_str(before);
        let inside = hidden.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        hidden.push_str(if inside { word } else { Password::HIDDEN });
        rest = after;
    }
    hidden.push_str(rest);
    hidden
}

fn search(patterns: &BTreeSet<String>) -> Option<AhoCorasick> {
    if patterns.is_empty() {
        return None;
    }
    match AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns) {
        Ok(search) => Some(search),
        Err(error) => {
            tracing::error!(%error, "secrets cannot be looked for: too many");
            None
        }
    }
}

fn without(search: &AhoCorasick, text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    search.replace_all_with(text, &mut hidden, |_, _, out| {
        out.push_str(Password::HIDDEN);
        true
    });
    hidden
}

/// A secret as it is written, in JSON, in Rust's `Debug`, in URLs, and the lines of one that has several (keys in PEM).
fn forms(secret: &str) -> Vec<String> {
    let trimmed = secret.trim();
    let quoted = |text: String| text.trim_matches('"').to_owned();
    let mut forms = vec![
        trimmed.to_owned(),
        quoted(serde_json::Value::from(trimmed).to_string()),
        quoted(format!("{trimmed:?}")),
        percent(trimmed, b"-._~"),
        percent(trimmed, b"-._*").replace("%20", "+"),
    ];
    if trimmed.contains('\n') {
        forms.extend(trimmed.lines().map(str::trim).filter(|line| line.len() >= 16).map(str::to_owned));
    }
    forms
}

fn percent(text: &str, unreserved: &[u8]) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || unreserved.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A writer of lines, each written at once, that takes the secrets of this process out of them.
#[derive(Debug)]
pub struct RedactingWriter<W>(pub W);

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        match std::str::from_utf8(line).map(|text| PROCESS.redact(text)) {
            Ok(Cow::Owned(hidden)) => self.0.write_all(hidden.as_bytes())?,
            _ => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let redactor = Redactor::default();
        redactor.add(["p\"w: d/9", "-----BEGIN-----\nMIIEvQIBADANBgkqhkiG9w0\n"].into_iter());
        for text in [
            "x p\"w: d/9 y",
            r#"{"password":"p\"w: d/9"}"#,
            "http://u:p%22w%3A%20d%2F9@h/",
            "pw=p%22w%3A+d%2F9&",
            "one line: MIIEvQIBADANBgkqhkiG9w0",
        ] {
            let hidden = redactor.redact(text);
            assert!(hidden.contains("[hidden]"), "{text} became {hidden}");
            assert!(!hidden.contains("d/9") && !hidden.contains("d%2F9") && !hidden.contains("MIIEv"), "{hidden}");
        }
        assert_eq!(redactor.redact("nothing here"), "nothing here");
    }

    #[test]
    fn short_secrets_are_hidden_as_words_only() {
        assert_eq!(
            hide("task 7 of 17: invalid value 7", ["7"].into_iter()),
            "task [hidden] of 17: invalid value [hidden]"
        );
        assert_eq!(hide("true story", ["true"].into_iter()), "[hidden] story");
        assert_eq!(hide("aaa aa", ["aa"].into_iter()), "aaa [hidden]");
    }

    proptest! {
        #[test]
        fn no_secret_is_left(before in ".{0,20}", secret in "[a-zA-Z0-9/+=]{6,30}", after in ".{0,20}") {
            prop_assume!(!Password::HIDDEN.contains(&secret));
            let hidden = hide(&format!("{before}{secret}{after}"), [secret.as_str()].into_iter());
            // The texts around may make it up anew.
            let made_up = format!("{before}[hidden]{after}").contains(&secret);
            prop_assert!(!hidden.contains(&secret) || made_up, "{}", hidden);
        }
    }
}
