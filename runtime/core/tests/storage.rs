//! The stores of Kafka Connect's internal topics against Kafka Connect's own (`storage/oracle`), and what holds for any records.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, reason = "a test")]

#[path = "storage/folds.rs"]
mod folds;
#[path = "storage/outages.rs"]
mod outages;
#[path = "storage/properties.rs"]
mod properties;
#[path = "storage/topics.rs"]
mod topics;
#[path = "storage/writes.rs"]
mod writes;

use millrace_api::config::Props;
use serde_json::Value;

/// The lines of a table that `Oracle.java` has written.
fn table(text: &str) -> Vec<Value> {
    let table: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(table.len() >= 100, "a table was lost");
    table
}

/// `[[key, value], …]`.
fn records(case: &Value) -> Vec<(&str, Option<&str>)> {
    let records = case["records"].as_array().unwrap().iter();
    records.map(|record| (record[0].as_str().unwrap(), record[1].as_str())).collect()
}

fn props(value: &Value) -> Props {
    let map = value.as_object().unwrap().iter();
    map.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}
