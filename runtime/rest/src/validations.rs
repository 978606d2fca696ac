//! What bounds `PUT /connector-plugins/{p}/config/validate`. A connector may dial what its configuration names to check it, so whoever
//! reaches the API could have the worker try out addresses. Nobody is refused; validations wait for their turn, a few at a time and
//! so many a second, and what takes too long ends in the same answer whatever the cause.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::ApiError;

/// Validations at the same time.
const AT_ONCE: usize = 8;
/// Validations that may come one after the other without a wait.
const BURST: u32 = 200;
/// Time between two validations once the burst is used up.
const PAUSE: Duration = Duration::from_millis(50);

/// The turns.
pub(crate) struct Validations {
    running: Semaphore,
    /// When the turns that were taken will be used up, at one per [`PAUSE`].
    taken_until: Mutex<Option<Instant>>,
}

impl Default for Validations {
    fn default() -> Self {
        Self { running: Semaphore::new(AT_ONCE), taken_until: Mutex::new(None) }
    }
}

impl Validations {
    /// Runs one when it is its turn.
    ///
    /// # Errors
    /// 500, with Kafka Connect's text, when it has not ended within `limit`.
    pub(crate) async fn run<T>(&self, limit: Duration, validation: impl Future<Output = T>) -> Result<T, ApiError> {
        let in_turn = async {
            tokio::time::sleep(self.turn(Instant::now())).await;
            let _permit = self.running.acquire().await;
            validation.await
        };
        tokio::time::timeout(limit, in_turn).await.map_err(|_| ApiError::server("Request timed out"))
    }

    /// Takes a turn; how long until it comes.
    fn turn(&self, now: Instant) -> Duration {
        let mut until = self.taken_until.lock().unwrap_or_else(PoisonError::into_inner);
        let next = until.unwrap_or(now).max(now) + PAUSE;
        *until = Some(next);
        next.saturating_duration_since(now).saturating_sub(PAUSE * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_and_then_one_per_pause() {
        let (validations, now) = (Validations::default(), Instant::now());
        let waits: Vec<Duration> = (0..BURST + 2).map(|_| validations.turn(now)).collect();
        let (burst, rest) = waits.split_at(BURST as usize);
        assert!(burst.iter().all(Duration::is_zero));
        assert_eq!(rest, [PAUSE, PAUSE * 2]);
        assert_eq!(validations.turn(now + PAUSE * (BURST + 3)), Duration::ZERO, "turns come back");
    }
}
