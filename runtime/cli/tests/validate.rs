//! `PUT /connector-plugins/{p}/config/validate` against the answers of Kafka Connect 4.3.1 (`golden/validate-4.3.1.json`).

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use support::Worker;

/// Keys that Kafka Connect does not have.
fn own(name: &str) -> bool {
    name.starts_with("operation.log.") || name.starts_with("millrace.")
}

/// Why a case may differ, when it may.
fn differs(config: &Value) -> Option<&'static str> {
    let has = |key: &str| config.get(key).is_some();
    let is = |key: &str, value: &str| config.get(key).and_then(Value::as_str) == Some(value);
    if has("connector.plugin.version") || has("transforms.a.plugin.version") || has("key.converter.plugin.version") {
        return Some("there is one version of each plugin, and any is accepted");
    }
    if is("transforms.a.type", "InsertField$Value") {
        return Some("simple names of classes with two variants are accepted");
    }
    if config.as_object().is_some_and(|keys| keys.keys().any(|key| key.contains(".override."))) {
        return Some("settings of clients are checked by a closed list");
    }
    if has("predicates.p.type") || has("transforms.a.type") || has("topic.creation.default.partitions") {
        return Some("stages are configured for the check, which finds more");
    }
    if is("key.converter", "java.lang.String") {
        return Some("Java's classes do not exist");
    }
    None
}

/// Java's text of a regular expression's error is Java's.
fn same_error(theirs: &str, ours: &str) -> bool {
    let theirs = theirs.split("Invalid regex:").next().unwrap_or(theirs);
    ours.starts_with(theirs)
}

fn errors(value: &Value) -> Vec<&str> {
    value["errors"].as_array().map(|errors| errors.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[test]
fn connectors_are_checked_as_kafka_connect_does() {
    let golden: Value = serde_json::from_str(include_str!("golden/validate-4.3.1.json")).expect("JSON");
    let dir = tempfile::tempdir().expect("a directory");
    let worker = Worker::start(dir.path(), "exactly.once.source.support=disabled\n", &[]);
    let mut wrong = Vec::new();
    for case in golden.as_array().expect("a list") {
        let config = &case["config"];
        let class = config["connector.class"].as_str().filter(|class| *class != "nope").unwrap_or("FileStreamSource");
        let path = format!("/connector-plugins/{class}/config/validate");
        let (status, body) = worker.request("PUT", &path, Some(config));
        let skipped = differs(config).is_some();
        if case["status"] != 200 {
            if !skipped && u64::from(status) != case["status"].as_u64().expect("a status") {
                wrong.push(format!("{config}: {status} {body}, not {case}"));
            }
            continue;
        }
        let ours: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{config}: {status} {body}"));
        let find = |name: &str| {
            let configs = ours["configs"].as_array().expect("configs");
            configs.iter().find(|entry| entry["value"]["name"] == name).cloned()
        };
        for (name, theirs) in case["values"].as_object().expect("values") {
            // Settings of clients are checked by a closed list, and not shown.
            let Some(mine) =
                find(name).or_else(|| name.contains(".override.").then(|| serde_json::json!({ "value": theirs })))
            else {
                wrong.push(format!("{config}: {name} is missing"));
                continue;
            };
            let (mine, theirs_errors) = (&mine["value"], errors(theirs));
            let mine_errors = errors(mine);
            let same = theirs_errors.len() == mine_errors.len()
                && theirs_errors.iter().zip(&mine_errors).all(|(theirs, mine)| same_error(theirs, mine));
            if !same && !skipped {
                wrong.push(format!("{config}: {name} has {mine_errors:?}, not {theirs_errors:?}"));
            }
            if mine["value"] != theirs["value"] && !skipped {
                wrong.push(format!("{config}: {name} is {}, not {}", mine["value"], theirs["value"]));
            }
        }
        if !skipped && ours["error_count"] != case["error_count"] {
            wrong.push(format!("{config}: {} errors, not {}", ours["error_count"], case["error_count"]));
        }
        wrong.extend(definitions(case, &ours));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Definitions, where the recording has them: all that forms are built from.
fn definitions(case: &Value, ours: &Value) -> Vec<String> {
    let Some(theirs) = case["definitions"].as_array() else { return Vec::new() };
    let mine: Vec<&Value> = ours["configs"]
        .as_array()
        .map(|configs| configs.iter().map(|c| &c["definition"]).collect())
        .unwrap_or_default();
    let mut wrong = Vec::new();
    for definition in theirs {
        let name = definition["name"].as_str().unwrap_or_default();
        let Some(found) = mine.iter().find(|mine| mine["name"] == name) else {
            wrong.push(format!("definition of {name} is missing"));
            continue;
        };
        for (field, value) in definition.as_object().into_iter().flatten() {
            // Versions are our own.
            if field == "default_value" && name.ends_with("plugin.version") {
                continue;
            }
            if found[field] != *value {
                wrong.push(format!("{name}: {field} is {}, not {value}", found[field]));
            }
        }
    }
    let names = |list: &[&Value]| -> Vec<String> {
        let names = list.iter().filter_map(|definition| definition["name"].as_str());
        names.filter(|name| !own(name)).map(str::to_owned).collect()
    };
    let (theirs, mine) = (names(&theirs.iter().collect::<Vec<_>>()), names(&mine));
    let known: Vec<_> = mine.iter().filter(|name| theirs.contains(name)).collect();
    if known != theirs.iter().collect::<Vec<_>>() {
        wrong.push(format!("the order is {mine:?}, not {theirs:?}"));
    }
    let groups = |value: &Value| value["groups"].as_array().cloned().unwrap_or_default();
    let ours: Vec<_> = groups(ours).into_iter().filter(|group| *group != "Operation Log").collect();
    if ours != groups(case) {
        wrong.push(format!("the groups are {ours:?}, not {:?}", groups(case)));
    }
    wrong
}
