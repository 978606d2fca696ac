//! [`KafkaMember`]: the holder's end of a member, whose work a task does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::error::{Error, Result};
use millrace_api::group::{GroupEvent, GroupMember};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::task::{LEAVING, Task};

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
    /// Since when an event waits to be taken.
    untaken: Mutex<Option<Instant>>,
    pub(super) changed: Notify,
    pub(super) leave: Notify,
}

impl Wishes {
    /// Why the holder wants a rebalance, if it does.
    pub(super) fn rejoin(&self) -> Option<String> {
        locked(&self.rejoin).clone()
    }

    /// What was wished for is about to come.
    pub(super) fn granted(&self) {
        *locked(&self.rejoin) = None;
    }

    /// An event is there to be taken.
    pub(super) fn offer(&self) {
        locked(&self.untaken).get_or_insert_with(Instant::now);
    }

    /// For how long the holder has left an event lying.
    pub(super) fn behind(&self) -> Duration {
        locked(&self.untaken).map_or(Duration::ZERO, |since| since.elapsed())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let event = self.events.recv().await.unwrap_or_else(ended);
        *locked(&self.wishes.untaken) = (!self.events.is_empty()).then(Instant::now);
        event
    }

    fn rejoin(&self, reason: &str) {
        *locked(&self.wishes.rejoin) = Some(reason.to_owned());
        self.wishes.changed.notify_one();
    }

    async fn leave(mut self: Box<Self>) {
        self.wishes.leave.notify_one();
        // The task keeps to the time by itself.
        let _ = timeout(LEAVING * 2, &mut self.task).await;
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.task.abort();
    }
}
