//! Aggregates that refuse records, or fall over them.

use serde_json::{Value as Json, json};

use crate::member::{Member, Team};
use crate::windows::finish;
use crate::world::World;

#[tokio::test]
async fn a_batch_that_is_refused_changes_nothing_and_only_the_record_at_fault_is_lost() {
    for poison in ["data", "trap"] {
        let world = World::new(2, &[]).await;
        let mut team = Team { members: vec![Member::start_with(&world, 0, 1_000).await] };
        let at = |n: i64| if n % 20 == 7 { json!({"poison": poison}) } else { json!({}) };
        let records: Vec<(i64, Json)> = (0..100).map(|n| (n, at(n))).collect();
        for _ in 0..2 {
            // In the second round batches hold the first round's partial states as well.
            world.produce(0, &records).await;
            world.produce(1, &records).await;
            team.settle(&world).await;
        }
        finish(&world).await;
        team.settle(&world).await;
        assert_eq!(world.finals().await, [(0, "null".to_owned(), 380)]);
        assert_eq!(team.members[0].refused.len(), 20);
    }
}

#[tokio::test]
async fn a_late_record_is_counted_once_when_its_batch_is_refused() {
    let world = World::new(1, &[]).await;
    let mut team = Team { members: vec![Member::start_with(&world, 0, 1_000).await] };
    let hour = crate::world::HOUR;
    let records = [(1, json!({})), (5 * hour, json!({})), (2, json!({})), (5 * hour, json!({"poison": "data"}))];
    world.produce(0, &records).await;
    finish(&world).await;
    team.settle(&world).await;
    assert_eq!(world.finals().await, [(0, "null".to_owned(), 1), (5 * hour, "null".to_owned(), 1)]);
    assert_eq!((world.read("late").await.len(), team.members[0].filtered), (1, 1));
}
