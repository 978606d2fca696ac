//! What holds for any records.

use std::collections::BTreeMap;

use millrace_core::storage::config::{ClusterConfig, ConnectorState};
use millrace_core::storage::offsets::OffsetView;
use millrace_core::storage::status::StatusView;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

type Record = (Vec<u8>, Option<Vec<u8>>);

/// Keys that look right and values that may, or any bytes.
fn record() -> impl Strategy<Value = Record> {
    let key = "(connector|task|commit|target-state|tasks-fencing|restart-connector|session-key|logger-cluster|status-connector|status-task|status-topic)-?[a-c]?(:connector-|-)?[a-c0-9-]{0,3}";
    let value = prop_oneof![
        Just(json!({"properties": {"k": "v"}})),
        Just(json!({"properties": 7})),
        (-2i64..4)
            .prop_map(|n| json!({"tasks": n, "task-count": n, "generation": n, "state": "RUNNING", "worker_id": "w"})),
        Just(json!({"state": "PAUSED", "state.v2": "STOPPED"})),
        Just(json!({"tasks": i64::MAX})),
        Just(Value::Null),
    ];
    let right =
        (key.prop_map(String::into_bytes), prop::option::of(value.prop_map(|value| value.to_string().into_bytes())));
    let any = (any::<Vec<u8>>(), prop::option::of(any::<Vec<u8>>()));
    prop_oneof![8 => right, 1 => any]
}

fn partition() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        ".{0,3}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ];
    prop::collection::vec((".{0,4}", value), 0..6).prop_map(|entries| entries.into_iter().collect())
}

fn read(records: &[Record], started: usize) -> ClusterConfig {
    let mut config = ClusterConfig::new();
    for (offset, (key, value)) in (0i64..).zip(records) {
        if usize::try_from(offset) == Ok(started) {
            config.set_started();
        }
        config.apply(key, value.as_deref(), offset);
    }
    config.set_started();
    config
}

/// The last record of each key, in order: what a worker reads that comes later.
fn compacted(records: &[Record]) -> Vec<Record> {
    let last: BTreeMap<&[u8], usize> =
        records.iter().enumerate().map(|(index, (key, _))| (key.as_slice(), index)).collect();
    let keep = |index: usize, key: &[u8]| last.get(key) == Some(&index);
    records.iter().enumerate().filter(|(index, (key, _))| keep(*index, key)).map(|(_, record)| record.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// When a worker has started to listen decides what it is told, not what it knows.
    #[test]
    fn any_records_fold(records in prop::collection::vec(record(), 0..40), started in 0usize..40) {
        let config = read(&records, started);
        prop_assert_eq!(&config, &read(&records, 0));
        for (name, state) in config.connectors() {
            prop_assert!(state.inconsistent || state.tasks().len() == usize::try_from(state.task_count.unwrap_or(0)).unwrap(), "{}", name);
        }
        let (mut status, mut offsets) = (StatusView::new(), OffsetView::new());
        for (key, value) in &records {
            status.apply(key, value.as_deref());
            offsets.apply(key, value.as_deref());
        }
    }

    /// Compaction may cost tasks, which makes the connector inconsistent or leaves it without tasks; it never makes other ones,
    /// and configurations and targets stay.
    #[test]
    fn compaction_keeps_connectors(records in prop::collection::vec(record(), 0..40)) {
        let shown = |config: &ClusterConfig| -> Vec<_> {
            let shown = |(name, state): (&str, &ConnectorState)| (name.to_owned(), state.config.clone(), state.target);
            config.connectors().map(shown).collect()
        };
        let tolerated = |(_, value): &Record| value.as_ref().is_none_or(|value| serde_json::from_slice::<Value>(value).is_ok_and(|value| value.is_object() && value["properties"] != json!(7) && (value.get("state").is_none() || value.get("state.v2").is_some())));
        let records: Vec<Record> = records.into_iter().filter(tolerated).filter(|(key, value)| {
            let configuration = value.as_ref().is_none_or(|value| value.starts_with(b"{\"properties"));
            let target = value.as_ref().is_none_or(|value| value.starts_with(b"{\"state\""));
            if key.starts_with(b"connector-") { configuration } else if key.starts_with(b"target-state-") { target } else { true }
        }).collect();
        prop_assert_eq!(shown(&read(&records, 0)), shown(&read(&compacted(&records), 0)));
    }

    /// What is written under a partition is found under it, whatever the order of its fields, and is written again under the
    /// same key.
    #[test]
    fn offsets_are_found(partition in partition(), offset in partition()) {
        let mut view = OffsetView::new();
        let entry = view.record("c", &partition, Some(&offset));
        view.apply(&entry.key, entry.value.as_deref());
        let turned: Map<String, Value> = partition.clone().into_iter().rev().collect();
        prop_assert_eq!(view.offset("c", &turned).unwrap(), Some(offset));
        prop_assert_eq!(view.record("c", &turned, None).key, entry.key.clone());
        prop_assert_eq!(view.offsets_of("c").unwrap().len(), 1);
        for entry in view.reset_records("c") {
            view.apply(&entry.key, entry.value.as_deref());
        }
        prop_assert!(view.is_empty());
    }

    /// A key that was written in another way is kept.
    #[test]
    fn keys_keep_their_bytes(partition in partition()) {
        let key = serde_json::to_string_pretty(&json!(["c", partition])).unwrap();
        let mut view = OffsetView::new();
        view.apply(key.as_bytes(), Some(b"{\"n\":1}"));
        prop_assert_eq!(view.record("c", &partition, None).key, key.as_bytes());
        // Another way to write the same, later: it wins, and a reset removes both.
        let own = OffsetView::new().record("c", &partition, None).key;
        view.apply(&own, Some(b"{\"n\":2}"));
        prop_assert_eq!(&view.record("c", &partition, None).key, &own);
        let mut before = view.clone();
        before.apply(key.as_bytes(), None);
        prop_assert_eq!(before.offset("c", &partition).unwrap(), json!({"n": 2}).as_object().cloned());
        prop_assert_eq!(view.reset_records("c").len(), 2);
        prop_assert_eq!(before.reset_records("c").len(), 1);
    }
}
