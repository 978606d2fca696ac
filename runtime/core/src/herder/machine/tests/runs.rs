//! Connectors that only one member has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace_api::group::Peer;

use super::{Effect, Event, Machine, Options, Protocol, Record, RestartPolicy, Sinks, TaskId, props};
use crate::group::{Assignment, WorkerState};
use crate::storage::config as records;

const JAVA: &str = "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector";

/// A machine that knows these connectors by name and class.
pub(super) fn machine(connectors: &[(&str, &str)]) -> Machine {
    let options = Options {
        worker_id: "here:8083".to_owned(),
        url: "http://here".to_owned(),
        protocol: Protocol::Sessioned,
        rebalance_delay_ms: 0,
        key_ttl_ms: 0,
        topic_tracking: false,
        restart: RestartPolicy { max_per_hour: 0, backoff_ms: 100, backoff_max_ms: 1_000 },
    };
    let mut machine = Machine::new(options, Arc::new(Sinks));
    let entries = connectors.iter().flat_map(|(name, class)| {
        let config = props(&[("name", name), ("connector.class", class)]);
        records::put_connector(name, &config, None)
    });
    let record = |(offset, entry): (i64, crate::storage::Entry)| Record { offset, key: entry.key, value: entry.value };
    machine.step(0, Event::Config { records: (0..).zip(entries).map(record).collect(), live: false });
    machine
}

fn peer(member: &str, offset: i64) -> Peer {
    let state = WorkerState { url: format!("http://{member}"), offset, assignment: None };
    Peer { member: member.to_owned(), metadata: state.encode(Protocol::Sessioned) }
}

/// What each of the two gets when `here` leads.
fn elected(machine: &mut Machine, offset: i64) -> [BTreeSet<String>; 2] {
    let peers = vec![peer("here", offset), peer("there", offset)];
    let event = Event::Elected { generation: 1, leader: "here".into(), protocol: "sessioned".into(), peers };
    let effects = machine.step(0, event);
    let [Effect::AnswerElected { assignments }] = effects.as_slice() else { panic!("{effects:?}") };
    ["here", "there"].map(|member| {
        let (_, bytes) = assignments.iter().find(|(name, _)| name == member).unwrap();
        Assignment::decode(bytes).unwrap().connectors.iter().map(ToString::to_string).collect()
    })
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn connectors_go_where_their_class_is() {
    // Twice by a name that is not the whole class, as configurations may call it.
    let mut machine =
        machine(&[("a", JAVA), ("b", "MirrorHeartbeat"), ("c", "MirrorHeartbeatConnector"), ("d", "Sim")]);
    machine.step(0, Event::Runs { member: "there".into(), url: "http://there/".into(), classes: Some(names(&[JAVA])) });
    assert_eq!(elected(&mut machine, 4), [names(&["d"]), names(&["a", "b", "c"])]);
    assert_eq!(
        (machine.others_with("MirrorHeartbeat"), machine.others_with("Sim")),
        (vec!["http://there".to_owned()], vec![])
    );
}

#[test]
fn what_nobody_has_goes_anywhere_and_who_does_not_tell_has_everything() {
    let mut one = machine(&[("a", "Unknown"), ("b", "Sim")]);
    one.step(0, Event::Runs { member: "there".into(), url: "http://there/".into(), classes: Some(names(&[JAVA])) });
    let [here, there] = elected(&mut one, 2);
    assert_eq!((here, there), (names(&["b"]), names(&["a"])), "evenly, as if both had it");
    let mut other = machine(&[("a", JAVA), ("b", JAVA)]);
    other.step(0, Event::Runs { member: "there".into(), url: "http://there/".into(), classes: None });
    assert_eq!(elected(&mut other, 2), [names(&[]), names(&["a", "b"])]);
}

#[test]
fn an_answer_that_comes_late_leads_to_another_decision() {
    let late = |told: &[&str]| {
        let mut machine = machine(&[("a", "Sim"), ("b", "Sim")]);
        let [here, there] = elected(&mut machine, 2);
        assert_eq!((here.len(), there.len()), (1, 1), "not known, so everything");
        let mine = Assignment { connectors: here.iter().map(|name| name.as_str().into()).collect(), ..empty() };
        let (member, leader) = ("here".to_owned(), "here".to_owned());
        let assignment = mine.encode(Protocol::Sessioned);
        machine.step(0, Event::Joined { generation: 1, member, leader, protocol: "sessioned".into(), assignment });
        let effects = machine
            .step(0, Event::Runs { member: "there".into(), url: "http://there/".into(), classes: Some(names(told)) });
        effects.iter().any(|effect| matches!(effect, Effect::Rejoin { .. }))
    };
    assert!(late(&[JAVA]), "it has not what it was given");
    assert!(!late(&["Sim", JAVA]), "it has");
}

fn empty() -> Assignment {
    Assignment::empty(Protocol::Sessioned, "here", "http://here", 2)
}

/// Sixteen tasks of one connector, of which two are heavy: how heavy what each of two members gets is in all.
fn weighed(told: &[(&str, Option<BTreeMap<TaskId, u32>>)]) -> [u32; 2] {
    let mut machine = machine(&[("a", "Sim")]);
    let configs = vec![props(&[("task.class", "Sim")]); 16];
    let mut entries = records::task_records("a", &configs);
    entries.push(records::commit_record("a", configs.len()));
    let record = |(offset, entry): (i64, crate::storage::Entry)| Record { offset, key: entry.key, value: entry.value };
    machine.step(0, Event::Config { records: (1..).zip(entries).map(record).collect(), live: false });
    for (member, loads) in told {
        machine.step(0, Event::Loads { member: (*member).to_owned(), loads: loads.clone() });
    }
    let peers = vec![peer("here", 18), peer("there", 18)];
    let event = Event::Elected { generation: 1, leader: "here".into(), protocol: "sessioned".into(), peers };
    let effects = machine.step(0, event);
    let [Effect::AnswerElected { assignments }] = effects.as_slice() else { panic!("{effects:?}") };
    ["here", "there"].map(|member| {
        let (_, bytes) = assignments.iter().find(|(name, _)| name == member).unwrap();
        let tasks = Assignment::decode(bytes).unwrap().tasks;
        tasks.iter().map(|id| heavy().get(id).copied().unwrap_or(1)).sum()
    })
}

fn heavy() -> BTreeMap<TaskId, u32> {
    BTreeMap::from([(TaskId::new("a", 0), 64), (TaskId::new("a", 2), 64)])
}

#[test]
fn what_members_measure_decides_when_all_of_them_do() {
    assert_eq!(weighed(&[("here", Some(heavy())), ("there", Some(BTreeMap::new()))]), [71, 71]);
    let counted = weighed(&[]);
    assert_ne!(counted, [71, 71], "by count both happen to be heavy: {counted:?}");
    assert_eq!(weighed(&[("here", Some(heavy())), ("there", None)]), counted, "a Java worker measures nothing");
    assert_eq!(weighed(&[("here", Some(heavy())), ("gone", None)]), [71, 71], "who is gone does not matter");
}
