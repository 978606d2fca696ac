//! What an aggregate should say, worked out from the records alone and in the plainest way.

use std::collections::BTreeMap;

use crate::world::HOUR;

/// A record: its event time and group.
pub(crate) type Input = (i64, String);

/// Results of hourly windows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Final counts by window and group.
    pub(crate) finals: Vec<(i64, String, i64)>,
    /// Times of late records, sorted.
    pub(crate) late: Vec<i64>,
}

/// Partitions of records in their order, tumbling hours, `grace` in milliseconds. All windows before `until` are over.
pub(crate) fn hourly(partitions: &[Vec<Input>], grace: i64, until: i64) -> Expected {
    let mut counts = BTreeMap::new();
    let mut late = Vec::new();
    for partition in partitions {
        let mut latest = i64::MIN;
        for (at, group) in partition {
            let window = at.div_euclid(HOUR) * HOUR;
            if latest >= window + HOUR + grace {
                late.push(*at);
            } else {
                *counts.entry((window, group.clone())).or_insert(0) += 1;
            }
            latest = latest.max(*at);
        }
    }
    late.sort_unstable();
    let over = counts.into_iter().filter(|((window, _), _)| *window < until);
    Expected { finals: over.map(|((window, group), count)| (window, group, count)).collect(), late }
}
