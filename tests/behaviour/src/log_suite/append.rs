//! Appending and what comes back.

use millrace_api::ErrorKind;
use millrace_api::batch::NO_TIMESTAMP;
use millrace_api::batch::raw::{RawBatch, RawRecord};
use millrace_api::log::{Appended, Log};

use super::support::{batch, now, numbered, producer, read_all, send, texts, topic};

/// Offsets count up per partition, over sends and in the order of the records.
pub async fn append_assigns_consecutive_offsets(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 2).await;
    let producer = producer(log).await;
    let mut mixed = RawBatch::new();
    for (n, partition) in [0, 1, 0, 0, 1].into_iter().enumerate() {
        let value = format!("a{n}");
        mixed.push(&RawRecord { partition, ..RawRecord::new(prefix, None, Some(value.as_bytes())) }).unwrap();
    }
    let sent: Vec<_> = producer.send(&mixed).await.unwrap().into_iter().map(Result::unwrap).collect();
    let at = |partition, offset| Appended { partition, offset };
    assert_eq!(sent, [at(0, 0), at(1, 0), at(0, 1), at(0, 2), at(1, 1)]);
    assert_eq!(send(&*producer, prefix, 1, &numbered("b", 0..2)).await, [at(1, 2), at(1, 3)]);
    assert_eq!(send(&*producer, prefix, 0, &numbered("b", 2..3)).await, [at(0, 3)]);
    assert_eq!(texts(&read_all(log, prefix, true).await), ["a0", "a2", "a3", "b2", "a1", "a4", "b0", "b1"]);
    assert!(producer.send(&RawBatch::new()).await.unwrap().is_empty(), "nothing in, nothing out");
}

/// murmur2 of keys as Kafka's own unit tests list it (`UtilsTest.testMurmur2`).
const MURMUR2: [(&str, i32); 6] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ("abc", 479_470_107),
];

/// A keyed record without a partition goes where the Java client would send it: `toPositive(murmur2(key)) % partitions`.
pub async fn keys_go_where_kafka_puts_them(log: &dyn Log, prefix: &str) {
    let producer = producer(log).await;
    for partitions in [3, 7] {
        let topic = topic(log, &format!("{prefix}-{partitions}"), partitions).await;
        let mut keyed = RawBatch::new();
        for (key, _) in MURMUR2 {
            keyed.push(&RawRecord::new(&topic, Some(key.as_bytes()), Some(b"v"))).unwrap();
        }
        keyed.push(&RawRecord::new(&topic, None, Some(b"anywhere"))).unwrap();
        let sent: Vec<_> = producer.send(&keyed).await.unwrap().into_iter().map(Result::unwrap).collect();
        for ((key, hash), appended) in MURMUR2.iter().zip(&sent) {
            assert_eq!(appended.partition, (hash & i32::MAX) % partitions, "{key} of {partitions}");
        }
        assert!((0..partitions).contains(&sent[MURMUR2.len()].partition));
    }
}

/// Null and empty are different; headers keep order, duplicates and nulls; timestamps are kept, or set when there is none.
pub async fn records_come_back_as_they_were(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let before = now();
    let headers: Vec<(&str, Option<&[u8]>)> =
        vec![("b", Some(b"1")), ("a", None), ("b", Some(b"")), ("trace-ü", Some(&[0, 255]))];
    let plain = RawRecord { partition: 0, timestamp: 1_700_000_000_123, ..RawRecord::new(prefix, None, None) };
    let mut sent = RawBatch::new();
    sent.push(&RawRecord { key: Some(b"k"), value: Some(b"v"), headers: headers.clone(), ..plain.clone() }).unwrap();
    sent.push(&RawRecord { key: Some(b""), value: Some(b""), ..plain.clone() }).unwrap();
    sent.push(&RawRecord { key: Some(&[0, 1, 254, 255]), value: None, ..plain.clone() }).unwrap();
    sent.push(&RawRecord { value: Some(b"x"), timestamp: NO_TIMESTAMP, ..plain.clone() }).unwrap();
    producer(log).await.send(&sent).await.unwrap().into_iter().for_each(|appended| {
        appended.unwrap();
    });

    let got = read_all(log, prefix, true).await;
    let keys: Vec<_> = got.iter().map(|got| got.key.as_deref()).collect();
    assert_eq!(keys, [Some(&b"k"[..]), Some(b""), Some(&[0, 1, 254, 255]), None]);
    let values: Vec<_> = got.iter().map(|got| got.value.as_deref()).collect();
    assert_eq!(values, [Some(&b"v"[..]), Some(b""), None, Some(b"x")]);
    let expected: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec))).collect();
    assert_eq!(got[0].headers, expected);
    assert!(got[1..].iter().all(|got| got.headers.is_empty()));
    assert!(got[..3].iter().all(|got| got.timestamp == 1_700_000_000_123), "{got:?}");
    let (earliest, latest) = (before - 5_000, now() + 5_000);
    assert!((earliest..latest).contains(&got[3].timestamp), "the time of sending: {}", got[3].timestamp);
    assert!(got.iter().all(|got| got.topic == prefix && got.partition == 0));
}

/// Sends that overlap are appended in the order in which they were first polled.
pub async fn sends_keep_their_order(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let producer = producer(log).await;
    // Small and large ones in turn, because they may take different ways.
    let size = |n: usize| if n.is_multiple_of(3) { 250 } else { 1 };
    let mut next = 0;
    let mut values = |n| {
        next += size(n);
        numbered("a value of some length, so that many of them make a large send ", next - size(n)..next)
    };
    let values: Vec<_> = (0..150).map(&mut values).collect();
    let batches: Vec<_> = values.iter().map(|values| batch(prefix, 0, values)).collect();
    let mut expected = 0;
    for sent in futures::future::join_all(batches.iter().map(|batch| producer.send(batch))).await {
        for appended in sent.unwrap() {
            assert_eq!(appended.unwrap(), Appended { partition: 0, offset: expected });
            expected += 1;
        }
    }
    assert_eq!(texts(&read_all(log, prefix, true).await), values.concat());
}

/// A record larger than the topic takes is refused for good, alone.
pub async fn a_refused_record_does_not_refuse_the_others(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    let huge = "x".repeat(20 << 20);
    let values = ["before".to_owned(), huge, "after".to_owned()];
    let sent = producer(log).await.send(&batch(prefix, 0, &values)).await.unwrap();
    assert_eq!(sent[1].as_ref().unwrap_err().kind(), ErrorKind::Data);
    assert_eq!((sent[0].as_ref().unwrap().offset, sent[2].as_ref().unwrap().offset), (0, 1));
    assert_eq!(texts(&read_all(log, prefix, true).await), ["before", "after"]);
}
