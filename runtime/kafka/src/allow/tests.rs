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
        let settings = translate(*role, &props(given)).unwrap();
        let native: Vec<_> = settings.native.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(native, *expected, "{given:?}");
        check(&props(given)).unwrap();
    }
}

#[test]
fn what_millrace_acts_upon_is_kept_for_it() {
    let settings = translate(Role::Consumer, &props(&[("max.poll.records", "50"), ("group.id", "mine")])).unwrap();
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
        (Role::Admin, "security.protocol", "SASL_SSL"),
        (Role::Admin, "bootstrap.servers", "elsewhere:9092"),
    ] {
        let error = translate(role, &props(&[(key, value)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(key), "{error}");
        assert!(check(&props(&[(key, value)])).is_err(), "{key}");
    }
}

#[test]
fn a_setting_of_another_role_is_refused() {
    let error = translate(Role::Consumer, &props(&[("linger.ms", "5")])).unwrap_err();
    assert_eq!(
        error.message(),
        "Invalid configuration linger.ms: it is a setting of producers, not of consumers; remove it"
    );
    check(&props(&[("linger.ms", "5")])).unwrap();
}

#[test]
fn unknown_names_are_refused_with_the_nearest_one() {
    let error = translate(Role::Producer, &props(&[("compresion.type", "gzip")])).unwrap_err();
    assert_eq!(
        error.message(),
        "Unknown configuration compresion.type: not one of the Kafka client settings that are supported; remove it \
         (did you mean compression.type?)"
    );
}

/// Names that librdkafka knows and Kafka's clients do not, from its documentation: those that load or run something first.
const RAW: &[&str] = &[
    "plugin.library.paths",
    "sasl.kerberos.kinit.cmd",
    "ssl.engine.location",
    "ssl.engine.id",
    "ssl.providers",
    "sasl.kerberos.keytab",
    "sasl.kerberos.principal",
    "ssl.ca.location",
    "ssl.key.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.keystore.location",
    "https.ca.location",
    "https.ca.pem",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.config",
    "enable.ssl.certificate.verification",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "offset.store.path",
    "offset.store.method",
    "interceptors",
    "opaque",
    "default_topic_conf",
    "metadata.broker.list",
    "debug",
    "log_level",
    "log.queue",
    "statistics.interval.ms",
    "internal.termination.signal",
    "enabled_events",
    "message.max.bytes",
    "message.copy.max.bytes",
    "receive.message.max.bytes",
    "socket.timeout.ms",
    "socket.keepalive.enable",
    "topic.blacklist",
    "topic.metadata.refresh.interval.ms",
    "broker.version.fallback",
    "api.version.request",
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.ms",
    "fetch.message.max.bytes",
    "fetch.wait.max.ms",
    "fetch.queue.backoff.ms",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "enable.gapless.guarantee",
    "compression.codec",
    "compression.level",
    "delivery.report.only.error",
    "request.required.acks",
    "message.timeout.ms",
    "partitioner",
    "dr_msg_cb",
    "test.mock.num.brokers",
    "ut_handle_ProduceResponse",
];

#[test]
fn no_name_of_librdkafka_passes_however_it_is_written() {
    for name in RAW {
        for spelling in
            [(*name).to_owned(), format!(" {name}"), format!("{name} "), name.to_uppercase(), format!("{name}\0")]
        {
            for role in [Role::Producer, Role::Consumer, Role::Admin] {
                let error = translate(role, &props(&[(&spelling, "/tmp/x")])).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config, "{spelling}");
                assert!(!error.to_string().contains("/tmp/x"), "values are never echoed");
            }
            assert!(check(&props(&[(&spelling, "/tmp/x")])).is_err(), "{spelling}");
        }
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
            let settings = translate(entry.roles[0], &props(&[(entry.name, &value)])).unwrap();
            let mut config = rdkafka::ClientConfig::new();
            for (key, value) in settings.native {
                config.set(key, value);
            }
            config.create_native_config().unwrap_or_else(|error| panic!("{}={value}: {error}", entry.name));
        }
    }
}
