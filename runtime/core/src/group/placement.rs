//! Where work goes when it is up to the leader: to whoever has least, moving no more than it takes.
//!
//! Kafka Connect counts connectors and tasks, deals what is free in the order of names, and takes the surplus of busy workers in the
//! order they list it. Here the sums are as even as there (unit weights: within one), and as little moves, but:
//! - tasks have weights, and a connector instance, which only plans, counts against connectors alone;
//! - among workers that are equally busy the one with the fewest tasks of the same connector is taken, then the one with the least of
//!   the same kind, so that no worker has all sources; then the one with the fewest connectors (for a connector: with the least to do);
//! - what only some workers can run goes to them, and what nobody can run goes anywhere, to fail where it is seen;
//! - a follower cannot tell the difference: where work goes is the leader's choice in the protocol.
//!
//! Pairs of workers are evened out, not longer chains: with capabilities that overlap partly, a better division may exist.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use millrace_api::connector::ConnectorType;

/// A connector or a task to place. Workers are numbers.
#[derive(Debug, Clone)]
pub(super) struct Item<'a> {
    /// How heavy; at least 1.
    pub(super) weight: u64,
    /// Connector it belongs to.
    pub(super) connector: &'a str,
    pub(super) kind: Option<ConnectorType>,
    /// Which workers can run it; at least one.
    pub(super) can: &'a [bool],
    /// Who runs it.
    pub(super) held: Option<usize>,
    /// Who should have it if nobody runs it.
    pub(super) hint: Option<usize>,
}

impl Item<'_> {
    fn can(&self, worker: usize) -> bool {
        self.can.get(worker).copied().unwrap_or(false)
    }

    /// Where it is to begin with. Unless everything must stay, work leaves those that cannot run it.
    fn start(&self, may_move: bool) -> Option<usize> {
        match self.held {
            Some(worker) if may_move && !self.can(worker) => None,
            Some(worker) => Some(worker),
            None => self.hint.filter(|worker| self.can(*worker)),
        }
    }
}

/// The worker of each item. `beside` is what else workers have to do, for ties; its length is their number. Unless work `may_move`,
/// what runs stays where it is.
pub(super) fn place(items: &[Item<'_>], beside: &[u64], may_move: bool) -> Vec<usize> {
    let mut board = Board::new(items, beside);
    let mut free = Vec::new();
    let starts = items.iter().any(|item| item.held.is_none());
    for (item, it) in items.iter().enumerate() {
        match it.start(may_move) {
            Some(worker) => board.put(item, worker),
            None => free.push(item),
        }
    }
    free.sort_by_key(|item| items.get(*item).map(|it| (Reverse(it.weight), it.kind.map(ConnectorType::name), *item)));
    for item in free {
        if let Some(worker) = board.best_for(item) {
            board.put(item, worker);
        }
    }
    // What nobody runs yet is cheap to put elsewhere; only what is still uneven then costs moves.
    board.even_out(u64::MAX);
    if may_move {
        board.even_out(board.worth_moving(starts));
    }
    board.at
}

struct Board<'a> {
    items: &'a [Item<'a>],
    beside: &'a [u64],
    /// Where each item is.
    at: Vec<usize>,
    workers: Vec<Worker<'a>>,
}

#[derive(Default)]
struct Worker<'a> {
    load: u64,
    items: Vec<usize>,
    connectors: BTreeMap<&'a str, u64>,
    kinds: BTreeMap<Option<&'static str>, u64>,
}

impl Worker<'_> {
    fn of_connector(&self, item: &Item<'_>) -> u64 {
        self.connectors.get(item.connector).copied().unwrap_or(0)
    }

    fn of_kind(&self, item: &Item<'_>) -> u64 {
        self.kinds.get(&item.kind.map(ConnectorType::name)).copied().unwrap_or(0)
    }
}

impl<'a> Board<'a> {
    fn new(items: &'a [Item<'a>], beside: &'a [u64]) -> Self {
        let workers = beside.iter().map(|_| Worker::default()).collect();
        Self { items, beside, at: vec![0; items.len()], workers }
    }

    /// Between workers that are not further apart, what runs stays: measured weights are never quite even. For their sake nothing moves
    /// either because something is created or a worker's work is taken over.
    fn worth_moving(&self, starts: bool) -> u64 {
        let uniform = self.items.windows(2).all(|pair| matches!(pair, [one, other] if one.weight == other.weight));
        let sum: u64 = self.items.iter().map(|item| item.weight).sum();
        let tenth = sum / u64::try_from(self.workers.len().max(1)).unwrap_or(1) / 10;
        match (uniform, starts) {
            (true, _) => 0,
            (false, true) => u64::MAX,
            (false, false) => tenth,
        }
    }

    fn put(&mut self, item: usize, to: usize) {
        let (Some(it), Some(at), Some(worker)) =
            (self.items.get(item), self.at.get_mut(item), self.workers.get_mut(to))
        else {
            return;
        };
        *at = to;
        worker.load += it.weight;
        worker.items.push(item);
        *worker.connectors.entry(it.connector).or_default() += 1;
        *worker.kinds.entry(it.kind.map(ConnectorType::name)).or_default() += it.weight;
    }

    fn take(&mut self, item: usize) {
        let (Some(it), Some(at)) = (self.items.get(item), self.at.get(item)) else { return };
        let Some(worker) = self.workers.get_mut(*at) else { return };
        worker.load -= it.weight;
        worker.items.retain(|other| *other != item);
        *worker.connectors.entry(it.connector).or_default() -= 1;
        *worker.kinds.entry(it.kind.map(ConnectorType::name)).or_default() -= it.weight;
    }

    /// Who should get what nobody runs.
    fn best_for(&self, item: usize) -> Option<usize> {
        let it = self.items.get(item)?;
        let able = self.workers.iter().zip(self.beside).enumerate().filter(|(number, _)| it.can(*number));
        let least = able
            .min_by_key(|(_, (worker, beside))| (worker.load, worker.of_connector(it), worker.of_kind(it), **beside));
        least.map(|(number, _)| number)
    }

    /// Moves items one by one from busier to less busy workers for as long as that makes the busier of the two less busy than before;
    /// what runs only between workers that are further apart than `slack`. The sum of squared loads falls with every step, so this ends.
    fn even_out(&mut self, slack: u64) {
        while let Some((item, to)) = self.best_move(slack) {
            self.take(item);
            self.put(item, to);
        }
    }

    /// What to move where: from the busiest worker that something can be taken from, to the least busy one that can take it.
    fn best_move(&self, slack: u64) -> Option<(usize, usize)> {
        let mut order: Vec<(u64, usize)> =
            self.workers.iter().enumerate().map(|(number, worker)| (worker.load, number)).collect();
        order.sort_unstable();
        for (most, from) in order.iter().rev() {
            for (least, to) in order.iter().take_while(|(least, _)| least + 1 < *most) {
                if let Some(item) = self.lightest_loss(*from, *to, most - least, slack) {
                    return Some((item, *to));
                }
            }
        }
        None
    }

    /// The item to take from one worker for another when their loads are so far apart: what nobody runs yet before what runs, then what
    /// evens them out best, then what leaves connectors and kinds spread best.
    fn lightest_loss(&self, from: usize, to: usize, gap: u64, slack: u64) -> Option<usize> {
        let (source, target) = (self.workers.get(from)?, self.workers.get(to)?);
        let candidates = source.items.iter().filter_map(|item| Some((*item, self.items.get(*item)?)));
        let useful =
            candidates.filter(|(_, it)| it.can(to) && it.weight < gap && (it.held != Some(from) || gap > slack));
        let best = useful.min_by_key(|(item, it)| {
            let runs = it.held == Some(from);
            let uneven = it.weight.max(gap - it.weight);
            let together =
                Reverse((source.of_connector(it).saturating_sub(target.of_connector(it)), source.of_kind(it)));
            (runs, uneven, together, Reverse(*item))
        });
        best.map(|(item, _)| item)
    }
}
