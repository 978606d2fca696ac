use proptest::prelude::*;

use super::*;

/// What Kafka Connect's own policies answered.
const GOLDEN: &str = include_str!("golden.tsv");

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn policies_answer_as_kafka_connects() {
    let rows: Vec<Vec<&str>> = GOLDEN.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let mut names: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    names.sort_unstable();
    names.dedup();
    for (_, name) in POLICIES {
        let class = format!("org.apache.kafka.connect.connector.policy.{name}ConnectorClientConfigOverridePolicy");
        for name in [name, &class] {
            let worker = props(&[(POLICY_KEY, name), (ALLOWLIST_KEY, "acks,linger.ms, sasl.jaas.config")]);
            let policy = OverridePolicy::from_props(&worker).unwrap();
            let config: Props =
                names.iter().map(|name| (format!("producer.override.{name}"), "x".to_owned())).collect();
            let found = policy.violations(ConnectorType::Source, &config);
            let expected = rows.iter().filter(|row| name.contains(row[0]));
            let expected: Vec<_> =
                expected.map(|row| (format!("producer.override.{}", row[1]), row[2].to_owned())).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn an_unknown_policy_is_refused_and_an_empty_list_allows_nothing() {
    let error = OverridePolicy::from_props(&props(&[(POLICY_KEY, "all")])).unwrap_err();
    assert!(error.message().contains(POLICY_KEY) && error.message().contains("Allowlist"), "{error}");
    let policy = OverridePolicy::from_props(&props(&[(ALLOWLIST_KEY, "")])).unwrap();
    assert_eq!(policy.violations(ConnectorType::Source, &props(&[("producer.override.acks", "all")])).len(), 1);
}

#[test]
fn the_default_allows_what_is_safe() {
    let policy = OverridePolicy::from_props(&Props::new()).unwrap();
    let config = props(&[
        ("consumer.override.max.poll.records", "5"),
        ("consumer.override.sasl.jaas.config", "x"),
        ("consumer.override.ssl.truststore.location", "x"),
        ("consumer.override.plugin.library.paths", "x"),
        ("consumer.override.security.protocol", "PLAINTEXT"),
        ("producer.override.plugin.library.paths", "this sink has no producer"),
    ]);
    let keys: Vec<_> = policy.violations(ConnectorType::Sink, &config).into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        [
            "consumer.override.ssl.truststore.location",
            "consumer.override.plugin.library.paths",
            "consumer.override.security.protocol"
        ]
    );
    for kind in ["location", "class", "file", "url", "cmd", "provider", "engine", "interceptor", "bootstrap", "ssl."] {
        assert!(!DEFAULT_ALLOWLIST.iter().any(|name| name.contains(kind)), "{kind}");
    }
}

#[test]
fn the_clients_of_a_connector_are_checked() {
    let all = props(&[("producer.override.x", ""), ("consumer.override.x", ""), ("admin.override.x", "")]);
    for (kind, more, expected) in [
        (ConnectorType::Source, None, vec!["producer"]),
        (ConnectorType::Source, Some("topic.creation.default.partitions"), vec!["producer", "admin"]),
        (ConnectorType::Sink, None, vec!["consumer"]),
        (ConnectorType::Sink, Some("errors.deadletterqueue.topic.name"), vec!["producer", "admin", "consumer"]),
    ] {
        let mut config = all.clone();
        config.extend(more.map(|key| (key.to_owned(), "1".to_owned())));
        let found = OverridePolicy::default().violations(kind, &config);
        let found: Vec<_> = found.iter().filter_map(|(key, _)| key.split('.').next()).collect();
        assert_eq!(found, expected, "{kind:?} {more:?}");
    }
}

proptest! {
    /// Whatever a name is, it is allowed exactly when the list has it, and an error repeats no value.
    #[test]
    fn only_listed_names_are_allowed(name in ".{0,40}", value in "canary.{0,9}") {
        let config = props(&[(&format!("producer.override.{name}"), &value)]);
        let found = OverridePolicy::default().violations(ConnectorType::Source, &config);
        prop_assert_eq!(found.is_empty(), DEFAULT_ALLOWLIST.contains(&name.as_str()));
        prop_assert!(found.iter().all(|(_, error)| !error.contains("canary")));
    }
}

#[test]
fn what_is_dangerous_is_found_wherever_it_stands() {
    for (key, setting) in [
        ("sasl.jaas.config", Some("sasl.jaas.config")),
        ("producer.override.sasl.jaas.config", Some("sasl.jaas.config")),
        ("database.history.producer.SASL.jaas.Config ", Some("sasl.jaas.config")),
        ("value.converter.plugin.library.paths", Some("plugin.library.paths")),
        ("my.ssl.providers", Some("ssl.providers")),
        ("myssl.providers", None),
        ("sasl.jaas.config.note", None),
        // Only Kafka's clients are given files that nobody may name; other settings end like that too.
        ("admin.override.ssl.truststore.location", Some("ssl.truststore.location")),
        ("schema.registry.ssl.truststore.location", None),
        ("producer.override.linger.ms", None),
    ] {
        assert_eq!(dangerous(key), setting, "{key}");
    }
}
