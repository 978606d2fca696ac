//! Transactions.

use std::collections::BTreeMap;

use millrace_api::log::Log;

use super::support::{
    becomes, member, numbered, positions, producer, read_all, reader_options, send, silent, take, texts, topic,
    transactional,
};

/// Open and aborted transactions are hidden, committed ones are seen.
pub async fn only_committed_transactions_are_seen(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let producer = transactional(log, prefix).await;
    producer.begin().await.unwrap();
    let sent = send(&*producer, prefix, 0, &numbered("one", 0..5)).await;
    assert_eq!((sent[0].offset, sent[4].offset), (0, 4));
    assert!(read_all(log, prefix, true).await.is_empty(), "open");
    producer.commit().await.unwrap();
    becomes(async || texts(&read_all(log, prefix, true).await), numbered("one", 0..5)).await;

    producer.begin().await.unwrap();
    send(&*producer, prefix, 0, &numbered("two", 0..5)).await;
    producer.abort().await.unwrap();
    assert_eq!(texts(&read_all(log, prefix, true).await), numbered("one", 0..5), "aborted");

    producer.begin().await.unwrap();
    send(&*producer, prefix, 0, &numbered("three", 0..2)).await;
    send(&*producer, prefix, 0, &numbered("three", 2..4)).await;
    producer.commit().await.unwrap();
    let expected = [numbered("one", 0..5), numbered("three", 0..4)].concat();
    becomes(async || texts(&read_all(log, prefix, true).await), expected).await;
}

/// Whoever sees one record of a transaction sees all of it, in every partition.
pub async fn a_transaction_over_partitions_is_seen_whole(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 3).await;
    let mut consumer = log.consumer(reader_options(prefix, &[(0, -2), (1, -2), (2, -2)])).await.unwrap();
    let producer = transactional(log, prefix).await;
    for round in 0..10 {
        producer.begin().await.unwrap();
        for partition in 0..3 {
            send(&*producer, prefix, partition, &numbered(&format!("r{round}-"), 0..4)).await;
        }
        let open = read_all(log, prefix, true).await.len();
        assert_eq!(open % 12, 0, "a part of a transaction");
        if round % 3 == 2 {
            producer.abort().await.unwrap();
        } else {
            producer.commit().await.unwrap();
        }
    }
    let mut counts = BTreeMap::new();
    for got in take(&mut *consumer, 7 * 12).await {
        *counts.entry(got.text()).or_insert(0) += 1;
    }
    silent(&mut *consumer).await;
    let expected: BTreeMap<_, _> = (0..10)
        .filter(|round| round % 3 != 2)
        .flat_map(|round| numbered(&format!("r{round}-"), 0..4))
        .map(|text| (text, 3))
        .collect();
    assert_eq!(counts, expected);
}

/// A committed reader never jumps over an open transaction: it would miss its records when they are committed.
pub async fn an_open_transaction_holds_back_what_follows(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let (plain, open) = (producer(log).await, transactional(log, prefix).await);
    send(&*plain, prefix, 0, &numbered("before", 0..2)).await;
    open.begin().await.unwrap();
    send(&*open, prefix, 0, &numbered("inside", 0..2)).await;
    send(&*plain, prefix, 0, &numbered("after", 0..2)).await;

    let mut consumer = log.consumer(reader_options(prefix, &[(0, -2)])).await.unwrap();
    let mut got = take(&mut *consumer, 2).await;
    silent(&mut *consumer).await;
    open.commit().await.unwrap();
    got.extend(take(&mut *consumer, 4).await);
    assert_eq!(texts(&got), ["before0", "before1", "inside0", "inside1", "after0", "after1"]);
    assert!(got.is_sorted_by_key(|got| got.offset));
}

/// Records and the positions they were made from are committed together or not at all.
pub async fn records_and_positions_commit_together(log: &dyn Log, prefix: &str) {
    let input = topic(log, &format!("{prefix}-in"), 1).await;
    let output = topic(log, &format!("{prefix}-out"), 1).await;
    send(&*producer(log).await, &input, 0, &numbered("v", 0..10)).await;
    let mut consumer = member(log, prefix, &[&input]).await;
    take(&mut *consumer, 10).await;
    let producer = transactional(log, prefix).await;

    producer.begin().await.unwrap();
    send(&*producer, &output, 0, &numbered("lost", 0..4)).await;
    producer.send_offsets(&consumer.group_metadata(), &positions(&input, &[(0, 4)])).await.unwrap();
    producer.abort().await.unwrap();
    assert!(log.group_offsets(prefix).await.unwrap().is_empty());
    assert!(read_all(log, &output, true).await.is_empty());

    producer.begin().await.unwrap();
    send(&*producer, &output, 0, &numbered("kept", 0..4)).await;
    producer.send_offsets(&consumer.group_metadata(), &positions(&input, &[(0, 4)])).await.unwrap();
    producer.send_offsets(&consumer.group_metadata(), &positions(&input, &[(0, 7)])).await.unwrap();
    producer.commit().await.unwrap();
    becomes(async || log.group_offsets(prefix).await.unwrap(), positions(&input, &[(0, 7)])).await;
    becomes(async || texts(&read_all(log, &output, true).await), numbered("kept", 0..4)).await;

    consumer.close().await;
    let mut next = member(log, prefix, &[&input]).await;
    assert_eq!(texts(&take(&mut *next, 3).await), numbered("v", 7..10));
}
