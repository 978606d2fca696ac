//! Committed positions.

use millrace_api::ErrorKind;
use millrace_api::log::{ConsumerOptions, Log, TopicPartition};

use super::support::{event, member, member_options, numbered, positions, producer, send, silent, take, texts, topic};

/// The next member of a group starts where the last one committed.
pub async fn a_group_resumes_at_its_committed_position(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let producer = producer(log).await;
    send(&*producer, prefix, 0, &numbered("v", 0..10)).await;
    let mut first = member(log, prefix, &[prefix]).await;
    assert_eq!(texts(&take(&mut *first, 10).await), numbered("v", 0..10));
    first.commit(&positions(prefix, &[(0, 6)])).await.unwrap();
    assert_eq!(log.group_offsets(prefix).await.unwrap(), positions(prefix, &[(0, 6)]));
    first.close().await;

    let mut second = member(log, prefix, &[prefix]).await;
    assert_eq!(texts(&take(&mut *second, 4).await), numbered("v", 6..10));
    second.commit(&positions(prefix, &[(0, 10)])).await.unwrap();
    second.close().await;
    send(&*producer, prefix, 0, &numbered("v", 10..12)).await;
    let mut third = member(log, prefix, &[prefix]).await;
    assert_eq!(texts(&take(&mut *third, 2).await), numbered("v", 10..12));
}

/// Closing commits nothing by itself.
pub async fn uncommitted_positions_are_read_again(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    send(&*producer(log).await, prefix, 0, &numbered("v", 0..10)).await;
    for _ in 0..2 {
        let mut consumer = member(log, prefix, &[prefix]).await;
        assert_eq!(texts(&take(&mut *consumer, 10).await), numbered("v", 0..10));
        consumer.close().await;
    }
    assert!(log.group_offsets(prefix).await.unwrap().is_empty());
}

/// Without a committed position a group starts at the end if told so; with one it starts there.
pub async fn from_latest_starts_at_the_end(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let producer = producer(log).await;
    send(&*producer, prefix, 0, &numbered("old", 0..10)).await;
    let options = || ConsumerOptions { from_latest: true, end_events: true, ..member_options(prefix, &[prefix]) };
    let mut consumer = log.consumer(options()).await.unwrap();
    while !matches!(event(&mut *consumer).await, millrace_api::log::Event::EndOfPartition { .. }) {}
    send(&*producer, prefix, 0, &numbered("new", 0..2)).await;
    assert_eq!(texts(&take(&mut *consumer, 2).await), numbered("new", 0..2));
    consumer.commit(&positions(prefix, &[(0, 11)])).await.unwrap();
    consumer.close().await;
    let mut again = log.consumer(options()).await.unwrap();
    assert_eq!(texts(&take(&mut *again, 1).await), ["new1"]);
}

/// Two groups on one topic each read all of it.
pub async fn groups_read_independently(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    send(&*producer(log).await, prefix, 0, &numbered("v", 0..10)).await;
    for group in ["a", "b"] {
        let group = format!("{prefix}-{group}");
        let mut consumer = member(log, &group, &[prefix]).await;
        assert_eq!(texts(&take(&mut *consumer, 10).await), numbered("v", 0..10), "{group}");
        consumer.commit(&positions(prefix, &[(0, 10)])).await.unwrap();
        consumer.close().await;
    }
}

/// Positions of a group without members can be set and removed, and members start from them.
pub async fn group_offsets_can_be_set_and_removed(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 2).await;
    let producer = producer(log).await;
    send(&*producer, prefix, 0, &numbered("p0-", 0..10)).await;
    send(&*producer, prefix, 1, &numbered("p1-", 0..10)).await;
    assert!(log.group_offsets(prefix).await.unwrap().is_empty());
    let at = |partition| TopicPartition::new(prefix, partition);
    log.set_group_offsets(prefix, &[(at(0), Some(8)), (at(1), Some(3))]).await.unwrap();
    assert_eq!(log.group_offsets(prefix).await.unwrap(), positions(prefix, &[(0, 8), (1, 3)]));
    log.set_group_offsets(prefix, &[(at(1), None)]).await.unwrap();
    assert_eq!(log.group_offsets(prefix).await.unwrap(), positions(prefix, &[(0, 8)]));

    let mut consumer = member(log, prefix, &[prefix]).await;
    let mut got = take(&mut *consumer, 12).await;
    got.sort_by_key(|got| (got.partition, got.offset));
    assert_eq!(texts(&got), [numbered("p0-", 8..10), numbered("p1-", 0..10)].concat());
    silent(&mut *consumer).await;
}

/// While a member lives its group's positions are its own.
pub async fn group_offsets_of_a_live_group_are_refused(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    send(&*producer(log).await, prefix, 0, &numbered("v", 0..3)).await;
    let mut consumer = member(log, prefix, &[prefix]).await;
    take(&mut *consumer, 3).await;
    consumer.commit(&positions(prefix, &[(0, 3)])).await.unwrap();
    let reset = [(TopicPartition::new(prefix, 0), Some(0))];
    let error = log.set_group_offsets(prefix, &reset).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(log.group_offsets(prefix).await.unwrap(), positions(prefix, &[(0, 3)]));
    consumer.close().await;
    log.set_group_offsets(prefix, &reset).await.unwrap();
    assert_eq!(log.group_offsets(prefix).await.unwrap(), positions(prefix, &[(0, 0)]));
}
