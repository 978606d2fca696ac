//! Incremental cooperative rebalancing (KIP-415).

use super::leader::Round;
use super::protocol::Assignment;

/// What is remembered from one round to the next.
#[derive(Debug)]
pub(super) struct Cooperative {
    max_delay_ms: i32,
    scheduled_ms: Option<i64>,
}

impl Cooperative {
    pub(super) fn new(max_delay_ms: i32) -> Self {
        Self { max_delay_ms: max_delay_ms.max(0), scheduled_ms: None }
    }

    pub(super) fn delay_left(&self, now_ms: i64) -> Option<u64> {
        let left = self.scheduled_ms?.saturating_sub(now_ms).min(self.max_delay_ms.into());
        Some(u64::try_from(left).unwrap_or(0))
    }

    /// Stand-in until the decision is made properly: work that nobody has goes to whoever has least, and nothing moves.
    pub(super) fn assign(&mut self, round: &Round<'_>, empty: &Assignment) -> Vec<(String, Assignment)> {
        self.scheduled_ms = None;
        let mut members: Vec<_> =
            round.peers.iter().map(|peer| (empty.clone(), peer.state.assignment.as_ref())).collect();
        for (name, connector) in &round.work.connectors {
            if !members.iter().any(|(_, held)| held.is_some_and(|held| held.connectors.contains(name))) {
                let least = members
                    .iter_mut()
                    .min_by_key(|(new, held)| new.connectors.len() + held.map_or(0, |held| held.connectors.len()));
                if let Some((to, _)) = least {
                    to.connectors.insert(name.clone());
                }
            }
            for id in connector.ids(name) {
                if !members.iter().any(|(_, held)| held.is_some_and(|held| held.tasks.contains(&id))) {
                    let least = members
                        .iter_mut()
                        .min_by_key(|(new, held)| new.tasks.len() + held.map_or(0, |held| held.tasks.len()));
                    if let Some((to, _)) = least {
                        to.tasks.insert(id);
                    }
                }
            }
        }
        for (to, held) in &mut members {
            let Some(held) = held else { continue };
            to.revoked_connectors =
                held.connectors.iter().filter(|name| !round.work.connectors.contains_key(*name)).cloned().collect();
            let exists = |id: &&crate::task::TaskId| {
                round
                    .work
                    .connectors
                    .get(&id.connector)
                    .is_some_and(|work| u32::try_from(id.task).is_ok_and(|task| task < work.tasks))
            };
            to.revoked_tasks = held.tasks.iter().filter(|id| !exists(id)).cloned().collect();
        }
        round.peers.iter().map(|peer| peer.member.clone()).zip(members.into_iter().map(|(new, _)| new)).collect()
    }
}
