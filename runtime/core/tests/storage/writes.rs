//! The same records, byte for byte and in the same order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::config::Props;
use millrace_core::herder::{SessionKey, State, TargetState};
use millrace_core::storage::Entry;
use millrace_core::storage::config::{
    commit_record, delete_records, logger_record, put_connector, restart_record, session_key_record, target_record,
    task_count_record, task_records,
};
use millrace_core::storage::offsets::OffsetView;
use millrace_core::storage::status::{self, StatusRecord, TopicRecord};
use serde_json::Value;

use super::{props, records, table};

#[test]
fn records_are_kafka_connects() {
    for (line, case) in table(include_str!("oracle/writes.jsonl")).iter().enumerate() {
        let written = written(case["kind"].as_str().unwrap(), case["args"].as_array().unwrap());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let written: Vec<_> =
            written.iter().map(|entry| (text(&entry.key), entry.value.as_deref().map(text))).collect();
        let written: Vec<_> = written.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        assert_eq!(written, records(case), "line {} of writes.jsonl", line + 1);
    }
}

fn written(kind: &str, args: &[Value]) -> Vec<Entry> {
    let text = |n: usize| args[n].as_str().unwrap();
    let flag = |n: usize| args[n].as_bool().unwrap();
    let whole = |n: usize| usize::try_from(args[n].as_u64().unwrap()).unwrap();
    match kind {
        "connector" => put_connector(text(0), &props(&args[1]), args[2].as_str().map(target)),
        "delete" => delete_records(text(0)),
        "tasks" => tasks(text(0), &args[1].as_array().unwrap().iter().map(props).collect::<Vec<_>>()),
        "no-tasks" => tasks(text(0), &[]),
        "target" => vec![target_record(text(0), target(text(1)))],
        "fencing" => vec![task_count_record(text(0), whole(1))],
        "restart" => vec![restart_record(text(0), flag(1), flag(2))],
        "logger" => vec![logger_record(text(0), text(1))],
        "session-key" => vec![session_key_record(&SessionKey {
            key: STANDARD.decode(text(0)).unwrap(),
            algorithm: text(1).to_owned(),
            created: args[2].as_i64().unwrap(),
        })],
        "connector-status" => {
            let status = StatusRecord { trace: Some(text(1).to_owned()), ..running(State::Failed, 7, None) };
            vec![status::connector_record(text(0), &status)]
        }
        "task-status" => vec![status::task_record(text(0), 3, &running(State::Running, -1, Some(text(1))))],
        "topic-status" => vec![status::topic_record(&TopicRecord {
            topic: "t-1".to_owned(),
            connector: text(0).to_owned(),
            task: 2,
            discovered: 1_795_215_667_121,
        })],
        "gone" => {
            vec![status::connector_gone(text(0)), status::task_gone(text(0), 3), status::topic_gone(text(0), "t-1")]
        }
        "offset" => {
            vec![OffsetView::new().record(text(0), args[1].as_object().unwrap(), args[2].as_object())]
        }
        other => panic!("{other}"),
    }
}

fn tasks(name: &str, configs: &[Props]) -> Vec<Entry> {
    let mut entries = task_records(name, configs);
    entries.push(commit_record(name, configs.len()));
    entries
}

fn running(state: State, generation: i32, version: Option<&str>) -> StatusRecord {
    let version = version.map(str::to_owned);
    StatusRecord { state, trace: None, worker_id: "h:1".to_owned(), generation, version }
}

fn target(name: &str) -> TargetState {
    match name {
        "STARTED" => TargetState::Started,
        "PAUSED" => TargetState::Paused,
        _ => TargetState::Stopped,
    }
}
