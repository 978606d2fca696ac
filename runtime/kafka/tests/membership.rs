//! Members of groups against real brokers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

#[allow(dead_code, reason = "what this file does not need")]
mod common;

use std::time::{Duration, Instant};

use common::{Place, Seen, Worker, options};
use millrace_api::group::GroupOptions;
use millrace_behaviour::log_suite::unique;

/// Waits until all are in one generation with a leader among them.
async fn together(workers: &mut [Worker]) -> Vec<Place> {
    let mut places: Vec<Option<Place>> = vec![None; workers.len()];
    loop {
        let newest = places.iter().flatten().map(|place| place.generation).max().unwrap_or(0);
        let behind = places.iter().position(|place| place.as_ref().is_none_or(|place| place.generation < newest));
        let Some(behind) = behind else { break };
        places[behind] = Some(workers[behind].joined().await);
    }
    let places: Vec<_> = places.into_iter().flatten().collect();
    assert!(places.iter().any(|place| place.member == place.leader), "{places:?}");
    assert!(places.iter().all(|place| place.leader == places[0].leader), "{places:?}");
    for (place, worker) in places.iter().zip(workers.iter()) {
        assert_eq!(place.assignment, format!("for {}", worker.name));
        assert_eq!(place.protocol, "sessioned");
        assert!(place.member.starts_with(&format!("{}-", worker.name)), "{place:?}");
    }
    places
}

async fn three(group: &str) -> Vec<Worker> {
    let mut workers = Vec::new();
    for name in ["anna", "bert", "carl"] {
        workers.push(Worker::start(group, name).await);
    }
    let places = together(&mut workers).await;
    // All three in it, or another generation follows.
    if places.iter().all(|place| place.generation == places[0].generation) {
        return workers;
    }
    together(&mut workers).await;
    workers
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_alone_it_leads_itself_and_heartbeats_keep_it_in() {
    let mut worker = Worker::start(&unique("alone"), "anna").await;
    assert_eq!(worker.next().await, Seen::Joining);
    assert_eq!(worker.next().await, Seen::Elected(vec!["anna".to_owned()]));
    let place = worker.joined().await;
    assert_eq!((place.generation, &*place.assignment, &*place.protocol), (1, "for anna", "sessioned"));
    assert_eq!(place.member, place.leader);
    assert!(place.member.starts_with("anna-"), "{place:?}");
    worker.quiet(Duration::from_secs(8)).await;
    worker.leave().await;
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_leader_assigns_and_those_who_stay_share_the_rest() {
    let mut workers = three(&unique("share")).await;
    let left = Instant::now();
    workers.remove(0).leave().await;
    together(&mut workers).await;
    assert!(left.elapsed() < Duration::from_secs(5), "leaving is noticed at once, not after the session timeout");
    workers.remove(0).leave().await;
    together(&mut workers).await;
    workers[0].quiet(Duration::from_secs(1)).await;
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_member_that_dies_is_removed_after_its_session() {
    let mut workers = three(&unique("die")).await;
    let died = Instant::now();
    workers.remove(0).die();
    together(&mut workers).await;
    let noticed = died.elapsed();
    assert!(noticed > Duration::from_secs(4), "{noticed:?}");
    assert!(noticed < Duration::from_secs(15), "{noticed:?}");
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_whoever_wants_a_rebalance_gets_one() {
    let mut workers = vec![Worker::start(&unique("rejoin"), "anna").await];
    let first = together(&mut workers).await;
    workers[0].rejoin();
    assert_eq!(workers[0].next().await, Seen::Joining);
    let second = together(&mut workers).await;
    assert_eq!(second[0].generation, first[0].generation + 1);
    assert_eq!(second[0].member, first[0].member);
    workers.remove(0).leave().await;
}

/// While a holder gives its work back, which may take longer than the session, heartbeats keep it in the group.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_holder_may_take_its_time_before_it_joins() {
    let group = unique("slow");
    let thinks = Duration::from_secs(9);
    let slow = Worker::with(options(&group, "slow"), thinks).await;
    let mut workers = vec![slow];
    let first = together(&mut workers).await;
    workers.push(Worker::start(&group, "fast").await);
    let began = Instant::now();
    let second = together(&mut workers).await;
    assert!(began.elapsed() >= thinks);
    assert_eq!(second[0].member, first[0].member, "it was never taken for dead");
    for worker in workers {
        worker.leave().await;
    }
}

/// A holder that is too slow for the rebalance timeout loses its place, is told so, and comes back under another id.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_holder_that_is_too_slow_is_lost_and_comes_back() {
    let group = unique("late");
    let hasty = |name| GroupOptions { rebalance_timeout_ms: 3_000, ..options(&group, name) };
    let mut late = Worker::with(hasty("late"), Duration::from_secs(7)).await;
    let first = late.joined().await;
    let mut other = Worker::with(hasty("other"), Duration::ZERO).await;
    let alone = other.joined().await;
    assert_eq!(alone.member, alone.leader);
    let reason = late.until(|seen| if let Seen::Lost(reason) = seen { Some(reason) } else { None }).await;
    assert!(reason.contains("UNKNOWN_MEMBER_ID"), "{reason}");
    let again = late.joined().await;
    assert_ne!(again.member, first.member);
    assert_eq!(again.leader, alone.member);
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_what_brokers_refuse_for_good_ends_with_the_setting_to_change() {
    let group = unique("refused");
    let mut long = options(&group, "long");
    long.session_timeout_ms = i32::MAX;
    let mut worker = Worker::with(long, Duration::ZERO).await;
    let error = worker.failed().await;
    assert!(error.starts_with("Config") && error.contains("session.timeout.ms"), "{error}");
    worker.leave().await;

    let member = Worker::start(&group, "anna").await;
    let mut workers = vec![member];
    together(&mut workers).await;
    let mut foreign = options(&group, "foreign");
    foreign.protocol_type = "consumer".to_owned();
    let mut worker = Worker::with(foreign, Duration::ZERO).await;
    let error = worker.failed().await;
    assert!(error.starts_with("Config") && error.contains("group.id"), "{error}");
    worker.leave().await;
    workers.remove(0).leave().await;
}

/// One that leaves while it waits for the others to join does not make them wait for it.
#[tokio::test]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_leaving_in_the_middle_of_a_join_is_told() {
    let group = unique("middle");
    let slow = Worker::with(options(&group, "slow"), Duration::from_secs(4)).await;
    let mut workers = vec![slow];
    together(&mut workers).await;
    let mut fast = Worker::start(&group, "fast").await;
    assert_eq!(fast.next().await, Seen::Joining);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    fast.leave().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let place = together(&mut workers).await;
    assert_eq!(place[0].leader, place[0].member);
    workers[0].quiet(Duration::from_secs(1)).await;
}
