//! The task against a real Elasticsearch.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_wrap,
    reason = "tests"
)]

mod support;

use std::time::Instant;

use elasticsearch::http::Method;
use millrace_api::ErrorKind;
use millrace_api::schema::{Field, Kind, Schema, logical};
use millrace_connector_elasticsearch::{Counts, ElasticsearchSinkTask};
use serde_json::{Value, json};
use support::{Given, Server, fresh, put, start, try_start, url};

const MAPPINGS: &str = r#"{"properties":{"timestamp":{"type":"date"},"serviceName":{"type":"keyword"},
    "status":{"type":"keyword"},"errorMessage":{"type":"text"}}}"#;

fn log(offset: i64) -> Value {
    json!({"timestamp": 1_790_000_000_000_i64 + offset, "serviceName": "orders", "status": "DONE", "errorMessage": null})
}

async fn task(changes: &[(&str, &str)]) -> ElasticsearchSinkTask {
    start(&url(), changes).await
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_a_replay_changes_nothing() {
    let (server, topic) = (Server::new(), fresh("logs"));
    let keys: Vec<String> = (0..5_000).map(|key| format!("order-{key}")).collect();
    let records: Vec<_> =
        keys.iter().enumerate().map(|(at, key)| Given::new(&topic, at as i64, key.as_str(), log(at as i64))).collect();
    for changes in [vec![("key.ignore", "false")], vec![("key.ignore", "true"), ("connection.compression", "true")]] {
        let index = fresh("replay");
        let mut changes = changes;
        changes.push(("index", index.as_str()));
        let mut first = task(&changes).await;
        let started = Instant::now();
        assert_eq!(put(&mut first, &records).await.expect("put"), []);
        println!("5000 documents in {:?}", started.elapsed());
        assert_eq!((server.count(&index).await, first.counts().written), (5_000, 5_000));
        let mut second = task(&changes).await;
        assert_eq!(put(&mut second, &records).await.expect("put"), []);
        assert_eq!(server.count(&index).await, 5_000);
        let keyed = changes[0].1 == "false";
        assert_eq!(second.counts().skipped, if keyed { 5_000 } else { 0 });
        let id = if keyed { "order-17".to_owned() } else { format!("{topic}+0+17") };
        assert_eq!(server.get(&index, &id).await["_source"], log(17));
    }
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_versions_keep_the_newest_and_count_what_they_skip() {
    let (server, topic) = (Server::new(), fresh("versions"));
    let mut task = task(&[("behavior.on.null.values", "delete")]).await;
    let at = |offset: i64, value: Value| Given::new(&topic, offset, "k", value);
    put(&mut task, &[at(5, json!({"n": 5})), at(9, json!({"n": 9}))]).await.expect("put");
    put(&mut task, &[at(7, json!({"n": 7}))]).await.expect("older");
    let stored = server.get(&topic, "k").await;
    assert_eq!((&stored["_source"], &stored["_version"]), (&json!({"n": 9}), &json!(9)));
    assert_eq!(task.counts(), Counts { written: 2, skipped: 1, ..Counts::default() });
    put(&mut task, &[at(10, Value::Null), Given::new(&topic, 11, "never there", Value::Null)]).await.expect("delete");
    assert_eq!(server.get(&topic, "k").await["found"], false);

    let mut last_wins = start(&url(), &[("external.version.source", "none")]).await;
    put(&mut last_wins, &[at(12, json!({"n": 12})), at(3, json!({"n": 3}))]).await.expect("put");
    assert_eq!(server.get(&topic, "k").await["_source"], json!({"n": 3}));
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_upserts_merge_in_order() {
    let (server, topic) = (Server::new(), fresh("upsert"));
    let settings = [("write.method", "upsert"), ("batch.size", "10"), ("behavior.on.null.values", "delete")];
    let mut task = task(&settings).await;
    let keys = ["a", "b", "c", "d", "e", "f", "g"];
    let mut records = Vec::new();
    for round in 0..30_i64 {
        for (at, key) in keys.iter().enumerate() {
            let mut value = json!({"last": round});
            value[format!("f{}", round % 3)] = json!(round);
            records.push(Given::new(&topic, round * 7 + at as i64, *key, value));
        }
    }
    assert_eq!(put(&mut task, &records).await.expect("put"), []);
    for key in keys {
        assert_eq!(
            server.get(&topic, key).await["_source"],
            json!({"last": 29, "f0": 27, "f1": 28, "f2": 29}),
            "{key}"
        );
    }
    put(&mut task, &[Given::new(&topic, 300, "a", Value::Null)]).await.expect("delete");
    assert_eq!((server.get(&topic, "a").await["found"].clone(), server.count(&topic).await), (json!(false), 6));
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_one_conflict_in_a_hundred_is_refused_alone() {
    let (server, topic) = (Server::new(), fresh("conflict"));
    let mapping = r#"{"dynamic":"strict","properties":{"price":{"type":"float"}}}"#;
    let mut task = task(&[("key.ignore", "true"), ("index.mappings", mapping)]).await;
    let records: Vec<_> = (0..200)
        .map(|at| {
            let value = match at {
                50 => json!({"price": "s3cret"}),
                150 => json!({"unknown": 1}),
                _ => json!({"price": at}),
            };
            Given::new(&topic, at, Value::Null, value)
        })
        .collect();
    let refused = put(&mut task, &records).await.expect("put");
    assert_eq!(refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [50, 150]);
    assert!(refused[0].1.contains("document_parsing_exception") && refused[0].1.contains("[price]"), "{refused:?}");
    assert!(refused[1].1.contains("strict_dynamic_mapping_exception"), "{refused:?}");
    assert!(!format!("{refused:?}").contains("s3cret"), "the reason repeats the record: {refused:?}");
    assert_eq!(server.count(&topic).await, 198);
    assert_eq!(task.counts(), Counts { written: 198, refused: 2, ..Counts::default() });
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_null_values_behave_as_configured() {
    let server = Server::new();
    for (behavior, refused, left_out) in [("fail", 1, 0), ("ignore", 0, 1), ("delete", 0, 0)] {
        let topic = fresh(behavior);
        let mut task = task(&[("behavior.on.null.values", behavior)]).await;
        put(&mut task, &[Given::new(&topic, 1, "k", json!({"n": 1}))]).await.expect("put");
        let told = put(&mut task, &[Given::new(&topic, 2, "k", Value::Null)]).await.expect("put");
        assert_eq!((told.len(), task.counts().left_out), (refused, left_out), "{behavior}");
        assert_eq!(server.get(&topic, "k").await["found"], behavior != "delete", "{behavior}");
    }
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_indexes_are_created_with_mappings_and_settings() {
    let (server, index) = (Server::new(), fresh("shopstream-logs"));
    let settings = r#"{"number_of_shards":2,"number_of_replicas":0}"#;
    let changes =
        [("index", index.as_str()), ("index.mappings", MAPPINGS), ("index.settings", settings), ("key.ignore", "true")];
    let (mut one, mut two) = (task(&changes).await, task(&changes).await);
    let records: Vec<_> = (0..10).map(|at| Given::new("logs-topic", at, Value::Null, log(at))).collect();
    // Two tasks create at the same time.
    let (first, second) = tokio::join!(put(&mut one, &records), put(&mut two, &records));
    assert_eq!((first.expect("put").len(), second.expect("put").len()), (0, 0));
    let found = server.call(Method::Get, &format!("/{index}"), None).await;
    let properties = &found[&index]["mappings"]["properties"];
    assert_eq!((&properties["timestamp"]["type"], &properties["status"]["type"]), (&json!("date"), &json!("keyword")));
    assert_eq!(found[&index]["settings"]["index"]["number_of_shards"], "2");
    server.refresh(&index).await;
    let query = r#"{"query":{"bool":{"filter":[{"term":{"status":"DONE"}},
        {"range":{"timestamp":{"gte":"2026-09-21T14:13:20.004Z","lt":"2026-09-21T14:13:20.008Z"}}}]}}}"#;
    let hits = server.call(Method::Post, &format!("/{index}/_search"), Some(query)).await;
    assert_eq!(hits["hits"]["total"]["value"], 4);

    let mut wrong =
        task(&[("index", &fresh("wrong")), ("index.mappings", r#"{"properties":{"a":{"type":"nonsense"}}}"#)]).await;
    let error = put(&mut wrong, &[Given::new("t", 0, "k", json!({}))]).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("index.mappings") && error.message().contains("nonsense"), "{error}");
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_mappings_follow_the_schema_of_records() {
    let server = Server::new();
    let schema = Schema::structure(vec![
        Field::new("id", Schema::of(Kind::Int64)),
        Field::new("name", Schema::of(Kind::String)),
        Field::new("at", Schema::logical(Kind::Int64, logical::TIMESTAMP)),
        Field::new("price", Schema::decimal(2)),
        Field::new("tags", Schema { values: Some(Schema::of(Kind::String).into()), ..Schema::of(Kind::Array) }),
    ]);
    let schema = std::sync::Arc::new(schema);
    let record = |topic: &str| {
        let mut batch = millrace_api::RecordBatch::new();
        let number = batch.intern_topic(topic);
        let value_schema = batch.intern_schema(&schema);
        let (value, ()) = batch
            .append(|heap| {
                let mut writer = millrace_api::Writer::new(heap);
                let open = writer.begin_struct();
                writer.int64(1);
                writer.str("desk");
                writer.timestamp(1_790_000_000_000);
                writer.decimal_i128(2, 1999);
                let tags = writer.begin_array();
                writer.str("new");
                writer.end(tags, 1);
                writer.end(open, 5);
                Ok(())
            })
            .expect("appended");
        batch.push(millrace_api::batch::Row {
            topic: number,
            partition: 3,
            offset: 4,
            value,
            value_schema,
            ..millrace_api::batch::Row::EMPTY
        });
        batch
    };
    for existing in [false, true] {
        let topic = fresh("typed");
        if existing {
            server.call(Method::Put, &format!("/{topic}"), None).await;
        }
        let mut task = task(&[("schema.ignore", "false"), ("key.ignore", "true")]).await;
        let mut report = millrace_api::connector::Report::default();
        millrace_api::connector::SinkTask::put(&mut task, &record(&topic), &mut report).await.expect("put");
        assert!(report.into_rejected().is_empty());
        let found = server.call(Method::Get, &format!("/{topic}/_mapping"), None).await;
        let properties = &found[&topic]["mappings"]["properties"];
        let types: Vec<_> =
            ["id", "name", "at", "price", "tags"].iter().map(|name| properties[name]["type"].clone()).collect();
        assert_eq!(types, [json!("long"), json!("text"), json!("date"), json!("double"), json!("text")]);
        let stored = server.get(&topic, &format!("{topic}+3+4")).await;
        assert_eq!(
            stored["_source"],
            json!({"id": 1, "name": "desk", "at": 1_790_000_000_000_i64, "price": 19.99, "tags": ["new"]})
        );
    }
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_external_resources_must_exist_and_appending_is_repeatable() {
    let (server, index, topic) = (Server::new(), fresh("external"), fresh("t"));
    let mapping = format!("{topic}:{index}");
    let changes = [
        ("external.resource.usage", "DATASTREAM"),
        ("topic.to.external.resource.mapping", mapping.as_str()),
        ("key.ignore", "true"),
    ];
    let records: Vec<_> = (0..3).map(|at| Given::new(&topic, at, Value::Null, json!({"n": at}))).collect();
    let error = put(&mut task(&changes).await, &records).await.expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::Config);
    server.call(Method::Put, &format!("/{index}"), None).await;
    let mut appending = task(&changes).await;
    for _ in 0..2 {
        // The second time every document is there already: that is success, not a conflict.
        assert_eq!(put(&mut appending, &records).await.expect("put"), []);
    }
    assert_eq!((server.count(&index).await, appending.counts().written), (3, 6));
    assert_eq!(server.get(&index, &format!("{topic}+0+1")).await["_version"], 1);
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_hostile_ids_stay_ids() {
    let (server, topic) = (Server::new(), fresh("hostile"));
    let mut task = task(&[]).await;
    let ids = ["a\n{\"delete\":{\"_id\":\"b\"}}\n", "b", "\"}}\u{0}", "../../_all", "ü😀", &"x".repeat(512)];
    let records: Vec<_> =
        ids.iter().enumerate().map(|(at, id)| Given::new(&topic, at as i64, *id, json!({"id": id}))).collect();
    assert_eq!(put(&mut task, &records).await.expect("put"), []);
    server.refresh(&topic).await;
    let hits = server.call(Method::Get, &format!("/{topic}/_search?size=10"), None).await;
    let mut stored: Vec<_> = hits["hits"]["hits"].as_array().expect("hits").clone();
    stored.sort_by_key(|hit| hit["_version"].as_i64());
    assert_eq!(stored.len(), ids.len());
    assert!(stored.iter().all(|hit| hit["_id"] == hit["_source"]["id"]));
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_ELASTICSEARCH"]
async fn real_elasticsearch_a_node_that_is_gone_is_passed_over() {
    let both = format!("{},http://127.0.0.1:1", url());
    // A busy machine may need longer than the default for its first index.
    let timeout = ("read.timeout.ms", "30000");
    let properties = support::props(&[("connection.url", &both), ("schema.ignore", "true"), timeout]);
    let topic = fresh("nodes");
    let record = [Given::new(&topic, 0, "k", json!({}))];
    let (mut task, started) = try_start(&properties).await;
    started.expect("started");
    for _ in 0..4 {
        assert_eq!(put(&mut task, &record).await.expect("put"), []);
    }
    assert_eq!(Server::new().count(&topic).await, 1);
}
