//! What a leader goes on to do while its group rebalances.

use millrace_api::Error;

use super::runs::machine;
use super::{Effect, Entry, Event, Machine, Protocol, Record, Request, SessionKey, props};
use crate::group::Assignment;
use crate::storage::config::session_key_record;

/// A machine that knows some connectors and has joined its group, with this leader.
fn joined(connectors: &[(&str, &str)], protocol: Protocol, leader: &str) -> Machine {
    let mut machine = machine(connectors);
    let assignment = Assignment::empty(protocol, leader, &format!("http://{leader}"), 1).encode(protocol);
    let (member, leader) = ("here".to_owned(), leader.to_owned());
    machine.step(0, Event::Joining);
    let protocol = protocol.name().to_owned();
    let effects = machine.step(0, Event::Joined { generation: 1, member, leader, protocol, assignment });
    for effect in effects {
        // A new leader makes a key; what comes after it waits.
        if let Effect::WriteSessionKey { ticket, .. } = effect {
            let key = SessionKey { algorithm: "HmacSHA256".to_owned(), key: vec![1; 32], created: 0 };
            let Entry { key, value } = session_key_record(&key);
            machine.step(0, Event::Config { records: vec![Record { offset: 1, key, value }], live: true });
            machine.step(0, Event::Written { ticket, outcome: Ok(()) });
        }
    }
    machine
}

/// Whether a configuration is written that is put in the middle of a rebalance, by a worker that was told `leader` before.
fn written(protocol: Protocol, leader: &str, lost: bool) -> bool {
    let mut machine = joined(&[("a", "Sim")], protocol, leader);
    if lost {
        machine.step(1, Event::Lost { gone: true });
    }
    machine.step(1, Event::Joining);
    let config = props(&[("name", "b"), ("connector.class", "Sim")]);
    let request = Request::Put { name: "b".to_owned(), config, target: None, replace: false };
    let effects = machine.step(2, Event::Request { reply: 1, request, deadline_ms: 1_000 });
    effects.iter().any(|effect| matches!(effect, Effect::WriteConfig { .. }))
}

#[test]
fn configurations_are_written_during_a_rebalance_by_who_led_before() {
    assert!(written(Protocol::Sessioned, "here", false));
    assert!(written(Protocol::Compatible, "here", false));
    assert!(!written(Protocol::Sessioned, "there", false), "another leads");
    assert!(!written(Protocol::Sessioned, "here", true), "the group has gone on without it");
    assert!(!written(Protocol::Eager, "here", false), "it has given everything back");
}

/// The writes among effects: their keys, step by step.
fn writes(effects: &[Effect]) -> Vec<(u64, Vec<Vec<String>>)> {
    let key = |entry: &Entry| String::from_utf8_lossy(&entry.key).into_owned();
    let shown = |effect: &Effect| match effect {
        Effect::WriteConfig { ticket, steps } => {
            Some((*ticket, steps.iter().map(|step| step.iter().map(key).collect()).collect()))
        }
        _ => None,
    };
    effects.iter().filter_map(shown).collect()
}

fn replies(effects: &[Effect]) -> Vec<(u64, bool)> {
    let shown = |effect: &Effect| match effect {
        Effect::Reply { reply, outcome } => Some((*reply, outcome.is_ok())),
        _ => None,
    };
    effects.iter().filter_map(shown).collect()
}

#[test]
fn tasks_of_several_connectors_share_a_write() {
    let connectors = ["a", "b", "c", "d"].map(|name| (name, "Sim"));
    let mut machine = joined(&connectors, Protocol::Sessioned, "here");
    let mut ask = |reply, name: &str, tasks| {
        let configs = vec![props(&[("task.class", "Sim")]); tasks];
        let request = Request::PutTaskConfigs { name: name.to_owned(), configs };
        machine.step(1, Event::Request { reply, request, deadline_ms: 10_000 })
    };
    let first = writes(&ask(1, "a", 1));
    for (reply, name, tasks) in [(2, "b", 0), (3, "c", 2), (4, "nobody", 1), (5, "d", 1), (6, "c", 1), (7, "a", 1)] {
        assert!(ask(reply, name, tasks).is_empty(), "one write at a time");
    }
    let [(ticket, steps)] = &first[..] else { panic!("{first:?}") };
    assert_eq!(*steps, [["task-a-0"], ["commit-a"]]);

    // What is refused at its own turn does not hold up those behind it, and nothing passes what is about the same connector.
    let effects = machine.step(2, Event::Written { ticket: *ticket, outcome: Ok(()) });
    let second = writes(&effects);
    assert_eq!(replies(&effects), [(1, true)]);
    let [(ticket, steps)] = &second[..] else { panic!("{second:?}") };
    assert_eq!(*steps, [vec!["task-c-0", "task-c-1"], vec!["commit-b", "commit-c"]]);

    // All of them fail with the write that they share.
    let effects = machine.step(3, Event::Written { ticket: *ticket, outcome: Err(Error::retriable("no brokers")) });
    let third = writes(&effects);
    assert_eq!(replies(&effects), [(2, false), (3, false), (4, false)]);
    let [(ticket, steps)] = &third[..] else { panic!("{third:?}") };
    assert_eq!(*steps, [["task-d-0", "task-c-0", "task-a-0"], ["commit-d", "commit-c", "commit-a"]]);
    let effects = machine.step(4, Event::Written { ticket: *ticket, outcome: Ok(()) });
    assert_eq!(replies(&effects), [(5, true), (6, true), (7, true)]);
}
