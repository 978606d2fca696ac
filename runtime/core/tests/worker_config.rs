//! The worker's keys against Kafka Connect's own tables and answers (`golden/worker-config-4.3.1.json`), and the files of Kafka's
//! distribution.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use millrace_api::config::{Config as _, ConfigDef, Default, Props};
use millrace_core::worker_config::{Mode, Store, WorkerConfig, docs, other_keys};
use serde_json::Value;

/// Where a key is not as in Kafka Connect: its default or whether it is required, with the reason.
const DEFAULTS: [(&str, &str); 11] = [
    ("bootstrap.servers", "without it a standalone worker has the embedded log; distributed ones are checked by mode"),
    ("listeners", "loopback in standalone mode; distributed workers get Kafka Connect's"),
    ("offset.flush.interval.ms", "less is repeated after a crash"),
    ("exactly.once.source.support", "enabled with the embedded log"),
    ("offset.storage.file.filename", "offsets are in a topic"),
    ("group.id", "distributed workers are checked by mode"),
    ("config.storage.topic", "as group.id"),
    ("offset.storage.topic", "as group.id"),
    ("status.storage.topic", "as group.id"),
    ("key.converter", "as group.id; JSON in standalone mode"),
    ("value.converter", "as key.converter"),
];

/// Keys whose wrong values are not refused with Kafka's words, or not here.
fn differs(key: &str, value: &str) -> bool {
    // Java classes are not looked for; converters are when the worker starts.
    key.rsplit('.').next() == Some("class") || key.ends_with("converter")
        // "Invalid value V for configuration K" comes before what Kafka says.
        || ["listeners", "response.http.headers.config"].contains(&key)
        // What would stop commits or wait for ever.
        || (["offset.flush.interval.ms", "task.shutdown.graceful.timeout.ms"].contains(&key) && value.parse::<i64>().is_ok_and(|n| n < 10))
        // Java shows the number as it prints it.
        || (key.starts_with("sasl.login.refresh.window") && value.parse::<f64>().is_ok())
        // The number is not in the text as it was written.
        || (key.ends_with("replication.factor") && value == "70000")
}

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/worker-config-4.3.1.json")).unwrap()
}

fn all() -> ConfigDef {
    WorkerConfig::def().and(ConfigDef { keys: other_keys().into_iter().map(|(key, _)| key).collect() })
}

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn distributed() -> Props {
    props(&[
        ("bootstrap.servers", "localhost:9092"),
        ("group.id", "g"),
        ("config.storage.topic", "c"),
        ("offset.storage.topic", "o"),
        ("status.storage.topic", "s"),
        ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ])
}

#[test]
fn every_key_of_kafka_connect_is_known_as_it_is_there() {
    let (golden, ours) = (golden(), all());
    let mut count = 0;
    for key in ["distributed", "standalone"].iter().flat_map(|mode| golden["keys"][mode].as_array().unwrap()) {
        count += 1;
        let name = key["name"].as_str().unwrap();
        let found = ours.get(name).unwrap_or_else(|| panic!("{name} is not known"));
        assert_eq!(found.kind.name(), key["type"].as_str().unwrap(), "type of {name}");
        assert_eq!(found.importance.name(), key["importance"].as_str().unwrap(), "importance of {name}");
        let default = match (&found.default, DEFAULTS.iter().any(|(differs, _)| *differs == name)) {
            (_, true) => continue,
            (Default::Value(text), _) => Some(text.as_str()),
            _ => None,
        };
        assert_eq!(default, key["default"].as_str(), "default of {name}");
    }
    assert_eq!(count, 133 + 52);
}

#[test]
fn wrong_values_are_refused_as_kafka_connect_does() {
    let (golden, ours) = (golden(), all());
    for (name, errors) in golden["errors"].as_object().unwrap() {
        let key = ours.get(name).unwrap();
        let error = |value: &str| key.parse(&props(&[(name, value)])).err().map(|error| error.message().to_owned());
        for (value, expected) in errors.as_object().unwrap().iter().filter(|(value, _)| !differs(name, value)) {
            assert_eq!(error(value).as_deref(), expected.as_str(), "{name}={value}");
        }
    }
    for (name, values) in golden["accepted"].as_object().unwrap() {
        let key = ours.get(name).unwrap();
        for value in
            values.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).filter(|value| !differs(name, value))
        {
            assert_eq!(
                key.parse(&props(&[(name, value)])).err().map(|error| error.message().to_owned()),
                None,
                "{name}={value}"
            );
        }
    }
}

#[test]
fn the_files_of_kafkas_distribution_work_unchanged() {
    for (mode, text) in [
        (Mode::Distributed, include_str!("golden/connect-distributed.properties")),
        (Mode::Standalone, include_str!("golden/connect-standalone.properties")),
    ] {
        let mut props = Props::new();
        java_properties::PropertiesIter::new(text.as_bytes())
            .read_into(|key, value| {
                props.insert(key, value);
            })
            .unwrap();
        let (config, warnings) = WorkerConfig::load(mode, &props).unwrap();
        assert_eq!(config.bootstrap_servers.as_deref(), Some(&["localhost:9092".to_owned()][..]));
        assert_eq!(config.offset_flush_interval_ms, 10_000);
        match mode {
            Mode::Distributed => {
                assert_eq!(warnings, []);
                assert_eq!(
                    (config.group_id.as_str(), config.rest.listeners.as_slice()),
                    ("connect-cluster", &["http://:8083".to_owned()][..])
                );
                let spec = config.storage_topic(Store::Offset, &props).unwrap();
                assert_eq!(
                    (spec.name.as_str(), spec.partitions, spec.replication),
                    ("connect-offsets", Some(25), Some(1))
                );
            }
            Mode::Standalone => {
                assert_eq!(
                    warnings.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(),
                    ["offset.storage.file.filename"]
                );
                assert_eq!(config.rest.listeners, ["http://127.0.0.1:8083"]);
            }
        }
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let error =
        WorkerConfig::load(Mode::Distributed, &props(&[("session.timeout.ms", "x"), ("ssl.client.auth", "maybe")]))
            .unwrap_err();
    let text = error.message();
    for part in [
        "\"bootstrap.servers\", \"group.id\", \"config.storage.topic\", \"offset.storage.topic\", \"status.storage.topic\", \"key.converter\" and \"value.converter\"",
        "Invalid value x for configuration session.timeout.ms: Not a number of type INT",
        "Invalid value maybe for configuration ssl.client.auth: String must be one of: required, requested, none",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let mut one = distributed();
    one.shift_remove("group.id");
    let error = WorkerConfig::load(Mode::Distributed, &one).unwrap_err();
    assert_eq!(error.message(), "Missing required configuration \"group.id\" which has no default value.");
    assert!(WorkerConfig::load(Mode::Standalone, &Props::new()).is_ok());
}

#[test]
fn keys_that_mean_nothing_are_warned_about() {
    let mut given = distributed();
    given.extend(props(&[
        ("group.idd", "x"),
        ("offset_flush_interval_ms", "5"),
        ("rest.port", "8083"),
        ("whatever.this.is", "x"),
        ("plugin.path", "/usr/share/java"),
        ("producer.linger.ms", "5"),
        ("config.storage.min.insync.replicas", "2"),
        ("config.providers", ""),
        ("admin.listeners.https.ssl.client.auth", "none"),
    ]));
    let (_, warnings) = WorkerConfig::load(Mode::Distributed, &given).unwrap();
    let texts: Vec<String> = warnings.into_iter().map(|warning| format!("{} {}", warning.key, warning.text)).collect();
    assert_eq!(texts.len(), 5, "{texts:#?}");
    assert!(texts[0].ends_with("did you mean group.id?"), "{texts:#?}");
    assert!(texts[1].ends_with("did you mean offset.flush.interval.ms?"), "{texts:#?}");
    assert!(texts[2].contains("use listeners"), "{texts:#?}");
    assert!(texts[3].ends_with("is no key of a worker"), "{texts:#?}");
    assert!(texts[4].starts_with("plugin.path has no effect"), "{texts:#?}");
}

#[test]
fn stores_get_their_settings_and_stay_compacted() {
    let mut given = distributed();
    given.extend(props(&[
        ("status.storage.partitions", "-1"),
        ("status.storage.min.insync.replicas", "2"),
        ("status.storage.replication.factor", "-1"),
    ]));
    let (config, _) = WorkerConfig::load(Mode::Distributed, &given).unwrap();
    let spec = config.storage_topic(Store::Status, &given).unwrap();
    assert_eq!((spec.partitions, spec.replication), (None, None));
    assert_eq!(spec.config, props(&[("min.insync.replicas", "2"), ("cleanup.policy", "compact")]));
    let spec = config.storage_topic(Store::Config, &given).unwrap();
    assert_eq!((spec.partitions, spec.replication), (Some(1), Some(3)));
    given.insert("config.storage.cleanup.policy".to_owned(), "delete".to_owned());
    assert!(
        config.storage_topic(Store::Config, &given).unwrap_err().message().contains("config.storage.cleanup.policy")
    );
}

#[test]
fn the_page_of_the_keys_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/worker-configuration.md");
    if std::env::var_os("MILLRACE_BLESS").is_some() {
        std::fs::write(path, docs::markdown()).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == docs::markdown(), "run this test with MILLRACE_BLESS=1");
}
