//! Before the leader decides, it asks members that it does not know yet which connectors they have, as nothing in the group's protocol
//! says so. Every worker, a Java one too, lists them at `/connector-plugins`. And it asks all of them how heavy their tasks are.
//!
//! The decision waits a moment for the answers; connectors that are told later lead to another one. So a group is held up once for a member that
//! cannot be reached, and never by it again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_api::ErrorKind;
use millrace_api::group::Peer;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::group::WorkerState;
use crate::herder::machine::Event;
use crate::peers::Peers;
use crate::task::TaskId;

/// How long a decision waits for a new member. A Java worker joins before its REST API answers.
const HOLD: Duration = Duration::from_secs(3);

/// How long a member is asked in all, and the pauses in between: 200 ms doubling to 5 s.
const PATIENCE: Duration = Duration::from_mins(2);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One answer.
const ANSWER: Duration = Duration::from_secs(5);

/// An answer about loads. When none comes, what was said before holds.
const LOADS: Duration = Duration::from_secs(1);

/// See the module documentation.
#[derive(Default)]
pub(super) struct Election {
    /// By member id: those that have been asked.
    asked: BTreeMap<String, AbortOnDropHandle<()>>,
    /// Members that are being asked for loads.
    weighing: Vec<AbortOnDropHandle<()>>,
    held: Option<Held>,
    /// Answers that have not come.
    waiting: BTreeSet<(String, Question)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    Classes,
    Loads,
}

struct Held {
    event: Event,
    until: Instant,
}

impl Election {
    /// Asks members that are new; forgets those that are gone. Answers come as [`Event::Runs`].
    pub(super) fn ask(
        &mut self,
        members: &[Peer],
        leader: &str,
        peers: &Arc<dyn Peers>,
        reports: &mpsc::UnboundedSender<Event>,
    ) {
        self.asked.retain(|asked, _| members.iter().any(|peer| peer.member == *asked));
        self.waiting.clear();
        self.weighing.clear();
        for (member, state) in others(members, leader) {
            if self.asked.contains_key(&member) {
                continue;
            }
            let (peers, reports, asked) = (Arc::clone(peers), reports.clone(), member.clone());
            self.waiting.insert((member.clone(), Question::Classes));
            let asking = tokio::spawn(async move {
                let classes = tokio::time::timeout(PATIENCE, classes(&*peers, &state.url)).await.unwrap_or_default();
                // The receiver only goes away with the herder.
                let _ = reports.send(Event::Runs { member, url: state.url, classes });
            });
            self.asked.insert(asked, AbortOnDropHandle::new(asking));
        }
    }

    /// Asks all members how heavy their tasks are. Answers come as [`Event::Loads`].
    pub(super) fn weigh(
        &mut self,
        members: &[Peer],
        leader: &str,
        peers: &Arc<dyn Peers>,
        reports: &mpsc::UnboundedSender<Event>,
    ) {
        for (member, state) in others(members, leader) {
            let (peers, reports) = (Arc::clone(peers), reports.clone());
            self.waiting.insert((member.clone(), Question::Loads));
            let asking = tokio::spawn(async move {
                let loads = loads(&*peers, &state.url).await;
                let _ = reports.send(Event::Loads { member, loads });
            });
            self.weighing.push(AbortOnDropHandle::new(asking));
        }
    }

    /// Keeps the question until members have answered; gives it back when there are none.
    pub(super) fn hold(&mut self, event: Event) -> Option<Event> {
        if self.waiting.is_empty() {
            return Some(event);
        }
        self.held = Some(Held { event, until: Instant::now() + HOLD });
        None
    }

    /// Whether this is the answer that a decision still waited for.
    pub(super) fn told(&mut self, event: &Event) -> bool {
        let answered = match event {
            Event::Runs { member, .. } => (member.clone(), Question::Classes),
            Event::Loads { member, .. } => (member.clone(), Question::Loads),
            _ => return false,
        };
        self.waiting.remove(&answered) && self.waiting.is_empty()
    }

    /// Ends when what is held should wait no longer.
    pub(super) async fn over(&self) {
        match &self.held {
            Some(held) => tokio::time::sleep_until(held.until).await,
            None => std::future::pending().await,
        }
    }

    /// What was held, which is not held any more.
    pub(super) fn cancel(&mut self) -> Option<Event> {
        self.held.take().map(|held| held.event)
    }
}

/// The members that can be asked: not the leader itself, nor one that cannot be understood.
fn others<'a>(members: &'a [Peer], leader: &'a str) -> impl Iterator<Item = (String, WorkerState)> + 'a {
    let others = members.iter().filter(move |peer| peer.member != leader);
    others.filter_map(|peer| Some((peer.member.clone(), WorkerState::decode(&peer.metadata).ok()?)))
}

/// What a worker has; `None` when it does not say.
async fn classes(peers: &dyn Peers, url: &str) -> Option<BTreeSet<String>> {
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = tokio::time::timeout(ANSWER, peers.connector_plugins(url)).await;
        match answer {
            Ok(Ok(classes)) => return Some(classes),
            Ok(Err(error)) if !error.is_retriable() => {
                tracing::warn!(url, %error, "a worker does not say which connectors it has, so it may be given any");
                return None;
            }
            Ok(Err(_)) | Err(_) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// How heavy a worker's tasks are; `None` when it does not measure.
async fn loads(peers: &dyn Peers, url: &str) -> Option<BTreeMap<TaskId, u32>> {
    match tokio::time::timeout(LOADS, peers.task_loads(url)).await {
        Ok(Ok(loads)) => Some(loads),
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => None,
        Ok(Err(error)) => {
            tracing::debug!(url, %error, "a worker does not say how heavy its tasks are");
            Some(BTreeMap::new())
        }
        Err(_) => Some(BTreeMap::new()),
    }
}
