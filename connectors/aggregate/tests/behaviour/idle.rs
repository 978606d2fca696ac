//! Partitions without traffic.

use std::time::Duration;

use serde_json::json;

use crate::member::Team;
use crate::windows::records;
use crate::world::{HOUR, World};

const IDLE: Duration = Duration::from_millis(300);

async fn world(partitions: i32) -> World {
    World::new(partitions, &[("watermark.idle.ms", "300")]).await
}

/// Several quiet spells go by, with commits.
async fn wait(team: &mut Team, world: &World) {
    for _ in 0..6 {
        tokio::time::sleep(IDLE / 2).await;
        team.settle(world).await;
    }
}

fn finals(of: &[(i64, i64)]) -> Vec<(i64, String, i64)> {
    of.iter().map(|(window, count)| (*window, "null".to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_partition_that_holds_windows_open_stops_when_it_is_idle() {
    let world = World::new(2, &[("watermark.idle.ms", "3000")]).await;
    let mut team = Team::start(&world, 2).await;
    world.produce_at(0, &[1, 50 * HOUR]).await;
    world.produce_at(1, &[2]).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, finals(&[]), "the second partition may still bring something");
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, finals(&[(0, 2)]));
}

#[tokio::test]
async fn an_empty_partition_does_not_hold_windows_open_for_ever() {
    let world = world(3).await;
    let mut team = Team::start(&world, 2).await;
    world.produce_at(0, &[1, 50 * HOUR]).await;
    team.settle(&world).await;
    wait(&mut team, &world).await;
    assert_eq!(world.finals().await, finals(&[(0, 1)]));
}

#[tokio::test]
async fn a_partition_that_is_only_not_read_is_not_idle() {
    let world = world(2).await;
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[1]).await;
    world.produce_at(1, &[2]).await;
    team.settle(&world).await;
    // Paused: commits go on, and the backlog is never asked for.
    let paused: Vec<_> = team.members[0].assigned.iter().filter(|one| &*one.topic == "orders").cloned().collect();
    team.members[0].consumer.pause(&paused);
    world.produce_at(0, &[50 * HOUR]).await;
    world.produce_at(1, &[3, 4]).await;
    for _ in 0..8 {
        tokio::time::sleep(IDLE / 2).await;
        team.members[0].commit().await.expect("committed");
        team.members[0].step().await.expect("a step");
    }
    // One partition is read before the other.
    let first: Vec<_> = paused.iter().filter(|one| one.partition == 0).cloned().collect();
    team.members[0].consumer.resume(&first);
    for _ in 0..8 {
        team.members[0].step().await.expect("a step");
        team.members[0].commit().await.expect("committed");
    }
    assert_eq!(world.finals().await, finals(&[]));
    team.members[0].consumer.resume(&paused);
    team.settle(&world).await;
    wait(&mut team, &world).await;
    assert_eq!(world.finals().await, finals(&[(0, 4)]));
}

#[tokio::test]
async fn a_partition_that_was_idle_before_a_stop_holds_windows_open_after_it() {
    let world = world(2).await;
    let mut team = Team::start(&world, 2).await;
    world.produce_at(0, &[1]).await;
    team.settle(&world).await;
    wait(&mut team, &world).await;
    team.stop().await;
    // While nothing runs both get records; the second partition's task starts long after the first one's.
    world.produce_at(0, &[2, 50 * HOUR]).await;
    world.produce(1, &records(&[(3, "null".to_owned())])).await;
    world.produce_at(1, &[50 * HOUR]).await;
    let mut team = Team::start(&world, 1).await;
    team.members[0].step().await.expect("assigned");
    let second: Vec<_> = team.members[0].assigned.iter().filter(|one| one.to_string() == "orders-1").cloned().collect();
    team.members[0].consumer.pause(&second);
    for _ in 0..10 {
        team.members[0].step().await.expect("a step");
        team.members[0].commit().await.expect("committed");
    }
    assert_eq!(world.finals().await, finals(&[]));
    team.members[0].consumer.resume(&second);
    team.settle(&world).await;
    assert_eq!(world.finals().await, finals(&[(0, 3)]));
}

#[tokio::test]
async fn a_topic_that_is_no_input_any_more_holds_nothing_open() {
    let mut world = World::new(1, &[("topics", "orders,refunds")]).await;
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[1]).await;
    world.produce_to("refunds", 0, &[(2, json!({}))]).await;
    team.settle(&world).await;
    team.stop().await;
    world.props.insert("topics".to_owned(), "orders".to_owned());
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[50 * HOUR]).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, finals(&[(0, 2)]));
}

#[tokio::test]
async fn a_merge_that_starts_over_hears_again_who_is_idle() {
    let world = world(2).await;
    let mut team = Team::start(&world, 2).await;
    world.produce_at(0, &[1]).await;
    team.settle(&world).await;
    wait(&mut team, &world).await;
    // The task that has the quiet partition stays; the other one starts over.
    let quiet = |team: &Team, at: usize| team.members[at].assigned.iter().any(|one| one.to_string() == "orders-1");
    let at = usize::from(quiet(&team, 0));
    team.restart(&world, at).await;
    world.produce_at(0, &[50 * HOUR]).await;
    for _ in 0..4 {
        team.settle(&world).await;
        tokio::time::sleep(IDLE / 2).await;
        // Traffic goes on, so that this partition is never idle.
        world.produce_at(0, &[50 * HOUR]).await;
    }
    team.settle(&world).await;
    assert_eq!(world.finals().await, finals(&[(0, 1)]));
}

#[tokio::test]
async fn a_partition_that_brings_nothing_after_a_restart_becomes_idle() {
    let world = world(2).await;
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[1]).await;
    world.produce_at(1, &[2, 3]).await;
    team.settle(&world).await;
    team.stop().await;
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[50 * HOUR]).await;
    wait(&mut team, &world).await;
    assert_eq!(world.finals().await, finals(&[(0, 3)]));
}
