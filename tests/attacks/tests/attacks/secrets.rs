//! Variables of config providers, and what they stand for.

use std::time::Duration;

use hyper::Method;
use millrace_attacks::{CANARY, CLOSED, Target, VARIABLE};
use millrace_scenarios::{eventually, records};
use serde_json::json;

/// Case 6: CVE-2024-31141.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_what_providers_may_not_read() {
    let target = Target::start(&[]).await;
    for key in ["config.providers", "config.providers.x.class", "consumer.override.config.providers"] {
        target.refused(&[(key, "x")], key).await;
    }
    let secret = target.cluster.path("closed.properties").display().to_string();
    std::fs::write(&secret, format!("password={CANARY}\n")).expect("written");
    let folder = target.open_folder();
    let link = folder.join(format!("{}.properties", target.cluster.name));
    std::os::unix::fs::symlink(&secret, &link).expect("a link");
    let (link, folder) = (link.display(), folder.display());
    for path in [
        secret.clone(),
        link.to_string(),
        format!("{folder}/../{}", secret.trim_start_matches("/tmp/")),
        "/proc/self/environ".to_owned(),
        "/etc/passwd".to_owned(),
    ] {
        target.refused(&[("some.key", &format!("${{file:{path}:password}}"))], "some.key").await;
    }
    std::fs::remove_file(link.to_string()).expect("removed");
    target.unharmed().await;
}

/// Case 8: a name is shown to others, and so would be what it was made of.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_variables_in_names() {
    let target = Target::start(&[]).await;
    let variable = format!("x-${{env:{VARIABLE}}}");
    for key in ["topic", "topics", "errors.deadletterqueue.topic.name", "consumer.override.group.id"] {
        target.refused(&[(key, &variable)], key).await;
    }
    target.unharmed().await;
}

/// Cases 7 and 17: CVE-2019-12399, CVE-2026-33558. The variables are used, and nothing shows what they stand for: no answer, no state,
/// no record of the internal topics, and no line of a log that has everything.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_reading_secrets_back() {
    let mut target = Target::start(&[]).await;
    // The task fails at opening a file whose name has the secret in it, so its trace is made of it.
    let file = format!("/nowhere/${{env:{VARIABLE}}}/lines.txt");
    let password = format!("prefix-${{env:{VARIABLE}}}-suffix");
    let closed = format!("${{env:{CLOSED}}}");
    let login = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"${{env:{VARIABLE}}}\";"
    );
    let settings = [
        ("file", file.as_str()),
        ("some.password", &password),
        ("other", &closed),
        ("consumer.override.sasl.jaas.config", &login),
    ];
    let config = target.config("FileStreamSink", &settings);
    let created = target.send(Method::POST, "/connectors", &json!({ "name": "evil", "config": config })).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let failed = || target.get("/connectors/evil/status");
    let status = eventually("the task fails", Duration::from_secs(30), failed, |status| {
        status.json()["tasks"][0]["state"] == "FAILED"
    })
    .await;
    let trace = status.json()["tasks"][0]["trace"].to_string();
    assert!(
        trace.contains("/nowhere/") && trace.contains("[hidden]"),
        "the trace is to be made of the secret: {trace}"
    );
    for path in [
        "/connectors/evil",
        "/connectors/evil/config",
        "/connectors/evil/tasks",
        "/connectors/evil/tasks-config",
        "/connectors/evil/tasks/0/status",
        "/connectors?expand=info&expand=status",
        "/millrace/tasks",
        "/metrics",
        "/health",
    ] {
        assert!(matches!(target.get(path).await.status, 200 | 404 | 500), "{path}");
    }
    target.send(Method::PUT, "/connector-plugins/FileStreamSink/config/validate", &config).await;
    // A wrong value is repeated in its error.
    let wrong = target.config("FileStreamSink", &[("tasks.max", &password)]);
    let answer = target.send(Method::PUT, "/connectors/evil/config", &wrong).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    for topic in ["configs", "states"] {
        let topic = format!("{}-{topic}", target.cluster.name);
        let all = records(&topic).await;
        assert!(!all.is_empty(), "{topic}");
        for (key, value) in all {
            let text = String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
            assert!(!text.contains(CANARY), "{topic} {}: {text}", String::from_utf8_lossy(&key));
        }
    }
    target.silent();
}
