//! Whether tasks move: a task can be `RUNNING` for days and do nothing.
//!
//! A task notes what it waits for; whoever asks (`/health`, `/metrics`, `/millrace/tasks`) judges by how long. A task without work is
//! not stalled, however long it has none.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::load::Load;

/// What one task last did, and what it waits for. Its parts note it, and never wait for each other.
#[derive(Debug, Default)]
pub struct Progress {
    polled: Moment,
    delivered: Moment,
    committed: Moment,
    starting: Moment,
    delivering: Moment,
    commits_fail: Moment,
    said: AtomicBool,
    /// Records behind the end of the log, as last seen; sinks only.
    lag: AtomicU64,
    lag_grows: Moment,
    load: Load,
}

impl Progress {
    /// The connector's `start` was called.
    pub(crate) fn starts(&self) {
        self.starting.now();
    }

    /// It returned.
    pub(crate) fn started(&self) {
        self.starting.clear();
    }

    /// Records came out of the log or the source.
    pub(crate) fn polled(&self) {
        self.polled.now();
        self.lag_grows.clear();
    }

    /// A batch is on its way to the other side.
    pub(crate) fn delivers(&self) {
        self.delivering.now_unless_set();
    }

    /// A batch has arrived; `more` when another is on its way.
    pub(crate) fn delivered(&self, more: bool) {
        self.delivered.now();
        if more { self.delivering.now() } else { self.delivering.clear() }
    }

    /// Offsets were committed.
    pub(crate) fn committed(&self) {
        self.committed.now();
        self.commits_fail.clear();
    }

    /// Offsets could not be committed, and the task goes on.
    pub(crate) fn not_committed(&self) {
        self.commits_fail.now_unless_set();
    }

    /// How far a sink is behind; `reads` when it should be reading.
    pub(crate) fn behind(&self, lag: u64, reads: bool) {
        self.lag.store(lag, Ordering::Relaxed);
        if lag > 0 && reads { self.lag_grows.now_unless_set() } else { self.lag_grows.clear() }
    }

    /// How heavy it is, as [`Load::weigh`].
    pub(crate) fn load(&self, records: u64) -> Option<u32> {
        self.load.weigh(records)
    }

    /// How long ago it last did each thing; `None` for never.
    #[must_use]
    pub fn ages(&self) -> Ages {
        Ages { poll: self.polled.age(), delivery: self.delivered.age(), commit: self.committed.age() }
    }

    /// As [`Progress::stalled`], but once: until it moves again, and stalls again.
    pub(crate) fn begins_to_stall(&self, after: Duration) -> Option<Stall> {
        let stalled = self.stalled(after);
        let said = self.said.swap(stalled.is_some(), Ordering::Relaxed);
        stalled.filter(|_| !said)
    }

    /// What it has waited for at least `after`, if anything.
    #[must_use]
    pub fn stalled(&self, after: Duration) -> Option<Stall> {
        let waits = |moment: &Moment| moment.age().filter(|age| *age >= after);
        waits(&self.starting)
            .map(Stall::Starting)
            .or_else(|| waits(&self.delivering).map(Stall::Delivering))
            .or_else(|| waits(&self.commits_fail).map(Stall::Committing))
            .or_else(|| {
                let lag = self.lag.load(Ordering::Relaxed);
                // Nothing is read while batches are on their way.
                waits(&self.lag_grows).filter(|_| self.delivering.age().is_none()).map(|age| Stall::Reading(age, lag))
            })
    }
}

/// How long ago a task last did something; `None` for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// Got records.
    pub poll: Option<Duration>,
    /// Saw a batch acknowledged by the other side.
    pub delivery: Option<Duration>,
    /// Committed offsets.
    pub commit: Option<Duration>,
}

/// What a task waits for, and how long it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// For the connector's start.
    Starting(Duration),
    /// For the other side, to take a batch.
    Delivering(Duration),
    /// For a commit of offsets that succeeds.
    Committing(Duration),
    /// For records of the log, though it is behind by so many.
    Reading(Duration, u64),
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting(age) => write!(f, "the connector's start has not returned for {} s", age.as_secs()),
            Self::Delivering(age) => write!(f, "a batch has not been acknowledged for {} s", age.as_secs()),
            Self::Committing(age) => write!(f, "commits of offsets have failed for {} s", age.as_secs()),
            Self::Reading(age, lag) => {
                write!(f, "it is {lag} records behind and has read none for {} s", age.as_secs())
            }
        }
    }
}

/// A task of this worker and how it moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskProgress {
    /// Connector.
    pub connector: String,
    /// Number of the task.
    pub task: i32,
    /// What it last did.
    pub ages: Ages,
    /// What it has waited for too long.
    pub stalled: Option<Stall>,
    /// How heavy it is beside others; 1 for one that does nothing, `None` as long as it is not known.
    pub load: Option<u32>,
}

/// A moment that may not have come: milliseconds since the first one of the process, and one; 0 for not.
#[derive(Debug, Default)]
struct Moment(AtomicU64);

impl Moment {
    fn now(&self) {
        self.0.store(millis() + 1, Ordering::Relaxed);
    }

    fn now_unless_set(&self) {
        let _ = self.0.compare_exchange(0, millis() + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn age(&self) -> Option<Duration> {
        let set = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(millis().saturating_sub(set)))
    }
}

fn millis() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_mins(1);

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_stalls_by_what_it_waits_for() {
        let progress = Progress::default();
        pass(1000).await;
        assert_eq!(progress.stalled(AFTER), None, "it has nothing to wait for");
        progress.starts();
        pass(59).await;
        assert_eq!(progress.stalled(AFTER), None);
        pass(1).await;
        assert_eq!(progress.stalled(AFTER), Some(Stall::Starting(AFTER)));
        assert!(
            progress.begins_to_stall(AFTER).is_some() && progress.begins_to_stall(AFTER).is_none(),
            "it is said once"
        );
        progress.started();
        progress.delivers();
        pass(50).await;
        progress.delivers();
        progress.delivered(true);
        pass(59).await;
        assert_eq!(progress.stalled(AFTER), None, "one of two batches has arrived since");
        pass(1).await;
        assert_eq!(progress.stalled(AFTER), Some(Stall::Delivering(AFTER)));
        progress.delivered(false);
        assert_eq!(progress.stalled(AFTER), None);
        progress.not_committed();
        pass(30).await;
        progress.not_committed();
        pass(30).await;
        assert_eq!(progress.stalled(AFTER), Some(Stall::Committing(AFTER)));
        progress.committed();
        pass(3).await;
        let ages = progress.ages();
        let seconds = |age: Option<Duration>| age.map(|age| age.as_secs());
        assert_eq!((seconds(ages.poll), seconds(ages.delivery), seconds(ages.commit)), (None, Some(63), Some(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_is_behind_must_read() {
        let progress = Progress::default();
        progress.behind(7, true);
        pass(30).await;
        progress.behind(9, true);
        pass(30).await;
        assert_eq!(progress.stalled(AFTER), Some(Stall::Reading(AFTER, 9)));
        progress.polled();
        assert_eq!(progress.stalled(AFTER), None);
        progress.behind(9, true);
        pass(60).await;
        progress.behind(9, false);
        assert_eq!(progress.stalled(AFTER), None, "a paused one need not");
        progress.behind(0, true);
        pass(600).await;
        assert_eq!(progress.stalled(AFTER), None, "there is nothing to read");
    }
}
