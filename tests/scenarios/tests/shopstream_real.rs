//! shopstream on real Kafka (two brokers), MariaDB and Elasticsearch, while the worker is killed and a broker restarts.

#![allow(clippy::expect_used, reason = "tests may")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use hyper::Method;
use millrace_api::config::Password;
use millrace_connector_jdbc::tools::Database;
use millrace_scenarios::{Http, Worker, endpoint, eventually, free_port, repository};
use serde_json::{Value, json};

const ORDERS: u64 = 20_000;
/// One in so many is invalid, and one in so many is sent a second time.
const INVALID_EVERY: u64 = 20;
const TWICE_EVERY: u64 = 25;

/// Places of this run: the connectors of `configs/shopstream` with the lane's servers in the place of the compose file's.
struct Run {
    dir: tempfile::TempDir,
    rest: u16,
    orders: u16,
    database: Database,
    elasticsearch: String,
    index: String,
}

impl Run {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let index = format!("shopstream-logs-{}", std::process::id());
        let mariadb = endpoint("MILLRACE_TEST_MARIADB");
        let (credentials, rest) = mariadb.trim_start_matches("mysql://").split_once('@').expect("user@host");
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let run = Self {
            rest: free_port(),
            orders: free_port(),
            database: Database::mysql(format!("jdbc:mysql://{rest}"), user, Password::new(password)),
            elasticsearch: endpoint("MILLRACE_TEST_ELASTICSEARCH"),
            index,
            dir,
        };
        run.write_worker();
        run.write_connectors(rest, user, password);
        run
    }

    fn scenario() -> PathBuf {
        repository().join("configs/shopstream")
    }

    fn write_worker(&self) {
        let text = std::fs::read_to_string(Self::scenario().join("worker.properties")).expect("worker.properties");
        let text = text
            .replace("kafka-1:9092,kafka-2:9092", &endpoint("MILLRACE_TEST_KAFKA"))
            .replace("http://0.0.0.0:8083", &format!("http://127.0.0.1:{}", self.rest))
            .replace("/var/lib/millrace", &self.dir.path().join("data").display().to_string());
        std::fs::write(self.dir.path().join("worker.properties"), text).expect("written");
    }

    fn write_connectors(&self, server: &str, user: &str, password: &str) {
        for (name, text) in connectors(&Self::scenario().join("connectors")) {
            let mut value: Value = serde_json::from_str(&text).expect("JSON");
            let config = value["config"].as_object_mut().expect("config");
            let mut set = |key: &str, to: String| {
                if config.contains_key(key) {
                    config.insert(key.to_owned(), json!(to));
                }
            };
            match name.as_str() {
                "logs-elasticsearch.json" => {
                    set("connection.url", self.elasticsearch.clone());
                    set("index", self.index.clone());
                }
                _ => set("connection.url", format!("jdbc:mysql://{server}")),
            }
            set("connection.user", user.to_owned());
            set("connection.password", password.to_owned());
            set("http.listen", format!("127.0.0.1:{}", self.orders));
            std::fs::write(self.dir.path().join(name), value.to_string()).expect("written");
        }
    }

    fn start(&self) -> Worker {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut arguments = vec!["standalone".to_owned(), path("worker.properties")];
        arguments.extend(connectors(&Self::scenario().join("connectors")).iter().map(|(name, _)| path(name)));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Worker::start(&arguments, &self.dir.path().join("worker.log"))
    }

    fn tail_of_log(&self) -> String {
        let text = std::fs::read_to_string(self.dir.path().join("worker.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    async fn documents(&self, http: &Http) -> Option<u64> {
        http.send(Method::POST, &format!("{}/{}/_refresh", self.elasticsearch, self.index), &[], "").await?;
        http.get(&format!("{}/{}/_count", self.elasticsearch, self.index)).await?.json()["count"].as_u64()
    }
}

fn connectors(dir: &Path) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = std::fs::read_dir(dir)
        .expect("connectors")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            (
                path.file_name().expect("a name").to_string_lossy().into_owned(),
                std::fs::read_to_string(&path).expect("readable"),
            )
        })
        .collect();
    found.sort();
    found
}

fn is_valid(n: u64) -> bool {
    n % INVALID_EVERY != 7
}

fn order(n: u64) -> Value {
    json!({
        "orderId": format!("o-{n}"), "customerId": format!("c-{}", n % 977), "productId": format!("p-{}", n % 131),
        "quantity": if is_valid(n) { json!(n % 9 + 1) } else { json!("many") },
        "price": f64::from(u32::try_from(n % 90_000).expect("small") + 1) / 100.0,
        "orderTime": format!("2026-11-20T{:02}:{:02}:{:02}Z", n % 6, n % 60, n % 59), "status": "CREATED",
    })
}

/// Sends an order as a client does whose worker may die under it: the same key again until there is an answer.
async fn send(http: &Http, url: &str, n: u64) {
    let key = format!("order-{n}");
    let body = order(n).to_string();
    let wanted = if is_valid(n) { 202 } else { 400 };
    let ask = || async { http.send(Method::POST, url, &[("Idempotency-Key", &key)], &body).await };
    let answer = eventually("an order is answered", Duration::from_mins(2), ask, |answer| {
        answer.as_ref().is_some_and(|answer| answer.status != 503 && answer.status != 504)
    })
    .await
    .expect("an answer");
    assert_eq!(answer.status, wanted, "order {n}: {}", answer.body);
    if !is_valid(n) {
        assert!(answer.body.contains("quantity"), "the field at fault is named: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_TEST_KAFKA, MILLRACE_TEST_MARIADB, MILLRACE_TEST_ELASTICSEARCH"]
async fn real_orders_are_exact_through_kills_and_a_broker_restart() {
    let run = Run::new();
    for table in ["transactions", "hourly_summary"] {
        run.database.execute(&format!("DROP TABLE IF EXISTS {table}")).await.expect("drop");
    }
    let ddl = std::fs::read_to_string(Run::scenario().join("schema.mysql.sql")).expect("schema");
    run.database.execute(&ddl).await.expect("tables");

    let http = Http::default();
    let url = format!("http://127.0.0.1:{}/api/orders", run.orders);
    let worker = Arc::new(tokio::sync::Mutex::new(run.start()));
    let answered = Arc::new(AtomicU64::new(0));
    let sending = {
        let (http, url, answered) = (http.clone(), url.clone(), Arc::clone(&answered));
        tokio::spawn(async move {
            let twice = (0..ORDERS).filter(|n| n % TWICE_EVERY == 3);
            let all = (0..ORDERS).chain(twice);
            futures::stream::iter(all)
                .for_each_concurrent(64, |n| {
                    let (http, url, answered) = (http.clone(), url.clone(), Arc::clone(&answered));
                    async move {
                        send(&http, &url, n).await;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .await;
        })
    };
    for progress in [ORDERS / 4, ORDERS / 2] {
        wait_for(&answered, progress, &sending).await;
        let mut worker = worker.lock().await;
        worker.kill();
        *worker = run.start();
    }
    wait_for(&answered, ORDERS * 3 / 4, &sending).await;
    let ctl = repository().join("tests/services/ctl");
    let restarted = Command::new(ctl).args(["restart", "kafka", "2"]).status().expect("ctl");
    assert!(restarted.success(), "the broker did not restart");
    sending.await.unwrap_or_else(|error| panic!("{error}\n{}", run.tail_of_log()));

    let valid = (0..ORDERS).filter(|n| is_valid(*n)).count() as u64;
    let counts = || async {
        let sql = "SELECT 't', COUNT(*) FROM transactions UNION ALL SELECT 'h', CAST(SUM(transactionCount) AS SIGNED) FROM hourly_summary";
        (run.database.query(sql).await.unwrap_or_default(), run.documents(&http).await)
    };
    let wanted = (vec![("t".to_owned(), valid), ("h".to_owned(), valid)], Some(valid));
    eventually(&format!("{valid} orders are everywhere, once"), Duration::from_mins(2), counts, |seen| *seen == wanted)
        .await;
    // Nothing comes twice a little later, either.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(counts().await, wanted);

    let rows = run
        .database
        .query("SELECT CAST(SUM(price) AS CHAR), COUNT(DISTINCT orderId) FROM transactions")
        .await
        .expect("rows");
    let cents: u64 = (0..ORDERS).filter(|n| is_valid(*n)).map(|n| n % 90_000 + 1).sum();
    assert_eq!(rows, [(format!("{}.{:02}", cents / 100, cents % 100), valid)], "prices are exact");
    let hours = run
        .database
        .query("SELECT hourWindow, transactionCount FROM hourly_summary ORDER BY hourWindow")
        .await
        .expect("rows");
    let expected: Vec<(String, u64)> = (0..6)
        .map(|hour| {
            (
                format!("2026-11-20T{hour:02}:00:00Z"),
                (0..ORDERS).filter(|n| is_valid(*n) && n % 6 == hour).count() as u64,
            )
        })
        .collect();
    assert_eq!(hours, expected);
    let mapping = http.get(&format!("{}/{}/_mapping", run.elasticsearch, run.index)).await.expect("mapping").json();
    let properties = &mapping[&run.index]["mappings"]["properties"];
    assert_eq!(
        (properties["timestamp"]["type"].as_str(), properties["status"]["type"].as_str()),
        (Some("date"), Some("keyword"))
    );
    worker.lock().await.stop();
}

async fn wait_for(answered: &AtomicU64, count: u64, sending: &tokio::task::JoinHandle<()>) {
    while answered.load(Ordering::Relaxed) < count {
        assert!(!sending.is_finished(), "sending ended early");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
