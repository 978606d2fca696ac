//! shopstream without servers: what `millrace demo` runs.

#![allow(clippy::expect_used, reason = "tests may")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace_dates::DateFormat;
use millrace_scenarios::{Http, Worker, eventually, free_port, millrace};
use serde_json::Value;

/// Runs the demo to its end and returns its last line.
fn demo(data: &Path, orders: u64) -> Value {
    let output = Command::new(millrace())
        .args(["demo", "--exit", "--orders", &orders.to_string(), "--data"])
        .arg(data)
        .output()
        .expect("millrace runs");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");
    serde_json::from_str(text.lines().last().expect("a last line")).expect("the last line is JSON")
}

fn assert_exact(totals: &Value, valid: u64) {
    for key in ["validOrders", "transactions", "hourlyTransactionCount", "logMessages"] {
        assert_eq!(totals[key].as_u64(), Some(valid), "{key} in {totals}");
    }
}

#[test]
#[ignore = "needs MILLRACE_BIN"]
fn real_demo_is_exact_and_goes_on_where_it_stopped() {
    let data = tempfile::tempdir().expect("a directory");
    let totals = demo(data.path(), 2_000);
    assert_exact(&totals, 1_900);
    // Every twentieth order is invalid: order numbers 19, 39, …
    assert_exact(&demo(data.path(), 500), 1_900 + 475);
    let logs = std::fs::read_to_string(data.path().join("shopstream-logs.jsonl")).expect("the log file");
    assert!(logs.lines().count() >= 1_900 + 475);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MILLRACE_BIN"]
async fn real_demo_is_exact_after_kills() {
    let data = tempfile::tempdir().expect("a directory");
    let (data, port) = (data.path().to_owned(), free_port());
    let log = data.join("worker.log");
    let (path, port_text) = (data.display().to_string(), port.to_string());
    let arguments = ["demo", "--data", &path, "--port", &port_text];
    let http = Http::default();
    // The demo itself sends 20 orders a second; these come on top, by their own keys, through each death of the worker. Their hours
    // are none of the demo's, which are now and the five before, and not yet closed, which they are after 24.
    let hours = [10, 11, 12].map(hours_ago);
    let url = format!("http://127.0.0.1:{}/api/orders", port + 1);
    let mut worker = Worker::start(&arguments, &log);
    for n in 0..600 {
        if n == 200 || n == 400 {
            worker.kill();
            worker = Worker::start(&arguments, &log);
        }
        let body = format!(
            r#"{{"orderId":"k-{n}","customerId":"c","productId":"p","quantity":1,"price":9.99,"orderTime":"{}","status":"CREATED"}}"#,
            hours[n % 3]
        );
        let key = format!("kill-{n}");
        let send = || async {
            http.send(hyper::Method::POST, &url, &[("Idempotency-Key", &key)], &body).await.map(|a| a.status)
        };
        eventually("an order is accepted", Duration::from_secs(30), send, |status| *status == Some(202)).await;
    }
    worker.stop();
    // The demo's own count includes only its own orders; the database and the windows must hold both, each once.
    let database = millrace_connector_jdbc::tools::Database::sqlite(&data.join("shopstream.db"));
    let mut worker = Worker::start(&arguments, &log);
    let counts = || async {
        let count = format!(
            "SELECT 'k', COUNT(*) FROM transactions WHERE orderId LIKE 'k-%' UNION ALL \
             SELECT 'h', SUM(transactionCount) FROM hourly_summary WHERE hourWindow IN ('{}')",
            hours.join("','")
        );
        database.query(&count).await.unwrap_or_default()
    };
    let wanted = vec![("k".to_owned(), 600), ("h".to_owned(), 600)];
    eventually("600 orders arrive once", Duration::from_mins(1), counts, |seen| *seen == wanted).await;
    worker.stop();
}

/// The hour that was `hours` ago, as windows are named.
fn hours_ago(hours: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let millis = i64::try_from((now / 3_600 - hours) * 3_600_000).expect("in range");
    let mut text = String::new();
    DateFormat::new("yyyy-MM-dd'T'HH:00:00'Z'").expect("a pattern").format(millis, &mut text);
    text
}
