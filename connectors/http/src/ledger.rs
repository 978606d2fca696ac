//! Idempotency keys of the window: which were appended, which are on their way.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not known yet.
    Pending,
    /// The log has all of it.
    Committed,
    /// It will not be answered by this instance; unless it was handed out already, nothing of it is produced.
    Refused,
}

/// What is known about a key.
enum Known {
    /// On its way. `appended`: the part that an instance before this one had appended.
    InFlight { outcome: watch::Receiver<Outcome>, appended: Option<Part> },
    /// In the log.
    Done { records: u32, at: i64 },
    /// Partly in the log: the instance before this one died in the middle.
    Partial { part: Part, at: i64 },
}

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Records of the whole request.
    pub(crate) records: u32,
    /// Indexes of those in the log.
    pub(crate) indexes: HashSet<u32>,
}

/// What to do with a request.
pub(crate) enum Claim {
    /// Produce it, except for the records of `appended`.
    Produce { appended: Option<Part> },
    /// It was produced: so many records.
    Done(u32),
    /// Another request with this key is on its way; wait for what becomes of it.
    Wait(watch::Receiver<Outcome>),
    /// The key belongs to a request of another size, which was appended in part only.
    Mismatch(u32),
}

/// The window. Times are milliseconds since the epoch.
pub(crate) struct Ledger {
    window: i64,
    max_keys: usize,
    keys: HashMap<Arc<str>, Known>,
    /// Keys that are remembered, oldest first; one that was renewed occurs again.
    order: VecDeque<(i64, Arc<str>)>,
}

impl Ledger {
    pub(crate) fn new(window: i64, max_keys: usize) -> Self {
        Self { window, max_keys, keys: HashMap::new(), order: VecDeque::new() }
    }

    /// What to do with a request of `records` records.
    pub(crate) fn claim(&mut self, key: &str, records: u32, now: i64) -> Claim {
        self.expire(now);
        match self.keys.get(key) {
            None => Claim::Produce { appended: None },
            Some(Known::Done { records, .. }) => Claim::Done(*records),
            Some(Known::InFlight { outcome, .. }) => Claim::Wait(outcome.clone()),
            Some(Known::Partial { part, .. }) if part.records == records => {
                Claim::Produce { appended: Some(part.clone()) }
            }
            Some(Known::Partial { part, .. }) => Claim::Mismatch(part.records),
        }
    }

    /// The request of a key is on its way; `appended` as [`Ledger::claim`] told it.
    pub(crate) fn begin(&mut self, key: Arc<str>, outcome: watch::Receiver<Outcome>, appended: Option<Part>) {
        self.keys.insert(key, Known::InFlight { outcome, appended });
    }

    /// The request of a key is in the log.
    pub(crate) fn done(&mut self, key: &Arc<str>, records: u32, at: i64) {
        self.keys.insert(Arc::clone(key), Known::Done { records, at });
        self.order.push_back((at, Arc::clone(key)));
        self.expire(at);
    }

    /// The request of a key was taken back: the next one with this key is produced.
    pub(crate) fn withdraw(&mut self, key: &Arc<str>, at: i64) {
        if let Some(Known::InFlight { appended: Some(part), .. }) = self.keys.remove(key) {
            self.partial(Arc::clone(key), part, at);
        }
    }

    /// Part of the request of a key is in the log.
    pub(crate) fn partial(&mut self, key: Arc<str>, part: Part, at: i64) {
        self.order.push_back((at, Arc::clone(&key)));
        self.keys.insert(key, Known::Partial { part, at });
    }

    /// Keys that are known.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    fn expire(&mut self, now: i64) {
        let oldest = now.saturating_sub(self.window);
        while let Some((at, _)) = self.order.front() {
            if *at >= oldest && self.order.len() <= self.max_keys {
                break;
            }
            let Some((at, key)) = self.order.pop_front() else { break };
            let current = match self.keys.get(&key) {
                Some(Known::Done { at: known, .. } | Known::Partial { at: known, .. }) => *known == at,
                Some(Known::InFlight { .. }) | None => false,
            };
            if current {
                self.keys.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_done(claim: &Claim, expected: u32) -> bool {
        matches!(claim, Claim::Done(records) if *records == expected)
    }

    #[test]
    fn keys_are_forgotten_by_age_and_by_number() {
        let mut ledger = Ledger::new(1_000, 2);
        let key = |name: &str| Arc::<str>::from(name);
        ledger.done(&key("a"), 1, 0);
        ledger.done(&key("b"), 2, 500);
        assert!(is_done(&ledger.claim("a", 1, 1_000), 1));
        assert!(matches!(ledger.claim("a", 1, 1_001), Claim::Produce { appended: None }));
        assert!(is_done(&ledger.claim("b", 2, 1_001), 2));
        ledger.done(&key("c"), 3, 1_002);
        ledger.done(&key("d"), 4, 1_003);
        assert!(matches!(ledger.claim("b", 2, 1_003), Claim::Produce { .. }));
        assert!(is_done(&ledger.claim("c", 3, 1_003), 3) && is_done(&ledger.claim("d", 4, 1_003), 4));
        assert_eq!(ledger.len(), 2);
    }

    #[test]
    fn a_key_renewed_is_kept_for_its_new_age() {
        let mut ledger = Ledger::new(1_000, 10);
        let key = Arc::<str>::from("a");
        ledger.done(&key, 1, 0);
        ledger.done(&key, 1, 900);
        assert!(is_done(&ledger.claim("a", 1, 1_500), 1));
    }

    #[test]
    fn a_partial_request_is_resumed_and_survives_withdrawal() {
        let mut ledger = Ledger::new(1_000, 10);
        let key = Arc::<str>::from("a");
        let part = Part { records: 3, indexes: HashSet::from([1]) };
        ledger.partial(Arc::clone(&key), part.clone(), 0);
        assert!(matches!(ledger.claim("a", 2, 0), Claim::Mismatch(3)));
        for _ in 0..2 {
            let Claim::Produce { appended } = ledger.claim("a", 3, 0) else { panic!("resume") };
            assert_eq!(appended, Some(part.clone()));
            let (_sender, outcome) = watch::channel(Outcome::Pending);
            ledger.begin(Arc::clone(&key), outcome, appended);
            assert!(matches!(ledger.claim("a", 3, 0), Claim::Wait(_)));
            ledger.withdraw(&key, 1);
        }
    }
}
