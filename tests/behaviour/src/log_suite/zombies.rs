//! Who was replaced cannot write any more.

use millrace_api::ErrorKind;
use millrace_api::config::Props;
use millrace_api::log::{Consumer, ConsumerOptions, Event, Log};

use super::support::{
    PATIENCE, becomes, event, member_options, numbered, positions, producer, read_all, send, take, texts, topic,
    transactional,
};

/// A member that stops calling `next`, the one that got a partition because of that, and which.
async fn replaced(log: &dyn Log, name: &str) -> (Box<dyn Consumer>, Box<dyn Consumer>, i32) {
    topic(log, name, 2).await;
    let producer = producer(log).await;
    for partition in 0..2 {
        send(&*producer, name, partition, &numbered("v", 0..5)).await;
    }
    let options = || {
        let overrides = ["session.timeout.ms", "max.poll.interval.ms"].map(|key| (key.to_owned(), "6000".to_owned()));
        ConsumerOptions { overrides: Props::from(overrides), ..member_options(name, &[name]) }
    };
    let mut zombie = log.consumer(options()).await.unwrap();
    take(&mut *zombie, 10).await;
    let mut heir = log.consumer(options()).await.unwrap();
    let inherits = async {
        loop {
            match event(&mut *heir).await {
                Event::Assigned(partitions) if !partitions.is_empty() => break partitions[0].partition,
                Event::Records(_) => panic!("records before the partition was assigned"),
                _ => {}
            }
        }
    };
    let inherited = tokio::time::timeout(PATIENCE, inherits).await;
    (zombie, heir, inherited.expect("a member that does not come back is replaced"))
}

/// A member that does not come back for a rebalance within `max.poll.interval.ms` loses partitions to others and cannot commit
/// them. (It need not lose them without a rebalance: whether a slow task is a dead one is for the runtime to say.)
pub async fn a_member_that_lost_its_partition_is_fenced(log: &dyn Log, prefix: &str) {
    let (zombie, mut heir, lost) = replaced(log, prefix).await;
    let error = zombie.commit(&positions(prefix, &[(lost, 5)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert!(log.group_offsets(prefix).await.unwrap().is_empty());
    let mut inherited = Vec::new();
    while inherited.len() < 5 {
        inherited.extend(take(&mut *heir, 1).await.into_iter().filter(|got| got.partition == lost));
    }
    assert_eq!(texts(&inherited), numbered("v", 0..5), "nothing was committed");
    heir.commit(&positions(prefix, &[(lost, 5)])).await.unwrap();
    assert_eq!(log.group_offsets(prefix).await.unwrap(), positions(prefix, &[(lost, 5)]));
}

/// Nor can it commit inside a transaction (KIP-447); what the transaction wrote is not seen.
pub async fn a_zombie_member_cannot_commit_in_a_transaction(log: &dyn Log, prefix: &str) {
    let (zombie, _heir, lost) = replaced(log, prefix).await;
    let out = topic(log, &format!("{prefix}-out"), 1).await;
    let producer = transactional(log, prefix).await;
    producer.begin().await.unwrap();
    send(&*producer, &out, 0, &numbered("t", 0..2)).await;
    let offsets = positions(prefix, &[(lost, 5)]);
    let error = producer.send_offsets(&zombie.group_metadata(), &offsets).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    producer.abort().await.unwrap();
    assert!(read_all(log, &out, true).await.is_empty());
    assert!(log.group_offsets(prefix).await.unwrap().is_empty());
}

/// Opening a producer with a transactional id ends the one before and aborts what it left open.
pub async fn a_second_producer_fences_the_first(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let first = transactional(log, prefix).await;
    first.begin().await.unwrap();
    send(&*first, prefix, 0, &numbered("first", 0..3)).await;

    let second = transactional(log, prefix).await;
    match first.send(&super::support::batch(prefix, 0, &numbered("late", 0..1))).await {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Fenced, "{error}"),
        Ok(sent) => assert_eq!(sent[0].as_ref().unwrap_err().kind(), ErrorKind::Fenced),
    }
    let error = first.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    second.begin().await.unwrap();
    send(&*second, prefix, 0, &numbered("second", 0..2)).await;
    second.commit().await.unwrap();
    becomes(async || texts(&read_all(log, prefix, true).await), numbered("second", 0..2)).await;
    let error = first.begin().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
}
