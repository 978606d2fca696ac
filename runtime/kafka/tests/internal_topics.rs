//! Kafka Connect's internal topics on Kafka, and those of a real Kafka Connect worker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, reason = "a test")]

#[path = "../../core/tests/storage/topics.rs"]
mod topics;

use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::log::Log;
use millrace_core::herder::TargetState;
use millrace_core::offsets::OffsetStores;
use millrace_core::storage::config::{ClusterConfig, put_connector, target_record};
use millrace_core::storage::status::StatusView;
use millrace_core::storage::topic::{CompactedTopic, Deliveries, Delivery, InternalTopic as _, Purpose, TopicOptions};
use millrace_kafka::{ClientProps, KafkaLog};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn open() -> Arc<dyn Log> {
    let bootstrap = std::env::var("MILLRACE_TEST_KAFKA").expect("MILLRACE_TEST_KAFKA: the brokers to test against");
    Arc::new(KafkaLog::new(&bootstrap, ClientProps::default()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_kafka_has_the_topics() {
    topics::all(&open()).await;
}

/// A Kafka Connect worker that runs.
struct Java {
    address: String,
}

impl Java {
    /// Status code and body.
    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (code, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn until(&self, path: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Value::Null;
        for _ in 0..300 {
            seen = self.ask("GET", path, &Value::Null).await.1;
            if enough(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{path} stays {seen}");
    }
}

async fn refresh(topic: &CompactedTopic, deliveries: &mut Deliveries, mut fold: impl FnMut(&[u8], Option<&[u8]>, i64)) {
    let mut end = topic.read_to_end();
    loop {
        tokio::select! {
            reached = &mut end => return reached.unwrap(),
            delivery = deliveries.next() => if let Some(Delivery::Records(records)) = delivery {
                for record in records {
                    fold(&record.key, record.value.as_deref(), record.offset);
                }
            },
        }
    }
}

fn object(props: &Props) -> Value {
    props.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()
}

/// What a Java worker writes is read here, and what is written here a Java worker takes as its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA and MILLRACE_TEST_CONNECT"]
async fn real_connect_shares_its_topics() {
    let url = std::env::var("MILLRACE_TEST_CONNECT").expect("MILLRACE_TEST_CONNECT: the worker to test against");
    let address = url.trim_start_matches("http://").to_owned();
    // `ctl start connect` names them after its port.
    let topic_of = |what: &str| format!("connect-{}-{what}", address.rsplit_once(':').unwrap().1);
    let java = Java { address: address.clone() };
    let log = open();
    let open = |purpose, what| CompactedTopic::open(Arc::clone(&log), TopicOptions::new(purpose, topic_of(what)));
    let (configs, mut config_records) = open(Purpose::Config, "configs").await.unwrap();
    let (statuses, mut status_records) = open(Purpose::Status, "status").await.unwrap();
    let stores = OffsetStores::new(Arc::clone(&log), TopicOptions::new(Purpose::Offsets, topic_of("offsets")));

    // Java writes.
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in \"é😀.txt");
    std::fs::write(&input, "one\ntwo\n").unwrap();
    let name = topics::unique("from-java");
    let given = json!({"connector.class": "FileStreamSource", "tasks.max": "1", "topic": name, "file": input});
    let (code, _) = java.ask("PUT", &format!("/connectors/{name}/config"), &given).await;
    assert_eq!(code, 201);
    java.until(&format!("/connectors/{name}/offsets"), |offsets| offsets["offsets"][0]["offset"]["position"] == 8)
        .await;
    let status =
        java.until(&format!("/connectors/{name}/status"), |status| status["tasks"][0]["state"] == "RUNNING").await;
    let (_, offsets) = java.ask("GET", &format!("/connectors/{name}/offsets"), &Value::Null).await;
    let (_, info) = java.ask("GET", &format!("/connectors/{name}"), &Value::Null).await;
    let (_, tasks) = java.ask("GET", &format!("/connectors/{name}/tasks"), &Value::Null).await;
    let mut config = ClusterConfig::new();
    refresh(&configs, &mut config_records, |key, value, offset| {
        config.apply(key, value, offset);
    })
    .await;
    let mut view = StatusView::new();
    refresh(&statuses, &mut status_records, |key, value, _| {
        view.apply(key, value);
    })
    .await;
    let state = config.connector(&name).expect("the connector");
    assert_eq!(object(state.config.as_ref().unwrap()), info["config"]);
    assert_eq!(state.tasks().iter().map(|config| object(config)).collect::<Vec<_>>(), [tasks[0]["config"].clone()]);
    assert_eq!(view.connector(&name).unwrap().worker_id, status["connector"]["worker_id"]);
    assert_eq!(view.task(&name, 0).unwrap().state.name(), "RUNNING");
    assert_eq!(view.topics(&name).count(), 1);
    let own = stores.of_connector(&name, None).await.unwrap();
    own.refresh().await.unwrap();
    let shown: Vec<Value> = own.all().unwrap().into_iter().map(|(p, o)| json!({"partition": p, "offset": o})).collect();
    assert_eq!(json!(shown), offsets["offsets"]);

    // We stop it, move it back, and let it go on: Java reads "two" again.
    configs.write(vec![target_record(&name, TargetState::Paused)]).await.unwrap();
    java.until(&format!("/connectors/{name}/status"), |status| status["tasks"][0]["state"] == "PAUSED").await;
    let partition = offsets["offsets"][0]["partition"].as_object().unwrap().clone();
    own.alter(&[(partition, json!({"position": 4}).as_object().cloned())]).await.unwrap();
    java.until(&format!("/connectors/{name}/offsets"), |offsets| offsets["offsets"][0]["offset"]["position"] == 4)
        .await;
    own.reset().await.unwrap();
    java.until(&format!("/connectors/{name}/offsets"), |offsets| offsets == &json!({"offsets": []})).await;

    // We create one.
    let ours = topics::unique("from-us");
    let props = [("connector.class", "FileStreamSource"), ("topic", &ours), ("file", "/dev/null"), ("name", &ours)];
    let props = props.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    configs.write(put_connector(&ours, &props, Some(TargetState::Stopped))).await.unwrap();
    java.until(&format!("/connectors/{ours}/status"), |status| status["connector"]["state"] == "STOPPED").await;
    let (_, shown) = java.ask("GET", &format!("/connectors/{ours}"), &Value::Null).await;
    assert_eq!(shown["config"], object(&props));
    // Java looks for the key that Java would write.
    let fresh = json!({"filename": "/dev/null"});
    let own = stores.of_connector(&ours, None).await.unwrap();
    own.alter(&[(fresh.as_object().cloned().unwrap(), json!({"position": 3}).as_object().cloned())]).await.unwrap();
    java.until(&format!("/connectors/{ours}/offsets"), |offsets| {
        offsets == &json!({"offsets": [{"partition": fresh, "offset": {"position": 3}}]})
    })
    .await;
    for name in [&name, &ours] {
        java.ask("DELETE", &format!("/connectors/{name}"), &Value::Null).await;
    }
    java.until("/connectors", |names| !names.as_array().is_some_and(|names| names.contains(&json!(ours)))).await;
    refresh(&configs, &mut config_records, |key, value, offset| {
        config.apply(key, value, offset);
    })
    .await;
    assert!(config.connector(&name).is_none() && config.connector(&ours).is_none());
}
