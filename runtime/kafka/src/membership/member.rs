//! [`KafkaMember`]: the holder's end of a member, whose work a task does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::error::{Error, Result};
use millrace_api::group::{GroupEvent, GroupMember};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::task::Task;

/// How long leaving may take in all. Who cannot be told notices after the session timeout.
const LEAVING: Duration = Duration::from_secs(5);

/// A member of a group that Kafka coordinates.
pub(super) struct KafkaMember {
    events: mpsc::UnboundedReceiver<Result<GroupEvent>>,
    wishes: Arc<Wishes>,
    task: JoinHandle<()>,
}

/// What the holder wants.
#[derive(Default)]
pub(super) struct Wishes {
    rejoin: Mutex<Option<String>>,
    pub(super) changed: Notify,
    pub(super) leave: Notify,
}

impl Wishes {
    /// Why the holder wants a rebalance, if it does.
    pub(super) fn rejoin(&self) -> Option<String> {
        self.rejoin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was wished for is about to come.
    pub(super) fn granted(&self) {
        *self.rejoin.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl KafkaMember {
    /// Starts the task that `of` makes.
    pub(super) fn start(of: impl FnOnce(mpsc::UnboundedSender<Result<GroupEvent>>, Arc<Wishes>) -> Task) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let wishes = Arc::<Wishes>::default();
        let task = tokio::spawn(of(sender, Arc::clone(&wishes)).run());
        Self { events, wishes, task }
    }
}

#[async_trait]
impl GroupMember for KafkaMember {
    async fn next(&mut self) -> Result<GroupEvent> {
        let ended = || Err(Error::internal("the member's task has ended, so it is in the group no more"));
        self.events.recv().await.unwrap_or_else(ended)
    }

    fn rejoin(&self, reason: &str) {
        *self.wishes.rejoin.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        self.wishes.changed.notify_one();
    }

    async fn leave(mut self: Box<Self>) {
        self.wishes.leave.notify_one();
        if timeout(LEAVING, &mut self.task).await.is_err() {
            tracing::warn!("the group was not told that this worker leaves; it will notice after the session timeout");
        }
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.task.abort();
    }
}
