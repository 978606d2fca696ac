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
    /// Workers that are gone and what they had, the longest gone first.
    missing: Vec<Missing>,
    /// Work that was stopped so that this member can have it.
    planned: BTreeMap<Unit, String>,
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
struct Missing {
    url: String,
    share: BTreeSet<Unit>,
    /// Then others get it.
    until_ms: i64,
}

impl Memory {
    /// Forgets everything when the last round that this worker saw the end of was not the one remembered: the decision was not
    /// carried out, or somebody else has led since. A back-off that is over is forgotten, too.
    pub(super) fn recall(&mut self, round: &Round<'_>) {
        if self.generation.is_none() || self.generation != round.completed {
            *self = Self::default();
        }
        if self.calm_ms.is_some_and(|until| until <= round.now_ms) {
            self.calm_ms = None;
        }
    }

    /// Whether a member was to have something.
    pub(super) fn had(&self, member: &str, unit: &Unit) -> bool {
        self.members.get(member).is_some_and(|member| member.share.contains(unit))
    }

    /// Looks for work that was given to somebody and that nobody runs. What its own worker can have back at once, or a new worker in its
    /// place, is in the answer, with what was stopped for somebody; the rest is waiting in `missing`, until its time is over.
    pub(super) fn account(
        &mut self,
        round: &Round<'_>,
        configured: &BTreeSet<Unit>,
        owners: &BTreeMap<Unit, usize>,
        max_delay_ms: i64,
    ) -> BTreeMap<Unit, usize> {
        let newcomers = self.newcomers(round);
        let lost = |unit: &Unit| configured.contains(unit) && !owners.contains_key(unit);
        let until_ms = round.now_ms.saturating_add(max_delay_ms);
        let mut hints = BTreeMap::new();
        for (id, Member { url, share }) in std::mem::take(&mut self.members) {
            match round.peers.iter().position(|peer| peer.member == id) {
                // It is still there, but never got its work or gave it up.
                Some(peer) => hints.extend(share.into_iter().filter(&lost).map(|unit| (unit, peer))),
                None => self.missing.push(Missing { url, share, until_ms }),
            }
        }
        for missing in &mut self.missing {
            missing.share.retain(|unit| lost(unit) && !hints.contains_key(unit));
        }
        self.missing.retain(|missing| missing.until_ms > round.now_ms);
        self.hand_over(round, newcomers, &mut hints);
        for (unit, member) in std::mem::take(&mut self.planned) {
            if let Some(peer) = round.peers.iter().position(|peer| peer.member == member) {
                hints.entry(unit).or_insert(peer);
            }
        }
        hints
    }

    /// What is missing goes to those who return, then to others in the place of those who do not.
    fn hand_over(&mut self, round: &Round<'_>, mut newcomers: Vec<usize>, hints: &mut BTreeMap<Unit, usize>) {
        self.missing.retain_mut(|missing| {
            let is_back = |peer: &usize| round.peers.get(*peer).is_some_and(|peer| peer.state.url == missing.url);
            let Some(at) = newcomers.iter().position(is_back) else { return true };
            missing.hand_over(round, newcomers.remove(at), hints);
            false
        });
        let strangers =
            newcomers.into_iter().filter(|peer| round.peers.get(*peer).is_some_and(|peer| unit::held(peer).is_empty()));
        for (missing, peer) in self.missing.iter_mut().filter(|missing| !missing.share.is_empty()).zip(strangers) {
            missing.hand_over(round, peer, hints);
        }
    }

    /// Work that waits for its worker.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Unit> {
        self.missing.iter().flat_map(|missing| &missing.share)
    }

    /// Members that were not there in the round before.
    fn newcomers(&self, round: &Round<'_>) -> Vec<usize> {
        let peers = round.peers.iter().enumerate();
        peers.filter(|(_, peer)| !self.members.contains_key(&peer.member)).map(|(number, _)| number).collect()
    }

    /// Whether no back-off is under way.
    pub(super) fn is_calm(&self) -> bool {
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
        let waiting = self.missing.iter().filter(|missing| !missing.share.is_empty()).map(|missing| missing.until_ms);
        let until = waiting.chain(self.calm_ms).min()?;
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
        if self.waiting().next().is_some() {
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
