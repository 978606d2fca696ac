//! Settings of Kafka clients that run, load, read or dial.

use millrace_attacks::{CANARY, Target};

const CLIENTS: [&str; 3] = ["producer.override", "consumer.override", "admin.override"];

/// Where other connectors have clients of their own.
const NESTED: [&str; 5] = [
    "database.history.producer",
    "schema.history.internal.consumer",
    "value.converter",
    "errors.deadletterqueue.producer",
    "transforms.x.admin",
];

/// Cases 1 and 2: CVE-2023-25194, CVE-2025-27818, CVE-2025-27819; `HackerOne` 1529790.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_login_modules_that_dial() {
    let target = Target::start(&[("connector.client.config.override.policy", "All")]).await;
    let url = format!("ldap://{}/{CANARY}", target.victim());
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p\";";
    let jndi = "com.sun.security.auth.module.JndiLoginModule";
    let mut logins = vec![
        format!("\n\t {jndi}\r\n REQUIRED\n user.provider.url=\"{url}\"\n;"),
        format!("/* {plain} */ {jndi} required user.provider.url=\"{url}\";"),
        format!("{plain} {jndi} required user.provider.url=\"{url}\";"),
        format!("{jndi} optional user.provider.url=\"{url}\"; {plain}"),
        format!("com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true keyTab=\"/etc/{CANARY}\";"),
    ];
    for module in ["JndiLoginModule", "LdapLoginModule", "UnixLoginModule", "jndiloginmodule"] {
        logins.push(format!("com.sun.security.auth.module.{module} required user.provider.url=\"{url}\";"));
    }
    for login in &logins {
        for client in CLIENTS {
            let key = format!("{client}.sasl.jaas.config");
            target.refused(&[(&key, login)], &key).await;
        }
    }
    for nested in NESTED {
        let key = format!("{nested}.sasl.jaas.config");
        target.refused(&[(&key, &logins[0])], &key).await;
    }
    target.unharmed().await;
}

/// Cases 2 and 3: settings of librdkafka that open libraries and run commands.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_settings_that_load_and_run() {
    let target = Target::start(&[("connector.client.config.override.policy", "All")]).await;
    let (library, command) = target.traps();
    for (setting, value) in [
        ("plugin.library.paths", &library),
        ("ssl.engine.location", &library),
        ("ssl.providers", &library),
        ("sasl.kerberos.kinit.cmd", &command),
    ] {
        for prefix in CLIENTS.iter().chain(&NESTED) {
            let key = format!("{prefix}.{setting}");
            target.refused(&[(&key, value)], &key).await;
        }
    }
    let upper = "consumer.override.PLUGIN.library.paths";
    target.refused(&[(upper, &library)], upper).await;
    target.unharmed().await;
}

/// Cases 4 and 5: files that a client would read, and addresses that it would ask for tokens (CVE-2025-27817).
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_files_and_addresses() {
    let target = Target::start(&[("connector.client.config.override.policy", "All")]).await;
    let file = target.cluster.path("secret.pem").display().to_string();
    std::fs::write(&file, CANARY).expect("written");
    let inside = format!("http://{}/token", target.victim());
    for client in CLIENTS {
        for setting in ["ssl.truststore.location", "ssl.keystore.location", "ssl.ca.location", "https.ca.location"] {
            let key = format!("{client}.{setting}");
            target.refused(&[(&key, &file)], &key).await;
        }
        for setting in ["sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.jwks.endpoint.url"] {
            let key = format!("{client}.{setting}");
            for value in [inside.as_str(), "file:///etc/shadow", "http://169.254.169.254/latest"] {
                target.refused(&[(&key, value)], &key).await;
            }
        }
    }
    target.unharmed().await;
}

/// Where a worker says nothing, connectors override what tunes a client and who it is, and nothing else.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_the_policy_by_default() {
    let target = Target::start(&[]).await;
    let config = target.config(
        "FileStreamSink",
        &[("consumer.override.security.protocol", "PLAINTEXT"), ("consumer.override.max.poll.records", "5")],
    );
    let body = serde_json::json!({ "name": "evil", "config": config });
    let answer = target.send(hyper::Method::POST, "/connectors", &body).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let said =
        "The 'Allowlist' policy does not allow 'security.protocol' to be overridden in the connector configuration.";
    assert!(answer.body.contains(said) && !answer.body.contains("max.poll.records"), "{}", answer.body);
    target.unharmed().await;
}
