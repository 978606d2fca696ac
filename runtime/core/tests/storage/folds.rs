//! The same records, the same state.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::config::Props;
use millrace_core::herder::{State, TargetState};
use millrace_core::storage::config::{ClusterConfig, ConfigChange, ConnectorState};
use millrace_core::storage::offsets::OffsetView;
use millrace_core::storage::read_offsets_file;
use millrace_core::storage::status::{StatusRecord, StatusView};
use serde_json::{Value, json};

use super::{records, table};

#[test]
fn configurations() {
    for (line, case) in table(include_str!("oracle/config.jsonl")).iter().enumerate() {
        let mut config = ClusterConfig::new();
        let started = usize::try_from(case["started"].as_u64().unwrap()).unwrap();
        let mut events = Vec::new();
        for (offset, (key, value)) in records(case).into_iter().enumerate() {
            if offset == started {
                config.set_started();
            }
            let change = config.apply(key.as_bytes(), value.map(str::as_bytes), i64::try_from(offset).unwrap());
            events.extend(change.filter(|_| offset >= started).and_then(event));
        }
        let line = line + 1;
        assert_eq!(json!(config.offset()), case["offset"], "offset, line {line}");
        assert_eq!(json!(events), case["events"], "events, line {line}");
        let key = config.session_key().map(|key| json!([STANDARD.encode(&key.key), key.algorithm, key.created]));
        assert_eq!(json!(key), case["key"], "session key, line {line}");
        let expected = case["connectors"].as_object().unwrap();
        let existing: Vec<&str> = config.names().collect();
        let expected_names: Vec<&String> =
            expected.iter().filter(|(_, state)| !state["config"].is_null()).map(|(name, _)| name).collect();
        assert_eq!(existing, expected_names, "names, line {line}");
        for (name, expected) in expected {
            let state = config.state(name).unwrap_or_else(|| panic!("{name} is not known, line {line}"));
            assert_eq!(&shown(state), expected, "{name}, line {line}");
        }
    }
}

/// What Kafka Connect's listener is told; of fencing nothing.
fn event(change: ConfigChange) -> Option<Value> {
    Some(match change {
        ConfigChange::Connector { name, removed: true } => json!(["removed", name]),
        ConfigChange::Connector { name, removed: false } => json!(["updated", name]),
        ConfigChange::Target { name } => json!(["target", name]),
        ConfigChange::Tasks { .. } | ConfigChange::Inconsistent { .. } => json!(["tasks"]),
        ConfigChange::Restart { name, include_tasks, only_failed } => {
            json!(["restart", name, include_tasks, only_failed])
        }
        ConfigChange::SessionKey => json!(["key"]),
        ConfigChange::Logger { namespace, level } => json!(["logger", namespace, level]),
        ConfigChange::Fencing { .. } => return None,
    })
}

fn shown(state: &ConnectorState) -> Value {
    let sorted = |props: &Arc<Props>| Props::clone(props).into_iter().collect::<BTreeMap<_, _>>();
    let target = match state.target {
        TargetState::Started => "STARTED",
        TargetState::Paused => "PAUSED",
        TargetState::Stopped => "STOPPED",
    };
    json!({
        "config": state.config.as_ref().map(sorted),
        "target": state.config.as_ref().map(|_| target),
        "count": state.task_count,
        "tasks": state.tasks().iter().map(sorted).collect::<Vec<_>>(),
        "applied": state.applied.as_ref().map(sorted),
        "inconsistent": state.inconsistent,
        "fenced": state.fenced,
        "pending": state.pending_fencing,
        "generation": state.generation,
    })
}

#[test]
fn states() {
    for (line, case) in table(include_str!("oracle/status.jsonl")).iter().enumerate() {
        let mut view = StatusView::new();
        for (key, value) in records(case) {
            view.apply(key.as_bytes(), value.map(str::as_bytes));
        }
        let safe = case["safe"].as_object().unwrap();
        let mut tasks = BTreeMap::new();
        let mut topics = BTreeMap::new();
        for name in safe.keys() {
            tasks.extend(view.tasks(name).map(|(task, status)| (format!("{name}|{task}"), status_shown(status))));
            let shown = view.topics(name).map(|topic| {
                (format!("{name}|{}", topic.topic), json!([topic.connector, topic.task, topic.discovered]))
            });
            topics.extend(shown);
        }
        let connectors: BTreeMap<_, _> = view.connectors().map(|(name, status)| (name, status_shown(status))).collect();
        let line = line + 1;
        assert_eq!(json!(connectors), case["connectors"], "connectors, line {line}");
        assert_eq!(json!(tasks), case["tasks"], "tasks, line {line}");
        assert_eq!(json!(topics), case["topics"], "topics, line {line}");
        let status = StatusRecord {
            state: State::Unassigned,
            trace: None,
            worker_id: "w9:1".to_owned(),
            generation: 5,
            version: None,
        };
        for (name, expected) in safe {
            assert_eq!(json!(view.may_write_connector(name, &status)), *expected, "{name}, line {line}");
        }
    }
}

fn status_shown(status: &StatusRecord) -> Value {
    json!([status.state.name(), status.trace, status.worker_id, status.generation, status.version])
}

#[test]
fn offsets() {
    for (line, case) in table(include_str!("oracle/offsets.jsonl")).iter().enumerate() {
        let mut view = OffsetView::new();
        for (key, value) in records(case) {
            view.apply(key.as_bytes(), value.map(str::as_bytes));
        }
        for (name, expected) in case["connectors"].as_object().unwrap() {
            let expected = expected.as_array().unwrap();
            for pair in expected {
                let found = view.offset(name, pair[0].as_object().unwrap()).unwrap();
                assert_eq!(found.as_ref(), pair[1].as_object(), "{name}, line {}", line + 1);
            }
            assert_eq!(view.offsets_of(name).unwrap().len(), expected.len(), "{name}, line {}", line + 1);
        }
    }
}

#[test]
fn the_file_of_a_standalone_worker() {
    let bytes = include_bytes!("oracle/standalone.offsets");
    let mut view = OffsetView::new();
    let entries = read_offsets_file(bytes).unwrap();
    assert_eq!((entries.len(), entries.iter().filter(|entry| entry.value.is_none()).count()), (20, 1));
    for entry in &entries {
        view.apply(&entry.key, entry.value.as_deref());
    }
    for n in 0..20 {
        let partition = json!({"filename": format!("/tmp/{n}")});
        let found = view.offset("c", partition.as_object().unwrap()).unwrap();
        assert_eq!(found, json!({"position": n}).as_object().cloned().filter(|_| n != 7), "{n}");
    }
    assert_eq!(read_offsets_file(&[]).unwrap(), []);
    for end in 1..bytes.len() {
        assert!(read_offsets_file(&bytes[..end]).is_err(), "cut at {end}");
    }
}
