use millrace_api::ErrorKind;

use super::*;

const PLAIN: &str =
    "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"canary\";";
const SCRAM: &str =
    "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"canary\";";
const OAUTH: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;";

pub(super) fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn without_settings_connections_are_plain() {
    assert_eq!(Security::from_props(&props(&[("acks", "all")])).unwrap(), Security::default());
}

#[test]
fn logins_are_resolved() {
    for (protocol, name, jaas, mechanism) in [
        ("sasl_plaintext", "PLAIN", PLAIN, Mechanism::Plain),
        ("SASL_SSL", "SCRAM-SHA-512", SCRAM, Mechanism::ScramSha512),
        ("SASL_SSL", " SCRAM-SHA-256 ", SCRAM, Mechanism::ScramSha256),
    ] {
        let given = [("security.protocol", protocol), ("sasl.mechanism", name), ("sasl.jaas.config", jaas)];
        let security = Security::from_props(&props(&given)).unwrap();
        assert!(security.protocol.has_sasl());
        assert_eq!(security.tls.is_some(), protocol == "SASL_SSL");
        assert!(!format!("{security:?}").contains("canary"));
        let sasl = security.sasl.unwrap();
        assert_eq!((sasl.mechanism, sasl.username.as_str(), sasl.password.reveal()), (mechanism, "u", "canary"));
    }
}

#[test]
fn what_is_wrong_is_named_with_key_and_fix() {
    let sasl = ("security.protocol", "SASL_PLAINTEXT");
    for (given, words) in [
        (vec![("security.protocol", "TLS")], ["security.protocol", "SASL_SSL"]),
        (vec![sasl], ["sasl.mechanism", "Kerberos"]),
        (vec![sasl, ("sasl.mechanism", "GSSAPI"), ("sasl.jaas.config", PLAIN)], ["sasl.mechanism", "SCRAM-SHA-512"]),
        (vec![sasl, ("sasl.mechanism", "plain"), ("sasl.jaas.config", PLAIN)], ["sasl.mechanism", "use PLAIN"]),
        (vec![sasl, ("sasl.mechanism", "PLAIN")], ["sasl.jaas.config", "missing"]),
        (
            vec![sasl, ("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", SCRAM)],
            ["sasl.jaas.config", "sasl.mechanism=PLAIN"],
        ),
        (vec![sasl, ("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.jaas.config", OAUTH)], ["sasl.jaas.config", "agree"]),
        (
            vec![sasl, ("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &PLAIN.replace("username", "user"))],
            ["sasl.jaas.config", "option username is missing"],
        ),
        (
            vec![
                sasl,
                ("sasl.mechanism", "SCRAM-SHA-256"),
                ("sasl.jaas.config", &SCRAM.replace(';', " tokenauth=true;")),
            ],
            ["sasl.jaas.config", "delegation tokens"],
        ),
        // An attack is refused where the setting has no effect, too.
        (
            vec![("sasl.jaas.config", "com.sun.security.auth.module.JndiLoginModule required a=\"canary\";")],
            ["sasl.jaas.config", "use PlainLoginModule"],
        ),
    ] {
        let error = Security::from_props(&props(&given)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(words.iter().all(|word| error.message().contains(word)), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn tokens_are_asked_for_only_where_the_worker_allows() {
    const KEY: &str = "sasl.oauthbearer.token.endpoint.url";
    let allowed = ("sasl.oauthbearer.allowed.urls", "https://idp.example/token, https://idp.example/keys");
    for url in [
        "file:///etc/shadow",
        "http://169.254.169.254/latest/meta-data",
        "HTTPS://idp.example/token",
        "https://idp.example/token?x",
        "https://idp.example",
        "https://idp.example/to\nken",
    ] {
        for key in [KEY, "sasl.oauthbearer.jwks.endpoint.url"] {
            let error = Security::from_props(&props(&[(key, url), allowed])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(key) && !error.message().contains(url), "{error}");
        }
    }
    Security::from_props(&props(&[(KEY, "https://idp.example/token"), allowed])).unwrap();
    Security::from_props(&props(&[(KEY, "https://idp.example/token")])).unwrap_err();
}
