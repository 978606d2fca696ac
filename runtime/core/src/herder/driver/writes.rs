//! What the loop writes and sends, each on a task of its own.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use super::Driver;
use crate::herder::SessionKey;
use crate::herder::machine::Event;
use crate::storage::Entry;
use crate::storage::config::session_key_record;
use crate::storage::topic::{InternalTopic, Written};

/// For writing to the configuration topic and reading it back (`READ_WRITE_TOTAL_TIMEOUT_MS`).
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// For another worker to answer.
const SEND_DEADLINE: Duration = Duration::from_mins(1);

/// For the last states when the worker stops.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of a session key for HMAC-SHA256.
const KEY_BYTES: usize = 32;

/// What any worker may write; the rest is the leader's.
const OPEN_KEYS: [&[u8]; 3] = [b"target-state-", b"restart-connector-", b"logger-cluster-"];

impl Driver {
    pub(super) fn write_config(&self, ticket: u64, steps: Vec<Vec<Entry>>) {
        let (topic, fencing) = (Arc::clone(&self.config_topic), self.fencing.clone());
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let writing = async {
                let mut written = Written::default();
                for step in steps {
                    written = write_step(&*topic, fencing.as_deref(), step).await?;
                }
                topic.read_back(written).await
            };
            let late = |_| Err(Error::new(ErrorKind::Timeout, "the configuration topic took longer than 30 s"));
            let outcome = tokio::time::timeout(WRITE_DEADLINE, writing).await.unwrap_or_else(late);
            // The receiver only goes away with the herder.
            let _ = reports.send(Event::Written { ticket, outcome });
        });
    }

    pub(super) fn write_session_key(&self, ticket: u64, created: i64) {
        let mut key = vec![0; KEY_BYTES];
        if let Err(error) = getrandom::fill(&mut key) {
            let error =
                Error::external("the system has no random numbers").because(std::io::Error::other(error.to_string()));
            let _ = self.reports.send(Event::Written { ticket, outcome: Err(error) });
            return;
        }
        let key = SessionKey { algorithm: "HmacSHA256".to_owned(), key, created };
        self.write_config(ticket, vec![vec![session_key_record(&key)]]);
    }

    pub(super) fn send_task_configs(&self, name: String, ticket: u64, leader_url: String, configs: Vec<Props>) {
        let (peers, reports) = (self.peers.clone(), self.reports.clone());
        let key = self.machine.signing().key();
        tokio::spawn(async move {
            let outcome = match (peers, key) {
                (Some(_), Err(error)) => Err(error),
                (Some(peers), Ok(key)) => {
                    let sending = peers.put_task_configs(&leader_url, &name, &configs, key.as_ref());
                    let late = |_| Err(Error::new(ErrorKind::Timeout, "the leader did not answer within 60 s"));
                    tokio::time::timeout(SEND_DEADLINE, sending).await.unwrap_or_else(late)
                }
                (None, _) => Err(Error::internal("this worker cannot reach other workers")),
            };
            let _ = reports.send(Event::Sent { name, ticket, outcome });
        });
    }

    /// A new leader takes the configuration topic from the one before.
    pub(super) fn leading(&self, leads: bool) {
        let Some(id) = self.fencing.clone().filter(|_| leads) else { return };
        let topic = Arc::clone(&self.config_topic);
        tokio::spawn(async move {
            if let Err(error) = topic.claim(&id).await {
                tracing::warn!(%error, "the configuration topic could not be claimed; it is tried again before the next write");
            }
        });
    }
}

async fn write_step(topic: &dyn InternalTopic, fencing: Option<&str>, step: Vec<Entry>) -> Result<Written> {
    let open = step.iter().all(|entry| OPEN_KEYS.iter().any(|prefix| entry.key.starts_with(prefix)));
    match fencing.filter(|_| !open) {
        Some(id) => {
            topic.claim(id).await?;
            topic.write_fenced(step).await
        }
        None => topic.write(step).await,
    }
}

/// Writes states in the order they are said. Nobody waits for it; while the log is out of reach they are kept.
pub(in crate::herder) struct StatusWriter(mpsc::UnboundedSender<Said>);

enum Said {
    Entries(Vec<Entry>),
    Flush(oneshot::Sender<()>),
}

impl StatusWriter {
    /// Writes to `topic` until it is dropped.
    pub(in crate::herder) fn start(topic: Arc<dyn InternalTopic>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(write_states(topic, receiver));
        Self(sender)
    }

    pub(super) fn write(&self, entries: Vec<Entry>) {
        let _ = self.0.send(Said::Entries(entries));
    }

    /// Waits for what was said before, but not for long.
    pub(super) async fn flush(&self) {
        let (reached, done) = oneshot::channel();
        let _ = self.0.send(Said::Flush(reached));
        if tokio::time::timeout(FLUSH_DEADLINE, done).await.is_err() {
            tracing::warn!("the last states were not written in time");
        }
    }
}

async fn write_states(topic: Arc<dyn InternalTopic>, mut said: mpsc::UnboundedReceiver<Said>) {
    let mut waiting = Vec::new();
    while said.recv_many(&mut waiting, 1_000).await > 0 {
        let mut entries: Vec<Entry> = Vec::new();
        let mut reached = Vec::new();
        for item in waiting.drain(..) {
            match item {
                Said::Entries(more) => entries.extend(more),
                Said::Flush(done) => reached.push(done),
            }
        }
        while !entries.is_empty() {
            match topic.write(entries.clone()).await {
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, states = entries.len(), "states could not be written, trying again");
                    keep_last(&mut entries);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            if said.is_closed() {
                return;
            }
        }
        for done in reached {
            let _ = done.send(());
        }
    }
}

/// Of each key only the last state matters.
fn keep_last(entries: &mut Vec<Entry>) {
    let mut seen = std::collections::HashSet::new();
    entries.reverse();
    entries.retain(|entry| seen.insert(entry.key.clone()));
    entries.reverse();
}
