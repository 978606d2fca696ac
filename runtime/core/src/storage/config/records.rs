//! Records of the configuration topic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::config::Props;

use super::super::Entry;
use super::super::java::hash_order;
use super::super::json::Object;
use super::{COMMIT, CONNECTOR, FENCING, LOGGER, RESTART, SESSION_KEY, TARGET, TASK};
use crate::herder::{SessionKey, TargetState};

/// Creates a connector or replaces its configuration. A target comes before, so that no worker starts what is to be stopped.
#[must_use]
pub fn put_connector(name: &str, config: &Props, target: Option<TargetState>) -> Vec<Entry> {
    target.map(|target| target_record(name, target)).into_iter().chain([connector_record(name, config)]).collect()
}

/// A connector's configuration, keys in the order given.
#[must_use]
pub fn connector_record(name: &str, config: &Props) -> Entry {
    Entry::new(format!("{CONNECTOR}{name}"), Object::new().props("properties", config).end())
}

/// Deletes a connector and its target.
#[must_use]
pub fn delete_records(name: &str) -> Vec<Entry> {
    vec![Entry::tombstone(format!("{CONNECTOR}{name}")), Entry::tombstone(format!("{TARGET}{name}"))]
}

/// What is wanted of a connector. Workers that know no STOPPED read PAUSED.
#[must_use]
pub fn target_record(name: &str, target: TargetState) -> Entry {
    let (old, new) = match target {
        TargetState::Started => ("STARTED", "STARTED"),
        TargetState::Paused => ("PAUSED", "PAUSED"),
        TargetState::Stopped => ("PAUSED", "STOPPED"),
    };
    Entry::new(format!("{TARGET}{name}"), Object::new().text("state", old).text("state.v2", new).end())
}

/// Configurations of a connector's tasks, keys in the order that Kafka Connect's maps have. They are in force once
/// [`commit_record`] is written, which must wait until these are durable: a commit that others see without its tasks makes the
/// connector inconsistent.
#[must_use]
pub fn task_records(name: &str, configs: &[Props]) -> Vec<Entry> {
    let entry = |(task, config): (usize, &Props)| {
        let mut config = config.clone();
        hash_order(&mut config);
        Entry::new(format!("{TASK}{name}-{task}"), Object::new().props("properties", &config).end())
    };
    configs.iter().enumerate().map(entry).collect()
}

/// Puts tasks in force.
#[must_use]
pub fn commit_record(name: &str, tasks: usize) -> Entry {
    Entry::new(format!("{COMMIT}{name}"), Object::new().number("tasks", count(tasks)).end())
}

/// Number of tasks whose producers have been fenced (KIP-618).
#[must_use]
pub fn task_count_record(name: &str, tasks: usize) -> Entry {
    Entry::new(format!("{FENCING}{name}"), Object::new().number("task-count", count(tasks)).end())
}

/// Asks all workers to restart what they run of a connector (KIP-745).
#[must_use]
pub fn restart_record(name: &str, include_tasks: bool, only_failed: bool) -> Entry {
    let value = Object::new().boolean("include-tasks", include_tasks).boolean("only-failed", only_failed);
    Entry::new(format!("{RESTART}{name}"), value.end())
}

/// The key that workers sign with from now on (KIP-507).
#[must_use]
pub fn session_key_record(key: &SessionKey) -> Entry {
    let value = Object::new()
        .text("key", &STANDARD.encode(&key.key))
        .text("algorithm", &key.algorithm)
        .number("creation-timestamp", key.created);
    Entry::new(SESSION_KEY, value.end())
}

/// A logger's level for all workers (KIP-976).
#[must_use]
pub fn logger_record(namespace: &str, level: &str) -> Entry {
    Entry::new(format!("{LOGGER}{namespace}"), Object::new().text("level", level).end())
}

fn count(tasks: usize) -> i64 {
    i64::try_from(tasks).unwrap_or(i64::MAX)
}
