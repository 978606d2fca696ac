//! What a consumer does with its partitions.

use std::time::Duration;

use millrace_api::log::{ConsumerOptions, Event, Log, TopicPartition};

use super::support::{batch, event, numbered, producer, reader_options, records_of, send, silent, take, texts, topic};

/// -2 is the beginning, -1 the end, anything else an offset.
pub async fn assign_starts_where_it_is_told(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 3).await;
    let producer = producer(log).await;
    for partition in 0..3 {
        send(&*producer, prefix, partition, &numbered(&format!("p{partition}-"), 0..10)).await;
    }
    let options = reader_options(prefix, &[(0, -2), (1, -1), (2, 7)]);
    let mut consumer = log.consumer(options).await.unwrap();
    let mut got = take(&mut *consumer, 13).await;
    got.sort_by_key(|got| (got.partition, got.offset));
    assert_eq!(texts(&got), [numbered("p0-", 0..10), numbered("p2-", 7..10)].concat());
    silent(&mut *consumer).await;
    send(&*producer, prefix, 1, &numbered("p1-", 10..12)).await;
    assert_eq!(texts(&take(&mut *consumer, 2).await), numbered("p1-", 10..12));
}

/// The end is reported when all there was has been handed out, and again after more.
pub async fn end_of_partition_is_reported(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let producer = producer(log).await;
    let mut consumer = log.consumer(reader_options(prefix, &[(0, -2)])).await.unwrap();
    let mut expected = 0;
    for more in [0, 3, 4] {
        if more > 0 {
            let values: Vec<_> = numbered("v", expected..expected + more);
            send(&*producer, prefix, 0, &values).await;
        }
        expected += more;
        let mut seen = expected - more;
        loop {
            match event(&mut *consumer).await {
                Event::EndOfPartition { partition, offset } if seen == expected => {
                    assert_eq!(partition, TopicPartition::new(prefix, 0));
                    assert_eq!(offset, i64::try_from(expected).unwrap());
                    break;
                }
                // An end that was true before the last of the records arrived.
                Event::EndOfPartition { offset, .. } => assert_eq!(offset, i64::try_from(seen).unwrap()),
                other => seen += records_of(&other).len(),
            }
        }
    }
}

/// Nothing comes from a paused partition, not even what was fetched before; all of it after resume.
pub async fn paused_partitions_wait(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 2).await;
    let producer = producer(log).await;
    for partition in 0..2 {
        send(&*producer, prefix, partition, &numbered(&format!("p{partition}-"), 0..500)).await;
    }
    let options = ConsumerOptions { max_records: 50, ..reader_options(prefix, &[(0, -2), (1, -2)]) };
    let mut consumer = log.consumer(options).await.unwrap();
    let paused = [TopicPartition::new(prefix, 0)];
    let mut all = take(&mut *consumer, 1).await;
    consumer.pause(&paused);
    let before = all.iter().filter(|got| got.partition == 0).count();
    while all.iter().filter(|got| got.partition == 1).count() < 500 {
        all.extend(records_of(&event(&mut *consumer).await));
    }
    silent(&mut *consumer).await;
    assert_eq!(all.iter().filter(|got| got.partition == 0).count(), before, "none while paused");
    consumer.resume(&paused);
    all.extend(take(&mut *consumer, 500 - before).await);
    for partition in 0..2 {
        let read: Vec<_> = all.iter().filter(|got| got.partition == partition).cloned().collect();
        assert_eq!(texts(&read), numbered(&format!("p{partition}-"), 0..500), "in order, once");
    }
}

/// After a seek the next record is the one at that offset, whatever was buffered.
pub async fn seek_reads_again(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let producer = producer(log).await;
    for from in (0..20_000).step_by(200) {
        send(&*producer, prefix, 0, &numbered("v", from..from + 200)).await;
    }
    // Little room, so that something is always being fetched when the seek comes.
    let buffer_bytes = 32 << 10;
    let options = ConsumerOptions { max_records: 100, buffer_bytes, ..reader_options(prefix, &[(0, -2)]) };
    let mut consumer = log.consumer(options).await.unwrap();
    take(&mut *consumer, 100).await;
    let partition = TopicPartition::new(prefix, 0);
    for start in (0..60).map(|n| n * 7_919 % 19_900).chain([0, 199, 17, 200, 19_999]) {
        consumer.seek(&partition, i64::try_from(start).unwrap()).await.unwrap();
        let count = (20_000 - start).min(650);
        let got = take(&mut *consumer, count).await;
        assert_eq!(texts(&got)[..count], numbered("v", start..start + count));
    }
    assert!(consumer.seek(&TopicPartition::new(prefix, 5), 0).await.is_err(), "not assigned");
}

/// Futures of `next` that are dropped at any point lose nothing, repeat nothing and keep the order.
pub async fn next_is_cancel_safe(log: &dyn Log, prefix: &str) {
    const COUNT: usize = 3_000;
    topic(log, prefix, 1).await;
    let producer = producer(log).await;
    let options = ConsumerOptions { max_records: 7, end_events: false, ..reader_options(prefix, &[(0, -2)]) };
    let mut consumer = log.consumer(options).await.unwrap();
    let sending = async {
        for from in (0..COUNT).step_by(100) {
            let values = batch(prefix, 0, &numbered("v", from..from + 100));
            assert!(producer.send(&values).await.unwrap().iter().all(Result::is_ok));
        }
    };
    let reading = async {
        let (mut all, mut round) = (Vec::new(), 0u64);
        while all.len() < COUNT {
            round += 1;
            let patience = Duration::from_micros(round * 37 % 900);
            if let Ok(event) = tokio::time::timeout(patience, consumer.next()).await {
                all.extend(records_of(&event.unwrap()));
            }
            // Half of the futures are polled exactly once.
            if let Some(event) = futures::FutureExt::now_or_never(consumer.next()) {
                all.extend(records_of(&event.unwrap()));
            }
        }
        all
    };
    let ((), all) = tokio::join!(sending, reading);
    assert_eq!(texts(&all), numbered("v", 0..COUNT));
}

/// No event holds more records than asked for.
pub async fn max_records_is_kept(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    send(&*producer(log).await, prefix, 0, &numbered("v", 0..100)).await;
    let options = ConsumerOptions { max_records: 30, ..reader_options(prefix, &[(0, -2)]) };
    let mut consumer = log.consumer(options).await.unwrap();
    let mut all = Vec::new();
    while all.len() < 100 {
        let records = records_of(&event(&mut *consumer).await);
        assert!(records.len() <= 30, "{}", records.len());
        all.extend(records);
    }
    assert_eq!(texts(&all), numbered("v", 0..100));
}

/// Lag counts down to nothing as records are handed out.
pub async fn lag_is_what_is_left(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    send(&*producer(log).await, prefix, 0, &numbered("v", 0..100)).await;
    let options = ConsumerOptions { max_records: 10, ..reader_options(prefix, &[(0, -2)]) };
    let mut consumer = log.consumer(options).await.unwrap();
    let first = take(&mut *consumer, 1).await.len();
    assert_eq!(consumer.lag(), [(TopicPartition::new(prefix, 0), i64::try_from(100 - first).unwrap())]);
    take(&mut *consumer, 100 - first).await;
    assert_eq!(consumer.lag(), [(TopicPartition::new(prefix, 0), 0)]);
}
