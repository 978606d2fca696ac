//! The state machine: known stories, and random ones against its invariants.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn put(state: &mut HerderState, name: &str, value: &str, target: Option<TargetState>) -> Vec<Effect> {
    let config = props(&[("name", name), ("v", value)]);
    state.step(Event::Put { name: name.to_owned(), config, kind: "sink", version: "1".to_owned(), target })
}

fn started_epoch(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::StartConnector { epoch, .. } => Some(*epoch),
        _ => None,
    })
}

#[test]
fn a_connector_runs_pauses_stops_and_goes() {
    let mut state = HerderState::new("w:1".to_owned());
    let epoch = started_epoch(&put(&mut state, "a", "1", None)).expect("start");
    assert_eq!(state.connector_status("a").expect("a").connector.state, State::Unassigned);
    let effects =
        state.step(Event::ConnectorStarted { name: "a".to_owned(), epoch, outcome: Ok(vec![props(&[]), props(&[])]) });
    assert_eq!(effects.len(), 2);
    let id = TaskId::new("a", 1);
    state.step(Event::TaskChanged { id: id.clone(), epoch, state: State::Failed, trace: Some("boom".to_owned()) });
    let status = state.connector_status("a").expect("a");
    assert_eq!(status.connector.state, State::Running);
    assert_eq!(status.tasks[1].1.trace.as_deref(), Some("boom"));

    let effects = state.step(Event::Target { name: "a".to_owned(), target: TargetState::Paused });
    assert!(effects.contains(&Effect::Want { id: id.clone(), wanted: Wanted::Paused }));
    let effects = state.step(Event::Target { name: "a".to_owned(), target: TargetState::Stopped });
    assert!(effects.contains(&Effect::StopTask { id }));
    assert!(state.connector_status("a").expect("a").tasks.is_empty());
    assert_eq!(state.connector_status("a").expect("a").connector.state, State::Stopped);
    state.step(Event::Delete { name: "a".to_owned() });
    assert!(!state.contains("a"));
}

#[test]
fn only_changed_tasks_restart() {
    let mut state = HerderState::new("w:1".to_owned());
    let epoch = started_epoch(&put(&mut state, "a", "1", None)).expect("start");
    let configs = vec![props(&[("t", "0")]), props(&[("t", "1")])];
    state.step(Event::ConnectorStarted { name: "a".to_owned(), epoch, outcome: Ok(configs.clone()) });
    let effects = state.step(Event::Restart { name: "a".to_owned(), connector: true, tasks: vec![] });
    let epoch = started_epoch(&effects).expect("restart");
    let changed = vec![configs[0].clone(), props(&[("t", "new")])];
    let effects = state.step(Event::ConnectorStarted { name: "a".to_owned(), epoch, outcome: Ok(changed) });
    let started: Vec<i32> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::StartTask { id, .. } => Some(id.task),
            _ => None,
        })
        .collect();
    assert_eq!(started, [1]);
}

#[test]
fn what_an_older_epoch_says_is_ignored() {
    let mut state = HerderState::new("w:1".to_owned());
    let old = started_epoch(&put(&mut state, "a", "1", None)).expect("start");
    let new = started_epoch(&put(&mut state, "a", "2", None)).expect("start");
    assert!(
        state
            .step(Event::ConnectorStarted { name: "a".to_owned(), epoch: old, outcome: Ok(vec![props(&[])]) })
            .is_empty()
    );
    state.step(Event::ConnectorStarted { name: "a".to_owned(), epoch: new, outcome: Err("no".to_owned()) });
    assert_eq!(state.connector_status("a").expect("a").connector.trace.as_deref(), Some("no"));
}

/// Random operations; the executor that obeys the effects never runs a task twice, nor one that should not run.
#[derive(Debug, Clone)]
enum Op {
    Put(u8, bool),
    Delete(u8),
    Target(u8, u8),
    Restart(u8),
    Started(u8, usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        (0u8..3, any::<bool>()).prop_map(|(n, b)| Op::Put(n, b)),
        (0u8..3).prop_map(Op::Delete),
        (0u8..3, 0u8..3).prop_map(|(n, t)| Op::Target(n, t)),
        (0u8..3).prop_map(Op::Restart),
        (0u8..3, 0usize..4).prop_map(|(n, t)| Op::Started(n, t)),
    ];
    prop::collection::vec(op, 0..60)
}

proptest! {
    #[test]
    fn effects_keep_the_world_as_the_state_says(ops in ops()) {
        let mut state = HerderState::new("w:1".to_owned());
        let mut epochs: BTreeMap<String, u64> = BTreeMap::new();
        let mut running: BTreeSet<TaskId> = BTreeSet::new();
        for op in ops {
            let name = |n: u8| format!("c{n}");
            let effects = match op {
                Op::Put(n, changed) => put(&mut state, &name(n), if changed { "x" } else { "y" }, None),
                Op::Delete(n) => state.step(Event::Delete { name: name(n) }),
                Op::Target(n, t) => {
                    let target = [TargetState::Started, TargetState::Paused, TargetState::Stopped][usize::from(t)];
                    state.step(Event::Target { name: name(n), target })
                }
                Op::Restart(n) => state.step(Event::Restart { name: name(n), connector: true, tasks: vec![0, 1] }),
                Op::Started(n, tasks) => match epochs.get(&name(n)) {
                    Some(epoch) => state.step(Event::ConnectorStarted {
                        name: name(n),
                        epoch: *epoch,
                        outcome: Ok(vec![props(&[]); tasks]),
                    }),
                    None => Vec::new(),
                },
            };
            for effect in effects {
                match effect {
                    Effect::StartConnector { name, epoch, .. } => { epochs.insert(name, epoch); }
                    Effect::StartTask { id, wanted, .. } => {
                        prop_assert!(running.insert(id), "a task was started twice");
                        prop_assert!(wanted != Wanted::Stopped);
                    }
                    Effect::StopTask { id } => prop_assert!(running.remove(&id), "a task was stopped that did not run"),
                    Effect::Want { id, .. } => prop_assert!(running.contains(&id)),
                    Effect::Persist { .. } | Effect::StopConnector { .. } => {}
                }
            }
            let told: BTreeSet<TaskId> = state
                .names()
                .iter()
                .flat_map(|name| state.connector_status(name).expect("known").tasks.into_iter().map(|(t, _)| TaskId::new(name.as_str(), t)).collect::<Vec<_>>())
                .collect();
            prop_assert_eq!(&told, &running);
        }
    }
}
