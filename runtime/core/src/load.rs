//! How heavy a task is for its worker, so that leaders do not give all heavy ones to the same.
//!
//! Weights are rounded to powers of four, and keep to theirs until the load is clearly another: every change may move tasks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A task that has run for less says nothing.
const SHORTEST: Duration = Duration::from_secs(30);

/// Loads that are so long ago count for a third.
const MEMORY: Duration = Duration::from_mins(5);

/// Records per second that are as heavy as the task itself, which polls, commits and beats.
const UNIT: f64 = 250.0;

/// The heaviest is 4 to this.
const TOP: u32 = 8;

/// A task's measured load.
#[derive(Debug, Default)]
pub(crate) struct Load(Mutex<Measured>);

#[derive(Debug, Default)]
struct Measured {
    since: Option<(Instant, u64)>,
    /// Records per second.
    rate: Option<f64>,
    level: u32,
}

impl Load {
    /// Its weight, given how many records it has had: 1 for one that does nothing. `None` as long as it is not known.
    pub(crate) fn weigh(&self, records: u64) -> Option<u32> {
        let now = Instant::now();
        let mut measured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before) = *measured.since.get_or_insert((now, records));
        let elapsed = now.duration_since(since);
        if elapsed >= SHORTEST {
            measured.since = Some((now, records));
            #[allow(clippy::cast_precision_loss, reason = "a rough figure is wanted")]
            let rate = records.saturating_sub(before) as f64 / elapsed.as_secs_f64();
            let keeps = (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
            let rate = measured.rate.map_or(rate, |known| known * keeps + rate * (1.0 - keeps));
            measured.rate = Some(rate);
            measured.level = level(measured.level, 1.0 + rate / UNIT);
        }
        measured.rate.map(|_| 4_u32.pow(measured.level))
    }
}

/// The level of a value, next to the level before.
fn level(mut level: u32, value: f64) -> u32 {
    let of = |level: u32| f64::from(4_u32.pow(level));
    while level < TOP && value >= of(level + 1) {
        level += 1;
    }
    while level > 0 && value < of(level) / 2.0 {
        level -= 1;
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_weighs_what_it_does() {
        let load = Load::default();
        let mut records = 7_000_000;
        let mut after = async |seconds: u64, rate: u64| {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            records += seconds * rate;
            load.weigh(records)
        };
        assert_eq!(after(0, 0).await, None);
        assert_eq!(after(29, 9_000).await, None, "too short to say");
        assert_eq!(after(31, 0).await, Some(16), "4,350 a second");
        assert_eq!(after(3_600, 0).await, Some(1), "an hour with nothing");
        assert_eq!(after(3_600, 700).await, Some(1), "not quite the next");
        assert_eq!(after(3_600, 760).await, Some(4));
        assert_eq!(after(3_600, 400).await, Some(4), "not so much less");
        assert_eq!(after(3_600, 100).await, Some(1));
        assert_eq!(after(30, 100_000).await, Some(16), "a burst counts for what it is in five minutes");
        assert_eq!(after(3_600, 1_000_000_000).await, Some(65_536), "there is an end to it");
    }
}
