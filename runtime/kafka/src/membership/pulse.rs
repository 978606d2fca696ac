//! When the coordinator last heard from a member, and what the holder has been told of that.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::error::{Error, Result};
use millrace_api::group::GroupEvent;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::codes::Setback;
use super::member::Wishes;

/// The holder's ear, and the time since the coordinator last heard from the member.
pub(super) struct Pulse {
    events: mpsc::UnboundedSender<Result<GroupEvent>>,
    wishes: Arc<Wishes>,
    session: Duration,
    heard: Instant,
    /// The holder does what it was assigned.
    working: bool,
    /// The holder was told to stop because of silence, and nothing has been heard since.
    silent: bool,
}

impl Pulse {
    pub(super) fn new(
        events: mpsc::UnboundedSender<Result<GroupEvent>>,
        wishes: Arc<Wishes>,
        session: Duration,
    ) -> Self {
        Self { events, wishes, session, heard: Instant::now(), working: false, silent: false }
    }

    pub(super) fn session(&self) -> Duration {
        self.session
    }

    /// Tells the holder.
    pub(super) fn emit(&self, event: GroupEvent) -> Result<(), Setback> {
        self.wishes.offer();
        self.events.send(Ok(event)).map_err(|_| Setback::Gone)
    }

    /// Tells the holder that there is no more to come.
    pub(super) fn end(&self, error: Error) {
        let _ = self.events.send(Err(error));
    }

    /// Returns when nobody holds the member any more.
    pub(super) async fn gone(&self) {
        self.events.closed().await;
    }

    pub(super) fn begin_work(&mut self) {
        (self.working, self.silent) = (true, false);
    }

    pub(super) fn end_work(&mut self) {
        (self.working, self.silent) = (false, false);
    }

    pub(super) fn heard(&mut self, since: Instant) {
        self.heard = since;
    }

    /// Whether the holder was told of silence that has just ended.
    pub(super) fn is_back(&mut self) -> bool {
        std::mem::take(&mut self.silent)
    }

    /// Does something, and meanwhile tells the holder, once, when the coordinator has not heard from the member for the session
    /// timeout.
    pub(super) async fn watch<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Setback> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = sleep_until(self.heard + self.session), if self.working => {
                    (self.working, self.silent) = (false, true);
                    let reason = format!("no heartbeat has been answered for {} ms", self.session.as_millis());
                    self.emit(GroupEvent::Unreachable { reason })?;
                }
            }
        }
    }
}
