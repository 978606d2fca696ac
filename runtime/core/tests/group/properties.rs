//! What holds in every group, whatever happens to it.

use proptest::prelude::*;

use super::model::{DELAY, Group};

#[derive(Debug, Clone)]
enum Event {
    Join,
    Crash(usize),
    /// A worker that is gone comes back, as a new member.
    Return(usize),
    /// A member was taken for dead, and comes back with a new id and what it runs.
    Forgotten(usize),
    /// A member that cannot reach the coordinator stops its work.
    Drops(usize),
    Connector(u8, u32),
    Remove(u8),
    /// Another member leads.
    Leader(usize),
    /// Decided, but nobody hears of it.
    Unheard,
    Round,
    Pass(i64),
    Settle,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Join),
        2 => (0..8usize).prop_map(Event::Crash),
        2 => (0..8usize).prop_map(Event::Return),
        1 => (0..8usize).prop_map(Event::Forgotten),
        1 => (0..8usize).prop_map(Event::Drops),
        4 => ((0..6u8), (0..9u32)).prop_map(|(name, tasks)| Event::Connector(name, tasks)),
        1 => (0..6u8).prop_map(Event::Remove),
        1 => (0..8usize).prop_map(Event::Leader),
        1 => Just(Event::Unheard),
        4 => Just(Event::Round),
        1 => (0..2 * i64::from(DELAY)).prop_map(Event::Pass),
        2 => Just(Event::Settle),
    ]
}

fn apply(group: &mut Group, gone: &mut Vec<String>, event: &Event) {
    let some = |number: &usize| (!group.members.is_empty()).then(|| number % group.members.len());
    match event {
        Event::Join => _ = group.join(&format!("http://w{}", group.rounds + group.members.len() * 1_000)),
        Event::Crash(at) => {
            if let Some(at) = some(at) {
                gone.push(group.crash(at));
            }
        }
        Event::Return(at) => {
            if !gone.is_empty() {
                let url = gone.remove(at % gone.len());
                group.join(&url);
            }
        }
        Event::Forgotten(at) => {
            if let Some(at) = some(at) {
                let mut member = group.members.remove(at);
                group.round(true);
                let url = std::mem::take(&mut member.url);
                group.join(&url);
                group.members.last_mut().unwrap().held = member.held;
            }
        }
        Event::Drops(at) => {
            if let Some(at) = some(at) {
                group.members[at].held = None;
            }
        }
        Event::Connector(name, tasks) => _ = group.connector(&format!("c{name}"), *tasks),
        Event::Remove(name) => group.remove(&format!("c{name}")),
        Event::Leader(at) => {
            if let Some(at) = some(at) {
                group.members.rotate_left(at);
            }
        }
        Event::Unheard => _ = group.round(false),
        Event::Round => _ = group.round(true),
        Event::Pass(millis) => group.now_ms += millis,
        Event::Settle => group.settle(true),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever has happened: nothing is started while somebody runs it (checked in every round), a few rounds later all of it
    /// runs once and evenly, and then nothing moves any more.
    #[test]
    fn every_group_settles(events in prop::collection::vec(event(), 1..40), delay in prop_oneof![Just(DELAY), Just(0), Just(1_000)]) {
        let (mut group, mut gone) = (Group::new(delay), Vec::new());
        group.join("http://first");
        for event in &events {
            apply(&mut group, &mut gone, event);
        }
        if group.members.is_empty() {
            group.join("http://last");
        }
        group.settle(true);
        group.assert_settled();
        let (before, moves) = (group.owners(), group.moves);
        for _ in 0..3 {
            group.now_ms += 1;
            prop_assert!(!group.round(true), "nothing is taken from anybody");
        }
        prop_assert_eq!(group.delay_ms, 0);
        prop_assert_eq!((before, moves), (group.owners(), group.moves));
    }

    /// Those who are left keep what they run, and the rest is among them after the delay, not before.
    #[test]
    fn survivors_keep_their_work(workers in 2..7usize, sizes in prop::collection::vec(0..7u32, 1..8), lost in 1..7usize) {
        let mut group = settled(workers, &sizes);
        let lost = 1 + lost % (workers - 1);
        let ids: Vec<String> = group.members.iter().take(workers - lost).map(|member| member.id.clone()).collect();
        for at in (workers - lost..workers).rev() {
            group.crash(at);
        }
        let before: Vec<_> = ids.iter().map(|id| group.held(id)).collect();
        let idle = group.owners().len() < group.configured().len();
        group.settle(false);
        prop_assert_eq!(group.delay_ms, if idle { DELAY } else { 0 });
        prop_assert_eq!(before.clone(), ids.iter().map(|id| group.held(id)).collect::<Vec<_>>());
        group.now_ms += i64::from(DELAY) / 3;
        group.settle(false);
        prop_assert_eq!(group.delay_ms, if idle { DELAY - DELAY / 3 } else { 0 });
        group.settle(true);
        group.assert_settled();
        prop_assert_eq!(group.moves, 0);
        for (id, before) in ids.iter().zip(before) {
            prop_assert!(group.held(id).is_superset(&before));
        }
    }

    /// Each who returns in time has its own work back at once, and nothing else moves.
    #[test]
    fn who_returns_goes_on(workers in 2..7usize, sizes in prop::collection::vec(0..7u32, 1..8), lost in 1..7usize, order in any::<bool>()) {
        let mut group = settled(workers, &sizes);
        let before = by_url(&group);
        let mut gone: Vec<String> = (0..=lost % (workers - 1)).map(|_| group.crash(1)).collect();
        group.settle(false);
        if order {
            gone.reverse();
        }
        for url in gone {
            group.now_ms += 10_000;
            group.join(&url);
            group.settle(false);
        }
        prop_assert_eq!(group.delay_ms, 0);
        prop_assert_eq!(before, by_url(&group));
        prop_assert_eq!(group.moves, 0);
    }

    /// A new worker takes its share and nothing more: as little as any division that is even could.
    #[test]
    fn a_new_worker_takes_only_its_share(workers in 1..7usize, sizes in prop::collection::vec(0..7u32, 1..8)) {
        let mut group = settled(workers, &sizes);
        let id = group.join("http://new");
        let before = group.owners();
        group.settle(true);
        group.assert_settled();
        let taken = group.held(&id);
        prop_assert_eq!(group.moves, taken.len());
        let after = group.owners();
        prop_assert!(before.iter().all(|(unit, owners)| taken.contains(unit) || after[unit] == *owners));
        prop_assert!(group.rounds <= 2 + 2, "one round that takes and one that gives");
    }
}

fn settled(workers: usize, sizes: &[u32]) -> Group {
    let mut group = Group::new(DELAY);
    for number in 0..workers {
        group.join(&format!("http://w{number}"));
    }
    for (number, tasks) in sizes.iter().enumerate() {
        group.connector(&format!("c{number}"), *tasks);
    }
    group.settle(true);
    group.assert_settled();
    assert_eq!((group.moves, group.rounds), (0, 1), "a new group settles at once");
    group
}

fn by_url(group: &Group) -> std::collections::BTreeMap<String, std::collections::BTreeSet<String>> {
    group.members.iter().map(|member| (member.url.clone(), group.held(&member.id))).collect()
}
