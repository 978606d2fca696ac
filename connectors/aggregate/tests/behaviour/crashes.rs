//! Every way in which a commit can end.

use std::time::Duration;

use millrace_api::ErrorKind;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::ProducerOptions;
use serde_json::json;

use crate::faults::{ALL, Fault};
use crate::member::{Member, Team};
use crate::model::{Input, hourly};
use crate::windows::{END, finish, records};
use crate::world::{HOUR, World};

fn inputs(partition: i64) -> Vec<Input> {
    // Every tenth is late.
    let at = |n: i64| n * 700_000 + partition - if n % 10 == 9 { 4 * HOUR } else { 0 };
    (0..50).map(|n| (at(n).max(0), format!("g{}", n % 3))).collect()
}

async fn check(world: &World) {
    let all: Vec<_> = (0..3).map(inputs).collect();
    let model = hourly(&all, HOUR, END);
    assert_eq!(world.finals().await, model.finals);
    let mut late: Vec<_> = world.read("late").await.into_iter().map(|(at, _)| at).collect();
    late.sort_unstable();
    assert_eq!(late, model.late);
}

/// A commit fails half way through the input, and one more while windows close.
async fn survive(fault: Fault) {
    let world = World::new(3, &[("group.by", "group")]).await;
    let mut team = Team::start(&world, 2).await;
    for round in 0..5 {
        for partition in 0..3_i32 {
            let inputs = inputs(partition.into());
            world.produce(partition, &records(&inputs[round * 10..(round + 1) * 10])).await;
        }
        if round == 4 {
            finish(&world).await;
        }
        if round % 2 == 0 {
            world.faults.arm(fault);
        }
        let failed = team.settle(&world).await;
        assert!(!world.faults.disarm(), "{fault:?} did not happen");
        let heals = [Fault::Begin, Fault::AfterSend, Fault::AfterSendOffsets, Fault::CommitLost, Fault::CommitUnclear];
        let expected = usize::from(round % 2 == 0 && !heals.contains(&fault));
        assert_eq!(failed, expected, "tasks that failed of {fault:?}");
    }
    check(&world).await;
}

#[tokio::test]
async fn counts_are_exact_wherever_a_commit_fails() {
    for fault in ALL {
        survive(fault).await;
    }
}

#[tokio::test]
async fn a_task_that_failed_for_good_does_nothing_more() {
    for fault in [Fault::AfterCommit, Fault::AbortFails, Fault::TableWrite] {
        let world = World::new(1, &[]).await;
        let mut member = Member::start(&world, 0).await;
        world.produce_at(0, &[1, 2, 3]).await;
        while member.positions.is_empty() {
            member.step().await.expect("read");
        }
        if fault == Fault::TableWrite {
            // The first commit has nothing for the table yet.
            member.commit().await.expect("committed");
            while member.positions.len() < 2 {
                member.step().await.expect("read");
            }
        }
        world.faults.arm(fault);
        let error = member.commit().await.expect_err("fails");
        assert!(!error.is_retriable(), "{fault:?}: {error}");
        member.commit().await.expect_err("stays failed");
    }
}

#[tokio::test]
async fn a_commit_that_fails_for_now_sends_the_same_again() {
    let world = World::new(1, &[]).await;
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[1, 2]).await;
    for at in [3, 4, 5] {
        world.produce_at(0, &[at]).await;
        while team.members[0].lag() > 0 || team.members[0].assigned.len() < 3 {
            team.members[0].step().await.expect("read");
        }
        world.faults.arm(Fault::AfterSendOffsets);
        let error = team.members[0].commit().await.expect_err("out of reach");
        assert!(error.is_retriable(), "{error}");
    }
    finish(&world).await;
    assert_eq!(team.settle(&world).await, 0);
    assert_eq!(world.finals().await, [(0, "null".to_owned(), 5)]);
}

#[tokio::test]
async fn state_comes_back_from_the_changelog_alone() {
    for forget in [false, true] {
        let mut world = World::new(3, &[("group.by", "group")]).await;
        for round in 0..5 {
            let mut team = Team::start(&world, 2).await;
            for partition in 0..3_i32 {
                let inputs = inputs(partition.into());
                world.produce(partition, &records(&inputs[round * 10..(round + 1) * 10])).await;
            }
            if round == 4 {
                finish(&world).await;
            }
            team.settle(&world).await;
            // Half of the time without a word.
            if round % 2 == 0 {
                team.stop().await;
            } else {
                drop(team);
            }
            world = world.reopen(forget);
        }
        check(&world).await;
    }
}

#[tokio::test]
async fn a_task_without_its_partitions_cannot_commit() {
    let world = World::new(1, &[]).await;
    let mut zombie = Member::start(&world, 0).await;
    world.produce_at(0, &[1, 2, 3]).await;
    while zombie.positions.is_empty() {
        zombie.step().await.expect("read");
    }
    // Another worker starts the same task.
    let mut team = Team { members: vec![Member::start(&world, 0).await] };
    let error = zombie.commit().await.expect_err("fenced");
    assert!(!error.is_retriable(), "{error}");
    drop(zombie);
    finish(&world).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, [(0, "null".to_owned(), 3)]);
}

#[tokio::test]
async fn what_was_read_of_a_lost_partition_is_forgotten() {
    let world = World::new(1, &[]).await;
    let mut member = Member::start(&world, 0).await;
    world.produce(0, &[(2 * HOUR, json!({})), (1, json!({"late": true}))]).await;
    while member.positions.is_empty() {
        member.step().await.expect("read");
    }
    // Its group goes on without it: somebody else reads the same again.
    let lost = member.assigned.clone();
    let other = Member::start(&world, 1).await;
    member.task.close(&lost).await;
    member.positions.clear();
    let group = member.consumer.group_metadata();
    member.task.pre_commit(&member.positions, &group).await.expect("nothing to commit");
    drop(member);
    let mut team = Team { members: vec![other] };
    finish(&world).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, [(2 * HOUR, "null".to_owned(), 1)]);
    assert_eq!(world.read("late").await.len(), 1);
}

#[tokio::test]
async fn a_task_that_was_away_too_long_goes_on_with_what_it_gets_back() {
    let world = World::new(2, &[]).await;
    let away = Member::start_away(&world, 0, "200").await;
    let mut team = Team { members: vec![away] };
    for partition in 0..2 {
        world.produce_at(partition, &[1, 2, 3]).await;
    }
    team.settle(&world).await;
    world.produce_at(0, &[4]).await;
    world.produce_at(1, &[5]).await;
    while team.members[0].lag() > 0 {
        team.members[0].step().await.expect("read");
    }
    // It does not come back in time, and somebody else takes over all partitions.
    let mut other = Member::start_elsewhere(&world, 1).await;
    while other.assigned.is_empty() {
        other.step().await.expect("a step");
    }
    let error = team.members[0].commit().await.expect_err("not its own any more");
    assert_eq!(error.kind(), ErrorKind::Fenced);
    team.members.push(other);
    assert_eq!(team.settle(&world).await, 0, "nobody has to start over");
    finish(&world).await;
    team.settle(&world).await;
    assert!(team.members.iter().all(|member| !member.assigned.is_empty()));
    assert_eq!(world.finals().await, [(0, "null".to_owned(), 8)]);
}

#[tokio::test]
async fn what_the_task_before_is_committing_is_waited_for() {
    let world = World::new(1, &[]).await;
    let options = ProducerOptions { transactional_id: Some("before".to_owned()), ..ProducerOptions::default() };
    let before = world.services.log.producer(options).await.expect("a producer");
    before.begin().await.expect("begun");
    let mut batch = RawBatch::new();
    let time = (100 * HOUR).to_le_bytes();
    batch.push(&RawRecord::new("hourly-watermarks", Some(b"orders-0"), Some(&time))).expect("pushed");
    before.send(&batch).await.expect("sent");
    let ending = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        before.commit().await.expect("committed");
    });
    let mut team = Team::start(&world, 1).await;
    world.produce_at(0, &[1]).await;
    team.settle(&world).await;
    ending.await.expect("ended");
    assert_eq!(world.read("late").await.len(), 1);
}
