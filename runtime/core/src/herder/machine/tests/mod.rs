//! The machine in a simulated cluster: several workers, a coordinator, a log that is read at different speeds, crashes, lost sessions
//! and slow stops, in an order that a seed decides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod coordinator;
mod leader;
mod model;
mod runs;
mod world;

use super::*;

/// A generator of numbers that is the same everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

struct Sinks;

impl Catalogue for Sinks {
    fn classes(&self) -> BTreeSet<String> {
        BTreeSet::from(["Sim".to_owned()])
    }

    fn describe(&self, class: &str) -> Option<(&'static str, String)> {
        (class == "Sim").then(|| ("sink", "1.0".to_owned()))
    }
}

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
