//! Connectors and tasks under one name: what is placed somewhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::leader::{Peer, Work};
use super::protocol::Assignment;
use crate::task::TaskId;

/// A connector or a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Connector(Arc<str>),
    Task(TaskId),
}

impl Unit {
    /// Name of the connector.
    pub(super) fn connector(&self) -> &Arc<str> {
        match self {
            Self::Connector(name) => name,
            Self::Task(id) => &id.connector,
        }
    }

    pub(super) fn is_task(&self) -> bool {
        matches!(self, Self::Task(_))
    }
}

/// All there is to run.
pub(super) fn configured(work: &Work) -> BTreeSet<Unit> {
    let connectors = work.connectors.keys().cloned().map(Unit::Connector);
    let tasks = work.connectors.iter().flat_map(|(name, connector)| connector.ids(name).map(Unit::Task));
    connectors.chain(tasks).collect()
}

/// What a member says it runs.
pub(super) fn held(peer: &Peer) -> BTreeSet<Unit> {
    let Some(held) = &peer.state.assignment else { return BTreeSet::new() };
    let connectors = held.connectors.iter().cloned().map(Unit::Connector);
    connectors.chain(held.tasks.iter().cloned().map(Unit::Task)).collect()
}

/// Whether a member can run a connector; one that nobody knows anything of can.
pub(super) fn can_run(peer: &Peer, class: Option<&Arc<str>>) -> bool {
    class.zip(peer.runs.as_ref()).is_none_or(|(class, runs)| runs.contains(class))
}

impl Assignment {
    pub(super) fn start(&mut self, unit: Unit) {
        match unit {
            Unit::Connector(name) => _ = self.connectors.insert(name),
            Unit::Task(id) => _ = self.tasks.insert(id),
        }
    }

    pub(super) fn stop(&mut self, unit: Unit) {
        match unit {
            Unit::Connector(name) => _ = self.revoked_connectors.insert(name),
            Unit::Task(id) => _ = self.revoked_tasks.insert(id),
        }
    }
}
