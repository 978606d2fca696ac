//! The task against servers: a scripted one for failures, a real one for everything else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_wrap,
    reason = "tests"
)]

mod scripted;
mod support;

use millrace_api::ErrorKind;
use millrace_api::config::Config as _;
use millrace_api::connector::ConnectorPlugin as _;
use millrace_connector_elasticsearch::{ElasticsearchPlugin, ElasticsearchSinkConfig};
use scripted::{Reply, Scripted, bulk_answer};
use serde_json::{Value, json};
use support::{Given, props, put, start, try_start};

fn order(offset: i64, key: &str) -> Given<'_> {
    Given::new("orders", offset, key, json!({"offset": offset}))
}

/// Actions and documents of a bulk body.
fn lines(body: &str) -> Vec<Value> {
    assert!(body.ends_with('\n'));
    body.lines().map(|line| serde_json::from_str(line).expect("one JSON a line")).collect()
}

#[tokio::test]
async fn operations_are_what_confluents_connector_sends() {
    let server = Scripted::start(Vec::new()).await;
    let mut task = start(&server.url, &[("behavior.on.null.values", "delete")]).await;
    let records = [
        order(7, "k\n\"{}"),
        Given::new("orders", 8, 42, json!({"a": [1.5, null]})),
        Given::new("orders", 9, "gone", Value::Null),
        Given::new("orders", 10, Value::Null, Value::Null),
    ];
    assert_eq!(put(&mut task, &records).await.expect("put"), []);
    let sent = lines(&server.bulks()[0]);
    let expected = [
        json!({"index":{"_index":"orders","_id":"k\n\"{}","version":7,"version_type":"external"}}),
        json!({"offset":7}),
        json!({"index":{"_index":"orders","_id":"42","version":8,"version_type":"external"}}),
        json!({"a":[1.5,null]}),
        json!({"delete":{"_index":"orders","_id":"gone","version":9,"version_type":"external"}}),
    ];
    assert_eq!(sent, expected);
    let mut task = start(&server.url, &[("key.ignore", "true")]).await;
    put(&mut task, &[Given::new("Orders", 7, Value::Null, json!({}))]).await.expect("put");
    let expected = [json!({"index":{"_index":"orders","_id":"Orders+0+7"}}), json!({})];
    assert_eq!(lines(&server.bulks()[1]), expected);

    let mut task = start(&server.url, &[("write.method", "upsert")]).await;
    put(&mut task, &[order(1, "k")]).await.expect("put");
    let expected = [
        json!({"update":{"_index":"orders","_id":"k","retry_on_conflict":5}}),
        json!({"doc":{"offset":1},"doc_as_upsert":true}),
    ];
    assert_eq!(lines(&server.bulks()[2]), expected);

    let stream = [("data.stream.type", "LOGS"), ("data.stream.dataset", "shop"), ("key.ignore", "true")];
    let mut task = start(&server.url, &stream).await;
    put(&mut task, &[order(1, "k")]).await.expect("put");
    let expected = [
        json!({"create":{"_index":"logs-shop-orders","_id":"orders+0+1"}}),
        json!({"@timestamp": 1_790_000_000_001_i64, "offset": 1}),
    ];
    assert_eq!(lines(&server.bulks()[3]), expected);

    let mut task = start(&server.url, &[("external.version.header", "v")]).await;
    let given = |value: Value| Given { headers: vec![("v", value)], ..order(1, "k") };
    let records = [given(json!(5)), given(json!("6")), given(json!("x")), given(json!(-1)), order(1, "k")];
    let refused = put(&mut task, &records).await.expect("put");
    assert_eq!(refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [2, 3, 4]);
    let versions: Vec<_> =
        lines(&server.bulks()[4]).iter().filter_map(|line| line["index"]["version"].as_i64()).collect();
    assert_eq!(versions, [5, 6]);
}

#[tokio::test]
async fn records_that_can_be_no_document_are_refused_alone() {
    let server = Scripted::start(Vec::new()).await;
    let mut task = start(&server.url, &[]).await;
    let long = "x".repeat(513);
    let records = [
        order(0, "good"),
        order(1, &long),
        order(2, ""),
        Given::new("orders", 3, Value::Null, json!({})),
        Given::new("orders", 4, 1.5, json!({})),
        Given::new("orders", 5, "k", json!("no object")),
        Given::new("orders", 6, "k", json!([{}])),
        Given::new("orders", 7, "k", Value::Null),
        Given::new("a/../b", 8, "k", json!({})),
        Given::new("a\nb", 9, "k", json!({})),
        order(10, &long[..512]),
    ];
    let refused = put(&mut task, &records).await.expect("put");
    assert_eq!(refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (1..10).collect::<Vec<_>>());
    assert!(refused[6].1.contains("behavior.on.null.values"), "{refused:?}");
    assert_eq!(lines(&server.bulks()[0]).len(), 4);
    assert!(server.paths().iter().all(|path| !path.contains("a/") && !path.contains('\n')), "{:?}", server.paths());

    let mut task = start(&server.url, &[("drop.invalid.message", "true"), ("behavior.on.null.values", "ignore")]).await;
    assert_eq!(put(&mut task, &records).await.expect("put"), []);
    assert_eq!((task.counts().written, task.counts().left_out), (2, 9));
}

#[tokio::test]
async fn only_what_had_no_room_is_sent_again() {
    let full = (429, "es_rejected_execution_exception");
    let server = Scripted::start(vec![
        Reply::Bulk(vec![(201, ""), full, (201, ""), full]),
        Reply::Status(503),
        Reply::Bulk(vec![full, (201, "")]),
        Reply::Bulk(vec![(201, "")]),
    ])
    .await;
    let mut task = start(&server.url, &[("retry.backoff.ms", "1")]).await;
    let keys = ["a", "b", "c", "d"];
    let records: Vec<_> = keys.iter().enumerate().map(|(at, key)| order(at as i64, key)).collect();
    assert_eq!(put(&mut task, &records).await.expect("put"), []);
    let ids = |body: &String| -> Vec<String> {
        lines(body).iter().filter_map(|line| line["index"]["_id"].as_str().map(str::to_owned)).collect()
    };
    let sent: Vec<_> = server.bulks().iter().map(ids).collect();
    assert_eq!(sent, [vec!["a", "b", "c", "d"], vec!["b", "d"], vec!["b", "d"], vec!["b"]]);
    assert_eq!(task.counts().written, 4);
}

#[tokio::test]
async fn what_follows_an_update_that_is_repeated_is_repeated() {
    let server = Scripted::start(vec![
        Reply::Bulk(vec![(201, ""), (429, "busy"), (201, ""), (201, ""), (201, "")]),
        Reply::Bulk(vec![(201, ""), (201, "")]),
    ])
    .await;
    let mut task = start(&server.url, &[("write.method", "upsert"), ("retry.backoff.ms", "1")]).await;
    let records = [order(0, "a"), order(1, "b"), order(2, "a"), order(3, "b"), order(4, "c")];
    assert_eq!(put(&mut task, &records).await.expect("put"), []);
    let again: Vec<_> = lines(&server.bulks()[1]).iter().filter_map(|line| line["doc"]["offset"].as_i64()).collect();
    assert_eq!(again, [1, 3]);
    assert_eq!(task.counts().written, 5);
}

#[tokio::test]
async fn patience_ends_and_the_worker_is_told() {
    let server = Scripted::start((0..3).map(|_| Reply::Bulk(vec![(429, "busy")])).collect()).await;
    let mut task = start(&server.url, &[("max.retries", "2"), ("retry.backoff.ms", "1")]).await;
    let error = put(&mut task, &[order(0, "a")]).await.expect_err("busy");
    assert_eq!((error.kind(), server.bulks().len()), (ErrorKind::Retriable, 3));

    let server = Scripted::start(vec![Reply::Close]).await;
    let mut task = start(&server.url, &[]).await;
    assert!(put(&mut task, &[order(0, "a")]).await.expect_err("closed").is_retriable());

    let server = Scripted::start(vec![Reply::Hang]).await;
    let mut task = start(&server.url, &[("read.timeout.ms", "200"), ("connection.timeout.ms", "0")]).await;
    assert!(put(&mut task, &[order(0, "a")]).await.expect_err("silent").is_retriable());

    for (status, class) in [(403, "cluster_block_exception"), (404, "index_not_found_exception")] {
        let server = Scripted::start(vec![Reply::Bulk(vec![(status, class)])]).await;
        let mut task = start(&server.url, &[]).await;
        let error = put(&mut task, &[order(0, "a")]).await.expect_err("broken");
        assert_eq!(error.kind(), ErrorKind::External, "not the record's fault");
        assert!(error.message().contains(class));
    }
    let server = Scripted::start(vec![Reply::Status(401)]).await;
    let mut task = start(&server.url, &[]).await;
    assert_eq!(put(&mut task, &[order(0, "a")]).await.expect_err("401").kind(), ErrorKind::External);
}

#[tokio::test]
async fn too_large_requests_are_halved() {
    let server = Scripted::start(vec![Reply::Status(413), Reply::Status(413), Reply::Status(413)]).await;
    let mut task = start(&server.url, &[]).await;
    let records = [order(0, "a"), order(1, "b"), order(2, "c")];
    let refused = put(&mut task, &records).await.expect("put");
    // 3 documents, then 1 (refused alone), then 2, which are 1 and 1.
    assert_eq!((refused.len(), refused[0].0), (1, 0));
    assert!(refused[0].1.contains("http.max_content_length"), "{refused:?}");
    let sizes: Vec<_> = server.bulks().iter().map(|body| lines(body).len() / 2).collect();
    assert_eq!(sizes, [3, 1, 2, 1, 1]);
}

#[tokio::test]
async fn malformed_documents_behave_as_configured() {
    let malformed = || vec![Reply::Bulk(vec![(201, ""), (400, "document_parsing_exception")])];
    for (behavior, refused, left_out) in [("fail", 1, 0), ("WARN", 0, 1), ("ignore", 0, 1)] {
        let server = Scripted::start(malformed()).await;
        let mut task = start(&server.url, &[("behavior.on.malformed.documents", behavior)]).await;
        let told = put(&mut task, &[order(0, "a"), order(1, "b")]).await.expect("put");
        assert_eq!((told.len(), task.counts().left_out), (refused, left_out), "{behavior}");
        if let Some((index, message)) = told.first() {
            assert_eq!(*index, 1);
            assert_eq!(message, "Elasticsearch refused the document: document_parsing_exception: because");
        }
    }
}

#[tokio::test]
async fn lanes_are_bounded_and_all_is_sent() {
    let server = Scripted::start(Vec::new()).await;
    let mut task = start(&server.url, &[("batch.size", "10"), ("max.in.flight.requests", "3")]).await;
    let keys: Vec<String> = (0..95).map(|key| format!("k{key}")).collect();
    let records: Vec<_> = keys.iter().enumerate().map(|(at, key)| order(at as i64, key)).collect();
    put(&mut task, &records).await.expect("put");
    let sizes: Vec<_> = server.bulks().iter().map(|body| lines(body).len() / 2).collect();
    assert!(sizes.iter().all(|size| *size <= 10));
    assert_eq!(sizes.iter().sum::<usize>(), 95);
    assert!(server.most_at_once() <= 3, "{}", server.most_at_once());
}

#[tokio::test]
async fn secrets_go_to_the_server_and_nowhere_else() {
    let server = Scripted::start(vec![Reply::Status(401)]).await;
    let with_password = [("connection.username", "elastic"), ("connection.password", "s3cret")];
    let mut task = start(&server.url, &with_password).await;
    let error = put(&mut task, &[order(0, "a")]).await.expect_err("401");
    assert!(!format!("{error:?} {}", error.trace()).contains("s3cret"));
    // base64 of elastic:s3cret
    assert!(server.heads().iter().all(|head| head.contains("Basic ZWxhc3RpYzpzM2NyZXQ=")), "{:?}", server.heads());

    let (_, started) = try_start(&props(&[("connection.url", "http://elastic:s3cret@localhost:9200")])).await;
    let error = started.expect_err("password in the address");
    assert!(error.message().contains("connection.username") && !error.message().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_believed() {
    let elsewhere = Scripted::start(Vec::new()).await;
    let server = Scripted::start(vec![Reply::Redirect(format!("{}/_bulk", elsewhere.url))]).await;
    let mut task = start(&server.url, &[]).await;
    let error = put(&mut task, &[order(0, "a")]).await.expect_err("redirected");
    assert!(error.message().contains("redirects"), "{error}");
}

#[tokio::test]
async fn validation_names_the_key() {
    let server = Scripted::start(Vec::new()).await;
    let wrong = |changes: Vec<(&'static str, &'static str)>| {
        let mut pairs = vec![("connection.url", server.url.as_str())];
        pairs.extend(changes);
        let props = props(&pairs);
        async move {
            let values = ElasticsearchPlugin.validate(&props).await;
            values.into_iter().filter(|value| !value.errors.is_empty()).map(|value| value.name).collect::<Vec<_>>()
        }
    };
    assert!(wrong(vec![]).await.is_empty());
    for (key, value) in [
        ("connection.url", ""),
        ("connection.url", "localhost:9200"),
        ("connection.url", "ftp://localhost"),
        ("connection.url", "http://u:p@localhost"),
        ("connection.url", "http://127.0.0.1:1"),
        ("write.method", "merge"),
        ("behavior.on.null.values", "drop"),
        ("index.mappings", "[]"),
        ("index.mappings", "{"),
        ("mapping.file", "/etc/hostname"),
        ("index", "Logs"),
        ("index", "a/b"),
        ("batch.size", "0"),
        ("kerberos.user.principal", "me"),
        ("use.autogenerated.ids", "true"),
        ("data.stream.dataset", ""),
    ] {
        let mut changes = vec![(key, value)];
        if key == "data.stream.dataset" {
            changes.push(("data.stream.type", "logs"));
        }
        assert_eq!(wrong(changes).await, [key], "{key}={value}");
    }
    assert_eq!(wrong(vec![("connection.username", "u")]).await, ["connection.password"]);
    assert_eq!(wrong(vec![("external.resource.usage", "INDEX")]).await, ["topic.to.external.resource.mapping"]);
    let certificates = "elastic.https.ssl.truststore.certificates";
    assert_eq!(
        wrong(vec![(certificates, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----")]).await,
        [certificates]
    );
    let refusing = Scripted::start(vec![Reply::Status(401)]).await;
    refusing.also_for_ping();
    let pairs = [("connection.url", refusing.url.as_str()), ("connection.username", "u"), ("connection.password", "x")];
    let values = ElasticsearchPlugin.validate(&props(&pairs)).await;
    let value = values.iter().find(|value| !value.errors.is_empty()).expect("refused");
    assert_eq!((value.name.as_str(), value.errors[0].contains("credentials")), ("connection.password", true));
}

#[tokio::test]
async fn every_key_of_confluents_table_is_known_with_its_default() {
    let def = ElasticsearchSinkConfig::def();
    for (name, default) in [
        ("connection.username", None),
        ("external.resource.usage", Some("DISABLED")),
        ("topic.to.external.resource.mapping", Some("")),
        ("max.external.resource.mappings", Some("15")),
        ("data.stream.type", Some("NONE")),
        ("data.stream.dataset", Some("")),
        ("data.stream.namespace", Some("${topic}")),
        ("data.stream.timestamp.field", Some("")),
        ("batch.size", Some("2000")),
        ("bulk.size.bytes", Some("5242880")),
        ("max.in.flight.requests", Some("5")),
        ("max.buffered.records", Some("20000")),
        ("linger.ms", Some("1")),
        ("flush.timeout.ms", Some("180000")),
        ("flush.synchronously", Some("false")),
        ("max.retries", Some("5")),
        ("retry.backoff.ms", Some("100")),
        ("connection.compression", Some("false")),
        ("max.connection.idle.time.ms", Some("60000")),
        ("connection.timeout.ms", Some("1000")),
        ("read.timeout.ms", Some("3000")),
        ("key.ignore", Some("false")),
        ("schema.ignore", Some("false")),
        ("compact.map.entries", Some("true")),
        ("topic.key.ignore", Some("")),
        ("topic.schema.ignore", Some("")),
        ("drop.invalid.message", Some("false")),
        ("behavior.on.null.values", Some("FAIL")),
        ("behavior.on.malformed.documents", Some("FAIL")),
        ("external.version.header", Some("")),
        ("write.method", Some("INSERT")),
        ("use.autogenerated.ids", Some("false")),
        ("proxy.host", Some("")),
        ("proxy.port", Some("8080")),
        ("proxy.username", Some("")),
        ("proxy.password", None),
        ("elastic.security.protocol", Some("PLAINTEXT")),
        ("kerberos.user.principal", None),
        ("kerberos.keytab.path", None),
    ] {
        let value = def.get(name).unwrap_or_else(|| panic!("{name}")).validate(&props(&[])).value;
        assert_eq!(value.as_deref(), default, "{name}");
    }
    assert_eq!(bulk_answer(&[(201, "")]), r#"{"errors":false,"items":[{"index":{"status":201}}]}"#);
}
