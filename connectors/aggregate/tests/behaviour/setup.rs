//! What is checked before anything runs.

use millrace_api::ErrorKind;
use millrace_api::connector::ConnectorPlugin as _;
use millrace_connector_aggregate::AggregatePlugin;

use crate::world::World;

#[tokio::test]
async fn topics_are_made_and_found_again() {
    let world = World::new(1, &[]).await;
    let topics = world.services.log.topics().await.expect("topics");
    let partitions = |name: &str| topics.iter().find(|topic| topic.name == name).map(|topic| topic.partitions);
    let made = ["hourly-repartition", "hourly-changelog", "hourly-watermarks", "counts", "late"].map(partitions);
    assert_eq!(made, [Some(2), Some(2), Some(1), Some(1), Some(1)]);
    world.start_connector().await.expect("a second time");
}

#[tokio::test]
async fn another_number_of_repartition_partitions_is_refused() {
    let mut world = World::new(1, &[]).await;
    world.props.insert("repartition.partitions".to_owned(), "3".to_owned());
    let error = world.start_connector().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("repartition.partitions"), "{error}");
}

#[tokio::test]
async fn configurations_that_cannot_work_are_refused_with_their_key() {
    let world = World::new(1, &[]).await;
    for (pairs, key) in [
        (vec![("window.type", "hopping")], "window.advance.ms"),
        (vec![("window.advance.ms", "5")], "window.advance.ms"),
        (vec![("window.type", "hopping"), ("window.advance.ms", "3600001")], "window.advance.ms"),
        (vec![("window.type", "hopping"), ("window.advance.ms", "1")], "window.advance.ms"),
        (vec![("output.topic", "orders")], "output.topic"),
        (vec![("late.topic", "orders")], "late.topic"),
        (vec![("window.size.ms", "9223372036854775807")], "window.size.ms"),
        (vec![("topics", "")], "topics"),
    ] {
        let mut props = world.props.clone();
        props.extend(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        let error = AggregatePlugin.connector().start(world.services.clone(), &props).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(key), "{key}: {error}");
    }
}
