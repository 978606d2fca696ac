//! The worker's keys as a page of documentation, made from what checks them.

use std::fmt::Write as _;

use millrace_api::config::{Config as _, ConfigKey, Default, Validator};

use super::{WorkerConfig, other_keys};

const HEAD: &str = "# Keys of a worker\n\n\
    This page is made from the code that reads the keys (`runtime/core/src/worker_config`); its test writes it anew with \
    `MILLRACE_BLESS=1`.\n\n\
    A key comes from the worker's file (Java properties or TOML) or from the environment: `MILLRACE_*`, and with \
    `millrace distributed` also `CONNECT_*`, where `_` stands for `.`, `__` for `_` and `___` for `-`. Below these prefixes are keys \
    of others: `producer.`, `consumer.`, `admin.` (settings of connectors' Kafka clients), `key.converter.`, `value.converter.`, \
    `header.converter.`, `config.providers.<name>.`, `{config,offset,status}.storage.<topic setting>`, `topics.<name>.`, \
    `listeners.https.` and `admin.listeners.https.`. Keys that are not listed are warned about.\n";

/// The page.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    table(&mut page, "What Millrace uses", WorkerConfig::def().keys);
    table(
        &mut page,
        "What goes to Kafka connections or has no effect",
        other_keys().into_iter().map(|(key, _)| key).collect(),
    );
    page
}

fn table(page: &mut String, title: &str, mut keys: Vec<ConfigKey>) {
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    let _ =
        write!(page, "\n## {title}\n\n| key | type | default | valid | importance | |\n|---|---|---|---|---|---|\n");
    for key in keys {
        let default = match &key.default {
            Default::Required => "required".to_owned(),
            Default::Null => "none".to_owned(),
            Default::Value(text) if text.is_empty() => "empty".to_owned(),
            Default::Value(text) => format!("`{text}`"),
        };
        let (kind, importance) = (key.kind.name().to_ascii_lowercase(), key.importance.name().to_ascii_lowercase());
        let doc = key.doc.replace('|', "\\|").replace('\n', " ");
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {default} | {} | {importance} | {doc} |",
            key.name,
            valid(&key.validator)
        );
    }
}

fn valid(validator: &Validator) -> String {
    match validator {
        Validator::AtLeast(min) => format!("at least {min}"),
        Validator::Between(min, max) => format!("{min} to {max}"),
        Validator::OneOf(texts) | Validator::OneOfIgnoreCase(texts) => texts.join(", "),
        Validator::OneOfThese(texts) | Validator::OneOfTheseIgnoreCase(texts) => texts.join(", "),
        Validator::NonEmpty | Validator::DistinctNonEmpty => "not empty".to_owned(),
        Validator::Any | Validator::Distinct | Validator::Custom(_) | Validator::Verbatim(_) => String::new(),
    }
}
