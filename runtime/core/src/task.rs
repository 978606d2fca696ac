//! What sink and source tasks share.

use std::fmt;
use std::sync::Arc;

use millrace_api::Error;

use crate::herder::State;

/// A task of a connector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// Connector.
    pub connector: Arc<str>,
    /// Number.
    pub task: i32,
}

impl TaskId {
    /// A task of a connector.
    pub fn new(connector: impl Into<Arc<str>>, task: i32) -> Self {
        Self { connector: connector.into(), task }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.task)
    }
}

/// What a running task is asked to do; it watches for changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Work.
    Running,
    /// Hold still, keeping partitions and positions.
    Paused,
    /// Finish what is in flight, commit, and end.
    Stopped,
}

/// Told about every change of a task's state; must not block.
pub trait StateListener: Send + Sync {
    /// The task works or holds still. Its end needs no saying.
    fn changed(&self, state: State);
}

/// How long to wait before trying again: 100 ms doubling to 10 s.
#[derive(Debug, Default)]
pub struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// Waits and counts the attempt.
    pub async fn wait(&mut self) {
        let millis = (100u64 << self.attempt.min(7)).min(10_000);
        self.attempt += 1;
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// A blocking piece of work panicked: a bug, but of one batch, not of the worker.
pub(crate) fn panicked(what: &'static str) -> impl FnOnce(tokio::task::JoinError) -> Error {
    move |error| Error::internal(what).because(error)
}
