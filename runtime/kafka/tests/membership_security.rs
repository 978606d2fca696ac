//! Members over TLS and with logins, against real brokers: `MILLRACE_KAFKA_SECURITY=1 tests/services/ctl start kafka`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

#[allow(dead_code, reason = "what this file does not need")]
mod common;

use std::time::Duration;

use common::{Worker, options};
use millrace_api::group::GroupOptions;
use millrace_behaviour::log_suite::unique;

fn env(name: &str) -> String {
    let name = format!("MILLRACE_TEST_KAFKA_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name}: start Kafka with MILLRACE_KAFKA_SECURITY=1"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(format!("{}/{name}", env("TLS"))).unwrap()
}

async fn worker(listener: &str, client: &[(&str, &str)]) -> Worker {
    worker_at(&env(listener), client).await
}

async fn worker_at(bootstrap: &str, client: &[(&str, &str)]) -> Worker {
    let client = client.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let options = GroupOptions { client, ..options(&unique("secured"), "anna") };
    Worker::at(bootstrap, options, Duration::ZERO).await
}

async fn works(listener: &str, client: &[(&str, &str)]) {
    let mut worker = worker(listener, client).await;
    worker.joined().await;
    worker.quiet(Duration::from_secs(1)).await;
    worker.leave().await;
}

fn login(module: &str, password: &str) -> String {
    format!("org.apache.kafka.common.security.{module} required username=\"alice\" password=\"{password}\";")
}

const PLAIN: &str = "plain.PlainLoginModule";
const SCRAM: &str = "scram.ScramLoginModule";

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA_SASL"]
async fn real_members_log_in() {
    for (mechanism, module) in [("PLAIN", PLAIN), ("SCRAM-SHA-256", SCRAM), ("SCRAM-SHA-512", SCRAM)] {
        let jaas = login(module, "alice-secret");
        let with =
            |jaas| [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", mechanism), ("sasl.jaas.config", jaas)];
        works("SASL", &with(&jaas)).await;
        let wrong = login(module, "guessed-secret");
        let error = worker("SASL", &with(&wrong)).await.failed().await;
        assert!(error.starts_with("External") && error.contains("sasl.jaas.config"), "{error}");
        assert!(error.contains(mechanism) && !error.contains("secret"), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA_SSL"]
async fn real_members_trust_whom_they_should() {
    let (ca, other) = (text("ca.pem"), text("other-ca.pem"));
    let trusting =
        |ca| [("security.protocol", "SSL"), ("ssl.truststore.type", "PEM"), ("ssl.truststore.certificates", ca)];
    works("SSL", &trusting(&ca)).await;
    let error = worker("SSL", &trusting(&other)).await.failed().await;
    assert!(error.starts_with("External") && error.contains("not trusted"), "{error}");
    // The certificate names the address only.
    let by_name = env("SSL").replace("127.0.0.1", "localhost");
    let error = worker_at(&by_name, &trusting(&ca)).await.failed().await;
    assert!(error.starts_with("External") && error.contains("names the host"), "{error}");
    let unchecked = [trusting(&ca).to_vec(), vec![("ssl.endpoint.identification.algorithm", "")]].concat();
    worker_at(&by_name, &unchecked).await.joined().await;
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA_MTLS"]
async fn real_members_show_their_certificate() {
    let (ca, chain, key) = (text("ca.pem"), text("client.crt"), text("client.key"));
    let trust =
        vec![("security.protocol", "SSL"), ("ssl.truststore.type", "PEM"), ("ssl.truststore.certificates", &*ca)];
    let shown =
        vec![("ssl.keystore.type", "PEM"), ("ssl.keystore.certificate.chain", &*chain), ("ssl.keystore.key", &*key)];
    works("MTLS", &[trust.clone(), shown].concat()).await;
    let error = worker("MTLS", &trust).await.failed().await;
    assert!(error.starts_with("External") && error.contains("ssl.keystore"), "{error}");
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA_SASL_SSL"]
async fn real_members_log_in_over_tls() {
    let (ca, jaas) = (text("ca.pem"), login(SCRAM, "alice-secret"));
    let client = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", &ca),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.jaas.config", &jaas),
    ];
    works("SASL_SSL", &client).await;
}
