//! `errors.retry.timeout` and `errors.retry.delay.max.ms`: how long an operation that may succeed later is tried again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::ConnectorConfig;

/// Before the second attempt; doubles with each (`RetryWithToleranceOperator.RETRIES_DELAY_MIN_MS`).
const FIRST_DELAY: Duration = Duration::from_millis(300);
/// Even a connector that allows no delay at all must not keep a processor busy.
const LEAST_DELAY: Duration = Duration::from_millis(1);

/// What a connector's configuration says about trying again.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// `None` is without end.
    timeout: Option<Duration>,
    max_delay: Duration,
}

impl RetryPolicy {
    /// As a connector's configuration says.
    #[must_use]
    pub fn new(config: &ConnectorConfig) -> Self {
        Self {
            timeout: u64::try_from(config.errors_retry_timeout).ok().map(Duration::from_millis),
            max_delay: Duration::from_millis(u64::try_from(config.errors_retry_delay_max_ms).unwrap_or(0)),
        }
    }

    /// An operation begins now; its time runs from here.
    #[must_use]
    pub fn start(self) -> Retry {
        Retry { policy: self, started: Instant::now(), attempts: 0 }
    }
}

/// Tries again on a thread that may block, as long as the policy allows and the task goes on. Made for converters: a schema registry may
/// be away for a while.
#[derive(Debug, Clone)]
pub struct Patience {
    policy: RetryPolicy,
    cancel: CancellationToken,
}

impl Patience {
    /// Of a task that `cancel` ends.
    #[must_use]
    pub fn new(policy: RetryPolicy, cancel: CancellationToken) -> Self {
        Self { policy, cancel }
    }

    /// What `attempt` comes to when it is made again for as long as `may` says that it may succeed later.
    ///
    /// # Errors
    /// That of the last attempt.
    pub fn run<T, E>(&self, mut attempt: impl FnMut() -> Result<T, E>, may: impl Fn(&E) -> bool) -> Result<T, E> {
        let mut retry = None;
        loop {
            let outcome = attempt();
            let again = outcome.as_ref().err().is_some_and(&may);
            if !again || !self.pause(retry.get_or_insert_with(|| self.policy.start())) {
                return outcome;
            }
        }
    }

    /// Whether the task ends: what failed may still succeed, and the next task will see.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn pause(&self, retry: &mut Retry) -> bool {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        runtime.block_on(async {
            tokio::select! {
                again = retry.wait() => again,
                () = self.cancel.cancelled() => false,
            }
        })
    }
}

/// The attempts of one operation.
#[derive(Debug)]
pub struct Retry {
    policy: RetryPolicy,
    started: Instant,
    attempts: u32,
}

impl Retry {
    /// An attempt failed: waits until the next one is due. `false`, at once, when the time is up.
    pub async fn wait(&mut self) -> bool {
        let delay = self.delay(self.started.elapsed(), RandomState::new().build_hasher().finish());
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        delay.is_some()
    }

    /// How long to wait after an attempt that ended `elapsed` after the start of the first.
    fn delay(&mut self, elapsed: Duration, random: u64) -> Option<Duration> {
        let left = match self.policy.timeout {
            Some(timeout) => timeout.checked_sub(elapsed).filter(|left| !left.is_zero())?,
            None => Duration::MAX,
        };
        let doubled = FIRST_DELAY.saturating_mul(1 << self.attempts.min(20));
        self.attempts += 1;
        let delay = if doubled > self.policy.max_delay { jitter(self.policy.max_delay, random) } else { doubled };
        Some(delay.max(LEAST_DELAY).min(left))
    }
}

/// Anything from nothing to `max`, so that tasks which failed together do not come back together.
fn jitter(max: Duration, random: u64) -> Duration {
    let millis = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.checked_rem(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: u64 = 0x1234_5678_9abc_def1;

    fn retry(timeout: Option<u64>, max_delay: u64) -> Retry {
        RetryPolicy { timeout: timeout.map(Duration::from_millis), max_delay: Duration::from_millis(max_delay) }.start()
    }

    fn millis(delay: Option<Duration>) -> Option<u128> {
        delay.map(|delay| delay.as_millis())
    }

    #[test]
    fn delays_double_from_300_ms_and_are_random_below_the_longest_after_that() {
        let mut retry = retry(None, 2_000);
        let delays: Vec<_> = (0..3).map(|_| millis(retry.delay(Duration::ZERO, RANDOM))).collect();
        assert_eq!(delays, [Some(300), Some(600), Some(1_200)]);
        for random in [0, 1, RANDOM, u64::MAX] {
            assert!(millis(retry.delay(Duration::ZERO, random)).is_some_and(|delay| delay < 2_000));
        }
    }

    #[test]
    fn a_timeout_of_0_means_one_attempt_and_minus_1_means_no_end() {
        assert_eq!(retry(Some(0), 60_000).delay(Duration::ZERO, RANDOM), None);
        let mut endless = retry(None, 10);
        let week = Duration::from_hours(24 * 7);
        assert!((0..100).all(|_| endless.delay(week, RANDOM).is_some()));
    }

    #[test]
    fn the_last_attempt_comes_when_the_time_is_up_and_none_after_it() {
        let mut retry = retry(Some(1_000), 60_000);
        assert_eq!(millis(retry.delay(Duration::from_millis(10), RANDOM)), Some(300));
        assert_eq!(millis(retry.delay(Duration::from_millis(900), RANDOM)), Some(100));
        assert_eq!(retry.delay(Duration::from_secs(1), RANDOM), None);
        assert_eq!(retry.delay(Duration::from_secs(5), RANDOM), None);
    }

    #[test]
    fn a_longest_delay_of_0_does_not_keep_a_processor_busy() {
        assert_eq!(millis(retry(None, 0).delay(Duration::ZERO, RANDOM)), Some(1));
    }
}
