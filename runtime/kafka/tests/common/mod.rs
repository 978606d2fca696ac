//! A holder of a member that says what it saw.

use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::group::{GroupEvent, GroupMember, GroupOptions, Groups, MemberProtocol};
use millrace_kafka::KafkaGroups;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What a holder saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Joining,
    /// What all members said, in order.
    Elected(Vec<String>),
    Joined(Place),
    Lost(String),
    Unreachable(String),
    Failed(String),
}

/// A member's place in a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) generation: i32,
    pub(crate) member: String,
    pub(crate) leader: String,
    pub(crate) protocol: String,
    pub(crate) assignment: String,
}

/// What a holder is asked to do.
enum Order {
    Rejoin,
    Leave,
}

/// A holder: it says its name in the protocol, and when it leads, tells each member what to do.
pub(crate) struct Worker {
    pub(crate) name: String,
    seen: mpsc::UnboundedReceiver<Seen>,
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

pub(crate) fn bootstrap() -> String {
    std::env::var("MILLRACE_TEST_KAFKA").expect("MILLRACE_TEST_KAFKA: the brokers to test against")
}

/// Short times, as short as brokers allow.
pub(crate) fn options(group: &str, name: &str) -> GroupOptions {
    GroupOptions {
        group: group.to_owned(),
        protocol_type: "connect".to_owned(),
        client_id: name.to_owned(),
        session_timeout_ms: 6_000,
        rebalance_timeout_ms: 20_000,
        heartbeat_interval_ms: 300,
        client: Props::new(),
    }
}

impl Worker {
    pub(crate) async fn start(group: &str, name: &str) -> Self {
        Self::with(options(group, name), Duration::ZERO).await
    }

    /// A holder that thinks for so long before it joins, except for the first time.
    pub(crate) async fn with(options: GroupOptions, thinks: Duration) -> Self {
        Self::at(&bootstrap(), options, thinks).await
    }

    /// As [`Worker::with`], at other brokers.
    pub(crate) async fn at(bootstrap: &str, options: GroupOptions, thinks: Duration) -> Self {
        let groups = KafkaGroups::new(bootstrap, Props::new()).expect("groups");
        let name = options.client_id.clone();
        let member = groups.join(options).await.expect("a member");
        let (sender, seen) = mpsc::unbounded_channel();
        let (orders, ordered) = mpsc::unbounded_channel();
        let task = tokio::spawn(hold(member, name.clone(), thinks, sender, ordered));
        Self { name, seen, orders, task }
    }

    /// The next thing it sees, within half a minute.
    pub(crate) async fn next(&mut self) -> Seen {
        let seen = timeout(Duration::from_secs(30), self.seen.recv()).await;
        seen.unwrap_or_else(|_| panic!("{} saw nothing for half a minute", self.name)).expect("a holder")
    }

    /// What it sees next of some kind; others are skipped.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(Seen) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// Its next place.
    pub(crate) async fn joined(&mut self) -> Place {
        self.until(|seen| match seen {
            Seen::Joined(place) => Some(place),
            Seen::Failed(error) => panic!("{error}"),
            _ => None,
        })
        .await
    }

    /// Why it cannot be a member.
    pub(crate) async fn failed(&mut self) -> String {
        self.until(|seen| if let Seen::Failed(error) = seen { Some(error) } else { None }).await
    }

    /// Sees nothing for so long.
    pub(crate) async fn quiet(&mut self, wait: Duration) {
        if let Ok(seen) = timeout(wait, self.seen.recv()).await {
            panic!("{} saw {seen:?}", self.name);
        }
    }

    pub(crate) fn rejoin(&self) {
        self.orders.send(Order::Rejoin).expect("a holder");
    }

    pub(crate) async fn leave(self) {
        self.orders.send(Order::Leave).expect("a holder");
        self.task.await.expect("a holder");
    }

    /// Is gone without a word.
    pub(crate) fn die(self) {
        self.task.abort();
    }
}

async fn hold(
    mut member: Box<dyn GroupMember>,
    name: String,
    thinks: Duration,
    seen: mpsc::UnboundedSender<Seen>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut first = true;
    loop {
        let event = tokio::select! {
            event = member.next() => event,
            order = orders.recv() => match order {
                Some(Order::Rejoin) => {
                    member.rejoin("a test wants it");
                    continue;
                }
                Some(Order::Leave) => return member.leave().await,
                None => return,
            },
        };
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                let _ = seen.send(Seen::Failed(format!("{:?} {error}", error.kind())));
                continue_until_left(member, &mut orders).await;
                return;
            }
        };
        let said = match event {
            GroupEvent::Joining { reply } => {
                if !std::mem::take(&mut first) {
                    sleep(thinks).await;
                }
                let protocol = |name: &str, said: &str| MemberProtocol { name: name.to_owned(), metadata: said.into() };
                let _ = reply.send(vec![protocol("sessioned", &name), protocol("default", "")]);
                Seen::Joining
            }
            GroupEvent::Elected { peers, reply, .. } => {
                let mut said: Vec<_> = peers.iter().map(|peer| text(&peer.metadata)).collect();
                said.sort();
                let all =
                    peers.iter().map(|peer| (peer.member.clone(), format!("for {}", text(&peer.metadata)).into()));
                let _ = reply.send(all.collect());
                Seen::Elected(said)
            }
            GroupEvent::Joined { generation, member, leader, protocol, assignment } => {
                Seen::Joined(Place { generation, member, leader, protocol, assignment: text(&assignment) })
            }
            GroupEvent::Lost { reason } => Seen::Lost(reason),
            GroupEvent::Unreachable { reason } => Seen::Unreachable(reason),
        };
        let _ = seen.send(said);
    }
}

async fn continue_until_left(member: Box<dyn GroupMember>, orders: &mut mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        if let Order::Leave = order {
            return member.leave().await;
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
