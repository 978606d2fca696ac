//! Workers of one group over one log: their work is divided, moves when one comes or goes, and requests find the leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use millrace_api::config::Props;
use millrace_api::group::{GroupEvent, GroupMember, GroupOptions, Groups, MemberProtocol, Peer};
use millrace_api::log::Log;
use millrace_api::{Error, ErrorKind, Result};
use millrace_core::herder::{Cluster, Herder, SessionKey, Signing, State, TargetState, WorkerHerder};
use millrace_core::peers::Peers;
use millrace_core::task::TaskId;
use millrace_local::{LocalLog, LocalOptions};
use tokio::sync::{mpsc, oneshot};

use crate::support::{Seen, parts, props, until};

/// A coordinator in this process.
#[derive(Clone)]
struct Coordinator(mpsc::UnboundedSender<Order>);

enum Order {
    Join(String, mpsc::UnboundedSender<GroupEvent>),
    Rejoin,
    Leave(String),
}

struct Member {
    id: String,
    events: mpsc::UnboundedReceiver<GroupEvent>,
    orders: mpsc::UnboundedSender<Order>,
}

type Members = BTreeMap<String, mpsc::UnboundedSender<GroupEvent>>;

impl Coordinator {
    fn start() -> Self {
        let (orders, ordered) = mpsc::unbounded_channel();
        tokio::spawn(coordinate(ordered));
        Self(orders)
    }
}

async fn coordinate(mut ordered: mpsc::UnboundedReceiver<Order>) {
    let (mut members, mut generation) = (Members::new(), 0);
    let mut order = ordered.recv().await;
    while let Some(now) = order.take() {
        match now {
            Order::Join(id, events) => drop(members.insert(id, events)),
            Order::Leave(id) => drop(members.remove(&id)),
            Order::Rejoin => {}
        }
        generation += 1;
        // Whoever asks meanwhile begins a new round.
        tokio::select! {
            () = round(&members, generation) => order = ordered.recv().await,
            next = ordered.recv() => order = next,
        }
    }
}

async fn round(members: &Members, generation: i32) {
    let mut said: Vec<(String, Vec<MemberProtocol>)> = Vec::new();
    let asked: Vec<_> = members
        .iter()
        .map(|(id, events)| {
            let (reply, answer) = oneshot::channel();
            events.send(GroupEvent::Joining { reply }).ok();
            async move { (id.clone(), answer.await) }
        })
        .collect();
    for (id, answer) in join_all(asked).await {
        let Ok(answer) = answer else { return };
        said.push((id, answer));
    }
    let Some((leader, first)) = said.first().cloned() else { return };
    let protocol = first[0].name.clone();
    let peers = said
        .iter()
        .map(|(id, protocols)| Peer { member: id.clone(), metadata: protocols[0].metadata.clone() })
        .collect();
    let (reply, answer) = oneshot::channel();
    let elected = GroupEvent::Elected { generation, leader: leader.clone(), protocol: protocol.clone(), peers, reply };
    members[&leader].send(elected).ok();
    let Ok(assignments) = answer.await else { return };
    for (member, assignment) in assignments {
        let joined = GroupEvent::Joined {
            generation,
            member: member.clone(),
            leader: leader.clone(),
            protocol: protocol.clone(),
            assignment,
        };
        members[&member].send(joined).ok();
    }
    std::future::pending::<()>().await;
}

#[async_trait]
impl Groups for Coordinator {
    async fn join(&self, options: GroupOptions) -> Result<Box<dyn GroupMember>> {
        let (sender, events) = mpsc::unbounded_channel();
        let id = options.client_id;
        self.0.send(Order::Join(id.clone(), sender)).ok();
        Ok(Box::new(Member { id, events, orders: self.0.clone() }))
    }
}

#[async_trait]
impl GroupMember for Member {
    async fn next(&mut self) -> Result<GroupEvent> {
        self.events.recv().await.ok_or_else(|| Error::external("the coordinator is gone"))
    }

    fn rejoin(&self, _reason: &str) {
        self.orders.send(Order::Rejoin).ok();
    }

    async fn leave(self: Box<Self>) {
        self.orders.send(Order::Leave(self.id)).ok();
    }
}

/// The way from one worker to another, without HTTP.
#[derive(Clone, Default)]
struct Wires(Arc<Mutex<BTreeMap<String, Weak<WorkerHerder>>>>);

impl Wires {
    fn at(&self, url: &str) -> Result<Arc<WorkerHerder>> {
        let found = self.0.lock().unwrap().get(url).and_then(Weak::upgrade);
        found.ok_or_else(|| Error::retriable("no such worker"))
    }
}

#[async_trait]
impl Peers for Wires {
    async fn put_task_configs(
        &self,
        url: &str,
        connector: &str,
        configs: &[Props],
        key: Option<&SessionKey>,
    ) -> Result<()> {
        let leader = self.at(url)?;
        let Signing::Keys(keys) = leader.signing() else { return Err(Error::retriable("no key yet")) };
        assert!(key.is_some_and(|key| keys.contains(key)), "signed with a key that the leader knows");
        leader.put_task_configs(connector, configs.to_vec()).await
    }

    async fn fence_zombies(&self, url: &str, connector: &str, _key: Option<&SessionKey>) -> Result<()> {
        self.at(url)?.fence_zombies(connector).await
    }

    async fn task_loads(&self, url: &str) -> Result<BTreeMap<TaskId, u32>> {
        let tasks = self.at(url)?.progress().into_iter();
        Ok(tasks.filter_map(|task| Some((TaskId::new(task.connector, task.task), task.load?))).collect())
    }

    async fn connector_plugins(&self, url: &str) -> Result<BTreeSet<String>> {
        Ok(self.at(url)?.plugins(true).into_iter().map(|plugin| plugin.class).collect())
    }
}

struct Group {
    log: Arc<LocalLog>,
    seen: Arc<Seen>,
    coordinator: Coordinator,
    wires: Wires,
    dir: tempfile::TempDir,
}

impl Group {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(LocalLog::open(dir.path().join("log"), LocalOptions::default()).unwrap());
        let (coordinator, wires) = (Coordinator::start(), Wires::default());
        Self { log, seen: Arc::default(), coordinator, wires, dir }
    }

    async fn worker(&self, name: &str) -> Arc<WorkerHerder> {
        let more = [
            ("group.id", "workers"),
            ("config.storage.topic", "configs"),
            ("config.storage.replication.factor", "-1"),
            ("offset.storage.topic", "offsets"),
            ("offset.storage.replication.factor", "-1"),
            ("status.storage.topic", "states"),
            ("status.storage.replication.factor", "-1"),
            ("scheduled.rebalance.max.delay.ms", "300"),
            ("exactly.once.source.support", "enabled"),
        ];
        let log = Arc::clone(&self.log) as Arc<dyn Log>;
        let parts = parts(&self.dir.path().join(name), &more, log, &self.seen);
        let url = format!("http://{name}");
        let cluster = Cluster {
            url: url.clone(),
            groups: Arc::new(self.coordinator.clone()),
            peers: Arc::new(self.wires.clone()),
            loggers: None,
        };
        let herder = WorkerHerder::distributed(parts, name.to_owned(), cluster).await.expect("a worker");
        herder.set_ready();
        self.wires.0.lock().unwrap().insert(url, Arc::downgrade(&herder));
        until("in the group", async || herder.ready()).await;
        herder
    }

    /// Asks one worker, and the one it names instead.
    async fn put(&self, at: &WorkerHerder, name: &str, tasks: &str) {
        let config = props(&[("name", name), ("connector.class", "TestSource"), ("tasks.max", tasks), ("count", "20")]);
        let answer = at.put_config(name, config.clone(), None, true).await;
        match answer {
            Err(error) if error.kind() == ErrorKind::Elsewhere => {
                let url = error.url().expect("the leader's URL");
                self.wires.at(url).unwrap().put_config(name, config, None, true).await.expect("put at the leader");
            }
            other => drop(other.expect("put")),
        }
    }
}

/// Workers of the tasks that run, in order of the tasks.
async fn runs(at: &WorkerHerder, name: &str) -> Vec<String> {
    let Ok(status) = at.status(name).await else { return Vec::new() };
    let running = status.tasks.into_iter().filter(|(_, task)| task.state == State::Running);
    running.map(|(_, task)| task.worker_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_divided_and_moves_when_workers_come_and_go() {
    let group = Group::new();
    let a = group.worker("a:1").await;
    group.put(&a, "one", "4").await;
    until("all on the only worker", async || runs(&a, "one").await == ["a:1"; 4]).await;

    let b = group.worker("b:1").await;
    until("half of it on the other", async || {
        let workers = runs(&b, "one").await;
        workers.len() == 4 && workers.iter().filter(|worker| *worker == "b:1").count() == 2
    })
    .await;
    until("everybody sees the same", async || runs(&a, "one").await == runs(&b, "one").await).await;

    // Connectors made at whichever worker; some of them run on the follower, whose tasks the leader writes down.
    for name in ["two", "three", "four"] {
        group.put(&b, name, "2").await;
        until("two tasks", async || runs(&a, name).await.len() == 2).await;
    }
    let owners: Vec<String> = {
        let mut owners = Vec::new();
        for name in ["one", "two", "three", "four"] {
            owners.push(b.status(name).await.unwrap().connector.worker_id);
        }
        owners
    };
    assert!(owners.iter().any(|owner| owner == "b:1"), "the follower has connectors too: {owners:?}");

    // Whoever owns it, its topic and its offset are known everywhere.
    until("a topic", async || a.active_topics("two").await.unwrap() == ["numbers"]).await;
    let offset: millrace_api::connector::Json = [("n".to_owned(), 20.into())].into_iter().collect();
    until("an offset", async || {
        b.offsets("two").await.unwrap().iter().any(|(_, known)| known.as_ref() == Some(&offset))
    })
    .await;

    b.shutdown().await;
    until("all on the worker that is left", async || runs(&a, "one").await == ["a:1"; 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_anywhere_or_name_the_leader() {
    let group = Group::new();
    let a = group.worker("a:1").await;
    let b = group.worker("b:1").await;
    group.put(&a, "s", "2").await;
    until("running", async || runs(&b, "s").await.len() == 2).await;

    // Whoever leads, one of the two is a follower.
    let stop_at_a = a.set_target("s", TargetState::Stopped).await;
    let stop_at_b = b.set_target("s", TargetState::Stopped).await;
    let elsewhere: Vec<_> = [stop_at_a, stop_at_b].into_iter().filter_map(Result::err).collect();
    assert_eq!(elsewhere.len(), 1, "the follower sends it on, the leader does it");
    assert_eq!(elsewhere[0].message(), "Only the leader can transition connectors to the STOPPED state.");
    until("STOPPED without tasks", async || {
        let status = b.status("s").await.unwrap();
        status.connector.state == State::Stopped && status.tasks.is_empty()
    })
    .await;
    // Anybody lets it go on.
    b.set_target("s", TargetState::Started).await.unwrap();
    until("running again", async || runs(&a, "s").await.len() == 2).await;
    a.set_target("s", TargetState::Paused).await.unwrap();
    until("paused everywhere", async || {
        let status = b.status("s").await.unwrap();
        status.tasks.iter().all(|(_, task)| task.state == State::Paused)
    })
    .await;
    let at = std::time::Instant::now();
    for _ in 0..100 {
        b.info("s").await.unwrap();
        b.connectors().await.unwrap();
    }
    assert!(at.elapsed() < Duration::from_secs(10), "answers do not wait for work");
}
