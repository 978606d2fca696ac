//! Single decisions: capabilities, weights, kinds, what is forgotten, and who is told what.

use std::collections::BTreeSet;
use std::sync::Arc;

use millrace_api::connector::ConnectorType;
use millrace_core::group::{
    Assignment, CONFIG_MISMATCH, ConnectorWork, Leader, Peer, Protocol, Round, Work, WorkerState,
};
use millrace_core::task::TaskId;
use proptest::prelude::*;

use super::model::{DELAY, Group};

fn classes(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn group(workers: usize) -> Group {
    let mut group = Group::new(DELAY);
    for number in 0..workers {
        group.join(&format!("http://w{number}"));
    }
    group
}

fn tasks(group: &Group, member: usize) -> Vec<&TaskId> {
    group.members[member].held.iter().flat_map(|held| &held.tasks).collect()
}

#[test]
fn work_goes_to_those_that_can_run_it() {
    let mut group = group(3);
    group.members[0].runs = Some(classes(&["A", "B"]));
    group.members[1].runs = Some(classes(&["A"]));
    group.connector("b", 4).class = Some("B".into());
    group.connector("a", 6).class = Some("A".into());
    group.settle(true);
    let of = |member, name: &str| tasks(&group, member).iter().filter(|id| &*id.connector == name).count();
    assert_eq!(of(1, "b"), 0, "it has no such class");
    assert!(!group.held("m002").contains("b"));
    assert!(of(0, "b") > 0 && of(2, "b") > 0, "one says that it has it, one says nothing");
    let mut counts: Vec<usize> = (0..3).map(|member| tasks(&group, member).len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [3, 3, 4], "and all have as much to do");
}

#[test]
fn what_nobody_can_run_fails_somewhere() {
    let mut group = group(2);
    for member in &mut group.members {
        member.runs = Some(classes(&["A"]));
    }
    group.connector("x", 2).class = Some("Missing".into());
    group.settle(true);
    group.assert_settled();
}

/// A plugin that arrives on one worker first, then on the other.
#[test]
fn work_moves_to_the_worker_that_gets_the_plugin() {
    let mut group = group(2);
    for member in &mut group.members {
        member.runs = Some(classes(&["A"]));
    }
    group.connector("x", 4).class = Some("New".into());
    group.settle(true);
    group.members[0].runs = Some(classes(&["A", "New"]));
    group.settle(true);
    assert_eq!((tasks(&group, 0).len(), tasks(&group, 1).len()), (4, 0));
    assert!(group.held("m001").contains("x"));
    group.members[1].runs = Some(classes(&["A", "New"]));
    group.settle(true);
    group.assert_settled();
    assert_eq!((tasks(&group, 0).len(), tasks(&group, 1).len()), (2, 2));
}

#[test]
fn a_stranger_takes_of_what_is_missing_only_what_it_can_run() {
    let mut group = group(3);
    group.connector("a", 3).class = Some("A".into());
    group.connector("b", 3).class = Some("B".into());
    group.settle(true);
    let lost = group.held("m003");
    group.crash(2);
    group.settle(false);
    group.join("http://other");
    group.members[2].runs = Some(classes(&["A"]));
    group.settle(false);
    let taken = group.held("m004");
    assert!(
        !taken.is_empty() && taken.iter().all(|unit| unit.starts_with('a') && lost.contains(unit)),
        "{taken:?} of {lost:?}"
    );
    assert!(group.delay_ms > 0, "the rest still waits");
}

#[test]
fn no_worker_has_all_sources() {
    let mut group = group(2);
    // In turn by name, each worker would have one kind only.
    for number in 0..8 {
        let kind = if number % 2 == 0 { ConnectorType::Source } else { ConnectorType::Sink };
        group.connector(&format!("c{number}"), 1).kind = Some(kind);
    }
    group.settle(true);
    group.assert_settled();
    let sources = tasks(&group, 0).iter().filter(|id| id.connector.ends_with(['0', '2', '4', '6'])).count();
    assert_eq!(sources, 2);
}

#[test]
fn tasks_of_a_connector_are_apart() {
    let mut group = group(3);
    group.connector("a", 3);
    group.connector("b", 3);
    group.settle(true);
    for member in 0..3 {
        let names: BTreeSet<_> = tasks(&group, member).iter().map(|id| id.connector.clone()).collect();
        assert_eq!(names.len(), 2);
    }
}

#[test]
fn heavy_tasks_count_for_what_they_are() {
    let mut group = group(3);
    group.connector("heavy", 1).loads.insert(0, 10);
    group.connector("light", 20);
    group.settle(true);
    let mut counts: Vec<usize> = (0..3).map(|member| tasks(&group, member).len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 10, 10]);
}

#[test]
fn small_differences_in_weight_move_nothing() {
    let mut group = group(2);
    group.connector("a", 20);
    group.settle(true);
    for task in 0..20 {
        group.connector("a", 20).loads.insert(task, 100 + u32::try_from(task).unwrap() % 5);
    }
    group.settle(true);
    assert_eq!(group.moves, 0);
    let heavy = tasks(&group, 0)[0].task;
    group.connector("a", 20).loads.insert(heavy, 900);
    group.settle(true);
    assert!(group.moves > 0, "but large ones do");
}

#[test]
fn weights_move_nothing_when_work_is_lost_or_created() {
    let mut group = group(3);
    group.connector("a", 30);
    group.settle(true);
    let heavy = tasks(&group, 1)[0].task;
    group.connector("a", 30).loads.insert(heavy, 64);
    group.crash(0);
    group.settle(true);
    assert_eq!(group.moves, 0, "one is lost");
    group.connector("b", 4);
    group.settle(true);
    assert_eq!(group.moves, 0, "a connector is created");
    group.join("http://new");
    group.settle(true);
    assert!(group.moves > 0, "one more worker takes its part");
}

#[test]
fn of_two_owners_one_keeps_the_work() {
    let mut group = group(3);
    group.connector("a", 6);
    group.settle(true);
    let mut forgotten = group.members.remove(2);
    group.settle(true);
    let late = group.join("http://w2");
    group.members[2].held = forgotten.held.take();
    let before = group.owners();
    assert!(before.values().any(|owners| owners.len() == 2));
    group.settle(true);
    group.assert_settled();
    let after = group.owners();
    for (unit, owners) in before.iter().filter(|(_, owners)| owners.len() == 2) {
        assert!(owners.contains(&after[unit][0]) || after[unit][0] == late, "{unit}");
    }
}

fn peer(member: &str, offset: i64) -> Peer {
    let state = WorkerState { url: format!("http://{member}/"), offset, assignment: None };
    Peer { member: member.to_owned(), state, runs: None }
}

fn work(offset: i64) -> Work {
    let connector = ConnectorWork { tasks: 3, ..ConnectorWork::default() };
    Work { offset, connectors: [("c".into(), connector)].into() }
}

fn decide(
    leader: &mut Leader,
    generation: i32,
    completed: Option<i32>,
    peers: &[Peer],
    work: &Work,
    now_ms: i64,
) -> Vec<Assignment> {
    let round =
        Round { generation, completed, protocol: Protocol::Compatible, leader: &peers[0].member, peers, work, now_ms };
    leader.assign(&round).into_iter().map(|(_, assignment)| assignment).collect()
}

#[test]
fn a_leader_that_has_read_too_little_decides_nothing() {
    let mut leader = Leader::new(DELAY);
    let peers = [peer("a", 5), peer("b", 9)];
    for protocol in [Protocol::Eager, Protocol::Sessioned] {
        let work = work(5);
        let round =
            Round { generation: 1, completed: None, protocol, leader: "a", peers: &peers, work: &work, now_ms: 0 };
        for (_, told) in leader.assign(&round) {
            assert_eq!(
                (told.error, told.offset, told.leader.as_str(), told.leader_url.as_str()),
                (CONFIG_MISMATCH, 9, "a", "http://a/")
            );
            assert!(told.failed() && told.connectors.is_empty() && told.tasks.is_empty() && !told.revokes());
        }
    }
    let told = decide(&mut leader, 2, Some(1), &peers, &work(9), 0);
    assert_eq!(told.iter().map(|told| told.tasks.len()).sum::<usize>(), 3, "when it has read on, it does");
}

/// Peers as they join again after they were told this.
fn again(peers: &[Peer], told: Vec<Assignment>) -> Vec<Peer> {
    let follow = |(peer, new): (&Peer, Assignment)| {
        let assignment = Some(new.after(peer.state.assignment.as_ref()));
        Peer { state: WorkerState { assignment, ..peer.state.clone() }, ..peer.clone() }
    };
    peers.iter().zip(told).map(follow).collect()
}

#[test]
fn the_delay_outlasts_a_round_without_decision() {
    let mut leader = Leader::new(DELAY);
    let peers = [peer("a", 5), peer("b", 5)];
    let told = decide(&mut leader, 1, None, &peers, &work(5), 0);
    let mut peers = again(&peers, told);
    peers.pop();
    peers[0].state.offset = 6;
    assert_eq!(decide(&mut leader, 2, Some(1), &peers, &work(5), 0)[0].error, CONFIG_MISMATCH);
    assert_eq!(decide(&mut leader, 3, Some(2), &peers, &work(6), 0)[0].delay_ms, DELAY);
    assert_eq!(leader.delay_left(1_000), Some(u64::try_from(DELAY - 1_000).unwrap()));
}

#[test]
fn who_has_not_seen_the_last_round_forgets() {
    for completed in [Some(1), Some(5), None] {
        let mut leader = Leader::new(DELAY);
        let peers = [peer("a", 5), peer("b", 5)];
        let told = decide(&mut leader, 1, None, &peers, &work(5), 0);
        let mut peers = again(&peers, told);
        peers.pop();
        let told = &decide(&mut leader, 6, completed, &peers, &work(5), 0)[0];
        assert_eq!(told.delay_ms > 0, completed == Some(1), "only who knows that somebody is gone waits for it");
    }
}

#[test]
fn the_leader_knows_where_everything_runs() {
    let mut leader = Leader::new(DELAY);
    let peers = [peer("a", 5), peer("b", 5)];
    let told = decide(&mut leader, 1, None, &peers, &work(5), 0);
    for (peer, told) in peers.iter().zip(&told) {
        assert!(told.tasks.iter().all(|task| leader.task_url(task) == Some(&*peer.state.url)));
        assert!(told.connectors.iter().all(|name| leader.connector_url(name) == Some(&*peer.state.url)));
    }
    assert_eq!(leader.connector_url("other"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// With any weights and capabilities: everything runs once, where it can if it can, and then stays.
    #[test]
    fn weights_and_capabilities(
        runs in prop::collection::vec(prop::option::of(prop::collection::btree_set("[A-D]", 0..4)), 1..6),
        sizes in prop::collection::vec(("[A-E]", prop::collection::vec(1..50u32, 0..8)), 1..7),
        changes in prop::collection::vec((0..6usize, prop::option::of(prop::collection::btree_set("[A-D]", 0..4))), 0..4),
    ) {
        let names = |set: &BTreeSet<String>| set.iter().map(|name| Arc::from(name.as_str())).collect();
        let mut group = group(runs.len());
        for (number, (class, loads)) in sizes.iter().enumerate() {
            let connector = group.connector(&format!("c{number}"), u32::try_from(loads.len()).unwrap());
            connector.class = Some(class.as_str().into());
            connector.loads = (0..).zip(loads.iter().copied()).collect();
        }
        for (member, runs) in group.members.iter_mut().zip(&runs) {
            member.runs = runs.as_ref().map(names);
        }
        group.settle(true);
        prop_assert_eq!(group.moves, 0);
        for (at, runs) in &changes {
            let at = at % group.members.len();
            group.members[at].runs = runs.as_ref().map(names);
            group.settle(true);
        }
        let before = group.owners();
        prop_assert!(!group.round(true));
        prop_assert_eq!(&before, &group.owners());
        prop_assert!(before.values().all(|owners| owners.len() == 1));
        prop_assert_eq!(before.keys().cloned().collect::<BTreeSet<_>>(), group.configured());
        let can = |runs: &Option<BTreeSet<Arc<str>>>, class: &str| runs.as_ref().is_none_or(|runs| runs.contains(class));
        for member in &group.members {
            for task in member.held.iter().flat_map(|held| &held.tasks) {
                let class = group.work.connectors[&task.connector].class.clone().unwrap();
                prop_assert!(can(&member.runs, &class) || group.members.iter().all(|other| !can(&other.runs, &class)), "{task}");
            }
        }
    }
}
