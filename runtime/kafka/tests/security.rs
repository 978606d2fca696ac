//! TLS and logins against real brokers: `MILLRACE_KAFKA_SECURITY=1 tests/services/ctl start kafka`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

use std::time::{Duration, Instant};

use millrace_api::config::Props;
use millrace_api::log::{ConsumerOptions, Log, ProducerOptions};
use millrace_api::{Error, ErrorKind};
use millrace_behaviour::log_suite::support::{
    batch, event, member_options, numbered, producer, send, take, texts, topic,
};
use millrace_behaviour::log_suite::unique;
use millrace_kafka::{ClientProps, KafkaLog};

fn env(name: &str) -> String {
    let name = format!("MILLRACE_TEST_KAFKA_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name}: start Kafka with MILLRACE_KAFKA_SECURITY=1"))
}

/// Path and content of a certificate, key or store.
fn file(name: &str) -> String {
    format!("{}/{name}", env("TLS"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The same settings for all clients.
fn open(servers: &str, given: &[(&str, &str)]) -> KafkaLog {
    let props = props(given);
    KafkaLog::new(servers, ClientProps { producer: props.clone(), consumer: props.clone(), admin: props }).unwrap()
}

fn login(module: &str, password: &str) -> String {
    format!(
        "org.apache.kafka.common.security.{module} required\n  username=\"alice\" // who\n  password=\"{password}\";"
    )
}

const SCRAM: &str = "scram.ScramLoginModule";

/// Creates a topic, produces, and consumes as a member of a group.
async fn works(log: &KafkaLog) {
    let name = unique("secured");
    topic(log, &name, 1).await;
    let producer = producer(log).await;
    send(&*producer, &name, 0, &numbered("v", 0..10)).await;
    let mut consumer = log.consumer(member_options(&name, &[&name])).await.unwrap();
    assert_eq!(texts(&take(&mut *consumer, 10).await), numbered("v", 0..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA_SASL"]
async fn real_logins_work() {
    for (mechanism, module) in [("PLAIN", "plain.PlainLoginModule"), ("SCRAM-SHA-256", SCRAM), ("SCRAM-SHA-512", SCRAM)]
    {
        let jaas = login(module, "alice-secret");
        let given =
            [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", mechanism), ("sasl.jaas.config", &jaas)];
        works(&open(&env("SASL"), &given)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA_SSL"]
async fn real_trust_stores_of_all_types_work() {
    let (ca, pem, jks, p12) = (text("ca.pem"), file("ca.pem"), file("trust.jks"), file("trust.p12"));
    for given in [
        vec![("ssl.truststore.type", "PEM"), ("ssl.truststore.certificates", ca.as_str())],
        vec![("ssl.truststore.type", "PEM"), ("ssl.truststore.location", &pem)],
        vec![("ssl.truststore.location", &jks), ("ssl.truststore.password", "storepass")],
        vec![
            ("ssl.truststore.type", "PKCS12"),
            ("ssl.truststore.location", &p12),
            ("ssl.truststore.password", "storepass"),
        ],
    ] {
        works(&open(&env("SSL"), &[vec![("security.protocol", "SSL")], given].concat())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA_SASL_SSL"]
async fn real_a_login_over_tls_works_also_as_a_connectors_own() {
    let (ca, jaas) = (text("ca.pem"), login(SCRAM, "alice-secret"));
    let tls = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", &ca),
        ("sasl.mechanism", "SCRAM-SHA-512"),
    ];
    works(&open(&env("SASL_SSL"), &[tls.as_slice(), &[("sasl.jaas.config", &jaas)]].concat())).await;
    // The worker's password is wrong, the connector's is right.
    let wrong = login(SCRAM, "wrong");
    let log = open(&env("SASL_SSL"), &[tls.as_slice(), &[("sasl.jaas.config", &wrong)]].concat());
    let overrides = props(&[("sasl.jaas.config", &jaas)]);
    log.check_overrides(&overrides).unwrap();
    let producer = log.producer(ProducerOptions { overrides, ..ProducerOptions::default() }).await.unwrap();
    send(&*producer, &unique("own"), 0, &numbered("v", 0..1)).await;
}

fn client_stores() -> [Vec<(&'static str, String)>; 3] {
    let store = |kind: &str, name: &str, password: &str| {
        vec![
            ("ssl.keystore.type", kind.to_owned()),
            ("ssl.keystore.location", file(name)),
            ("ssl.keystore.password", "storepass".to_owned()),
            ("ssl.key.password", password.to_owned()),
        ]
    };
    let pem = vec![
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.certificate.chain", text("client.crt")),
        ("ssl.keystore.key", text("client.enc.key")),
        ("ssl.key.password", "keypass".to_owned()),
    ];
    [pem, store("PKCS12", "client.p12", "storepass"), store("JKS", "client.jks", "keypass")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA_MTLS"]
async fn real_client_certificates_of_all_types_are_accepted() {
    let ca = text("ca.pem");
    for store in client_stores() {
        let mut given =
            vec![("security.protocol", "SSL"), ("ssl.truststore.type", "PEM"), ("ssl.truststore.certificates", &*ca)];
        given.extend(store.iter().map(|(key, value)| (*key, value.as_str())));
        works(&open(&env("MTLS"), &given)).await;
    }
}

/// Fails within seconds in every role, and says what to check.
async fn refused(log: &KafkaLog, words: &str) {
    let check = |what: &str, began: Instant, error: &Error| {
        assert_eq!(error.kind(), ErrorKind::External, "{what}: {error}");
        assert!(error.message().contains(words), "{what}: {error}");
        assert!(!format!("{error:?}").contains("canary"), "{what}: {error:?}");
        assert!(began.elapsed() < Duration::from_secs(15), "{what}: {:?}", began.elapsed());
    };
    let began = Instant::now();
    check("topics", began, &log.topics().await.unwrap_err());
    check("topics again", Instant::now(), &log.topics().await.unwrap_err());
    let began = Instant::now();
    let producer = log.producer(ProducerOptions::default()).await.unwrap();
    let records = batch("anything", 0, &numbered("v", 0..1));
    check("send", began, &producer.send(&records).await.unwrap_err());
    let began = Instant::now();
    let options = ProducerOptions { transactional_id: Some(unique("t")), ..ProducerOptions::default() };
    check("open a transactional producer", began, &log.producer(options).await.map(drop).unwrap_err());
    let began = Instant::now();
    let options: ConsumerOptions = member_options(&unique("g"), &["anything"]);
    let mut consumer = log.consumer(options).await.unwrap();
    let failed = loop {
        match consumer.next().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    check("read", began, &failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs MILLRACE_TEST_KAFKA_SASL"]
async fn real_a_wrong_password_is_told_within_seconds() {
    let ca = text("ca.pem");
    for (protocol, servers, mechanism, module) in [
        ("SASL_PLAINTEXT", "SASL", "PLAIN", "plain.PlainLoginModule"),
        ("SASL_PLAINTEXT", "SASL", "SCRAM-SHA-256", SCRAM),
        ("SASL_SSL", "SASL_SSL", "SCRAM-SHA-512", SCRAM),
    ] {
        let jaas = login(module, "canary");
        let given = [
            ("security.protocol", protocol),
            ("sasl.mechanism", mechanism),
            ("sasl.jaas.config", &jaas),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", &ca),
        ];
        refused(&open(&env(servers), &given), "sasl.jaas.config").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs MILLRACE_TEST_KAFKA_SSL"]
async fn real_a_broker_that_is_not_trusted_is_not_talked_to() {
    let (ca, other) = (text("ca.pem"), text("other-ca.pem"));
    let trusting = |ca: &str, servers: &str, algorithm: Option<&str>| {
        let mut given =
            vec![("security.protocol", "SSL"), ("ssl.truststore.type", "PEM"), ("ssl.truststore.certificates", ca)];
        given.extend(algorithm.map(|value| ("ssl.endpoint.identification.algorithm", value)));
        open(servers, &given)
    };
    refused(&trusting(&other, &env("SSL"), None), "ssl.truststore.certificates").await;
    // The system's authorities do not know it either.
    refused(&open(&env("SSL"), &[("security.protocol", "SSL")]), "ssl.truststore.certificates").await;
    // The certificate names 127.0.0.1 only.
    let named = env("SSL").replace("127.0.0.1", "localhost");
    refused(&trusting(&ca, &named, None), "ssl.endpoint.identification.algorithm").await;
    works(&trusting(&ca, &named, Some(""))).await;
    // Not checking the name does not mean to trust anybody.
    refused(&trusting(&other, &named, Some("")), "ssl.truststore.certificates").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs MILLRACE_TEST_KAFKA_MTLS"]
async fn real_a_client_without_the_right_certificate_is_refused() {
    let (ca, stranger, key) = (text("ca.pem"), text("stranger.crt"), text("stranger.key"));
    let given = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", ca.as_str()),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.certificate.chain", &stranger),
        ("ssl.keystore.key", &key),
    ];
    refused(&open(&env("MTLS"), &given[..3]), "ssl.keystore.certificate.chain").await;
    refused(&open(&env("MTLS"), &given), "ssl.keystore.certificate.chain").await;
}

/// The clients go on working after what was wrong is right again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA_SASL"]
async fn real_events_arrive_after_a_refusal_of_another_client() {
    let wrong = login(SCRAM, "canary");
    let right = login(SCRAM, "alice-secret");
    let given = |jaas| {
        [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", jaas)]
    };
    let refused = open(&env("SASL"), &given(&wrong));
    assert!(refused.cluster_id().await.is_err());
    let log = open(&env("SASL"), &given(&right));
    let name = unique("right");
    topic(&log, &name, 1).await;
    let mut consumer = log.consumer(member_options(&name, &[&name])).await.unwrap();
    event(&mut *consumer).await;
}
