//! Records that come after the end of their window.

use serde_json::json;

use crate::member::{Member, Team};
use crate::model::{Input, hourly};
use crate::windows::{END, finish, records};
use crate::world::{HOUR, World};

#[tokio::test]
async fn late_records_are_left_out_counted_and_kept() {
    let world = World::new(1, &[]).await;
    let mut team = Team::start(&world, 1).await;
    // The first window closes at two hours, by the clock of the records.
    let inputs = [(5, "in"), (2 * HOUR - 1, "in"), (6, "in"), (2 * HOUR, "in"), (7, "late"), (HOUR, "in")];
    let values: Vec<_> = inputs.map(|(at, what)| (at, json!({"what": what}))).to_vec();
    world.produce(0, &values).await;
    finish(&world).await;
    team.settle(&world).await;
    assert_eq!(world.read("late").await, [(7, json!({"what": "late"}))]);
    assert_eq!(team.members[0].filtered, 1);
    let null = || "null".to_owned();
    assert_eq!(world.finals().await, [(0, null(), 2), (HOUR, null(), 2), (2 * HOUR, null(), 1)]);
}

#[tokio::test]
async fn one_partition_is_not_late_by_another() {
    let world = World::new(2, &[]).await;
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[50 * HOUR]).await;
    team.settle(&world).await;
    world.produce_at(1, &[5]).await;
    team.settle(&world).await;
    finish(&world).await;
    team.settle(&world).await;
    let null = || "null".to_owned();
    assert_eq!(world.finals().await, [(0, null(), 1), (50 * HOUR, null(), 1)]);
    assert!(world.read("late").await.is_empty());
}

/// Three partitions of unequal size and pace, each with stragglers.
fn unequal() -> Vec<Vec<Input>> {
    let partition = |count: i64, pace: i64| {
        let times = (0..count).map(move |n| n * pace - if n % 17 == 16 { 3 * HOUR } else { 0 });
        times.map(|at| (at.max(0), "null".to_owned())).collect()
    };
    vec![partition(400, 90_000), partition(40, 900_000), partition(4, 9_000_000)]
}

#[tokio::test]
async fn a_backlog_gives_what_live_traffic_gives() {
    let inputs = unequal();
    let model = hourly(&inputs, HOUR, END);
    assert!(!model.late.is_empty(), "the case has late records");
    // Live: everybody's records by time, a few at a time.
    let live = World::new(3, &[]).await;
    let mut team = Team::start(&live, 2).await;
    for slice in 0..5_usize {
        for (partition, inputs) in (0..).zip(&inputs) {
            let of = |part: usize| inputs.len() * part / 5;
            live.produce(partition, &records(&inputs[of(slice)..of(slice + 1)])).await;
        }
        team.settle(&live).await;
    }
    finish(&live).await;
    team.settle(&live).await;
    // Backlog: everything is there; one task reads a partition to its end before the other task starts.
    let backlog = World::new(3, &[]).await;
    for (partition, inputs) in (0..).zip(&inputs) {
        backlog.produce(partition, &records(inputs)).await;
    }
    finish(&backlog).await;
    let mut team = Team { members: vec![Member::start_with(&backlog, 0, 500).await] };
    for _ in 0..4 {
        team.members[0].step().await.expect("read");
        team.members[0].commit().await.expect("committed");
    }
    team.members.push(Member::start_with(&backlog, 1, 3).await);
    team.settle(&backlog).await;
    for world in [&live, &backlog] {
        assert_eq!(world.finals().await, model.finals);
        let mut late: Vec<_> = world.read("late").await.into_iter().map(|(at, _)| at).collect();
        late.sort_unstable();
        assert_eq!(late, model.late);
    }
}

#[tokio::test]
async fn what_is_late_stays_late_after_a_restart() {
    let world = World::new(1, &[]).await;
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[5, 2 * HOUR]).await;
    team.settle(&world).await;
    team.stop().await;
    let world = world.reopen(true);
    let mut team = Team::start(&world, 1).await;
    // Without its watermark the partition would begin anew, and take both.
    world.produce_at(0, &[6, HOUR]).await;
    finish(&world).await;
    team.settle(&world).await;
    assert_eq!(world.read("late").await.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [6]);
    let null = || "null".to_owned();
    assert_eq!(world.finals().await, [(0, null(), 1), (HOUR, null(), 1), (2 * HOUR, null(), 1)]);
}
