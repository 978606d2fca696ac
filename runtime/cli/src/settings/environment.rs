//! Settings from environment variables, in the spellings that images for Kafka Connect have taught people:
//! - `MILLRACE_*`, and for distributed workers `CONNECT_*` as in Confluent's image: `_` stands for `.`, `__` for `_`, `___` for `-`.
//!   Debezium's image has `CONNECT_*` too, with `_` for `.` only, which is the same for every key there is.
//! - For distributed workers without a file, the short names of Debezium's image: `BOOTSTRAP_SERVERS`, `GROUP_ID` and others.
//!
//! What comes later here wins: short names, `CONNECT_*`, `MILLRACE_*`.

use millrace_core::providers::Environment;
use millrace_core::worker_config::Mode;

/// A key from a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) variable: String,
}

/// Debezium's names.
const SHORT: [(&str, &str); 13] = [
    ("BOOTSTRAP_SERVERS", "bootstrap.servers"),
    ("GROUP_ID", "group.id"),
    ("CONFIG_STORAGE_TOPIC", "config.storage.topic"),
    ("OFFSET_STORAGE_TOPIC", "offset.storage.topic"),
    ("STATUS_STORAGE_TOPIC", "status.storage.topic"),
    ("KEY_CONVERTER", "key.converter"),
    ("VALUE_CONVERTER", "value.converter"),
    ("ADVERTISED_HOST_NAME", "rest.advertised.host.name"),
    ("ADVERTISED_PORT", "rest.advertised.port"),
    ("OFFSET_FLUSH_INTERVAL_MS", "offset.flush.interval.ms"),
    ("OFFSET_FLUSH_TIMEOUT_MS", "offset.flush.timeout.ms"),
    ("SHUTDOWN_TIMEOUT", "task.shutdown.graceful.timeout.ms"),
    ("HEADER_CONVERTER", "header.converter"),
];

/// What Debezium's image takes when its names are used and these are not given.
const SHORT_DEFAULTS: [(&str, &str); 3] = [
    ("group.id", "1"),
    ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
];

/// Variables with our prefixes that are no keys: of this program, of its tests, and of the images' start scripts.
const OTHERS: [&str; 7] = [
    "MILLRACE_LOG",
    "MILLRACE_TEST_",
    "MILLRACE_RUN_DIR",
    "MILLRACE_BLESS",
    "MILLRACE_COMMIT",
    "CONNECT_LOG4J",
    "CONNECT_CUB_",
];

/// The settings, in the order in which they apply.
pub(super) fn overlay(mode: Mode, file: bool, environment: &Environment) -> Vec<Setting> {
    let mut settings = Vec::new();
    if mode == Mode::Distributed && !file && environment.contains_key("BOOTSTRAP_SERVERS") {
        settings.extend(short_names(environment));
    }
    if mode == Mode::Distributed {
        settings.extend(prefixed("CONNECT_", environment));
    }
    settings.extend(prefixed("MILLRACE_", environment));
    settings
}

fn prefixed(prefix: &str, environment: &Environment) -> Vec<Setting> {
    let mine = environment.iter().filter(|(name, _)| !OTHERS.iter().any(|other| name.starts_with(other)));
    mine.filter_map(|(name, value)| {
        let key = property(name.strip_prefix(prefix).filter(|rest| !rest.is_empty())?);
        Some(Setting { key, value: value.clone(), variable: name.clone() })
    })
    .collect()
}

/// `VALUE_CONVERTER_BASIC_AUTH__USER___INFO` as `value.converter.basic.auth_user-info`.
fn property(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    let mut underscores = 0;
    for c in name.chars().chain(['\0']) {
        if c == '_' {
            underscores += 1;
            continue;
        }
        key.push_str(match underscores {
            0 => "",
            1 => ".",
            2 => "_",
            _ => "-",
        });
        underscores = 0;
        if c != '\0' {
            key.extend(c.to_lowercase());
        }
    }
    key
}

fn short_names(environment: &Environment) -> Vec<Setting> {
    let given = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let set = |key: &str, value: &str, variable: &str| Setting {
        key: key.to_owned(),
        value: value.to_owned(),
        variable: variable.to_owned(),
    };
    let defaults = SHORT_DEFAULTS.iter().map(|(key, value)| set(key, value, "default of BOOTSTRAP_SERVERS and others"));
    let mut settings: Vec<Setting> = defaults.collect();
    settings.extend(SHORT.iter().filter_map(|(name, key)| Some(set(key, given(name)?, name))));
    if let (host, Some(port)) = (given("REST_HOST_NAME").or_else(|| given("HOST_NAME")), given("REST_PORT")) {
        let host = host.map_or("", String::as_str);
        settings.push(set("listeners", &format!("http://{host}:{port}"), "REST_PORT"));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn shown(mode: Mode, file: bool, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut found = std::collections::BTreeMap::new();
        for setting in overlay(mode, file, &environment(pairs)) {
            found.insert(setting.key, setting.value);
        }
        found.into_iter().collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn underscores_stand_for_dots_underscores_and_dashes() {
        for (name, key) in [
            ("BOOTSTRAP_SERVERS", "bootstrap.servers"),
            ("VALUE_CONVERTER_SCHEMAS_ENABLE", "value.converter.schemas.enable"),
            ("A__B___C_D", "a_b-c.d"),
            ("TOPICS_ORDERS___V1_PARTITIONS", "topics.orders-v1.partitions"),
        ] {
            assert_eq!(property(name), key);
        }
    }

    #[test]
    fn confluents_variables() {
        let given =
            [("CONNECT_GROUP_ID", "g"), ("CONNECT_LOG4J_ROOT_LOGLEVEL", "INFO"), ("PATH", "/bin"), ("CONNECT_", "x")];
        assert_eq!(shown(Mode::Distributed, false, &given), pairs(&[("group.id", "g")]));
        assert_eq!(shown(Mode::Standalone, false, &given), []);
        let given = [
            ("CONNECT_GROUP_ID", "g"),
            ("MILLRACE_GROUP_ID", "m"),
            ("MILLRACE_LOG", "debug"),
            ("MILLRACE_TEST_KAFKA", "x"),
        ];
        assert_eq!(shown(Mode::Distributed, true, &given), pairs(&[("group.id", "m")]));
    }

    #[test]
    fn debeziums_variables() {
        let given = [
            ("BOOTSTRAP_SERVERS", "k:9092"),
            ("CONFIG_STORAGE_TOPIC", "c"),
            ("GROUP_ID", "7"),
            ("REST_PORT", "18083"),
            ("CONNECT_CONFIG_STORAGE_TOPIC", "wins"),
            ("SHUTDOWN_TIMEOUT", "10000"),
        ];
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let expected = [
            ("bootstrap.servers", "k:9092"),
            ("config.storage.topic", "wins"),
            ("group.id", "7"),
            ("key.converter", json),
            ("listeners", "http://:18083"),
            ("task.shutdown.graceful.timeout.ms", "10000"),
            ("value.converter", json),
        ];
        assert_eq!(shown(Mode::Distributed, false, &given), pairs(&expected));
        // With a file, or without Kafka's address, these names are other programs'.
        assert_eq!(shown(Mode::Distributed, true, &given), pairs(&[("config.storage.topic", "wins")]));
        assert_eq!(shown(Mode::Distributed, false, &[("GROUP_ID", "7")]), []);
    }
}
