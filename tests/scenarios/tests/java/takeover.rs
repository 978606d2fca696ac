//! Millrace in place of a Java cluster: the same files, the same topics, and back again.

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::{Value, json};

use crate::files::{append, numbered, until_all_lines, until_same};
use crate::group::{Group, JavaWorker, MillraceWorker, records};
use crate::rest::Rest;

const STRINGS: &str = "org.apache.kafka.connect.storage.StringConverter";

/// One line is so long, so that positions are easy to tell: `name-00000` and its end.
fn position(name: &str, lines: u32) -> usize {
    (name.len() + 7) * lines as usize
}

/// A source and a sink of files by these names, and how many lines the source has been given.
struct Pair {
    source: String,
    sink: String,
    lines: u32,
}

impl Pair {
    /// Names are the group's own: consumer groups are named after sinks and outlive them.
    fn new(group: &Group, label: &str) -> Self {
        let name = format!("{}-{label}", group.name);
        Self { source: format!("{name}-in"), sink: format!("{name}-out"), lines: 0 }
    }

    async fn create(&self, group: &Group, rest: &Rest) {
        append(&group.path(&self.source), &[]);
        let topic = format!("{}-topic", self.source);
        let config = json!({
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": group.path(&self.source), "topic": topic,
            "value.converter": STRINGS, "key.converter": STRINGS,
        });
        rest.ask(Method::PUT, &format!("/connectors/{}/config", self.source), &config, 201).await;
        let config = json!({
            "connector.class": "FileStreamSink", "file": group.path(&self.sink), "topics": topic, "tasks.max": "1",
            "value.converter": STRINGS, "key.converter": STRINGS,
        });
        rest.ask(Method::PUT, &format!("/connectors/{}/config", self.sink), &config, 201).await;
        rest.until_all(&self.source, 1, "RUNNING").await;
        rest.until_all(&self.sink, 1, "RUNNING").await;
    }

    fn append(&mut self, group: &Group, count: u32) {
        append(&group.path(&self.source), &numbered(&self.source, self.lines..self.lines + count));
        self.lines += count;
    }

    fn all(&self) -> Vec<String> {
        numbered(&self.source, 0..self.lines)
    }

    /// Every line has arrived once, in its order.
    async fn arrived(&self, group: &Group) {
        until_same(&group.path(&self.sink), &self.all()).await;
    }

    /// The worker says that the source is behind so many lines. It commits now and then.
    async fn stands_at(&self, rest: &Rest, lines: u32) {
        let position = json!(position(&self.source, lines));
        let path = format!("/connectors/{}/offsets", self.source);
        rest.until("the position", &path, |offsets| offsets["offsets"][0]["offset"]["position"] == position).await;
    }

    /// Stops the source, and has it go on behind so many lines. What a task of Java commits as it ends may come after that, unless there
    /// is nothing left to commit.
    async fn rewind(&self, group: &Group, rest: &Rest, lines: u32) {
        self.stands_at(rest, self.lines).await;
        let path = format!("/connectors/{}", self.source);
        rest.ask(Method::PUT, &format!("{path}/stop"), &Value::Null, 204).await;
        rest.until_all(&self.source, 0, "STOPPED").await;
        let offset = json!({"position": position(&self.source, lines)});
        let altered = json!({"offsets": [{"partition": {"filename": group.path(&self.source)}, "offset": offset}]});
        rest.ask(Method::PATCH, &format!("{path}/offsets"), &altered, 200).await;
    }

    /// A source that was rewound to so many lines has been resumed: these come again.
    async fn repeated(&self, group: &Group, from: u32) {
        let all: Vec<String> = self.all().into_iter().chain(numbered(&self.source, from..self.lines)).collect();
        until_same(&group.path(&self.sink), &all).await;
    }
}

async fn put(rest: &Rest, connector: &str, what: &str, status: u16) {
    rest.ask(Method::PUT, &format!("/connectors/{connector}/{what}"), &Value::Null, status).await;
}

/// Keys of the offset topic with their partitions. Java finds offsets by the bytes of their keys.
fn keys(group: &Group) -> BTreeSet<(String, String)> {
    let topic = format!("{}-offsets", group.name);
    records(&topic).into_iter().map(|(partition, key, _)| (partition, key)).collect()
}

fn of<'a>(keys: &'a BTreeSet<(String, String)>, connector: &str) -> Vec<&'a (String, String)> {
    keys.iter().filter(|(_, key)| key.starts_with(&format!("[\"{connector}\""))).collect()
}

async fn start(group: &Group, java: &[&JavaWorker]) -> Vec<MillraceWorker> {
    let mut workers = Vec::new();
    for worker in java {
        workers.push(group.millrace(&worker.properties()).await);
    }
    workers
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_java_cluster_is_taken_over_and_handed_back() {
    let group = Group::new("takeover", "sessioned");
    let (one, two) = (group.java(), group.java());
    let mut running = Pair::new(&group, "running");
    let mut paused = Pair::new(&group, "paused");
    let mut stopped = Pair::new(&group, "stopped");
    let mut altered = Pair::new(&group, "altered");
    let deleted = Pair::new(&group, "deleted");
    for pair in [&running, &paused, &stopped, &altered, &deleted] {
        pair.create(&group, &one.rest).await;
    }
    for pair in [&mut running, &mut paused, &mut stopped, &mut altered] {
        pair.append(&group, 100);
    }
    for pair in [&running, &paused, &stopped, &altered] {
        pair.arrived(&group).await;
    }
    put(&two.rest, &paused.source, "pause", 202).await;
    two.rest.until_all(&paused.source, 1, "PAUSED").await;
    put(&two.rest, &stopped.sink, "stop", 204).await;
    two.rest.until_all(&stopped.sink, 0, "STOPPED").await;
    altered.rewind(&group, &one.rest, 50).await;
    one.rest.ask(Method::DELETE, &format!("/connectors/{}", deleted.source), &Value::Null, 204).await;
    one.rest.ask(Method::DELETE, &format!("/connectors/{}", deleted.sink), &Value::Null, 204).await;
    let names =
        one.rest.until("8 connectors", "/connectors", |all| all.as_array().is_some_and(|all| all.len() == 8)).await;
    one.stop();
    two.stop();
    let before = keys(&group);

    // Millrace with the very same files.
    running.append(&group, 50);
    paused.append(&group, 50);
    stopped.append(&group, 50);
    let mut workers = start(&group, &[&one, &two]).await;
    let rest = workers[1].rest.clone();
    let same = |all: &Value| sorted(all) == sorted(&names);
    rest.until("the same connectors", "/connectors", same).await;
    rest.until_all(&running.source, 1, "RUNNING").await;
    rest.until_all(&running.sink, 1, "RUNNING").await;
    rest.until_all(&paused.source, 1, "PAUSED").await;
    rest.until_all(&stopped.sink, 0, "STOPPED").await;
    rest.until_all(&altered.source, 0, "STOPPED").await;
    running.append(&group, 50);
    running.arrived(&group).await;
    altered.stands_at(&rest, 50).await;
    put(&rest, &altered.source, "resume", 202).await;
    altered.repeated(&group, 50).await;
    until_same(&group.path(&paused.sink), &numbered(&paused.source, 0..100)).await;
    until_same(&group.path(&stopped.sink), &numbered(&stopped.source, 0..100)).await;
    // What else is done while Millrace is in place: another connector is rewound, one is made, one is deleted, and others change places.
    let mut made = Pair::new(&group, "made");
    made.create(&group, &rest).await;
    made.append(&group, 100);
    made.arrived(&group).await;
    put(&rest, &paused.source, "resume", 202).await;
    paused.arrived(&group).await;
    put(&rest, &paused.sink, "pause", 202).await;
    rest.until_all(&paused.sink, 1, "PAUSED").await;
    put(&rest, &stopped.sink, "resume", 202).await;
    stopped.arrived(&group).await;
    stopped.rewind(&group, &rest, 120).await;
    rest.ask(Method::DELETE, &format!("/connectors/{}", altered.source), &Value::Null, 204).await;
    for worker in &mut workers {
        worker.process.stop();
        assert_eq!(worker.errors(), [""; 0]);
    }
    let between = keys(&group);
    for pair in [&running, &paused, &stopped, &altered] {
        let (before, between) = (of(&before, &pair.source), of(&between, &pair.source));
        assert_eq!(before, between, "the keys are Java's, to the byte");
        assert_eq!(before.len(), 1, "{before:?}");
    }

    // And Java again.
    running.append(&group, 50);
    paused.append(&group, 50);
    made.append(&group, 50);
    // What Java says of topics that it has just created is not about Millrace.
    let before = [&one, &two].map(|worker| worker.errors().len());
    one.restart();
    two.restart();
    let rest = two.rest.clone();
    rest.until_all(&running.source, 1, "RUNNING").await;
    rest.until_all(&running.sink, 1, "RUNNING").await;
    rest.until_all(&made.sink, 1, "RUNNING").await;
    rest.until_all(&paused.sink, 1, "PAUSED").await;
    rest.until_all(&stopped.source, 0, "STOPPED").await;
    running.append(&group, 50);
    running.arrived(&group).await;
    made.arrived(&group).await;
    running.stands_at(&rest, running.lines).await;
    stopped.stands_at(&rest, 120).await;
    put(&rest, &stopped.source, "resume", 202).await;
    stopped.repeated(&group, 120).await;
    until_same(&group.path(&paused.sink), &numbered(&paused.source, 0..150)).await;
    put(&rest, &paused.sink, "resume", 202).await;
    paused.arrived(&group).await;
    for name in [&deleted.source, &deleted.sink, &altered.source] {
        rest.ask(Method::GET, &format!("/connectors/{name}"), &Value::Null, 404).await;
    }
    for (worker, before) in [&one, &two].into_iter().zip(before) {
        assert_eq!(
            worker.errors().into_iter().skip(before).collect::<Vec<_>>(),
            [""; 0],
            "what Millrace has written is as Java expects it"
        );
    }
}

fn sorted(names: &Value) -> Vec<Value> {
    let mut names = names.as_array().cloned().unwrap_or_default();
    names.sort_by_key(ToString::to_string);
    names
}

/// Nobody says goodbye: what is not committed comes again, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_java_cluster_that_was_killed_is_taken_over_and_handed_back() {
    let group = Group::new("killed", "sessioned");
    let java = group.java();
    let mut pairs = [Pair::new(&group, "a"), Pair::new(&group, "b")];
    for pair in &pairs {
        pair.create(&group, &java.rest).await;
    }
    for pair in &mut pairs {
        pair.append(&group, 2_000);
    }
    java.kill();
    for pair in &mut pairs {
        pair.append(&group, 500);
    }
    let mut millrace = group.millrace(&java.properties()).await;
    for pair in &pairs {
        until_all_lines(&group.path(&pair.sink), &pair.all()).await;
    }
    for pair in &mut pairs {
        pair.append(&group, 2_000);
    }
    millrace.process.kill();
    for pair in &mut pairs {
        pair.append(&group, 500);
    }
    java.restart();
    for pair in &pairs {
        until_all_lines(&group.path(&pair.sink), &pair.all()).await;
        java.rest.until_all(&pair.sink, 1, "RUNNING").await;
    }
}
