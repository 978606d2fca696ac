//! Windows, groups and results.

use serde_json::json;

use crate::member::{Member, Team};
use crate::model::{Input, hourly};
use crate::world::{Emitted, HOUR, World};

/// Later than everything: ends all windows before it.
pub(crate) const END: i64 = 1_000 * HOUR;

/// Times and groups as records.
pub(crate) fn records(inputs: &[Input]) -> Vec<(i64, serde_json::Value)> {
    inputs.iter().map(|(at, group)| (*at, json!({"group": group}))).collect()
}

/// Ends all windows.
pub(crate) async fn finish(world: &World) {
    for partition in 0..world.partitions {
        world.produce(partition, &[(END, json!({"group": "end"}))]).await;
    }
}

fn group(name: &str, times: impl IntoIterator<Item = i64>) -> Vec<Input> {
    times.into_iter().map(|at| (at, name.to_owned())).collect()
}

#[tokio::test]
async fn hourly_counts_are_exact_over_three_partitions_and_two_tasks() {
    let world = World::new(3, &[]).await;
    let mut team = Team::start(&world, 2).await;
    let times = |partition: i64| group("null", (0..200 + partition).map(move |n| n * 60_000 + partition));
    for partition in 0..3 {
        world.produce(partition, &records(&times(partition.into()))).await;
        team.settle(&world).await;
    }
    finish(&world).await;
    team.settle(&world).await;
    let model = hourly(&[times(0), times(1), times(2)], HOUR, END);
    assert_eq!(world.finals().await, model.finals);
    // By hand: three partitions, one record a minute.
    assert_eq!(model.finals[0], (0, "null".to_owned(), 180));
    assert!(world.read("late").await.is_empty());
}

#[tokio::test]
async fn running_results_come_first_and_the_final_one_once() {
    let world = World::new(1, &[]).await;
    let mut team = Team::start(&world, 1).await;
    for times in [vec![10, 20], vec![30], vec![HOUR + 1], vec![END]] {
        world.produce_at(0, &times).await;
        team.settle(&world).await;
    }
    let of = |window: i64, count: i64, last: bool| Emitted { window, group: "null".to_owned(), count, last };
    let expected =
        [of(0, 2, false), of(0, 3, false), of(HOUR, 1, false), of(0, 3, true), of(HOUR, 1, true), of(END, 1, false)];
    let mut results = world.results().await;
    results.sort_by_key(|result| (result.last, result.window));
    let mut sorted = expected.to_vec();
    sorted.sort_by_key(|result| (result.last, result.window));
    assert_eq!(results, sorted);
}

#[tokio::test]
async fn only_final_results_when_asked() {
    let world = World::new(1, &[("emit.mode", "final")]).await;
    let mut team = Team::start(&world, 1).await;
    for times in [vec![10, 20], vec![30], vec![END]] {
        world.produce_at(0, &times).await;
        team.settle(&world).await;
    }
    assert_eq!(world.results().await, [Emitted { window: 0, group: "null".to_owned(), count: 3, last: true }]);
}

#[tokio::test]
async fn records_out_of_order_within_the_grace_count() {
    let world = World::new(1, &[]).await;
    let mut team = Team::start(&world, 1).await;
    // The first hour is open until a record of its end and an hour comes.
    world.produce_at(0, &[100, HOUR + 5, 50, 2 * HOUR - 1, 60]).await;
    team.settle(&world).await;
    world.produce_at(0, &[70, END]).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, [(0, "null".to_owned(), 4), (HOUR, "null".to_owned(), 2)]);
}

#[tokio::test]
async fn groups_are_counted_apart_wherever_their_records_are() {
    let world = World::new(3, &[("group.by", "group")]).await;
    let mut team = Team::start(&world, 2).await;
    let inputs: Vec<Vec<Input>> = (0..3)
        .map(|partition| (0..60).map(|n| (n * 120_000 + partition, format!("g{}", n % (5 + partition)))).collect())
        .collect();
    for (partition, inputs) in (0..).zip(&inputs) {
        world.produce(partition, &records(inputs)).await;
    }
    team.settle(&world).await;
    finish(&world).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, hourly(&inputs, HOUR, END).finals);
}

#[tokio::test]
async fn several_fields_make_a_group_and_missing_ones_are_null() {
    let world = World::new(1, &[("group.by", "shop,till")]).await;
    let mut team = Team::start(&world, 1).await;
    let values = [json!({"shop": "a", "till": 1}), json!({"till": 1, "shop": "a"}), json!({"shop": "a"})];
    world.produce(0, &values.map(|value| (5, value))).await;
    finish(&world).await;
    team.settle(&world).await;
    let mut counts: Vec<_> = world.finals().await.into_iter().map(|(_, _, count)| count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2]);
}

#[tokio::test]
async fn a_record_counts_in_every_hopping_window_it_is_in() {
    let more = [("window.type", "hopping"), ("window.advance.ms", "1200000")];
    let world = World::new(1, &more).await;
    let mut team = Team::start(&world, 1).await;
    // 0:50 is in the hours from 0:00, 0:20 and 0:40; 1:10 in those from 0:20, 0:40 and 1:00.
    world.produce_at(0, &[50 * 60_000, 70 * 60_000, END]).await;
    team.settle(&world).await;
    let minutes: Vec<_> = world.finals().await.into_iter().map(|(window, _, count)| (window / 60_000, count)).collect();
    assert_eq!(minutes, [(0, 1), (20, 2), (40, 2), (60, 1)]);
}

#[tokio::test]
async fn event_time_comes_from_a_field_and_what_is_none_is_refused() {
    let world = World::new(1, &[("timestamp.field", "at")]).await;
    let mut team = Team::start(&world, 1).await;
    let values = [
        json!({"at": "2026-11-20T14:59:59Z"}),
        json!({"at": 1_795_183_200_000_i64}),
        json!({"at": "yesterday"}),
        json!({"at": 1_795_183_200_000_000_i64}),
        json!({}),
        json!({"at": "2026-11-20T19:00:00+01:00"}),
    ];
    world.produce(0, &values.map(|value| (1, value))).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, [(1_795_183_200_000, "null".to_owned(), 2)]);
    assert_eq!(team.members[0].refused.len(), 3);
}

#[tokio::test]
async fn very_many_windows_close_in_several_transactions() {
    let world = World::new(1, &[("group.by", "group"), ("emit.mode", "final")]).await;
    let mut team = Team { members: vec![Member::start_with(&world, 0, 2_000).await] };
    let inputs: Vec<Input> = (0..25_000).map(|n| (n % 1_000, format!("g{n}"))).collect();
    world.produce(0, &records(&inputs)).await;
    finish(&world).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, hourly(&[inputs], HOUR, END).finals);
}

#[tokio::test]
async fn a_task_added_later_takes_over_partitions() {
    let world = World::new(3, &[]).await;
    let mut team = Team::start(&world, 1).await;
    let times = |from: i64| group("null", (from..from + 40).map(|n| n * 60_000));
    for partition in 0..3 {
        world.produce(partition, &records(&times(0))).await;
    }
    team.settle(&world).await;
    team.members.push(Member::start(&world, 1).await);
    for partition in 0..3 {
        world.produce(partition, &records(&times(40))).await;
    }
    team.settle(&world).await;
    assert!(team.members.iter().all(|member| !member.assigned.is_empty()));
    team.members.remove(0).stop().await;
    finish(&world).await;
    team.settle(&world).await;
    let all = [times(0), times(40)].concat();
    assert_eq!(world.finals().await, hourly(&[all.clone(), all.clone(), all], HOUR, END).finals);
}
