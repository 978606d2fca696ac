//! Headers that every answer gets: `response.http.headers.config`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use millrace_api::{Error, Result};

const KEY: &str = "response.http.headers.config";

/// The rules of one worker, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeaderRules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    name: HeaderName,
    value: Value,
    /// Replaces what is there.
    set: bool,
}

#[derive(Debug, Clone)]
enum Value {
    Text(HeaderValue),
    /// The present time and so many milliseconds.
    Date(i64),
}

impl HeaderRules {
    /// Reads rules with commas between them: `[action] [header name]:[header value]`, in double quotes when one holds a comma. An
    /// action is `set`, `add`, `setDate` or `addDate`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] with Kafka Connect's wording.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        split(text).iter().map(|rule| Rule::parse(rule)).collect::<Result<_>>().map(Self)
    }

    /// Adds the headers to those of an answer, which win: the rules are applied before a request is looked at.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        let mut all = HeaderMap::new();
        for rule in &self.0 {
            let value = match &rule.value {
                Value::Text(text) => text.clone(),
                Value::Date(after) => date(*after),
            };
            if rule.set {
                all.insert(rule.name.clone(), value);
            } else {
                all.append(rule.name.clone(), value);
            }
        }
        for (name, value) in std::mem::take(headers) {
            if let Some(name) = name {
                all.insert(name, value);
            }
        }
        *headers = all;
    }
}

impl Rule {
    fn parse(rule: &str) -> Result<Self> {
        let invalid = |cause: String| Error::config(format!("{cause} (configuration: {KEY})"));
        let format = || {
            invalid(format!(
                "Invalid format of header config '{rule}'. Expected: '[action] [header name]:[header value]'"
            ))
        };
        let (action, header) = rule.trim().split_once(char::is_whitespace).ok_or_else(format)?;
        let (set, is_date) = match action {
            "set" => (true, false),
            "add" => (false, false),
            "setDate" => (true, true),
            "addDate" => (false, true),
            _ => {
                return Err(invalid(format!(
                    "Invalid header config action: '{action}'. Expected one of [set, add, setDate, addDate]"
                )));
            }
        };
        let header = header.trim();
        let pair = || {
            invalid(format!(
                "Invalid format of header name and header value pair '{header}'. Expected: '[header name]:[header value]'"
            ))
        };
        let (name, value) = header.split_once(':').ok_or_else(pair)?;
        if value.contains(':') {
            return Err(pair());
        }
        let name = name.trim();
        let name = HeaderName::try_from(name).map_err(|_| {
            invalid(format!("Invalid header name '{name}'. The '[header name]' cannot contain whitespace"))
        })?;
        let value = value.trim();
        let value = if is_date {
            Value::Date(value.parse().map_err(|_| invalid(format!("Invalid header config '{rule}'.")))?)
        } else {
            Value::Text(HeaderValue::try_from(value).map_err(|_| invalid(format!("Invalid header config '{rule}'.")))?)
        };
        Ok(Self { name, value, set })
    }
}

/// What stands between commas, without the double quotes that may be around it.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(std::mem::take(&mut part)),
            _ => part.push(letter),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn date(after: i64) -> HeaderValue {
    let after_ms = Duration::from_millis(after.unsigned_abs());
    let now = SystemTime::now();
    let moment = if after < 0 { now.checked_sub(after_ms) } else { now.checked_add(after_ms) };
    HeaderValue::try_from(httpdate::fmt_http_date(moment.filter(|at| *at < far()).unwrap_or(UNIX_EPOCH)))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The end of the year 9999, after which there is no format for a date.
fn far() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(70_389_528)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_applied_in_order() {
        let rules = HeaderRules::parse(
            r#"set X-Frame-Options:DENY, "add Cache-Control: no-cache, no-store", add X-A:1, add X-A:2, setDate Expires:0"#,
        )
        .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        rules.apply(&mut headers);
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["cache-control"], "no-cache, no-store");
        assert_eq!(headers.get_all("x-a").iter().count(), 2);
        assert_eq!(headers["content-type"], "application/json");
        assert!(headers["expires"].to_str().unwrap().ends_with(" GMT"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (text, expected) in [
            ("set", "Invalid format of header config 'set'."),
            ("put A:b", "Invalid header config action: 'put'."),
            ("set A", "Invalid format of header name and header value pair 'A'."),
            ("set A:b:c", "Invalid format of header name and header value pair 'A:b:c'."),
            ("set A B:c", "Invalid header name 'A B'."),
            ("setDate A:soon", "Invalid header config"),
            ("set A:\u{7}", "Invalid header config"),
        ] {
            let error = HeaderRules::parse(text).unwrap_err();
            assert!(error.message().starts_with(expected), "{text}: {error}");
        }
        assert!(HeaderRules::parse("").unwrap().0.is_empty());
        assert!(HeaderRules::parse(&format!("setDate A:{}", i64::MAX)).is_ok());
    }
}
