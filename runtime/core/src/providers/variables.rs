//! Finding variables in values (`ConfigTransformer.DEFAULT_PATTERN`).

use std::sync::LazyLock;

use regex::Regex;

/// Kafka's pattern: the shortest provider, an optional shortest path, the shortest key, none with a closing brace.
#[allow(clippy::unwrap_used, reason = "a constant; the tests compile it")]
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$\{([^}]*?):(?:([^}]*?):)?([^}]*?)\}").unwrap());

/// `${provider:path:key}` or `${provider:key}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variable<'a> {
    /// As it is written.
    pub(super) text: &'a str,
    pub(super) provider: &'a str,
    /// Empty when there is none.
    pub(super) path: &'a str,
    pub(super) key: &'a str,
}

/// The variables of a value.
pub(super) fn of(value: &str) -> impl Iterator<Item = Variable<'_>> {
    VARIABLE.captures_iter(value).map(|found| {
        let group = |index| found.get(index).map_or("", |part| part.as_str());
        Variable { text: group(0), provider: group(1), path: group(2), key: group(3) }
    })
}

/// `value` with what `lookup` gives for its variables; those without stay.
pub(super) fn replace<E>(
    value: &str,
    mut lookup: impl FnMut(Variable<'_>) -> Result<Option<String>, E>,
) -> Result<String, E> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    for variable in of(value) {
        let Some((before, after)) = rest.split_once(variable.text) else { break };
        text.push_str(before);
        match lookup(variable)? {
            Some(given) => text.push_str(&given),
            None => text.push_str(variable.text),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn without_values_everything_stays(value in "[${}:a-c/ \n]{0,40}") {
            let same = replace(&value, |_| Ok::<_, ()>(None)).expect("no errors");
            prop_assert_eq!(&same, &value);
            // Variables are disjoint and in order.
            let mut at = 0;
            for variable in of(&value) {
                let start = variable.text.as_ptr() as usize - value.as_ptr() as usize;
                let whole = variable.text.starts_with("${") && variable.text.ends_with('}');
                prop_assert!(start >= at && whole, "{}", variable.text);
                at = start + variable.text.len();
            }
        }

        #[test]
        fn values_are_not_looked_at_again(before in "[a-z ]{0,5}", given in "[${}:a-c]{0,12}", after in "[a-z ]{0,5}") {
            let value = format!("{before}${{p:k}}{after}");
            let text = replace(&value, |_| Ok::<_, ()>(Some(given.clone()))).expect("no errors");
            prop_assert_eq!(text, format!("{before}{given}{after}"));
        }
    }
}
