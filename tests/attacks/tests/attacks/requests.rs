//! Requests that reach further than they should.

use std::time::{Duration, Instant};

use hyper::Method;
use millrace_attacks::{CANARY, Target};
use serde_json::{Value, json};

/// Case 13: what a validation answers does not tell who is there.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_validation_as_a_port_scanner() {
    let target = Target::start(&[]).await;
    let kafka = millrace_scenarios::endpoint("MILLRACE_TEST_KAFKA");
    let kafka = kafka.split(',').next().expect("a broker");
    let own = target.cluster.id(0);
    let mut errors = Vec::new();
    for address in ["127.0.0.1:1", kafka, &own, "nowhere.invalid:1"] {
        let settings = [
            ("connection.url", format!("jdbc:mysql://{address}/{CANARY}")),
            ("connection.user", "u".to_owned()),
            ("connection.password", CANARY.to_owned()),
        ];
        let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let config = target.config("JdbcSink", &settings);
        let url = target.cluster.url(0, "/connector-plugins/JdbcSink/config/validate");
        let began = Instant::now();
        let answer = target.cluster.http.send(Method::PUT, &url, &[], &config.to_string()).await.expect("an answer");
        assert!(began.elapsed() < Duration::from_secs(15), "{address}: {:?}", began.elapsed());
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = answer.json();
        let of = |value: &&Value| value["value"]["name"] == "connection.url";
        let url = answer["configs"].as_array().and_then(|all| all.iter().find(of)).expect("the key").clone();
        errors.push(url["value"]["errors"].clone());
    }
    assert!(errors[0].as_array().is_some_and(|all| all.len() == 1), "{errors:?}");
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
}

/// Case 14: what workers send each other is signed in a group of our own, and nothing else is carried out.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_requests_among_workers() {
    let target = Target::start(&[]).await;
    let file = target.cluster.path("lines.txt").display().to_string();
    target.cluster.create(0, "good", json!({ "connector.class": "FileStreamSink", "topics": "t", "file": file })).await;
    target.cluster.running(0, 2, &[0]).await;
    let before = target.get("/connectors/good/tasks").await.body;
    let forged = json!([{ "task.class": "FileStreamSinkTask", "file": "/etc/evil", "topics": "t" }]).to_string();
    let signed = ("X-Connect-Request-Signature-Algorithm", "HmacSHA256");
    for headers in [
        vec![],
        vec![("X-Connect-Authorization", ""), signed],
        vec![("X-Connect-Authorization", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), signed],
        vec![("X-Connect-Authorization", "AAAA"), ("X-Connect-Request-Signature-Algorithm", "none")],
        vec![("Authorization", "Basic YWRtaW46YWRtaW4=")],
    ] {
        for (method, path) in [
            (Method::POST, "/connectors/good/tasks"),
            (Method::POST, "/connectors/good/tasks?forward=false"),
            (Method::PUT, "/connectors/good/fence"),
        ] {
            let url = target.cluster.url(0, path);
            let answer = target.cluster.http.send(method, &url, &headers, &forged).await.expect("an answer");
            assert!(matches!(answer.status, 400 | 403), "{path} {headers:?}: {} {}", answer.status, answer.body);
        }
    }
    assert_eq!(target.get("/connectors/good/tasks").await.body, before);
    assert!(!std::path::Path::new("/etc/evil").exists());
}

/// Case 19: names, and bodies.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn attack_names_and_bodies() {
    let target = Target::start(&[]).await;
    for name in ["x\r\nSet-Cookie: a=b", "x\u{0}y", "x\ny"] {
        let mut config = target.config("FileStreamSink", &[]);
        config["name"] = json!(name);
        let answer = target.send(Method::POST, "/connectors", &json!({ "name": name, "config": config })).await;
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.body);
    }
    for path in ["a%2Fb", "..%2Fadmin", "%2e%2e", "a%0d%0aX:%20y", "a%00", "a%5Cb"] {
        assert_eq!(target.get(&format!("/connectors/{path}")).await.status, 400, "{path}");
    }
    let long = "n".repeat(2 << 20);
    let url = target.cluster.url(0, "/connectors");
    let body = json!({ "name": long, "config": {} }).to_string();
    // The answer comes before the whole body has been sent; a client may not get as far as to read it.
    let answer = target.cluster.http.send(Method::POST, &url, &[], &body).await;
    assert!(answer.as_ref().is_none_or(|answer| answer.status == 413), "{answer:?}");
    let deep = format!("{{\"name\":\"evil\",\"config\":{}", "{\"a\":".repeat(100_000));
    let answer = target.cluster.http.send(Method::POST, &url, &[], &deep).await.expect("an answer");
    assert!(matches!(answer.status, 400 | 500), "{} {}", answer.status, answer.body);
    let bomb = [("Content-Encoding", "gzip")];
    let answer = target.cluster.http.send(Method::POST, &url, &bomb, "\u{1f}\u{8b}").await.expect("an answer");
    assert!(matches!(answer.status, 400 | 415 | 500), "{} {}", answer.status, answer.body);
    target.unharmed().await;
}
