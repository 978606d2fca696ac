//! What a leader goes on to do while its group rebalances.

use super::runs::machine;
use super::{Effect, Entry, Event, Protocol, Record, Request, SessionKey, props};
use crate::group::Assignment;
use crate::storage::config::session_key_record;

/// Whether a configuration is written that is put in the middle of a rebalance, by a worker that was told `leader` before.
fn written(protocol: Protocol, leader: &str, lost: bool) -> bool {
    let mut machine = machine(&[("a", "Sim")]);
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
