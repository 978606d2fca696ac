//! What this worker has of a connector or task.

use std::sync::Arc;

use millrace_api::config::Props;

use super::restart::Restarts;
use super::{State, TargetState};
use crate::task::Wanted;

/// Where something is on its way through this worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Started; it has said nothing yet.
    Starting,
    /// It works, or holds still.
    Up,
    /// It was told to end.
    Stopping,
    /// It ended by itself.
    Failed,
    /// A connector that is not to run: nothing was started.
    Idle(TargetState),
}

impl Phase {
    /// Whether it must be stopped before anything else is done with it.
    pub(super) fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Up)
    }
}

/// Configurations that a connector made for its tasks.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) configs: Vec<Arc<Props>>,
    /// They are on their way to the topic.
    pub(super) ticket: Option<u64>,
    /// They were what is committed when this was looked at last.
    pub(super) committed: bool,
    pub(super) attempts: u32,
    pub(super) retry_at: i64,
}

impl Made {
    /// Holds what is committed in place of its own, where that is alike.
    pub(super) fn share(&mut self, committed: &[Arc<Props>]) {
        if self.configs == committed {
            self.configs.clone_from_slice(committed);
        }
    }
}

#[derive(Debug)]
pub(super) struct LocalConnector {
    pub(super) epoch: u64,
    /// What it was started with.
    pub(super) config: Arc<Props>,
    pub(super) phase: Phase,
    pub(super) made: Option<Made>,
    /// Somebody asked for a restart.
    pub(super) asked: bool,
    pub(super) restarts: Restarts,
}

#[derive(Debug)]
pub(super) struct LocalTask {
    pub(super) epoch: u64,
    /// The connector's configuration it was started with.
    pub(super) connector: Arc<Props>,
    /// Its own.
    pub(super) config: Arc<Props>,
    pub(super) wanted: Wanted,
    pub(super) phase: Phase,
    pub(super) asked: bool,
    pub(super) restarts: Restarts,
}

/// What is wanted of a connector's tasks.
pub(super) fn wanted(target: TargetState) -> Wanted {
    match target {
        TargetState::Started => Wanted::Running,
        TargetState::Paused => Wanted::Paused,
        TargetState::Stopped => Wanted::Stopped,
    }
}

/// The state of a connector that does as it should.
pub(super) fn settled(target: TargetState) -> State {
    match target {
        TargetState::Started => State::Running,
        TargetState::Paused => State::Paused,
        TargetState::Stopped => State::Stopped,
    }
}
