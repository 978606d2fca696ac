//! Topics and other calls on the log itself.

use std::time::Duration;

use millrace_api::ErrorKind;
use millrace_api::config::Props;
use millrace_api::log::{Log, TopicInfo, TopicSpec};

use super::support::{PATIENCE, becomes, numbered, producer, read_all, send, texts, topic, transactional};

/// Creating answers `true` once, then `false`; the first definition stays.
pub async fn creating_a_topic_twice_is_no_error(log: &dyn Log, prefix: &str) {
    let config = Props::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let first = TopicSpec { partitions: Some(3), replication: Some(1), config, ..TopicSpec::new(prefix) };
    assert!(log.create_topic(&first).await.unwrap());
    let second = TopicSpec { partitions: Some(5), ..first.clone() };
    assert!(!log.create_topic(&second).await.unwrap());
    let listed: Vec<_> = log.topics().await.unwrap().into_iter().filter(|info| info.name == prefix).collect();
    assert_eq!(listed, [TopicInfo { name: prefix.to_owned(), partitions: 3, internal: false }]);
}

/// Kafka's rules for names: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` nor `..`. Settings that make no sense are refused too.
pub async fn illegal_topics_are_refused(log: &dyn Log, prefix: &str) {
    let too_long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "ä", "a:b", &too_long] {
        let error = log.create_topic(&TopicSpec { partitions: Some(1), ..TopicSpec::new(name) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name:?}: {error}");
    }
    for (key, value) in [("cleanup.policy", "burn"), ("retention.ms", "soon"), ("no.such.setting", "1")] {
        let config = Props::from([(key.to_owned(), value.to_owned())]);
        let spec = TopicSpec { partitions: Some(1), replication: Some(1), config, ..TopicSpec::new(prefix) };
        let error = log.create_topic(&spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{key}={value}: {error}");
    }
    let spec = TopicSpec { partitions: Some(0), ..TopicSpec::new(prefix) };
    assert_eq!(log.create_topic(&spec).await.unwrap_err().kind(), ErrorKind::Config, "no partitions");
    assert!(log.topics().await.unwrap().iter().all(|info| info.name != prefix), "nothing was created");
}

/// A deleted topic takes its records along; its name can be used anew.
pub async fn a_deleted_topic_is_gone_and_its_name_free(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 1).await;
    send(&*producer(log).await, prefix, 0, &numbered("old", 0..10)).await;
    log.delete_topic(prefix).await.unwrap();
    let gone = async {
        while log.topics().await.unwrap().iter().any(|info| info.name == prefix) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("gone from the list in time");
    assert_eq!(log.delete_topic(prefix).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.offsets(prefix, true).await.unwrap_err().kind(), ErrorKind::NotFound);

    let created = async {
        while !log.create_topic(&TopicSpec { partitions: Some(1), ..TopicSpec::new(prefix) }).await.unwrap_or(false) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, created).await.expect("the name is free in time");
    let sent = send(&*producer(log).await, prefix, 0, &numbered("new", 0..1)).await;
    assert_eq!(sent[0].offset, 0);
    assert_eq!(texts(&read_all(log, prefix, true).await), ["new0"]);
}

/// First and next offset per partition; with `read_committed` next is the last stable offset.
pub async fn offsets_tell_first_and_next(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 2).await;
    assert_eq!(log.offsets(prefix, false).await.unwrap(), [(0, 0), (0, 0)]);
    send(&*producer(log).await, prefix, 1, &numbered("v", 0..5)).await;
    assert_eq!(log.offsets(prefix, false).await.unwrap(), [(0, 0), (0, 5)]);
    assert_eq!(log.offsets(prefix, true).await.unwrap(), [(0, 0), (0, 5)]);

    let open = transactional(log, prefix).await;
    open.begin().await.unwrap();
    send(&*open, prefix, 1, &numbered("t", 0..3)).await;
    assert_eq!(log.offsets(prefix, true).await.unwrap()[1], (0, 5), "the transaction is open");
    open.commit().await.unwrap();
    becomes(async || log.offsets(prefix, true).await.unwrap()[1].1 >= 8, true).await;

    let missing = log.offsets(&format!("{prefix}-missing"), true).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
}

/// Everyday settings are taken, those that would load code are refused by name, before a client is opened.
#[expect(clippy::unused_async, reason = "behaviours have one shape")]
pub async fn overrides_are_checked(log: &dyn Log, _prefix: &str) {
    let props = |key: &str, value: &str| Props::from([(key.to_owned(), value.to_owned())]);
    log.check_overrides(&Props::new()).unwrap();
    for (key, value) in [("linger.ms", "5"), ("max.poll.interval.ms", "300000"), ("compression.type", "zstd")] {
        log.check_overrides(&props(key, value)).unwrap();
    }
    let key = "plugin.library.paths";
    let error = log.check_overrides(&props(key, "x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains(key), "the message names the key: {error}");
}

/// The log has an identity and keeps it.
pub async fn the_cluster_id_stays(log: &dyn Log, _prefix: &str) {
    let id = log.cluster_id().await.unwrap();
    assert!(!id.is_empty());
    assert_eq!(log.cluster_id().await.unwrap(), id);
}
