//! One Java worker and one of Millrace in one group.

use std::collections::BTreeSet;

use hyper::Method;
use millrace_scenarios::{eventually, free_port};
use serde_json::{Value, json};

use crate::files::{append, lines, numbered, until_lines};
use crate::group::{Group, MillraceWorker};
use crate::rest::{PATIENCE, Rest};

const HEARTBEAT: &str = "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector";
const HTTP: &str = "io.millrace.connect.http.HttpSourceConnector";

/// Workers that have a connector or a task.
fn workers(expanded: &Value) -> BTreeSet<String> {
    let connectors = expanded.as_object().into_iter().flat_map(|all| all.values());
    let of = |one: &Value| {
        let tasks = one["status"]["tasks"].as_array().cloned().unwrap_or_default();
        tasks.into_iter().chain([one["status"]["connector"].clone()]).collect::<Vec<_>>()
    };
    connectors.flat_map(of).filter_map(|part| part["worker_id"].as_str().map(str::to_owned)).collect()
}

/// Who leads.
#[derive(Clone, Copy, PartialEq)]
enum Led {
    Java,
    Millrace,
}

/// What an operator does in a connector's life, all through one worker. A source and a sink of files, with everything in between.
async fn drive(rest: &Rest, group: &Group, label: &str, led: Led) {
    // Consumer groups are named after sinks and outlive them.
    let (source, sink) = (format!("{}-{label}-in", group.name), format!("{}-{label}-out", group.name));
    let (input, output) = (group.path(&format!("{label}.in")), group.path(&format!("{label}.out")));
    let topic = format!("{}-{label}", group.name);
    append(&input, &numbered(label, 0..500));
    let strings = "org.apache.kafka.connect.storage.StringConverter";
    let source_config =
        json!({"connector.class": "FileStreamSource", "file": input, "topic": topic, "value.converter": strings});
    let sink_config = |tasks: &str| json!({"connector.class": "FileStreamSink", "file": output, "topics": topic, "tasks.max": tasks, "value.converter": strings});
    let put = json!({"name": source, "config": source_config});
    let made = rest.ask(Method::POST, "/connectors", &put, 201).await;
    assert_eq!((&made["name"], &made["type"]), (&json!(source), &json!("source")), "{made}");
    rest.ask(Method::POST, "/connectors", &put, 409).await;
    let path = format!("/connectors/{sink}");
    rest.ask(Method::PUT, &format!("{path}/config"), &sink_config("2"), 201).await;
    rest.until_all(&source, 1, "RUNNING").await;
    rest.until_all(&sink, 2, "RUNNING").await;
    until_lines(&output, &numbered(label, 0..500)).await;

    // Changed, restarted, held and let go.
    rest.ask(Method::PUT, &format!("{path}/config"), &sink_config("3"), 200).await;
    rest.until_all(&sink, 3, "RUNNING").await;
    rest.ask(Method::PATCH, &format!("{path}/config"), &json!({"tasks.max": "2", "errors.log.enable": "true"}), 200)
        .await;
    rest.until_all(&sink, 2, "RUNNING").await;
    let config = rest.ask(Method::GET, &format!("{path}/config"), &Value::Null, 200).await;
    assert_eq!((&config["tasks.max"], &config["errors.log.enable"]), (&json!("2"), &json!("true")));
    let planned = rest.ask(Method::POST, &format!("{path}/restart?includeTasks=true"), &Value::Null, 202).await;
    assert_eq!(planned["tasks"].as_array().map(Vec::len), Some(2), "{planned}");
    rest.until_all(&sink, 2, "RUNNING").await;
    rest.ask(Method::POST, &format!("{path}/restart"), &Value::Null, 204).await;
    for task in 0..2 {
        rest.ask(Method::POST, &format!("{path}/tasks/{task}/restart"), &Value::Null, 204).await;
    }
    rest.until_all(&sink, 2, "RUNNING").await;
    rest.ask(Method::PUT, &format!("{path}/pause"), &Value::Null, 202).await;
    rest.until_all(&sink, 2, "PAUSED").await;
    append(&input, &numbered(label, 500..600));
    rest.ask(Method::PUT, &format!("{path}/resume"), &Value::Null, 202).await;
    rest.until_all(&sink, 2, "RUNNING").await;
    until_lines(&output, &numbered(label, 0..600)).await;

    // Offsets: of the source, back to the line 550; of the sink, from the start.
    let bytes = |lines| numbered(label, 0..lines).iter().map(|line| line.len() + 1).sum::<usize>();
    let source_path = format!("/connectors/{source}");
    if led == Led::Java {
        // It does not wait for tasks to end: what they commit last would come after what is altered.
        let position = json!(bytes(600));
        let committed = |offsets: &Value| offsets["offsets"][0]["offset"]["position"] == position;
        rest.until("committed", &format!("{source_path}/offsets"), committed).await;
    }
    rest.ask(Method::PUT, &format!("{source_path}/stop"), &Value::Null, 204).await;
    rest.until_all(&source, 0, "STOPPED").await;
    let partition = json!({"filename": input});
    let altered = json!({"offsets": [{"partition": partition, "offset": {"position": bytes(550)}}]});
    rest.ask(Method::PATCH, &format!("{source_path}/offsets"), &altered, 200).await;
    let offsets = rest.ask(Method::GET, &format!("{source_path}/offsets"), &Value::Null, 200).await;
    assert_eq!(offsets, altered);
    rest.ask(Method::PUT, &format!("{path}/stop"), &Value::Null, 204).await;
    rest.until_all(&sink, 0, "STOPPED").await;
    let at = async || rest.ask(Method::GET, &format!("/connectors/{sink}/offsets"), &Value::Null, 200).await;
    assert_eq!(at().await["offsets"][0]["offset"]["kafka_offset"], json!(600));
    std::fs::rename(&output, group.path(&format!("{label}.out.first"))).expect("renamed");
    rest.ask(Method::DELETE, &format!("{path}/offsets"), &Value::Null, 200).await;
    assert_eq!(at().await["offsets"], json!([]));
    for path in [&path, &source_path] {
        rest.ask(Method::PUT, &format!("{path}/resume"), &Value::Null, 202).await;
    }
    rest.until_all(&source, 1, "RUNNING").await;
    rest.until_all(&sink, 2, "RUNNING").await;
    let again: Vec<String> = numbered(label, 0..600).into_iter().chain(numbered(label, 550..600)).collect();
    until_lines(&output, &again).await;
    let topics = rest.ask(Method::GET, &format!("{path}/topics"), &Value::Null, 200).await;
    assert_eq!(topics[&sink]["topics"], json!([topic]));

    rest.ask(Method::DELETE, &path, &Value::Null, 204).await;
    rest.ask(Method::DELETE, &source_path, &Value::Null, 204).await;
    rest.ask(Method::GET, &path, &Value::Null, 404).await;
    rest.until("deleted", "/connectors", |all| {
        all.as_array().is_some_and(|all| !all.contains(&json!(sink)) && !all.contains(&json!(source)))
    })
    .await;
}

/// Copies of one file to another through a topic, which run on while workers come and go.
struct Copies {
    names: Vec<(String, String)>,
    sent: u32,
}

impl Copies {
    async fn start(rest: &Rest, group: &Group, count: usize) -> Self {
        let names = (0..count)
            .map(|n| (format!("{}-{n}-in", group.name), format!("{}-{n}-out", group.name)))
            .collect::<Vec<_>>();
        let strings = "org.apache.kafka.connect.storage.StringConverter";
        for (source, sink) in &names {
            let topic = format!("{source}-topic");
            let config = json!({"connector.class": "FileStreamSource", "file": group.path(source), "topic": topic, "value.converter": strings});
            rest.ask(Method::PUT, &format!("/connectors/{source}/config"), &config, 201).await;
            let config = json!({"connector.class": "FileStreamSink", "file": group.path(sink), "topics": topic, "value.converter": strings});
            rest.ask(Method::PUT, &format!("/connectors/{sink}/config"), &config, 201).await;
        }
        Self { names, sent: 0 }
    }

    /// Sends so many more lines through all of them, and waits until each is there; `exactly` once, or at least once.
    async fn send(&mut self, group: &Group, count: u32, exactly: bool) {
        let range = self.sent..self.sent + count;
        self.sent += count;
        for (source, _) in &self.names {
            append(&group.path(source), &numbered(source, range.clone()));
        }
        for (source, sink) in &self.names {
            let wanted = numbered(source, 0..self.sent);
            if exactly {
                until_lines(&group.path(sink), &wanted).await;
                continue;
            }
            let seen = || async {
                let seen: BTreeSet<String> = lines(&group.path(sink)).into_iter().collect();
                wanted.iter().filter(|line| !seen.contains(*line)).count()
            };
            eventually(&format!("all lines of {source}"), PATIENCE, seen, |missing| *missing == 0).await;
        }
    }

    async fn running(&self, rest: &Rest) {
        for (source, sink) in &self.names {
            rest.until_all(source, 1, "RUNNING").await;
            rest.until_all(sink, 1, "RUNNING").await;
        }
    }
}

/// Waits until exactly these workers have work, and all of it runs.
async fn shared(rest: &Rest, among: &[&Rest]) {
    let among: BTreeSet<String> = among.iter().map(|rest| rest.id.clone()).collect();
    rest.until(&format!("work at {among:?}"), "/connectors?expand=status", |all| workers(all) == among).await;
}

/// Who led when Millrace last joined.
async fn led_by(worker: &MillraceWorker, leader: &Rest) {
    let seen = || async {
        let log = worker.log();
        log.lines().rev().find(|line| line.contains("joined the group")).unwrap_or_default().to_owned()
    };
    eventually("the leader", PATIENCE, seen, |line| line.contains(&format!("http://{}", leader.id))).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_mixed_group_where_java_leads_first() {
    let group = Group::new("mixed-java", "sessioned");
    let java = group.java();
    let mut millrace = group.millrace(&group.properties()).await;
    led_by(&millrace, &java.rest).await;
    let mut copies = Copies::start(&millrace.rest, &group, 3).await;
    copies.running(&java.rest).await;
    shared(&java.rest, &[&java.rest, &millrace.rest]).await;
    shared(&millrace.rest, &[&java.rest, &millrace.rest]).await;
    copies.send(&group, 100, true).await;
    drive(&millrace.rest, &group, "follower", Led::Java).await;
    drive(&java.rest, &group, "leader", Led::Java).await;
    led_by(&millrace, &java.rest).await;

    // The leader dies: the other leads, and has all the work.
    java.kill();
    led_by(&millrace, &millrace.rest).await;
    shared(&millrace.rest, &[&millrace.rest]).await;
    copies.running(&millrace.rest).await;
    copies.send(&group, 100, false).await;

    // It returns, and follows.
    java.restart();
    shared(&java.rest, &[&java.rest, &millrace.rest]).await;
    led_by(&millrace, &millrace.rest).await;
    copies.running(&java.rest).await;
    copies.send(&group, 100, false).await;
    drive(&java.rest, &group, "returned", Led::Millrace).await;
    millrace.process.stop();
    shared(&java.rest, &[&java.rest]).await;
    copies.running(&java.rest).await;
    copies.send(&group, 100, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_mixed_group_where_millrace_leads_first() {
    let group = Group::new("mixed-millrace", "sessioned");
    let mut millrace = group.millrace(&group.properties()).await;
    let java = group.java();
    led_by(&millrace, &millrace.rest).await;
    let mut copies = Copies::start(&java.rest, &group, 3).await;
    copies.running(&millrace.rest).await;
    shared(&java.rest, &[&java.rest, &millrace.rest]).await;
    copies.send(&group, 100, true).await;
    drive(&java.rest, &group, "follower", Led::Millrace).await;
    drive(&millrace.rest, &group, "leader", Led::Millrace).await;
    led_by(&millrace, &millrace.rest).await;

    millrace.process.kill();
    shared(&java.rest, &[&java.rest]).await;
    copies.running(&java.rest).await;
    copies.send(&group, 100, false).await;
    drive(&java.rest, &group, "alone", Led::Java).await;

    let millrace = group.millrace(&group.properties()).await;
    led_by(&millrace, &java.rest).await;
    shared(&millrace.rest, &[&java.rest, &millrace.rest]).await;
    copies.running(&millrace.rest).await;
    copies.send(&group, 100, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_mixed_groups_of_the_older_protocols() {
    for protocol in ["compatible", "eager"] {
        let group = Group::new(protocol, protocol);
        let java = group.java();
        let millrace = group.millrace(&group.properties()).await;
        led_by(&millrace, &java.rest).await;
        let mut copies = Copies::start(&millrace.rest, &group, 2).await;
        copies.running(&java.rest).await;
        shared(&java.rest, &[&java.rest, &millrace.rest]).await;
        copies.send(&group, 50, true).await;
        java.stop();
        shared(&millrace.rest, &[&millrace.rest]).await;
        copies.running(&millrace.rest).await;
        copies.send(&group, 50, true).await;
        java.restart();
        led_by(&millrace, &millrace.rest).await;
        shared(&java.rest, &[&java.rest, &millrace.rest]).await;
        copies.running(&java.rest).await;
        copies.send(&group, 50, true).await;
    }
}

fn says(text: &Value, parts: &[&str]) {
    let text = text.as_str().unwrap_or_default();
    for part in parts {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_mixed_group_with_connectors_that_only_one_side_has() {
    let group = Group::new("mixed-classes", "sessioned");
    let java = group.java();
    let kafka = millrace_scenarios::endpoint("MILLRACE_TEST_KAFKA");
    let heartbeat = json!({
        "connector.class": HEARTBEAT, "source.cluster.alias": "a", "target.cluster.alias": "b",
        "source.cluster.bootstrap.servers": kafka, "target.cluster.bootstrap.servers": kafka,
        "heartbeats.topic.replication.factor": "1",
    });
    java.rest.ask(Method::PUT, "/connectors/heartbeat/config", &heartbeat, 201).await;
    java.rest.until_all("heartbeat", 1, "RUNNING").await;

    // A follower without the class hands the request on to the leader, which has it.
    let mut millrace = group.millrace(&group.properties()).await;
    led_by(&millrace, &java.rest).await;
    millrace.rest.ask(Method::PUT, "/connectors/heartbeat/config", &heartbeat, 200).await;
    millrace.rest.ask(Method::PUT, "/connectors/heartbeat-2/config", &heartbeat, 201).await;
    millrace.rest.ask(Method::DELETE, "/connectors/heartbeat-2", &Value::Null, 204).await;

    // Java alone has it: without Java it fails, and says why and what to do.
    java.stop();
    led_by(&millrace, &millrace.rest).await;
    let status = millrace
        .rest
        .until("heartbeat fails", "/connectors/heartbeat/status", |status| {
            status["connector"]["state"] == "FAILED" && status["tasks"][0]["state"] == "FAILED"
        })
        .await;
    for trace in [&status["connector"]["trace"], &status["tasks"][0]["trace"]] {
        says(trace, &[HEARTBEAT, &millrace.rest.id, "does not have", "connector-plugins"]);
    }
    let refused = millrace.rest.ask(Method::PUT, "/connectors/other/config", &heartbeat, 400).await;
    says(&refused["message"], &[HEARTBEAT]);

    // With Java back, Millrace leads and knows who can run what.
    java.restart();
    led_by(&millrace, &millrace.rest).await;
    millrace.rest.until_all("heartbeat", 1, "RUNNING").await;
    for rest in [&millrace.rest, &java.rest] {
        let refused = rest.ask(Method::PUT, "/connectors/other/config", &heartbeat, 400).await;
        says(&refused["message"], &[HEARTBEAT, &millrace.rest.id, &java.rest.id, "Stop this worker"]);
    }
    let http = json!({"connector.class": "HttpSource", "topic": format!("{}-http", group.name), "http.listen": format!("127.0.0.1:{}", free_port())});
    millrace.rest.ask(Method::PUT, "/connectors/http/config", &http, 201).await;
    let copies = Copies::start(&millrace.rest, &group, 3).await;
    copies.running(&java.rest).await;
    shared(&java.rest, &[&java.rest, &millrace.rest]).await;
    let at = |status: &Value| (status["connector"]["worker_id"].clone(), status["tasks"][0]["worker_id"].clone());
    let status = millrace.rest.until_all("heartbeat", 1, "RUNNING").await;
    assert_eq!(at(&status), (json!(java.rest.id), json!(java.rest.id)), "{status}");
    let status = java.rest.until_all("http", 1, "RUNNING").await;
    assert_eq!(at(&status), (json!(millrace.rest.id), json!(millrace.rest.id)), "{status}");

    // Without Millrace its connector fails at the Java worker, which names the class; the others run.
    millrace.process.stop();
    shared(&java.rest, &[&java.rest]).await;
    let status = java
        .rest
        .until("http fails", "/connectors/http/status", |status| status["connector"]["state"] == "FAILED")
        .await;
    assert!(
        status["connector"]["trace"].as_str().is_some_and(|trace| trace.contains("HttpSource")),
        "{HTTP}: {status}"
    );
    copies.running(&java.rest).await;
    java.rest.until_all("heartbeat", 1, "RUNNING").await;
}
