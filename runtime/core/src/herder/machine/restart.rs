//! Failed work that is started again by itself: what failed because of something outside may succeed later.

use std::collections::VecDeque;

use millrace_api::ErrorKind;
use millrace_api::config::Props;

use super::{Failure, Machine};
use crate::time::iso;

const HOUR_MS: i64 = 3_600_000;

/// `errors.restart.max` and `errors.restart.backoff.ms`, of the worker or of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Most restarts within an hour; 0 leaves them to operators, as in Kafka Connect.
    pub max_per_hour: usize,
    /// Before the first; doubled with each within the hour.
    pub backoff_ms: i64,
    /// At most.
    pub backoff_max_ms: i64,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { max_per_hour: 10, backoff_ms: 10_000, backoff_max_ms: 600_000 }
    }
}

impl RestartPolicy {
    /// With what a connector says itself. What is no number does not count.
    #[must_use]
    pub fn with(self, config: &Props) -> Self {
        let number = |key: &str| config.get(key).and_then(|value| value.trim().parse::<u32>().ok());
        Self {
            max_per_hour: number("errors.restart.max").map_or(self.max_per_hour, |n| n as usize),
            backoff_ms: number("errors.restart.backoff.ms").map_or(self.backoff_ms, i64::from),
            backoff_max_ms: number("errors.restart.backoff.max.ms").map_or(self.backoff_max_ms, i64::from),
        }
    }
}

/// Restarts of one connector or task.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    /// When, within the last hour.
    at: VecDeque<i64>,
    next: Option<i64>,
}

impl Restarts {
    /// It has failed; what to show as its trace.
    pub(super) fn failed(&mut self, policy: &RestartPolicy, failure: &Failure, now: i64) -> String {
        self.next = None;
        let outside = matches!(failure.kind, ErrorKind::Retriable | ErrorKind::Timeout | ErrorKind::External);
        if !outside || policy.max_per_hour == 0 {
            return failure.trace.clone();
        }
        while self.at.front().is_some_and(|at| *at <= now - HOUR_MS) {
            self.at.pop_front();
        }
        let (done, most) = (self.at.len(), policy.max_per_hour);
        let note = if done < most {
            let doubled = policy.backoff_ms.saturating_mul(1 << done.min(30));
            let next = now.saturating_add(doubled.min(policy.backoff_max_ms).max(0));
            self.next = Some(next);
            self.at.push_back(next);
            format!("It is started again at {}: restart {} of at most {most} within an hour", iso(next), done + 1)
        } else {
            format!("It was restarted {done} times within an hour and stays FAILED until somebody restarts it")
        };
        format!("{}\n{note} (errors.restart.max)", failure.trace)
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    pub(super) fn started(mut self) -> Self {
        self.next = None;
        self
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Failure {
    /// Nobody told it to end, and it named no reason.
    pub(super) fn unasked() -> Self {
        let trace = "org.apache.kafka.connect.errors.ConnectException: it ended without being asked".to_owned();
        Self { kind: ErrorKind::Internal, trace }
    }
}

impl Machine {
    fn restarts(&self) -> impl Iterator<Item = i64> {
        let connectors = self.connectors.values().map(|local| &local.restarts);
        connectors.chain(self.tasks.values().map(|local| &local.restarts)).filter_map(|restarts| restarts.next)
    }

    pub(super) fn restart_at(&self) -> Option<i64> {
        self.restarts().min()
    }

    pub(super) fn restart_due(&self) -> bool {
        self.restart_at().is_some_and(|at| at <= self.now)
    }
}
