//! What stays when the log is closed and opened again, and who may open it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;

use millrace_api::ErrorKind;
use millrace_api::config::Props;
use millrace_api::log::{Log, ProducerOptions, TopicPartition, TopicSpec};
use millrace_behaviour::log_suite::support::{
    batch, member, numbered, positions, producer, read_all, reader_options, send, take, texts, topic, transactional,
};
use millrace_local::{LocalLog, LocalOptions};

fn open(dir: &Path) -> LocalLog {
    LocalLog::open(dir, LocalOptions::default()).unwrap()
}

#[tokio::test]
async fn everything_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let config = Props::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    log.create_topic(&TopicSpec { partitions: Some(3), config, ..TopicSpec::new("table") }).await.unwrap();
    topic(&log, "t", 2).await;
    send(&*producer(&log).await, "t", 1, &numbered("v", 0..1_000)).await;
    let mut consumer = member(&log, "g", &["t"]).await;
    take(&mut *consumer, 1_000).await;
    consumer.commit(&positions("t", &[(1, 600)])).await.unwrap();
    consumer.close().await;
    let (id, topics) = (log.cluster_id().await.unwrap(), log.topics().await.unwrap());
    drop(log);

    let log = open(dir.path());
    assert_eq!((log.cluster_id().await.unwrap(), log.topics().await.unwrap()), (id, topics));
    assert_eq!(log.offsets("t", true).await.unwrap(), [(0, 0), (0, 1_000)]);
    assert_eq!(texts(&read_all(&log, "t", true).await), numbered("v", 0..1_000));
    assert_eq!(log.group_offsets("g").await.unwrap(), positions("t", &[(1, 600)]));
    let refused = producer(&log).await.send(&batch("table", 0, &numbered("v", 0..1))).await.unwrap();
    assert_eq!(refused[0].as_ref().unwrap_err().kind(), ErrorKind::Data, "a compacted topic still wants keys");
    let mut consumer = member(&log, "g", &["t"]).await;
    assert_eq!(texts(&take(&mut *consumer, 400).await), numbered("v", 600..1_000));
    assert_eq!(send(&*producer(&log).await, "t", 1, &numbered("v", 0..1)).await[0].offset, 1_000);
}

#[tokio::test]
async fn an_open_transaction_does_not_outlive_the_log_and_its_offsets_do_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    {
        let log = open(dir.path());
        topic(&log, "t", 1).await;
        send(&*producer(&log).await, "t", 0, &numbered("kept", 0..5)).await;
        let open = transactional(&log, "x").await;
        open.begin().await.unwrap();
        send(&*open, "t", 0, &numbered("lost", 0..5)).await;
        // Dropping the producer would abort; a process that dies does not drop anything.
        std::mem::forget(open);
        // The writer ends with the log; nothing else holds the directory but the forgotten producer.
        drop(log);
    }
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let log = open(copy.path());
    assert_eq!(texts(&read_all(&log, "t", false).await), numbered("kept", 0..5));
    assert_eq!(log.offsets("t", true).await.unwrap(), [(0, 10)], "somebody may have seen offset 9");
    assert_eq!(send(&*producer(&log).await, "t", 0, &numbered("new", 0..1)).await[0].offset, 10);
}

#[tokio::test]
async fn aborted_offsets_do_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    {
        let log = open(dir.path());
        topic(&log, "t", 1).await;
        let producer = transactional(&log, "x").await;
        producer.begin().await.unwrap();
        send(&*producer, "t", 0, &numbered("lost", 0..5)).await;
        producer.abort().await.unwrap();
    }
    let log = open(dir.path());
    assert_eq!(log.offsets("t", true).await.unwrap(), [(0, 5)]);
    assert!(read_all(&log, "t", false).await.is_empty());
}

#[tokio::test]
async fn a_second_opening_names_the_directory_and_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let error = LocalLog::open(dir.path(), LocalOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    drop(log);
    open(dir.path());
}

#[tokio::test]
async fn a_closed_log_answers_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic(&log, "t", 1).await;
    let producer = producer(&log).await;
    drop(log);
    let error = producer.send(&batch("t", 0, &numbered("v", 0..1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}

#[tokio::test]
async fn topics_are_created_by_appends_if_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let options = LocalOptions { default_partitions: 4, ..LocalOptions::default() };
    let log = LocalLog::open(dir.path(), options).unwrap();
    let producer = producer(&log).await;
    // Many at once: order holds although the first of them creates the topic.
    let batches: Vec<_> = (0..20).map(|n| batch("auto", 2, &numbered("", n..n + 1))).collect();
    for sent in futures::future::join_all(batches.iter().map(|batch| producer.send(batch))).await {
        assert!(sent.unwrap()[0].is_ok());
    }
    assert_eq!(log.offsets("auto", true).await.unwrap().len(), 4);
    assert_eq!(texts(&read_all(&log, "auto", true).await), numbered("", 0..20));
    drop((producer, log));

    let options = LocalOptions { auto_create_topics: false, ..LocalOptions::default() };
    let log = LocalLog::open(dir.path(), options).unwrap();
    let producer = log.producer(ProducerOptions::default()).await.unwrap();
    let sent = producer.send(&batch("other", 0, &numbered("", 0..1))).await.unwrap();
    assert_eq!(sent[0].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(texts(&read_all(&log, "auto", true).await), numbered("", 0..20));
}

/// A task that hangs must not hold back everybody who reads what it wrote to.
#[tokio::test]
async fn a_transaction_that_is_open_for_too_long_is_aborted() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic(&log, "t", 1).await;
    let overrides = Props::from([("transaction.timeout.ms".to_owned(), "100".to_owned())]);
    let options = ProducerOptions { transactional_id: Some("x".to_owned()), overrides, ..ProducerOptions::default() };
    let hanging = log.producer(options).await.unwrap();
    hanging.begin().await.unwrap();
    send(&*hanging, "t", 0, &numbered("lost", 0..2)).await;
    send(&*producer(&log).await, "t", 0, &numbered("kept", 0..2)).await;
    let mut reader = log.consumer(reader_options("t", &[(0, -2)])).await.unwrap();
    assert_eq!(texts(&take(&mut *reader, 2).await), numbered("kept", 0..2));
    assert_eq!(hanging.commit().await.unwrap_err().kind(), ErrorKind::Fenced);
}

/// A topic that is deleted under its group is reported as lost, and its positions are gone.
#[tokio::test]
async fn deleting_a_topic_takes_it_from_its_group() {
    use millrace_api::log::Event;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    topic(&log, "t", 1).await;
    send(&*producer(&log).await, "t", 0, &numbered("v", 0..3)).await;
    let mut consumer = member(&log, "g", &["t"]).await;
    take(&mut *consumer, 3).await;
    consumer.commit(&positions("t", &[(0, 3)])).await.unwrap();
    log.delete_topic("t").await.unwrap();
    let Event::Revoked { partitions, lost: true } = consumer.next().await.unwrap() else { panic!("lost") };
    assert_eq!(partitions, [TopicPartition::new("t", 0)]);
    assert!(log.group_offsets("g").await.unwrap().is_empty());
    topic(&log, "t", 1).await;
    send(&*producer(&log).await, "t", 0, &numbered("new", 0..1)).await;
    assert_eq!(texts(&take(&mut *consumer, 1).await), ["new0"]);
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
