//! What a leader remembers: who had what, whose work is waiting, what is on its way, and how often work has been moving lately.

use std::collections::{BTreeMap, BTreeSet};

use super::super::leader::Round;
use super::super::unit::{self, Unit};

/// Factor from one back-off to the next; the first is so many milliseconds.
const BACKOFF: i64 = 40;

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The round that this is remembered of.
    pub(super) generation: Option<i32>,
    /// By member id.
    members: BTreeMap<String, Member>,
    /// Work whose worker is gone, the longest gone first.
    pub(super) missing: Vec<Missing>,
    /// Work that was stopped so that this member can have it.
    pub(super) planned: BTreeMap<Unit, String>,
    /// Whether work was moved in the last round.
    moved: bool,
    /// How many times in a row moving was called for right after moving.
    successive: u32,
    /// Nothing moves before.
    calm_ms: Option<i64>,
}

#[derive(Debug)]
struct Member {
    url: String,
    share: BTreeSet<Unit>,
}

/// What a worker that is gone had.
#[derive(Debug)]
pub(super) struct Missing {
    url: String,
    pub(super) share: BTreeSet<Unit>,
    /// Then others get it.
    until_ms: i64,
}

impl Memory {
    /// Forgets everything when the last round that this worker saw the end of was not the one remembered: the decision was not
    /// carried out, or somebody else has led since.
    pub(super) fn recall(&mut self, round: &Round<'_>) {
        if self.generation.is_none() || self.generation != round.completed {
            *self = Self::default();
        }
    }

    /// Whether a member was to have something.
    pub(super) fn had(&self, member: &str, unit: &Unit) -> bool {
        self.members.get(member).is_some_and(|member| member.share.contains(unit))
    }

    /// Looks for work that was given to somebody and that nobody runs. What its own worker can have back at once, or a new worker in its
    /// place, is in the answer; the rest is waiting in `missing`, until its time is over.
    pub(super) fn account(
        &mut self,
        round: &Round<'_>,
        configured: &BTreeSet<Unit>,
        owners: &BTreeMap<Unit, usize>,
        max_delay_ms: i64,
    ) -> BTreeMap<Unit, usize> {
        let mut newcomers = self.newcomers(round);
        let lost = |unit: &Unit| configured.contains(unit) && !owners.contains_key(unit);
        let mut hints = BTreeMap::new();
        for (id, member) in std::mem::take(&mut self.members) {
            let share: BTreeSet<Unit> = member.share.into_iter().filter(&lost).collect();
            match round.peers.iter().position(|peer| peer.member == id) {
                // It is still there, but never got its work or gave it up.
                Some(peer) => hints.extend(share.into_iter().map(|unit| (unit, peer))),
                None => self.missing.push(Missing {
                    url: member.url,
                    share,
                    until_ms: round.now_ms.saturating_add(max_delay_ms),
                }),
            }
        }
        for missing in &mut self.missing {
            missing.share.retain(|unit| lost(unit) && !hints.contains_key(unit));
        }
        self.missing.retain(|missing| !missing.share.is_empty() && missing.until_ms > round.now_ms);
        // First those who return, so that a stranger does not take what is theirs.
        for missing in &mut self.missing {
            let returned = newcomers
                .iter()
                .position(|peer| round.peers.get(*peer).is_some_and(|peer| peer.state.url == missing.url));
            if let Some(peer) = returned.map(|at| newcomers.remove(at)) {
                missing.hand_over(round, peer, &mut hints);
            }
        }
        newcomers.retain(|peer| round.peers.get(*peer).is_some_and(|peer| unit::held(peer).is_empty()));
        for missing in &mut self.missing {
            if !missing.share.is_empty() && !newcomers.is_empty() {
                missing.hand_over(round, newcomers.remove(0), &mut hints);
            }
        }
        self.missing.retain(|missing| !missing.share.is_empty());
        hints
    }

    /// Members that were not there in the round before.
    fn newcomers(&self, round: &Round<'_>) -> Vec<usize> {
        let peers = round.peers.iter().enumerate();
        peers.filter(|(_, peer)| !self.members.contains_key(&peer.member)).map(|(number, _)| number).collect()
    }

    /// Whether a unit waits for its worker.
    pub(super) fn waits(&self, unit: &Unit) -> bool {
        self.missing.iter().any(|missing| missing.share.contains(unit))
    }

    /// Whether no back-off is under way. One that is over is forgotten.
    pub(super) fn may_move(&mut self, now_ms: i64) -> bool {
        if self.calm_ms.is_some_and(|until| until <= now_ms) {
            self.calm_ms = None;
            self.moved = false;
        }
        self.calm_ms.is_none()
    }

    /// Whether work may move in this round, given whether some should: twice in a row only after a back-off that grows.
    pub(super) fn allow(&mut self, wanted: bool, now_ms: i64, max_delay_ms: i64) -> bool {
        if !wanted {
            self.moved = false;
            self.successive = 0;
            return true;
        }
        if self.moved {
            self.successive = self.successive.saturating_add(1);
            let pause = BACKOFF.saturating_pow(self.successive).min(max_delay_ms);
            self.calm_ms = (pause > 0).then(|| now_ms.saturating_add(pause));
        }
        self.moved = self.calm_ms.is_none();
        self.moved
    }

    /// How long members wait before they join again; `None` when nothing is waiting.
    pub(super) fn delay(&self, now_ms: i64, max_delay_ms: i64) -> Option<i64> {
        let until = self.missing.iter().map(|missing| missing.until_ms).chain(self.calm_ms).min()?;
        Some(until.saturating_sub(now_ms).clamp(0, max_delay_ms))
    }

    pub(super) fn remember(
        &mut self,
        round: &Round<'_>,
        owners: &BTreeMap<Unit, usize>,
        start: &[(Unit, usize)],
        moves: &[(Unit, usize, usize)],
    ) {
        self.generation = Some(round.generation);
        let member = |peer: usize| round.peers.get(peer).map(|peer| peer.member.clone());
        self.planned = moves.iter().filter_map(|(unit, _, to)| Some((unit.clone(), member(*to)?))).collect();
        if !self.missing.is_empty() {
            self.moved = false;
        }
        let mut shares: Vec<BTreeSet<Unit>> = round.peers.iter().map(|_| BTreeSet::new()).collect();
        let kept =
            owners.iter().map(|(unit, peer)| (unit, *peer)).filter(|(unit, _)| !self.planned.contains_key(*unit));
        for (unit, peer) in kept.chain(start.iter().map(|(unit, peer)| (unit, *peer))) {
            shares.iter_mut().skip(peer).take(1).for_each(|share| _ = share.insert(unit.clone()));
        }
        let members = round.peers.iter().zip(shares);
        self.members =
            members.map(|(peer, share)| (peer.member.clone(), Member { url: peer.state.url.clone(), share })).collect();
    }
}

impl Missing {
    /// Gives a worker what it can run of this.
    fn hand_over(&mut self, round: &Round<'_>, peer: usize, hints: &mut BTreeMap<Unit, usize>) {
        let Some(to) = round.peers.get(peer) else { return };
        let class =
            |unit: &Unit| round.work.connectors.get(unit.connector()).and_then(|connector| connector.class.as_ref());
        let (now, later) = std::mem::take(&mut self.share).into_iter().partition(|unit| unit::can_run(to, class(unit)));
        self.share = later;
        let now: BTreeSet<Unit> = now;
        hints.extend(now.into_iter().map(|unit| (unit, peer)));
    }
}
