//! Attacks by way of a connector's client settings: each is refused with an error that names key, cause and fix; nothing is run,
//! read, dialled or repeated. No server is needed: what is refused never gets to one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use millrace_api::config::Props;
use millrace_api::log::{ConsumerOptions, Log, ProducerOptions};
use millrace_api::{Error, ErrorKind};
use millrace_kafka::{ClientProps, KafkaLog};

/// What no error may show.
const CANARY: &str = "canary-7Hq";

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Somebody who listens, and must not be called.
struct Victim(TcpListener);

impl Victim {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        assert!(self.0.accept().is_err() || std::thread::panicking(), "it was dialled");
    }
}

/// A log whose brokers are nobody.
fn log() -> KafkaLog {
    let login = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"w\" password=\"{CANARY}\";"
    );
    let worker =
        props(&[("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &login)]);
    let clients = ClientProps { producer: worker.clone(), consumer: worker, admin: Props::new() };
    KafkaLog::new("127.0.0.1:1", clients).unwrap()
}

/// Refused when it is validated, and by every client that is opened with it.
async fn refused(log: &KafkaLog, overrides: &[(&str, &str)]) {
    let named = overrides.last().unwrap().0.trim();
    let overrides = props(overrides);
    let check = |what: &str, error: &Error| {
        assert_eq!(error.kind(), ErrorKind::Config, "{what} {overrides:?}: {error}");
        let text = error.message();
        assert!(text.to_lowercase().contains(&named.to_lowercase()), "{what}: {text} does not name {named}");
        assert!(
            [" use ", "remove", "keep", "end it", "write", "put ", "have "].iter().any(|fix| text.contains(fix)),
            "{text}"
        );
        assert!(!format!("{error:?}").contains(CANARY), "{what}: {error:?}");
    };
    check("validation", &log.check_overrides(&overrides).expect_err(named));
    let options = ProducerOptions { overrides: overrides.clone(), ..ProducerOptions::default() };
    check("producer", &log.producer(options).await.map(drop).expect_err(named));
    let options = ConsumerOptions { overrides: overrides.clone(), group: "g".to_owned(), ..options_of_consumer() };
    check("consumer", &log.consumer(options).await.map(drop).expect_err(named));
}

fn options_of_consumer() -> ConsumerOptions {
    millrace_behaviour::log_suite::support::member_options("g", &["t"])
}

/// Attack 1 (CVE-2023-25194, CVE-2025-27818, CVE-2025-27819): login modules that dial, in all spellings.
#[tokio::test]
async fn login_modules_are_never_loaded() {
    let victim = Victim::new();
    let log = log();
    let url = format!("ldap://127.0.0.1:{}/{CANARY}", victim.port());
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p\";";
    for module in [
        "com.sun.security.auth.module.JndiLoginModule",
        "com.sun.security.auth.module.LdapLoginModule",
        "com.sun.security.auth.module.Krb5LoginModule",
        "com.sun.security.auth.module.jndiloginmodule",
        "com.sun.security.auth.module.UnixLoginModule",
        "org.apache.kafka.common.security.plain.plainloginmodule",
        "org.apache.kafka.common.security.plain.PlainLoginModule$Inner",
        "javax.management.loading.MLet",
    ] {
        for text in [
            format!("{module} required user.provider.url=\"{url}\" useFirstPass=\"true\";"),
            format!("\n\t {module}\r\n REQUIRED\n user.provider.url=\"{url}\"\n;"),
            format!("/* {plain} */ {module} required user.provider.url=\"{url}\";"),
            format!("// {plain}\n{module} required user.provider.url=\"{url}\";"),
            format!("\"{module}\" required user.provider.url=\"{url}\";"),
            format!("{plain} {module} required user.provider.url=\"{url}\";"),
            format!("{module} optional user.provider.url=\"{url}\"; {plain}"),
            format!("KafkaClient {{ {module} required user.provider.url=\"{url}\"; }};"),
            format!("{module} required keyTab=\"/etc/{CANARY}\" useKeyTab=true;"),
        ] {
            refused(&log, &[("sasl.jaas.config", &text)]).await;
            let beside = [("security.protocol", "PLAINTEXT"), ("sasl.jaas.config", &*text)];
            refused(&log, &beside).await;
        }
    }
    for handler in ["sasl.login.class", "sasl.login.callback.handler.class", "sasl.client.callback.handler.class"] {
        refused(&log, &[(handler, "org.example.Canary")]).await;
    }
}

/// Attack 2 (`HackerOne` 1529790): what is checked is a client's resolved settings, so that nesting does not help: the same is refused
/// as the worker's setting of the same client.
#[tokio::test]
async fn it_does_not_matter_where_a_setting_comes_from() {
    for (key, value) in [
        ("sasl.jaas.config", "com.sun.security.auth.module.JndiLoginModule required;"),
        ("plugin.library.paths", "/tmp/canary-7Hq.so"),
        ("sasl.kerberos.kinit.cmd", "touch /tmp/canary-7Hq"),
        ("sasl.oauthbearer.token.endpoint.url", "file:///etc/canary-7Hq"),
    ] {
        let given = props(&[(key, value)]);
        for clients in [
            ClientProps { producer: given.clone(), ..ClientProps::default() },
            ClientProps { consumer: given.clone(), ..ClientProps::default() },
            ClientProps { admin: given.clone(), ..ClientProps::default() },
            ClientProps::of_worker(&props(&[("sasl.jaas.config", "com.example.Canary required;")])),
            ClientProps::of_connectors(&props(&[(&format!("producer.{key}"), value)])),
        ] {
            let error = KafkaLog::new("127.0.0.1:1", clients).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
        }
    }
}

/// A library that leaves a mark when it is loaded.
fn library(dir: &Path) -> (PathBuf, PathBuf) {
    let (source, library, mark) = (dir.join("evil.c"), dir.join("evil.so"), dir.join("loaded"));
    let code = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void run(void) {{ fclose(fopen(\"{}\", \"w\")); }}\n\
         int conf_init(void *conf) {{ return 0; }}\n",
        mark.display()
    );
    std::fs::write(&source, code).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(built.success());
    (library, mark)
}

/// Attack 3 (CVE-2026-56447): librdkafka's settings that load and run.
#[tokio::test]
async fn librdkafkas_settings_load_and_run_nothing() {
    let log = log();
    let dir = std::env::temp_dir().join(format!("millrace-attack-{}-{CANARY}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&dir).unwrap();
    let (library, mark) = library(&dir);
    let (library, touch) = (library.to_str().unwrap(), format!("touch {}", mark.display()));
    for (key, value) in [
        ("plugin.library.paths", library),
        ("ssl.engine.location", library),
        ("ssl.engine.id", library),
        ("ssl.providers", library),
        ("sasl.kerberos.kinit.cmd", &touch),
        ("sasl.kerberos.keytab", &touch),
        ("sasl.kerberos.principal", &touch),
        ("enable.ssl.certificate.verification", "false"),
        ("sasl.oauthbearer.config", "principal=admin"),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
    ] {
        let (spaced, upper) = (format!(" {key}\t"), key.to_uppercase());
        refused(&log, &[(key, value)]).await;
        // Kafka's own names in another spelling are unknown, and dropped; librdkafka's are recognised and refused.
        if key != "sasl.kerberos.kinit.cmd" {
            refused(&log, &[(&spaced, value)]).await;
            refused(&log, &[(&upper, value)]).await;
        }
    }
    assert!(!mark.exists(), "it was run");
    // The trap works: the library leaves its mark when something does load it.
    let load = format!("import ctypes; ctypes.CDLL('{library}')");
    if Command::new("python3").args(["-c", &load]).status().is_ok_and(|status| status.success()) {
        assert!(mark.exists(), "the library is no test");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// Attack 4: settings that name files.
#[tokio::test]
async fn connectors_name_no_files() {
    let log = log();
    let secret = std::env::temp_dir().join(format!("millrace-{}.pem", uuid::Uuid::new_v4()));
    std::fs::write(&secret, CANARY).unwrap();
    let path = secret.to_str().unwrap();
    for key in [
        "ssl.truststore.location",
        "ssl.keystore.location",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.crl.location",
        "https.ca.location",
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.assertion.private.key.file",
        "sasl.oauthbearer.assertion.template.file",
        "sasl.oauthbearer.assertion.jwt.template.file",
    ] {
        refused(&log, &[(key, path)]).await;
        refused(&log, &[("security.protocol", "SSL"), ("ssl.truststore.type", "PEM"), (key, path)]).await;
    }
    std::fs::remove_file(secret).unwrap();
}

/// Attack 5 (CVE-2025-27817): addresses that tokens and keys are fetched from. The list of those that may be is the worker's.
#[tokio::test]
async fn tokens_are_not_fetched_from_anywhere() {
    let victim = Victim::new();
    let log = log();
    let local = format!("http://127.0.0.1:{}/{CANARY}", victim.port());
    for key in ["sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.jwks.endpoint.url"] {
        for url in [&local, "file:///etc/canary-7Hq", "http://169.254.169.254/canary-7Hq", "gopher://canary-7Hq"] {
            refused(&log, &[(key, url)]).await;
        }
        // An https address passes by itself, but no client is opened with it: the worker's list is empty.
        let given = props(&[(key, &format!("https://127.0.0.1:{}/{CANARY}", victim.port()))]);
        let options = ProducerOptions { overrides: given, ..ProducerOptions::default() };
        let error = log.producer(options).await.map(drop).unwrap_err();
        assert!(error.message().contains(key) && error.message().contains("sasl.oauthbearer.allowed.urls"), "{error}");
        assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    }
    refused(&log, &[("sasl.oauthbearer.allowed.urls", &local)]).await;
}

/// The log is no stricter than that: the rest is a matter of policy.
#[tokio::test]
async fn what_is_right_is_accepted() {
    let log = log();
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p\";";
    for pair in [("linger.ms", "5"), ("max.poll.records", "10"), ("sasl.jaas.config", login), ("client.id", "c")] {
        log.check_overrides(&props(&[pair])).unwrap();
        let options = ProducerOptions { overrides: props(&[pair]), ..ProducerOptions::default() };
        log.producer(options).await.unwrap();
    }
}
