//! Members of a group share its partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::log::{Consumer, ConsumerOptions, Event, Log, Offsets, Subscription, TopicPartition};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::support::{Got, PATIENCE, SILENCE, event, member, numbered, producer, records_of, send, take, texts, topic};

/// What the members of a test group see.
#[derive(Default)]
struct Board {
    held: BTreeMap<&'static str, BTreeSet<TopicPartition>>,
    read: Vec<Got>,
}

/// A member that runs by itself: it commits what it read whenever partitions are taken, and when it is told to close.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(name: &'static str, mut consumer: Box<dyn Consumer>, board: &Arc<Mutex<Board>>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let board = Arc::clone(board);
        let task = tokio::spawn(async move {
            let mut unsaved = Offsets::new();
            loop {
                let event = tokio::select! {
                    _ = &mut stopped => break,
                    event = event(&mut *consumer) => event,
                };
                let taken = matches!(&event, Event::Revoked { lost: false, .. });
                note(name, &event, &board, &mut unsaved);
                if taken {
                    consumer.commit(&std::mem::take(&mut unsaved)).await.expect("still ours until the next call");
                }
            }
            consumer.commit(&unsaved).await.expect("commit before leaving");
            consumer.close().await;
            board.lock().unwrap().held.remove(name);
        });
        Self { stop, task }
    }

    async fn close(self) {
        self.stop.send(()).expect("still running");
        self.task.await.expect("the member did not fail");
    }
}

fn note(name: &'static str, event: &Event, board: &Mutex<Board>, unsaved: &mut Offsets) {
    let mut board = board.lock().unwrap();
    match event {
        Event::Assigned(partitions) => board.held.entry(name).or_default().extend(partitions.iter().cloned()),
        Event::Revoked { partitions, .. } => {
            board.held.entry(name).or_default().retain(|held| !partitions.contains(held));
        }
        Event::Records(_) => {
            for got in records_of(event) {
                let partition = TopicPartition::new(got.topic.as_str(), got.partition);
                assert!(board.held.get(name).is_some_and(|held| held.contains(&partition)), "{name} read {partition}");
                unsaved.insert(partition, got.offset + 1);
                board.read.push(got);
            }
        }
        Event::EndOfPartition { .. } => {}
    }
}

async fn until(board: &Mutex<Board>, what: &str, holds: impl Fn(&Board) -> bool) {
    let waiting = async {
        while !holds(&board.lock().unwrap()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}: {:?}", board.lock().unwrap().held);
}

/// Two members share the partitions; when one closes the other has all. Nothing is lost, repeated or out of order.
pub async fn members_share_and_inherit_partitions(log: &dyn Log, prefix: &str) {
    const PARTITIONS: i32 = 4;
    topic(log, prefix, PARTITIONS).await;
    let producer = producer(log).await;
    let mut sent = 0;
    let send_more = async |from: usize| {
        for partition in 0..PARTITIONS {
            send(&*producer, prefix, partition, &numbered(&format!("p{partition}-"), from..from + 50)).await;
        }
        from + 50
    };
    sent = send_more(sent).await;

    let board = Arc::new(Mutex::new(Board::default()));
    let all = usize::try_from(PARTITIONS).unwrap();
    let a = Running::start("a", member(log, prefix, &[prefix]).await, &board);
    until(&board, "a has all", |board| board.held.get("a").is_some_and(|held| held.len() == all)).await;
    let b = Running::start("b", member(log, prefix, &[prefix]).await, &board);
    until(&board, "they share evenly", |board| {
        let count = |name| board.held.get(name).map_or(0, BTreeSet::len);
        (count("a"), count("b")) == (all / 2, all / 2)
    })
    .await;
    sent = send_more(sent).await;
    until(&board, "both read", |board| board.read.len() >= sent * all).await;
    a.close().await;
    sent = send_more(sent).await;
    until(&board, "b has all", |board| board.held.get("b").is_some_and(|held| held.len() == all)).await;
    until(&board, "b reads on", |board| board.read.len() >= sent * all).await;
    b.close().await;

    let board = board.lock().unwrap();
    for partition in 0..PARTITIONS {
        let read: Vec<_> = board.read.iter().filter(|got| got.partition == partition).cloned().collect();
        assert_eq!(texts(&read), numbered(&format!("p{partition}-"), 0..sent));
    }
}

/// Nobody gets a partition while its owner still finishes it: the owner is told, commits, and lets go with its next call.
pub async fn a_revoked_partition_waits_for_its_owner(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 2).await;
    let producer = producer(log).await;
    for partition in 0..2 {
        send(&*producer, prefix, partition, &numbered(&format!("p{partition}-"), 0..20)).await;
    }
    let mut owner = member(log, prefix, &[prefix]).await;
    take(&mut *owner, 40).await;
    let board = Arc::new(Mutex::new(Board::default()));
    let heir = Running::start("heir", member(log, prefix, &[prefix]).await, &board);
    let taken = loop {
        if let Event::Revoked { partitions, lost } = event(&mut *owner).await {
            assert!(!lost);
            break partitions;
        }
    };
    tokio::time::sleep(SILENCE).await;
    let early = board.lock().unwrap().held.get("heir").cloned().unwrap_or_default();
    assert!(taken.iter().all(|partition| !early.contains(partition)), "{early:?} while the owner finishes {taken:?}");
    let done = taken.iter().map(|partition| (partition.clone(), 15)).collect();
    owner.commit(&done).await.expect("still the owner's");

    // The owner goes on; what it does not keep is the heir's, from where the owner left it.
    let going_on = async {
        loop {
            event(&mut *owner).await;
        }
    };
    let inherited = until(&board, "the heir has its share", |board| {
        let held = board.held.get("heir").cloned().unwrap_or_default();
        !held.is_empty()
            && board.read.iter().filter(|got| held.iter().any(|one| one.partition == got.partition)).count() >= 5
    });
    tokio::select! {
        () = going_on => {}
        () = inherited => {}
    }
    let read = board.lock().unwrap().read.clone();
    let partition = read[0].partition;
    assert_eq!(texts(&read), numbered(&format!("p{partition}-"), 15..20));
    heir.close().await;
}

/// A member that is dropped without closing leaves the group too.
pub async fn dropping_a_member_frees_its_partitions(log: &dyn Log, prefix: &str) {
    topic(log, prefix, 2).await;
    let producer = producer(log).await;
    for partition in 0..2 {
        send(&*producer, prefix, partition, &numbered("v", 0..5)).await;
    }
    let mut first = member(log, prefix, &[prefix]).await;
    take(&mut *first, 10).await;
    drop(first);
    let mut second = member(log, prefix, &[prefix]).await;
    assert_eq!(take(&mut *second, 10).await.len(), 10, "nothing had been committed");
}

/// A pattern matches whole names, of topics there are and of those that come later.
pub async fn a_pattern_picks_up_later_topics(log: &dyn Log, prefix: &str) {
    let name = |suffix: &str| format!("{prefix}.{suffix}");
    let producer = producer(log).await;
    for suffix in ["in-1", "in-1x", "other"] {
        topic(log, &name(suffix), 1).await;
        send(&*producer, &name(suffix), 0, &numbered(&format!("{suffix}:"), 0..1)).await;
    }
    let pattern = format!("{}\\.in-[0-9]", prefix.replace('.', "\\."));
    let overrides = Props::from([("metadata.max.age.ms".to_owned(), "1000".to_owned())]);
    let options =
        ConsumerOptions { overrides, ..ConsumerOptions::new("behaviour", prefix, Subscription::Pattern(pattern)) };
    let mut consumer = log.consumer(options).await.unwrap();
    assert_eq!(texts(&take(&mut *consumer, 1).await), ["in-1:0"]);
    topic(log, &name("in-2"), 1).await;
    send(&*producer, &name("in-2"), 0, &numbered("in-2:", 0..1)).await;
    assert_eq!(texts(&take(&mut *consumer, 1).await), ["in-2:0"]);
    super::support::silent(&mut *consumer).await;
}
