use millrace_api::ErrorKind;
use millrace_api::config::Props;

use super::*;

type Pairs = &'static [(&'static str, &'static str)];

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Kafka's names and values on the left, librdkafka's on the right; after the documentation of both.
#[test]
fn settings_are_translated() {
    let cases: &[(Role, Pairs, Pairs)] = &[
        (Role::Producer, &[("acks", "all"), ("enable.idempotence", "true")], &[]),
        (
            Role::Producer,
            &[("compression.type", "ZSTD"), ("compression.zstd.level", "7")],
            &[("compression.type", "zstd"), ("compression.level", "7")],
        ),
        (
            Role::Producer,
            &[("compression.type", "lz4"), ("compression.gzip.level", "9")],
            &[("compression.type", "lz4")],
        ),
        (Role::Producer, &[("max.request.size", "5242880")], &[("message.max.bytes", "5242880")]),
        (Role::Producer, &[("buffer.memory", "33554432")], &[("queue.buffering.max.kbytes", "32768")]),
        (
            Role::Producer,
            &[("linger.ms", " 20 "), ("batch.size", "65536")],
            &[("linger.ms", "20"), ("batch.size", "65536")],
        ),
        (Role::Producer, &[("request.timeout.ms", "30000")], &[("socket.timeout.ms", "30000")]),
        (Role::Producer, &[("delivery.timeout.ms", "2147483647")], &[("delivery.timeout.ms", "2147483647")]),
        (Role::Consumer, &[("fetch.max.wait.ms", "250")], &[("fetch.wait.max.ms", "250")]),
        (Role::Consumer, &[("auto.offset.reset", "none")], &[("auto.offset.reset", "error")]),
        (Role::Consumer, &[("receive.buffer.bytes", "-1")], &[("socket.receive.buffer.bytes", "0")]),
        (Role::Consumer, &[("connections.max.idle.ms", "-1")], &[("connections.max.idle.ms", "0")]),
        (Role::Consumer, &[("metadata.max.age.ms", "30000")], &[("topic.metadata.refresh.interval.ms", "30000")]),
        (
            Role::Consumer,
            &[("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor")],
            &[("partition.assignment.strategy", "cooperative-sticky")],
        ),
        (
            Role::Consumer,
            &[(
                "partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
            )],
            &[("partition.assignment.strategy", "range")],
        ),
        (Role::Consumer, &[("key.deserializer", "org.example.Foo"), ("interceptor.classes", "a.B")], &[]),
        (Role::Admin, &[("retries", "5"), ("metric.reporters", "")], &[("retries", "5")]),
    ];
    for (role, given, expected) in cases {
        let settings = translate(*role, &props(given), &Props::new()).unwrap();
        let native: Vec<_> = settings.native.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(native, *expected, "{given:?}");
        check(&props(given)).unwrap();
    }
}

#[test]
fn what_millrace_acts_upon_is_kept_for_it() {
    let settings =
        translate(Role::Consumer, &props(&[("max.poll.records", "50"), ("group.id", "mine")]), &Props::new()).unwrap();
    assert_eq!((settings.own("max.poll.records"), settings.own("group.id")), (Some("50"), Some("mine")));
    assert!(settings.native.is_empty());
}

#[test]
fn values_that_millrace_cannot_honour_are_refused() {
    for (role, key, value) in [
        (Role::Producer, "acks", "1"),
        (Role::Producer, "acks", "0"),
        (Role::Producer, "enable.idempotence", "false"),
        (Role::Producer, "max.in.flight.requests.per.connection", "6"),
        (Role::Producer, "linger.ms", "soon"),
        (Role::Producer, "transactional.id", "x"),
        (Role::Producer, "partitioner.class", "org.example.P"),
        (Role::Consumer, "enable.auto.commit", "true"),
        (Role::Consumer, "auto.offset.reset", "by_duration:PT1H"),
        (Role::Consumer, "partition.assignment.strategy", "org.apache.kafka.clients.consumer.StickyAssignor"),
        (Role::Consumer, "group.protocol", "consumer"),
        (Role::Consumer, "max.poll.records", "0"),
        (Role::Consumer, "client.rack", "a\nb"),
        (Role::Admin, "security.protocol", "TLS"),
        (Role::Consumer, "ssl.engine.factory.class", "org.example.E"),
        (Role::Consumer, "sasl.login.callback.handler.class", "org.example.H"),
        (Role::Producer, "transaction.two.phase.commit.enable", "true"),
        (Role::Admin, "sasl.kerberos.kinit.cmd", "/usr/bin/kinit"),
        (Role::Admin, "config.providers", "file"),
        (Role::Admin, "bootstrap.servers", "elsewhere:9092"),
    ] {
        let error = translate(role, &props(&[(key, value)]), &Props::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(key), "{error}");
        assert!(check(&props(&[(key, value)])).is_err(), "{key}");
    }
}

/// As Kafka's clients do.
#[test]
fn what_a_client_does_not_know_has_no_effect() {
    for key in ["linger.ms", "compresion.type", "confluent.monitoring.interceptor.topic"] {
        for (worker, overrides) in [(props(&[(key, "x")]), Props::new()), (Props::new(), props(&[(key, "x")]))] {
            let settings = translate(Role::Consumer, &worker, &overrides).unwrap();
            assert!(settings.native.is_empty() && settings.own.is_empty(), "{key}");
        }
    }
}

#[test]
fn a_connectors_setting_goes_before_the_workers() {
    let (worker, connector) = (props(&[("linger.ms", "5"), ("batch.size", "1")]), props(&[("linger.ms", "6")]));
    let settings = translate(Role::Producer, &worker, &connector).unwrap();
    assert_eq!(settings.native, [("linger.ms", "6".to_owned()), ("batch.size", "1".to_owned())]);
}

/// Whose settings the names of Kafka 4.3.1 are.
#[test]
fn every_setting_of_kafkas_clients_is_known() {
    let keys = include_str!("keys.tsv").lines().skip(1).map(|line| line.split_once('\t').unwrap());
    for (roles, key) in keys {
        let entry = TABLE.iter().find(|entry| entry.name == key).unwrap_or_else(|| panic!("{key}"));
        for (letter, role) in [('P', Role::Producer), ('C', Role::Consumer), ('A', Role::Admin)] {
            assert_eq!(entry.roles.contains(&role), roles.contains(letter), "{key} {role:?}");
        }
    }
}

#[test]
fn connectors_may_not_name_files() {
    for key in [
        "ssl.truststore.location",
        "ssl.keystore.location",
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.assertion.private.key.file",
        "sasl.oauthbearer.assertion.template.file",
        "sasl.oauthbearer.allowed.urls",
    ] {
        let given = props(&[(key, "/etc/canary")]);
        for error in [translate(Role::Producer, &Props::new(), &given).unwrap_err(), check(&given).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(key) && error.message().contains("remove it"), "{error}");
            assert!(!error.message().contains("canary"), "{error}");
        }
        translate(Role::Producer, &given, &Props::new()).unwrap();
    }
}

#[test]
fn no_name_of_librdkafka_passes_however_it_is_written() {
    for name in raw::RAW.iter().chain(&["sasl.kerberos.kinit.cmd"]) {
        for spelling in
            [(*name).to_owned(), format!(" {name}"), format!("{name}\t"), name.to_uppercase(), format!("{name}\0")]
        {
            let given = props(&[(&spelling, "/tmp/x")]);
            for role in [Role::Producer, Role::Consumer, Role::Admin] {
                for settings in [translate(role, &given, &Props::new()), translate(role, &Props::new(), &given)] {
                    match settings {
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Config, "{spelling}");
                            assert!(!error.to_string().contains("/tmp/x"), "values are never echoed");
                        }
                        // Kafka's own name in odd case is a name that nobody knows.
                        Ok(settings) => {
                            assert!(!raw::RAW.contains(name) && settings.native.is_empty(), "{spelling}");
                        }
                    }
                }
            }
        }
    }
}

/// librdkafka's own list, as far as it tells, is covered: each name is Kafka's, too, or refused.
#[test]
#[expect(unsafe_code, reason = "only the C interface tells the names")]
fn every_name_of_librdkafka_is_known() {
    let native = rdkafka::ClientConfig::new().create_native_config().unwrap();
    let mut count = 0;
    // SAFETY: the configuration is alive; the list is that of the call, of `count` texts, and freed with it.
    let names: Vec<String> = unsafe {
        let list = rdkafka::bindings::rd_kafka_conf_dump(native.ptr(), &raw mut count);
        let names =
            (0..count).step_by(2).map(|at| std::ffi::CStr::from_ptr(*list.add(at)).to_str().unwrap().to_owned());
        let names = names.collect();
        rdkafka::bindings::rd_kafka_conf_dump_free(list, count);
        names
    };
    assert!(names.len() > 50, "{names:?}");
    for name in names {
        assert!(raw::RAW.contains(&name.as_str()) || TABLE.iter().any(|entry| entry.name == name), "{name}");
    }
}

#[test]
fn names_of_librdkafka_are_refused_with_kafkas() {
    for (name, kafka) in [
        ("queue.buffering.max.kbytes", "use buffer.memory"),
        ("sasl.password", "use sasl.jaas.config"),
        ("ssl.ca.location", "use ssl.truststore.location"),
        ("socket.timeout.ms", "use request.timeout.ms"),
        ("plugin.library.paths", "remove it"),
    ] {
        let error = check(&props(&[(name, "x")])).unwrap_err();
        assert!(error.message().contains(name) && error.message().ends_with(kafka), "{error}");
    }
}

#[test]
fn only_names_of_the_table_come_out() {
    const DANGEROUS: [&str; 6] = ["plugin.", "ssl.", "sasl.", "https.", "offset.store", "interceptors"];
    for entry in TABLE {
        let names: &[&str] = match &entry.rule {
            Rule::Int { names, .. } | Rule::IntOrOff { names, .. } => names,
            Rule::Kilobytes { name, .. } | Rule::Choice { name, .. } | Rule::Text { name } => &[name],
            _ => &[],
        };
        for name in names {
            assert!(!DANGEROUS.iter().any(|prefix| name.starts_with(prefix)), "{name}");
        }
        assert_eq!(TABLE.iter().filter(|other| other.name == entry.name).count(), 1, "{} is there once", entry.name);
    }
}

/// librdkafka itself accepts every name and the bounds of every range that the table lets through.
#[test]
fn librdkafka_knows_every_name_and_bound() {
    for entry in TABLE {
        let values: Vec<String> = match &entry.rule {
            Rule::Int { min, max, .. } => vec![min.to_string(), max.to_string()],
            Rule::IntOrOff { max, .. } => vec!["-1".to_owned(), max.to_string()],
            Rule::Kilobytes { max, .. } => vec!["0".to_owned(), max.to_string()],
            Rule::Choice { values, .. } => values.iter().map(|(kafka, _)| (*kafka).to_owned()).collect(),
            Rule::Text { .. } => vec!["x".to_owned()],
            Rule::Assignors => {
                vec!["RangeAssignor, RoundRobinAssignor".to_owned(), "CooperativeStickyAssignor".to_owned()]
            }
            _ => vec![],
        };
        for value in values {
            let settings = translate(entry.roles[0], &props(&[(entry.name, &value)]), &Props::new()).unwrap();
            let mut config = rdkafka::ClientConfig::new();
            for (key, value) in settings.native {
                config.set(key, value);
            }
            config.create_native_config().unwrap_or_else(|error| panic!("{}={value}: {error}", entry.name));
        }
    }
}
