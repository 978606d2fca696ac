//! Task configurations that connectors here have made: into the topic, by the leader or through it.

use std::sync::Arc;

use millrace_api::Result;
use millrace_api::config::Props;

use super::jobs::Job;
use super::local::Phase;
use super::membership::Leadership;
use super::{Effect, Machine, TargetState};
use crate::storage::config::ConnectorState;

/// Before the first repetition, doubled with each up to a minute.
const BACKOFF_MS: i64 = 250;
const BACKOFF_MAX_MS: i64 = 60_000;

/// A connector that is being stopped loses its tasks a moment before it is STOPPED; they are not made again at once.
const GRACE_MS: i64 = 2_000;

impl Machine {
    /// Publishes what differs from what is committed. Runs after every event, so what got lost or was refused is sent again.
    pub(super) fn publish(&mut self) {
        let mut due = Vec::new();
        let mut connectors = std::mem::take(&mut self.connectors);
        for (name, local) in connectors.iter_mut().filter(|(_, local)| local.phase == Phase::Up) {
            let Some(made) = local.made.as_mut().filter(|made| made.ticket.is_none()) else { continue };
            let differs = self.differs(name, &local.config, &made.configs);
            match (std::mem::replace(&mut made.committed, !differs), differs) {
                (true, true) => made.retry_at = self.now + GRACE_MS,
                // From now on they are the same, not only alike, for the next comparison.
                (false, false) => self.config.connector(name).into_iter().for_each(|state| made.share(state.tasks())),
                _ => {}
            }
            if differs && made.retry_at <= self.now {
                due.push(name.clone());
            }
        }
        self.connectors = connectors;
        for name in due {
            self.publish_one(&name);
        }
        self.empty_stopped();
    }

    /// A stopped connector has no tasks. When leaders change while one is being stopped, its tasks may have been committed once more.
    fn empty_stopped(&mut self) {
        if !matches!(self.leadership(), Leadership::Here) || self.jobs.empties_later(self.now) {
            return;
        }
        let full = |state: &ConnectorState| state.target == TargetState::Stopped && !state.tasks().is_empty();
        let found = self.config.connectors().find(|(name, state)| full(state) && !self.jobs.publishes(name));
        let Some(name) = found.map(|(name, _)| name.to_owned()) else { return };
        let ticket = self.number();
        self.jobs.push(Job::Publish { ticket, name, configs: Vec::new() });
    }

    fn publish_one(&mut self, name: &str) {
        let leadership = self.leadership();
        if matches!(leadership, Leadership::Unknown) {
            return;
        }
        let ticket = self.number();
        let Some(made) = self.connectors.get_mut(name).and_then(|local| local.made.as_mut()) else { return };
        made.ticket = Some(ticket);
        let configs = made.configs.iter().map(|config| Props::clone(config)).collect();
        let name = name.to_owned();
        match leadership {
            Leadership::There(Some(leader_url)) => {
                self.effects.push(Effect::SendTaskConfigs { name, ticket, leader_url, configs });
            }
            Leadership::Here | Leadership::There(None) | Leadership::Unknown => {
                self.jobs.push(Job::Publish { ticket, name, configs });
            }
        }
    }

    /// Whether tasks made from `config` are not what is committed (`AbstractHerder.taskConfigsChanged`). Only for a connector that is
    /// to run, with the configuration it runs with.
    pub(super) fn differs(&self, name: &str, config: &Arc<Props>, configs: &[Arc<Props>]) -> bool {
        let Some(state) = self.config.connector(name) else { return false };
        state.target == TargetState::Started
            && state.config.as_ref() == Some(config)
            && (state.inconsistent
                || state.task_count.is_none()
                || state.tasks() != configs
                || state.applied.as_ref() != Some(config))
    }

    pub(super) fn sent(&mut self, name: &str, ticket: u64, outcome: Result<()>) {
        let now = self.now;
        let made = self.connectors.get_mut(name).and_then(|local| local.made.as_mut());
        let Some(made) = made.filter(|made| made.ticket == Some(ticket)) else { return };
        made.ticket = None;
        // The leader has written them when it answers, but this worker may not have read them yet.
        let wait = (BACKOFF_MS << made.attempts.min(20)).min(BACKOFF_MAX_MS);
        made.retry_at = now + wait;
        match outcome {
            Ok(()) => made.attempts = 0,
            Err(error) => {
                made.attempts = made.attempts.saturating_add(1);
                tracing::warn!(connector = name, %error, wait, "task configurations were not published, trying again");
            }
        }
    }

    pub(super) fn publish_at(&self) -> Option<i64> {
        let made = self.connectors.iter().filter_map(|(name, local)| {
            let made = local.made.as_ref().filter(|made| made.ticket.is_none())?;
            self.differs(name, &local.config, &made.configs).then_some(made.retry_at)
        });
        made.min()
    }
}
