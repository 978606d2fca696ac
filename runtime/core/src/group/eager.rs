//! The oldest protocol: everybody has stopped everything, and all work is dealt out anew, in turn.

use std::collections::BTreeMap;

use super::leader::Round;
use super::protocol::Assignment;

/// First all connectors by name, then all tasks by connector and number, to the members by id, one after the other, as Kafka Connect
/// does it. What some members cannot run is dealt among those that can.
pub(super) fn assign(round: &Round<'_>, empty: &Assignment) -> Vec<(String, Assignment)> {
    let mut dealt: BTreeMap<&str, Assignment> =
        round.peers.iter().map(|peer| (peer.member.as_str(), empty.clone())).collect();
    let mut turn = Turn { members: dealt.keys().copied().collect(), next: 0 };
    for (name, connector) in &round.work.connectors {
        if let Some(to) =
            turn.next(|member| can_run(round, member, connector.class.as_deref())).and_then(|to| dealt.get_mut(to))
        {
            to.connectors.insert(name.clone());
        }
    }
    for (name, connector) in &round.work.connectors {
        for id in connector.ids(name) {
            if let Some(to) =
                turn.next(|member| can_run(round, member, connector.class.as_deref())).and_then(|to| dealt.get_mut(to))
            {
                to.tasks.insert(id);
            }
        }
    }
    round.peers.iter().filter_map(|peer| Some((peer.member.clone(), dealt.remove(peer.member.as_str())?))).collect()
}

fn can_run(round: &Round<'_>, member: &str, class: Option<&str>) -> bool {
    let runs = round.peers.iter().find(|peer| peer.member == member).and_then(|peer| peer.runs.as_ref());
    class.zip(runs).is_none_or(|(class, runs)| runs.contains(class))
}

struct Turn<'a> {
    members: Vec<&'a str>,
    next: usize,
}

impl<'a> Turn<'a> {
    /// Whose turn it is among those that can; when nobody can, whose turn it is.
    fn next(&mut self, can: impl Fn(&str) -> bool) -> Option<&'a str> {
        let order = || self.members.iter().enumerate().cycle().skip(self.next).take(self.members.len());
        let (at, member) = order().find(|(_, member)| can(member)).or_else(|| order().next())?;
        self.next = at + 1;
        Some(member)
    }
}
