//! `/metrics` in both formats, and which of them a scraper gets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::client::request;
use common::herder::FakeHerder;
use common::{options, start};
use millrace_core::metrics::{Metrics, TaskMetrics};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One family of each kind, as the specification of `OpenMetrics` writes them.
const OPEN: &str = r#"# HELP records Records: in, out.
# TYPE records counter
records_total{connector="a # b",task="0"} 17
# HELP wait_seconds Time waited.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_sum 0.5
wait_seconds_count 2
wait_seconds_bucket{le="1.0"} 2
wait_seconds_bucket{le="+Inf"} 2
# HELP build Build.
# TYPE build info
build_info{version="1"} 1
# HELP odd Odd.
# TYPE odd unknown
odd 3
# HELP lag Lag.
# TYPE lag gauge
lag 4
# EOF
"#;

/// The same in the text format 0.0.4.
const OLDER: &str = r#"# HELP records_total Records: in, out.
# TYPE records_total counter
records_total{connector="a # b",task="0"} 17
# HELP wait_seconds Time waited.
# TYPE wait_seconds histogram
wait_seconds_sum 0.5
wait_seconds_count 2
wait_seconds_bucket{le="1.0"} 2
wait_seconds_bucket{le="+Inf"} 2
# HELP build_info Build.
# TYPE build_info gauge
build_info{version="1"} 1
# HELP odd Odd.
# TYPE odd untyped
odd 3
# HELP lag Lag.
# TYPE lag gauge
lag 4
"#;

/// Type and body of the answer to a scraper that accepts this.
async fn scrape(metrics: &str, accept: Option<&str>) -> (String, String) {
    let herder = Arc::new(FakeHerder::new("127.0.0.1:8083"));
    metrics.clone_into(&mut herder.metrics.lock().unwrap());
    let server = start(&herder, options()).await;
    let headers: Vec<_> = accept.map(|accept| ("Accept", accept)).into_iter().collect();
    let answer = request(server.local_addr, "GET /metrics", &headers, b"").await;
    assert_eq!((answer.code(), answer.header("vary")), (200, Some("Accept")));
    (answer.header("content-type").unwrap().to_owned(), answer.body)
}

#[tokio::test]
async fn a_scraper_gets_the_format_that_it_prefers() {
    let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    let open = [
        prometheus_3,
        prometheus_2,
        "application/openmetrics-text",
        "Application/OpenMetrics-Text; Version=\"1.0.0\"",
        "application/openmetrics-text, */*",
    ];
    for accept in open {
        assert_eq!(scrape(OPEN, Some(accept)).await, (OPENMETRICS.to_owned(), OPEN.to_owned()), "{accept}");
    }
    let older = [
        "text/plain",
        "*/*",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.8",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;q=0",
        "application/json",
    ];
    for accept in older {
        assert_eq!(scrape(OPEN, Some(accept)).await, (TEXT.to_owned(), OLDER.to_owned()), "{accept}");
    }
    assert_eq!(scrape(OPEN, None).await, (TEXT.to_owned(), OLDER.to_owned()));
}

/// The metrics of a worker that has something to count in every family.
fn of_a_worker() -> String {
    let metrics = Metrics::default();
    let task = metrics.task("quoted \"name\" # {x}", 0);
    task.records_in.inc_by(3);
    TaskMetrics::observe(&task.batch_seconds, Duration::from_millis(20));
    task.set_lag(&[(millrace_api::log::TopicPartition::new("orders", 1), 5)]);
    metrics.render()
}

/// Families of a text, each with its type and the names of its samples, in order. Checks what both formats ask for: metadata once,
/// before the samples, and no family in two places.
fn families(text: &str) -> Vec<(String, String, Vec<String>)> {
    assert!(text.ends_with('\n'));
    let (mut families, mut described) = (Vec::<(String, String, Vec<String>)>::new(), HashSet::new());
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, _] => assert!(described.insert((*name).to_owned()), "{line}"),
            ["#", "TYPE", name, kind] => {
                assert!(families.iter().all(|(known, ..)| known != name), "{line}");
                families.push(((*name).to_owned(), (*kind).to_owned(), Vec::new()));
            }
            ["#", "EOF"] => {}
            ["#", ..] => panic!("neither HELP nor TYPE: {line}"),
            _ => {
                let end = line.find(['{', ' ']).unwrap();
                families.last_mut().unwrap().2.push(line[..end].to_owned());
                let value = line.rsplit(' ').next().unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }
    assert!(families.iter().all(|(name, ..)| described.contains(name)));
    families
}

#[tokio::test]
async fn what_a_worker_counts_follows_the_rules_of_either_format() {
    let metrics = of_a_worker();
    let (_, open) = scrape(&metrics, Some("application/openmetrics-text")).await;
    assert_eq!(open.matches("# EOF").count(), 1);
    assert!(open.ends_with("\n# EOF\n"));
    let (_, older) = scrape(&metrics, None).await;
    assert!(!older.contains("# EOF") && !older.contains("# UNIT"));

    // OpenMetrics: a counter's name is without `_total`, its samples' with it. 0.0.4: both with it.
    for (text, counter) in [(&open, "millrace_task_records_in"), (&older, "millrace_task_records_in_total")] {
        let families = families(text);
        let samples = |name: &str| {
            families.iter().find(|(known, ..)| known == name).map(|(_, kind, samples)| (kind.as_str(), samples.clone()))
        };
        assert_eq!(samples(counter), Some(("counter", vec!["millrace_task_records_in_total".to_owned()])));
        for (name, kind, samples) in &families {
            let suffixes: &[&str] = match kind.as_str() {
                "counter" if text == &open => &["_total"],
                "counter" | "gauge" => &[""],
                "histogram" => &["_sum", "_count", "_bucket"],
                other => panic!("{name} is a {other}"),
            };
            assert!(kind != "counter" || name.ends_with("_total") != (text == &open), "{name}");
            assert!(
                samples.iter().all(|sample| suffixes.iter().any(|suffix| *sample == format!("{name}{suffix}"))),
                "{name}: {samples:?}"
            );
        }
        assert_eq!(samples("millrace_task_lag_records"), Some(("gauge", vec!["millrace_task_lag_records".to_owned()])));
    }
    // Names of connectors are escaped in the same way in both.
    let sample = r#"millrace_task_records_in_total{connector="quoted \"name\" # {x}",task="0"} 3"#;
    assert!(open.contains(sample) && older.contains(sample), "{open}");
}
