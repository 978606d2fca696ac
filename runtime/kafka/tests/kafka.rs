//! What only Kafka does, or does differently from other logs; the rest is in the behaviour suite. Against real brokers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

use std::time::{Duration, Instant};

use millrace_api::ErrorKind;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::config::Props;
use millrace_api::log::{
    Consumer, ConsumerOptions, Event, Log, Offsets, ProducerOptions, Subscription, TopicPartition, TopicSpec,
};
use millrace_behaviour::log_suite::support::{
    batch, event, member_options, numbered, positions, producer, read_all, reader_options, records_of, send, silent,
    take, texts, topic, transactional,
};
use millrace_behaviour::log_suite::unique;
use millrace_kafka::{ClientProps, KafkaLog};

fn open() -> KafkaLog {
    let bootstrap = std::env::var("MILLRACE_TEST_KAFKA").expect("MILLRACE_TEST_KAFKA: the brokers to test against");
    KafkaLog::new(&bootstrap, ClientProps::default()).unwrap()
}

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn assigned(consumer: &mut dyn Consumer) -> Vec<TopicPartition> {
    loop {
        if let Event::Assigned(partitions) = event(consumer).await {
            return partitions;
        }
    }
}

/// A sink that is busy for much longer than `max.poll.interval.ms` while its buffer is full keeps its partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_full_buffer_keeps_membership() {
    let (log, name) = (open(), unique("full"));
    topic(&log, &name, 1).await;
    let producer = producer(&log).await;
    for from in (0..20_000).step_by(1_000) {
        send(&*producer, &name, 0, &numbered("v", from..from + 1_000)).await;
    }
    let options = ConsumerOptions {
        buffer_bytes: 300_000,
        max_records: 100,
        overrides: props(&[("max.poll.interval.ms", "6000"), ("session.timeout.ms", "6000")]),
        ..member_options(&name, &[&name])
    };
    let mut consumer = log.consumer(options).await.unwrap();
    let mut all = take(&mut *consumer, 1).await;
    tokio::time::sleep(Duration::from_secs(14)).await;
    while all.len() < 20_000 {
        let event = event(&mut *consumer).await;
        assert!(matches!(event, Event::Records(_)), "nothing was taken away");
        all.extend(records_of(&event));
    }
    assert_eq!(texts(&all), numbered("v", 0..20_000));
    consumer.commit(&positions(&name, &[(0, 20_000)])).await.unwrap();
}

/// As with Kafka's own consumer, subscribing to a topic that does not exist is no error, and it is read once it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_topic_that_comes_later_is_read() {
    let (log, name) = (open(), unique("later"));
    let mut consumer = log.consumer(member_options(&name, &[&name])).await.unwrap();
    silent(&mut *consumer).await;
    topic(&log, &name, 2).await;
    send(&*producer(&log).await, &name, 1, &numbered("v", 0..3)).await;
    let read = tokio::time::timeout(Duration::from_secs(20), take(&mut *consumer, 3)).await;
    assert_eq!(texts(&read.expect("long before metadata is refreshed by itself")), numbered("v", 0..3));
}

/// `\d` is Java's and no POSIX pattern's; Kafka's own topics never match.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_patterns_are_javas() {
    let (log, name) = (open(), unique("java"));
    let producer = producer(&log).await;
    for suffix in ["a-1", "a-d", "b-22"] {
        let topic = topic(&log, &format!("{name}-{suffix}"), 1).await;
        send(&*producer, &topic, 0, &[suffix.to_owned()]).await;
    }
    let pattern = format!(r"(?:{name}-[ab]-\d{{1,2}}|__consumer_offsets)");
    let subscription = Subscription::Pattern(pattern);
    let mut consumer = log.consumer(ConsumerOptions::new("test", &name, subscription)).await.unwrap();
    let mut read = texts(&take(&mut *consumer, 2).await);
    read.sort();
    assert_eq!(read, ["a-1", "b-22"]);
    silent(&mut *consumer).await;
}

/// Until the task comes back for the next event it may commit, and nobody else has the partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_rebalance_waits_for_the_task() {
    let (log, name) = (open(), unique("wait"));
    topic(&log, &name, 2).await;
    let producer = producer(&log).await;
    for partition in 0..2 {
        send(&*producer, &name, partition, &numbered("v", 0..10)).await;
    }
    let mut first = log.consumer(member_options(&name, &[&name])).await.unwrap();
    take(&mut *first, 20).await;
    let mut second = log.consumer(member_options(&name, &[&name])).await.unwrap();
    let taken = loop {
        if let Event::Revoked { partitions, lost } = event(&mut *first).await {
            assert!(!lost);
            break partitions;
        }
    };
    assert_eq!(taken.len(), 1, "only what the other one gets is taken away");
    let early = tokio::time::timeout(Duration::from_secs(4), assigned(&mut *second)).await;
    assert!(early.is_err(), "the first member has not let go");
    let offsets: Offsets = taken.iter().map(|partition| (partition.clone(), 7)).collect();
    first.commit(&offsets).await.unwrap();
    let going_on = tokio::spawn(async move {
        silent(&mut *first).await;
        first
    });
    assert_eq!(assigned(&mut *second).await, taken);
    assert_eq!(texts(&take(&mut *second, 3).await), numbered("v", 7..10), "from the position that was committed");
    let first = going_on.await.unwrap();
    let error = first.commit(&offsets).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
}

/// Kafka Connect's own assignor takes everything away before it gives anything: nothing is lost or read twice all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_an_eager_group_hands_over() {
    let (log, name) = (open(), unique("eager"));
    topic(&log, &name, 4).await;
    let producer = producer(&log).await;
    for partition in 0..4 {
        send(&*producer, &name, partition, &numbered("v", 0..10)).await;
    }
    let strategy = "org.apache.kafka.clients.consumer.RangeAssignor";
    let options = || ConsumerOptions {
        overrides: props(&[("partition.assignment.strategy", strategy)]),
        ..member_options(&name, &[&name])
    };
    let mut first = log.consumer(options()).await.unwrap();
    let mut read = take(&mut *first, 40).await;
    let mut second = log.consumer(options()).await.unwrap();
    loop {
        if let Event::Revoked { partitions, .. } = event(&mut *first).await {
            assert_eq!(partitions.len(), 4);
            break;
        }
    }
    first.commit(&positions(&name, &[(0, 10), (1, 10), (2, 10), (3, 10)])).await.unwrap();
    let (mine, theirs) = tokio::join!(assigned(&mut *first), assigned(&mut *second));
    assert_eq!((mine.len(), theirs.len()), (2, 2));
    for partition in 0..4 {
        send(&*producer, &name, partition, &numbered("v", 10..15)).await;
    }
    read.extend(take(&mut *first, 10).await);
    read.extend(take(&mut *second, 10).await);
    for partition in 0..4 {
        let of_partition: Vec<_> = read.iter().filter(|got| got.partition == partition).cloned().collect();
        assert_eq!(texts(&of_partition), numbered("v", 0..15));
    }
}

/// A task that keeps positions by itself seeks as soon as it is assigned; no record from elsewhere comes before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_seek_on_assignment() {
    let (log, name) = (open(), unique("seek"));
    topic(&log, &name, 2).await;
    let producer = producer(&log).await;
    for partition in 0..2 {
        send(&*producer, &name, partition, &numbered("v", 0..1_000)).await;
    }
    let mut consumer = log.consumer(member_options(&name, &[&name])).await.unwrap();
    for partition in assigned(&mut *consumer).await {
        consumer.seek(&partition, 990).await.unwrap();
    }
    let read = take(&mut *consumer, 20).await;
    assert!(read.iter().all(|got| got.offset >= 990), "{:?}", texts(&read));
    assert_eq!(read.len(), 20);
}

/// Pausing, seeking while paused and resuming: reading goes on where it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_seek_while_paused() {
    let (log, name) = (open(), unique("paused"));
    topic(&log, &name, 1).await;
    send(&*producer(&log).await, &name, 0, &numbered("v", 0..1_000)).await;
    let options = ConsumerOptions { max_records: 10, ..reader_options(&name, &[(0, -2)]) };
    let mut consumer = log.consumer(options).await.unwrap();
    let partition = [TopicPartition::new(name.as_str(), 0)];
    take(&mut *consumer, 10).await;
    consumer.pause(&partition);
    silent(&mut *consumer).await;
    consumer.seek(&partition[0], 500).await.unwrap();
    silent(&mut *consumer).await;
    consumer.resume(&partition);
    consumer.pause(&partition);
    consumer.resume(&partition);
    assert_eq!(texts(&take(&mut *consumer, 500).await), numbered("v", 500..1_000));
    for _ in 0..20 {
        consumer.pause(&partition);
        consumer.resume(&partition);
    }
    consumer.seek(&partition[0], 0).await.unwrap();
    assert_eq!(texts(&take(&mut *consumer, 1_000).await), numbered("v", 0..1_000));
}

/// What a connector's `consumer.override.*` may change and Millrace acts upon by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_overrides_of_group_and_batch_size_hold() {
    let (log, name) = (open(), unique("override"));
    topic(&log, &name, 1).await;
    send(&*producer(&log).await, &name, 0, &numbered("v", 0..100)).await;
    let overrides = props(&[("max.poll.records", "7"), ("group.id", &name)]);
    let options = ConsumerOptions { overrides, ..member_options("another", &[&name]) };
    let mut consumer = log.consumer(options).await.unwrap();
    let mut count = 0;
    while count < 100 {
        let records = records_of(&event(&mut *consumer).await);
        assert!(records.len() <= 7);
        count += records.len();
    }
    consumer.commit(&positions(&name, &[(0, 100)])).await.unwrap();
    assert_eq!(log.group_offsets(&name).await.unwrap(), positions(&name, &[(0, 100)]));
}

/// Records lie in the client's memory, which must outlive the consumer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_batches_outlive_their_consumer_and_log() {
    let (log, name) = (open(), unique("outlive"));
    topic(&log, &name, 1).await;
    let mut sent = RawBatch::new();
    for number in 0..500 {
        let (value, header) = (format!("v{number}"), format!("h{number}"));
        let headers = if number % 2 == 0 { vec![("name", Some(header.as_bytes()))] } else { vec![] };
        sent.push(&RawRecord { headers, ..RawRecord::new(&name, None, Some(value.as_bytes())) }).unwrap();
    }
    producer(&log).await.send(&sent).await.unwrap();
    let mut consumer = log.consumer(reader_options(&name, &[(0, -2)])).await.unwrap();
    let mut held = Vec::new();
    let mut count = 0;
    while count < 500 {
        if let Event::Records(records) = event(&mut *consumer).await {
            count += records.len();
            held.push(records);
        }
    }
    consumer.close().await;
    drop(log);
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Read from several threads at once: nothing in a batch may change by being read.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut number = 0;
                for records in &held {
                    for record in (0..records.len()).map(|index| records.get(index).unwrap()) {
                        assert_eq!(record.value, Some(format!("v{number}").as_bytes()));
                        let header = format!("h{number}");
                        let expected = if number % 2 == 0 { vec![("name", Some(header.as_bytes()))] } else { vec![] };
                        assert_eq!(record.headers, expected);
                        number += 1;
                    }
                }
                assert_eq!(number, 500);
            });
        }
    });
}

/// Every codec that Kafka has is understood both ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_all_codecs_work() {
    let (log, name) = (open(), unique("codec"));
    topic(&log, &name, 1).await;
    let values: Vec<_> = (0..100).map(|n| format!("{n}-{}", "x".repeat(1_000))).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let overrides = props(&[("compression.type", codec), ("compression.zstd.level", "5")]);
        let options = ProducerOptions { overrides, ..ProducerOptions::default() };
        send(&*log.producer(options).await.unwrap(), &name, 0, &values).await;
    }
    let read = texts(&read_all(&log, &name, true).await);
    assert_eq!(read.len(), 500);
    assert!(read.chunks(100).all(|chunk| chunk == values));
}

/// A closed member leaves at once: the next one need not wait for its session to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_closing_leaves_the_group_at_once() {
    let (log, name) = (open(), unique("leave"));
    topic(&log, &name, 1).await;
    let mut first = log.consumer(member_options(&name, &[&name])).await.unwrap();
    assigned(&mut *first).await;
    first.close().await;
    let start = Instant::now();
    let mut second = log.consumer(member_options(&name, &[&name])).await.unwrap();
    assigned(&mut *second).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// Misuse is told, not hung upon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_misuse_is_an_error() {
    let (log, name) = (open(), unique("misuse"));
    topic(&log, &name, 1).await;
    let outside = transactional(&log, &name).await;
    assert!(outside.send(&batch(&name, 0, &numbered("v", 0..1))).await.is_err(), "outside of a transaction");
    let plain = producer(&log).await;
    assert_eq!(plain.begin().await.unwrap_err().kind(), ErrorKind::Internal);
    let nowhere = plain.send(&batch(&name, 9, &numbered("v", 0..1))).await.unwrap();
    assert_eq!(nowhere[0].as_ref().unwrap_err().kind(), ErrorKind::Data, "there is no partition 9");
    let reader = log.consumer(reader_options(&name, &[(0, -2)])).await.unwrap();
    assert!(reader.commit(&positions(&name, &[(0, 1)])).await.is_err(), "without a group");
}

/// The settings that librdkafka would load or run are refused at every door, and so is everything else it knows by itself.
#[tokio::test]
async fn dangerous_settings_are_refused_at_every_door() {
    for key in ["plugin.library.paths", "sasl.kerberos.kinit.cmd", "ssl.engine.location", "ssl.providers", "debug"] {
        let bad = props(&[(key, "/tmp/evil.so")]);
        for worker in [
            ClientProps { producer: bad.clone(), ..ClientProps::default() },
            ClientProps { consumer: bad.clone(), ..ClientProps::default() },
            ClientProps { admin: bad.clone(), ..ClientProps::default() },
        ] {
            let error = KafkaLog::new("127.0.0.1:1", worker).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(key) && !error.message().contains("evil"), "{error}");
        }
        let log = KafkaLog::new("127.0.0.1:1", ClientProps::default()).unwrap();
        let options = ProducerOptions { overrides: bad.clone(), ..ProducerOptions::default() };
        assert_eq!(log.producer(options).await.err().unwrap().kind(), ErrorKind::Config);
        let options = ConsumerOptions { overrides: bad.clone(), ..member_options("g", &["t"]) };
        assert_eq!(log.consumer(options).await.err().unwrap().kind(), ErrorKind::Config);
        assert_eq!(log.check_overrides(&bad).unwrap_err().kind(), ErrorKind::Config);
    }
}

/// Brokers that cannot be reached may be there later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_brokers_are_retriable() {
    let log = KafkaLog::new("127.0.0.1:1", ClientProps::default()).unwrap();
    let mut consumer = log.consumer(member_options("g", &["t"])).await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(30), consumer.next()).await.unwrap().err().unwrap();
    assert!(error.is_retriable(), "{error}");
    let options =
        ProducerOptions { overrides: props(&[("delivery.timeout.ms", "1500")]), ..ProducerOptions::default() };
    let sent = log.producer(options).await.unwrap().send(&batch("t", 0, &numbered("v", 0..2))).await.unwrap();
    assert!(sent.iter().all(|sent| sent.as_ref().is_err_and(millrace_api::Error::is_retriable)), "{sent:?}");
}

/// The worker's settings hold for all its clients, and Kafka's relations between them are not librdkafka's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_settings_that_kafka_accepts_together_work() {
    let bootstrap = std::env::var("MILLRACE_TEST_KAFKA").expect("MILLRACE_TEST_KAFKA");
    let worker = ClientProps {
        producer: props(&[("max.request.size", "67108864"), ("buffer.memory", "1048576"), ("acks", "all")]),
        consumer: props(&[("max.poll.interval.ms", "7000"), ("fetch.max.bytes", "200000000")]),
        admin: props(&[("request.timeout.ms", "20000"), ("default.api.timeout.ms", "20000")]),
    };
    let log = KafkaLog::new(&bootstrap, worker).unwrap();
    let name = unique("together");
    let config = props(&[("max.message.bytes", "67108864")]);
    let spec = TopicSpec { partitions: Some(1), config, ..TopicSpec::new(&name) };
    assert!(log.create_topic(&spec).await.unwrap());
    let options = ProducerOptions {
        transactional_id: Some(name.clone()),
        overrides: props(&[("delivery.timeout.ms", "2147483647")]),
        ..ProducerOptions::default()
    };
    let producer = log.producer(options).await.unwrap();
    producer.begin().await.unwrap();
    send(&*producer, &name, 0, &["x".repeat(40 << 20)]).await;
    producer.commit().await.unwrap();
    let mut consumer = log.consumer(member_options(&name, &[&name])).await.unwrap();
    assert_eq!(take(&mut *consumer, 1).await[0].value.as_ref().map(Vec::len), Some(40 << 20));
}

/// Whoever keeps its state in a compacted topic must be able to see that it is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_topics_settings_are_told_with_defaults() {
    let (log, compacted) = (open(), unique("compacted"));
    let config = props(&[("cleanup.policy", "compact")]);
    log.create_topic(&TopicSpec { config, ..TopicSpec::new(&compacted) }).await.unwrap();
    assert_eq!(log.topic_config(&compacted).await.unwrap()["cleanup.policy"], "compact");
    let plain = unique("plain");
    topic(&log, &plain, 1).await;
    let settings = log.topic_config(&plain).await.unwrap();
    assert_eq!(settings["cleanup.policy"], "delete");
    assert_eq!(settings["retention.ms"], "604800000");
    let missing = log.topic_config(&unique("missing")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
}

/// Whoever closes leaves, whatever the group is at: else all others would wait for it until its session is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MILLRACE_TEST_KAFKA"]
async fn real_a_consumer_that_closes_while_its_group_rebalances_leaves_it() {
    let (log, name) = (open(), unique("leave"));
    topic(&log, &name, 4).await;
    let mut first = log.consumer(member_options(&name, &[&name])).await.unwrap();
    let four = assigned(&mut *first).await;
    assert_eq!(four.len(), 4);
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let holding = tokio::spawn(async move {
        let (mut held, mut commits) =
            (std::collections::BTreeSet::new(), tokio::time::interval(Duration::from_millis(100)));
        let (mut committing, mut began) = (None, Instant::now());
        let mut longest = Duration::ZERO;
        held.extend(four);
        loop {
            tokio::select! {
                event = first.next() => match event.unwrap() {
                    Event::Assigned(partitions) => held.extend(partitions),
                    Event::Revoked { partitions, .. } => held.retain(|partition| !partitions.contains(partition)),
                    _ => {}
                },
                _ = commits.tick(), if committing.is_none() => {
                    let offsets: Offsets = held.iter().map(|partition| (partition.clone(), 0)).collect();
                    (committing, began) = (Some(first.commit(&offsets)), Instant::now());
                }
                _ = async { committing.as_mut().unwrap().await }, if committing.is_some() => {
                    committing = None;
                    longest = longest.max(began.elapsed());
                }
                _ = &mut stopped => break,
            }
        }
        first.close().await;
        longest
    });
    for wait in (0..14).map(|n| Duration::from_millis(n * 350)) {
        let mut second = log.consumer(member_options(&name, &[&name])).await.unwrap();
        let _ = tokio::time::timeout(wait, async {
            loop {
                let _ = second.next().await;
            }
        })
        .await;
        let began = Instant::now();
        second.close().await;
        assert!(began.elapsed() < Duration::from_secs(5), "closing after {wait:?} took {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    stop.send(()).unwrap();
    let longest = holding.await.unwrap();
    assert!(longest < Duration::from_secs(8), "a member that was left alone could not commit for {longest:?}");
    let began = Instant::now();
    let mut last = log.consumer(member_options(&name, &[&name])).await.unwrap();
    assert_eq!(assigned(&mut *last).await.len(), 4);
    assert!(began.elapsed() < Duration::from_secs(8), "whoever had all of it has left: {:?}", began.elapsed());
}
