//! Incremental cooperative rebalancing (KIP-415): members keep their work while the group rebalances. What must move is stopped in one
//! round and started elsewhere in the next, which members join at once when something was taken from them.
//!
//! Two things are done otherwise than Kafka Connect's leader does them, both for less idle time:
//! - The work of a worker that is gone waits for it (`scheduled.rebalance.max.delay.ms`). When a worker with its URL joins, it has the work
//!   at once; Kafka Connect waits for the delay to end. A worker that was not there before is taken as the replacement of the one
//!   that is missing longest. Each lost worker has a delay of its own.
//! - Of work that two members run, one keeps it.

mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::leader::{Peer, Round};
use super::placement::{self, Item};
use super::protocol::Assignment;
use super::unit::{self, Unit};
use memory::Memory;

/// The decision and what is remembered from one round to the next.
#[derive(Debug)]
pub(super) struct Cooperative {
    max_delay_ms: i64,
    memory: Memory,
}

/// Where work goes in this round.
#[derive(Debug, Default)]
struct Decision {
    /// By peer: to start.
    start: Vec<(Unit, usize)>,
    /// By peer: to stop, as another is to have it next.
    moves: Vec<(Unit, usize, usize)>,
}

/// Who runs what of the work there is, and what is to be stopped in any case.
#[derive(Debug, Default)]
struct Active {
    owners: BTreeMap<Unit, usize>,
    stop: Vec<(Unit, usize)>,
}

impl Cooperative {
    pub(super) fn new(max_delay_ms: i32) -> Self {
        Self { max_delay_ms: max_delay_ms.max(0).into(), memory: Memory::default() }
    }

    pub(super) fn delay_left(&self, now_ms: i64) -> Option<u64> {
        self.memory.delay(now_ms, self.max_delay_ms).map(i64::unsigned_abs)
    }

    /// A round that ended without a decision: what is remembered still holds.
    pub(super) fn skip(&mut self, round: &Round<'_>) {
        self.memory.recall(round);
        self.memory.generation = Some(round.generation);
    }

    pub(super) fn assign(&mut self, round: &Round<'_>, empty: &Assignment) -> Vec<(String, Assignment)> {
        self.memory.recall(round);
        let configured = unit::configured(round.work);
        let active = Active::read(round, &configured, &self.memory);
        let hints = self.memory.account(round, &configured, &active.owners, self.max_delay_ms);
        let waiting: BTreeSet<&Unit> = self.memory.waiting().collect();
        let here: Vec<&Unit> = configured.iter().filter(|unit| !waiting.contains(unit)).collect();
        let settled = self.memory.is_calm() && waiting.is_empty();
        let decide = |may_move| decide(round, &here, &active.owners, &hints, may_move);
        let mut decision = decide(settled);
        if settled && !self.memory.allow(!decision.moves.is_empty(), round.now_ms, self.max_delay_ms) {
            decision = decide(false);
        }
        let delay =
            self.memory.delay(round.now_ms, self.max_delay_ms).and_then(|delay| i32::try_from(delay).ok()).unwrap_or(0);
        let decided = write(round, &Assignment { delay_ms: delay, ..empty.clone() }, &active, &decision);
        self.memory.remember(round, &active.owners, &decision.start, &decision.moves);
        decided
    }
}

impl Active {
    fn read(round: &Round<'_>, configured: &BTreeSet<Unit>, memory: &Memory) -> Self {
        let mut holders: BTreeMap<Unit, Vec<usize>> = BTreeMap::new();
        let held: Vec<BTreeSet<Unit>> = round.peers.iter().map(unit::held).collect();
        for (peer, units) in held.iter().enumerate() {
            for unit in units {
                holders.entry(unit.clone()).or_default().push(peer);
            }
        }
        let busy = |peer: &usize| held.get(*peer).map_or(0, BTreeSet::len);
        let mut active = Self::default();
        for (unit, holders) in holders {
            let rightful =
                holders.iter().find(|peer| round.peers.get(**peer).is_some_and(|peer| memory.had(&peer.member, &unit)));
            let keeps = rightful
                .or_else(|| holders.iter().min_by_key(|peer| busy(peer)))
                .copied()
                .filter(|_| configured.contains(&unit));
            active
                .stop
                .extend(holders.into_iter().filter(|peer| Some(*peer) != keeps).map(|peer| (unit.clone(), peer)));
            if let Some(keeps) = keeps {
                active.owners.insert(unit, keeps);
            }
        }
        active
    }
}

/// Places tasks, then connectors.
fn decide<'a>(
    round: &Round<'_>,
    units: &[&'a Unit],
    owners: &BTreeMap<Unit, usize>,
    hints: &BTreeMap<Unit, usize>,
    may_move: bool,
) -> Decision {
    let (tasks, connectors): (Vec<&Unit>, Vec<&Unit>) = units.iter().partition(|unit| unit.is_task());
    let able = Able::of(round);
    let items = |units: &[&'a Unit]| -> Vec<Item<'_>> {
        units.iter().map(|unit| item(round, unit, owners, hints, &able)).collect()
    };
    let (task_items, connector_items) = (items(&tasks), items(&connectors));
    let mut beside = vec![0; round.peers.len()];
    for peer in connectors.iter().filter_map(|unit| owners.get(*unit)) {
        beside.iter_mut().skip(*peer).take(1).for_each(|count| *count += 1);
    }
    let task_places = placement::place(&task_items, &beside, may_move);
    let mut beside = vec![0; round.peers.len()];
    for (item, peer) in task_items.iter().zip(&task_places) {
        beside.iter_mut().skip(*peer).take(1).for_each(|load| *load += item.weight);
    }
    let connector_places = placement::place(&connector_items, &beside, may_move);
    let mut decision = Decision::default();
    for (unit, to) in connectors.into_iter().zip(connector_places).chain(tasks.into_iter().zip(task_places)) {
        match owners.get(unit) {
            None => decision.start.push((unit.clone(), to)),
            Some(from) if *from != to => decision.moves.push((unit.clone(), *from, to)),
            Some(_) => {}
        }
    }
    decision
}

fn item<'a>(
    round: &Round<'a>,
    unit: &'a Unit,
    owners: &BTreeMap<Unit, usize>,
    hints: &BTreeMap<Unit, usize>,
    able: &'a Able,
) -> Item<'a> {
    let connector = round.work.connectors.get(unit.connector());
    let load = match unit {
        Unit::Connector(_) => None,
        Unit::Task(id) => connector.and_then(|connector| connector.loads.get(&id.task)),
    };
    Item {
        weight: load.copied().unwrap_or(1).max(1).into(),
        connector: unit.connector(),
        kind: connector.and_then(|connector| connector.kind),
        can: able.of_class(connector.and_then(|connector| connector.class.as_ref())),
        held: owners.get(unit).copied(),
        hint: hints.get(unit).copied(),
    }
}

/// Which peers can run a class.
struct Able {
    classes: BTreeMap<Arc<str>, Vec<bool>>,
    all: Vec<bool>,
}

impl Able {
    fn of(round: &Round<'_>) -> Self {
        let can = |class: &Arc<str>| -> Vec<bool> {
            round.peers.iter().map(|peer: &Peer| unit::can_run(peer, Some(class))).collect()
        };
        let named = round.work.connectors.values().filter_map(|connector| connector.class.clone());
        // What nobody can run, anybody may fail to run.
        let classes = named
            .map(|class| (can(&class), class))
            .filter(|(can, _)| can.contains(&true))
            .map(|(can, class)| (class, can));
        Self { classes: classes.collect(), all: vec![true; round.peers.len()] }
    }

    fn of_class(&self, class: Option<&Arc<str>>) -> &[bool] {
        class.and_then(|class| self.classes.get(class)).unwrap_or(&self.all)
    }
}

fn write(round: &Round<'_>, empty: &Assignment, active: &Active, decision: &Decision) -> Vec<(String, Assignment)> {
    let mut decided: Vec<(String, Assignment)> =
        round.peers.iter().map(|peer| (peer.member.clone(), empty.clone())).collect();
    for (unit, peer) in &decision.start {
        if let Some((_, assignment)) = decided.get_mut(*peer) {
            assignment.start(unit.clone());
        }
    }
    let moved = decision.moves.iter().map(|(unit, from, _)| (unit, from));
    for (unit, peer) in active.stop.iter().map(|(unit, peer)| (unit, peer)).chain(moved) {
        if let Some((_, assignment)) = decided.get_mut(*peer) {
            assignment.stop(unit.clone());
        }
    }
    decided
}
