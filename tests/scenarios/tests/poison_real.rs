//! Records that fail in every stage of a sink, among many good ones: each leaves in one way, and is counted there (invariant 3).

#![allow(clippy::expect_used, clippy::print_stdout, reason = "tests may, and figures are printed")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{Log as _, ProducerOptions, TopicSpec};
use millrace_connector_jdbc::tools::Database;
use millrace_kafka::{ClientProps, KafkaLog};
use millrace_scenarios::{Cluster, endpoint, eventually, stored};
use serde_json::json;

/// One in a hundred records fails in each of these stages, and one is dropped.
const STAGES: [&str; 5] = ["KEY_CONVERTER", "VALUE_CONVERTER", "HEADER_CONVERTER", "TRANSFORMATION", "TASK_PUT"];

/// How many there are; `POISON_RECORDS` in the environment says otherwise.
fn records() -> u64 {
    std::env::var("POISON_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000)
}

/// Key, value and header of record `n`: what `n % 100` is says how it fails.
fn record(n: u64) -> (String, String, Option<(&'static str, &'static str)>) {
    let (key, when, name) = (format!("{{\"n\":{n}}}"), "2026-01-02", format!("\"name {n}\""));
    let value = |when: &str, name: &str| format!("{{\"id\":{n},\"happened\":\"{when}\",\"name\":{name}}}");
    match n % 100 {
        0 => ("{bad".to_owned(), value(when, &name), None),
        1 => (key, "{\"id\":".to_owned(), None),
        2 => (key, value(when, &name), Some(("h", "{bad"))),
        3 => (key, value("never", &name), None),
        4 => (key, value(when, "null"), None),
        5 => (key, value(when, &name), Some(("drop", "1"))),
        _ => (key, value(when, &name), None),
    }
}

async fn produce(topic: &str, count: u64) {
    let log = KafkaLog::new(&endpoint("MILLRACE_TEST_KAFKA"), ClientProps::default()).expect("a client");
    log.create_topic(&TopicSpec { partitions: Some(4), ..TopicSpec::new(topic) }).await.expect("a topic");
    let producer = log.producer(ProducerOptions::default()).await.expect("a producer");
    for from in (0..count).step_by(5_000) {
        let mut batch = RawBatch::new();
        for n in from..(from + 5_000).min(count) {
            let (key, value, header) = record(n);
            let mut raw = RawRecord::new(topic, Some(key.as_bytes()), Some(value.as_bytes()));
            raw.partition = i32::try_from(n / 100 % 4).expect("small");
            raw.headers = header.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
            batch.push(&raw).expect("small");
        }
        for result in producer.send(&batch).await.expect("sent") {
            result.expect("written");
        }
    }
}

/// Totals of a worker's counters whose names begin so, over all tasks, by the rest of the name and the stage.
async fn counted(cluster: &Cluster) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    let text = cluster.http.get(&cluster.url(0, "/metrics")).await.map(|answer| answer.body).unwrap_or_default();
    for line in text.lines().filter_map(|line| line.strip_prefix("millrace_task_")) {
        let Some((labels, value)) = line.rsplit_once(' ') else { continue };
        let Some((name, labels)) = labels.split_once("_total{") else { continue };
        let stage = labels.split_once("stage=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(stage, _)| stage);
        let name = stage.map_or_else(|| name.to_owned(), |stage| format!("{name} {stage}"));
        *totals.entry(name).or_default() += value.parse::<u64>().unwrap_or(0);
    }
    totals
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_BIN"]
async fn real_poison_in_every_stage_is_dead_lettered_and_every_record_is_counted_once() {
    let count = records();
    let mut cluster = Cluster::new(1, &[("offset.flush.interval.ms", "1000")]);
    let (topic, dead) = (format!("{}-poison", cluster.name), format!("{}-dead", cluster.name));
    produce(&topic, count).await;
    let file = cluster.path("poison.db");
    let database = Database::sqlite(&file);
    let table = "CREATE TABLE things (id INTEGER PRIMARY KEY, happened TEXT NOT NULL, name TEXT NOT NULL)";
    database.execute(table).await.expect("a table");
    cluster.start(0);
    cluster.healthy(0).await;
    let json_converter = "org.apache.kafka.connect.json.JsonConverter";
    let transforms = "org.apache.kafka.connect.transforms";
    let config = json!({
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "tasks.max": "1", "topics": topic,
        "connection.url": format!("jdbc:sqlite:{}", file.display()), "table.name.format": "things",
        "insert.mode": "insert", "pk.mode": "none", "auto.create": "false",
        "key.converter": json_converter, "key.converter.schemas.enable": "false",
        "value.converter": json_converter, "value.converter.schemas.enable": "false",
        "header.converter": json_converter, "header.converter.schemas.enable": "false",
        "predicates": "marked", "predicates.marked.type": format!("{transforms}.predicates.HasHeaderKey"),
        "predicates.marked.name": "drop",
        "transforms": "drop,time", "transforms.drop.type": format!("{transforms}.Filter"),
        "transforms.drop.predicate": "marked",
        "transforms.time.type": format!("{transforms}.TimestampConverter$Value"), "transforms.time.field": "happened",
        "transforms.time.target.type": "string", "transforms.time.format": "yyyy-MM-dd",
        "errors.tolerance": "all", "errors.deadletterqueue.topic.name": dead,
        "errors.deadletterqueue.topic.replication.factor": "1",
        "errors.deadletterqueue.context.headers.enable": "true",
    });
    let began = Instant::now();
    cluster.create(0, "poison", config).await;
    let left = |seen: &BTreeMap<String, u64>| {
        let of = |name: &str| seen.get(name).copied().unwrap_or(0);
        of("records_out") + of("records_dropped") + of("records_filtered") + of("records_failed")
    };
    let done = |seen: &BTreeMap<String, u64>| left(seen) >= count;
    let seen = eventually("all are counted", Duration::from_mins(10), || counted(&cluster), done).await;
    println!("{count} records in {:?}: {seen:?}", began.elapsed());

    let share = count / 100;
    let failed = share * u64::try_from(STAGES.len()).expect("few");
    assert_eq!(seen["records_in"], count);
    assert_eq!(seen["records_out"], count - failed - share);
    assert_eq!(seen["records_dropped"], share);
    assert_eq!((seen["records_failed"], seen["records_dead_lettered"]), (failed, failed));
    for stage in STAGES {
        assert_eq!(seen[&format!("failures {stage}")], share, "{stage}");
    }
    // And it is so at the other ends.
    let rows =
        database.query("SELECT 'all', COUNT(*) FROM things UNION ALL SELECT 'ids', COUNT(DISTINCT id) FROM things");
    let good = count - failed - share;
    assert_eq!(rows.await.expect("rows"), [("all".to_owned(), good), ("ids".to_owned(), good)]);
    let mut stages = BTreeMap::<String, u64>::new();
    for letter in stored(&dead).await {
        let stage = letter.headers.iter().find(|(name, _)| name == "__connect.errors.stage");
        let stage = stage.and_then(|(_, value)| value.as_deref()).unwrap_or_default();
        *stages.entry(String::from_utf8_lossy(stage).into_owned()).or_default() += 1;
    }
    assert_eq!(stages, STAGES.map(|stage| (stage.to_owned(), share)).into());
    cluster.stop(0);
}
