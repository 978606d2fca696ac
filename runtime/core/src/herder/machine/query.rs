//! What is asked without changing anything: answered from what has been read.

use millrace_api::config::Props;
use millrace_api::{Error, Result};

use super::local::Phase;
use super::membership::Leadership;
use super::{ConnectorInfo, ConnectorStatus, Machine, State, TargetState};
use crate::group::Protocol;
use crate::herder::{Signing, Status, not_found};
use crate::storage::status::StatusRecord;

impl Machine {
    /// Names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.config.names().map(str::to_owned).collect()
    }

    /// Configuration and tasks.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<ConnectorInfo> {
        let config = Props::clone(self.config.connector(name)?.config.as_ref()?);
        Some(ConnectorInfo { name: name.to_owned(), config, tasks: self.task_numbers(name), kind: self.kind(name) })
    }

    fn kind(&self, name: &str) -> &'static str {
        self.describe(name).map_or("unknown", |(kind, _)| kind)
    }

    pub(super) fn task_numbers(&self, name: &str) -> Vec<i32> {
        let count = self.config.connector(name).map_or(0, |state| state.tasks().len());
        (0..i32::try_from(count).unwrap_or(i32::MAX)).collect()
    }

    /// Configurations of the tasks, by number.
    #[must_use]
    pub fn task_configs(&self, name: &str) -> Option<Vec<Props>> {
        Some(self.config.connector(name)?.tasks().iter().map(|config| Props::clone(config)).collect())
    }

    /// States, as they were written.
    #[must_use]
    pub fn connector_status(&self, name: &str) -> Option<ConnectorStatus> {
        let connector = status(self.status.connector(name)?);
        let tasks = self.status.tasks(name).map(|(task, record)| (task, status(record))).collect();
        Some(ConnectorStatus { name: name.to_owned(), connector, tasks, kind: self.kind(name) })
    }

    /// States after a restart, which nobody has carried out yet.
    pub(super) fn restart_plan(&self, name: &str, tasks: bool, only_failed: bool) -> Option<ConnectorStatus> {
        let mut plan = self.connector_status(name)?;
        let planned = |status: &mut Status| {
            if !only_failed || status.state == State::Failed {
                status.state = State::Restarting;
            }
        };
        planned(&mut plan.connector);
        plan.tasks.iter_mut().filter(|_| tasks).for_each(|(_, status)| planned(status));
        Some(plan)
    }

    /// Topics that a connector has used, sorted.
    #[must_use]
    pub fn topics(&self, name: &str) -> Vec<String> {
        self.status.topics(name).map(|used| used.topic.clone()).collect()
    }

    /// The configuration of a connector whose offsets may be changed here and now; `None` while tasks of it may run on somewhere, as one
    /// that ends commits where it was.
    ///
    /// # Errors
    /// Why not, in Kafka Connect's words.
    pub fn stopped_config(&self, name: &str) -> Result<Option<Props>> {
        self.check_leader("Only the leader can process external offsets modification requests")?;
        let state = self.config.connector(name).ok_or_else(|| not_found(name))?;
        if state.target != TargetState::Stopped || !state.tasks().is_empty() {
            return Err(Error::config(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        let config = state.config.as_deref().ok_or_else(|| not_found(name))?;
        Ok((!self.membership.runs_tasks_of(name)).then(|| config.clone()))
    }

    /// Whether this worker leads; otherwise who does.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Elsewhere`] with `otherwise`.
    pub fn check_leader(&self, otherwise: &'static str) -> Result<()> {
        match self.leadership() {
            Leadership::Here => Ok(()),
            Leadership::There(Some(url)) => Err(Error::elsewhere(otherwise, Some(url))),
            Leadership::There(None) | Leadership::Unknown => Err(Error::elsewhere(super::jobs::NO_LEADER, None)),
        }
    }

    /// Whether the first rebalance is over and what it brought may start.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.membership.is_settled(self.config.offset())
    }

    /// The fold over the configuration topic.
    #[must_use]
    pub fn config(&self) -> &crate::storage::config::ClusterConfig {
        &self.config
    }

    /// Whether requests among workers are signed, and with what.
    #[must_use]
    pub fn signing(&self) -> Signing {
        if self.membership.protocol() != Protocol::Sessioned {
            return Signing::Off;
        }
        let Some(key) = self.config.session_key() else { return Signing::Pending };
        Signing::Keys([key].into_iter().chain(&self.former_keys).cloned().collect())
    }
}

fn status(record: &StatusRecord) -> Status {
    Status {
        state: record.state,
        worker_id: record.worker_id.clone(),
        version: record.version.clone(),
        trace: record.trace.clone(),
    }
}

/// Producers of former tasks that are to be fenced before a source's new tasks start (KIP-618).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencingPlan {
    /// How many former tasks there may be; 0 for none that could write.
    pub former: usize,
    /// How many tasks there are now, to be written down when it is done.
    pub tasks: usize,
}

impl Machine {
    /// What a leader has to fence for a source connector; `None` when that has been done.
    ///
    /// # Errors
    /// In Kafka Connect's words: another worker leads, or there is no such source.
    pub fn fencing(&self, name: &str) -> Result<Option<FencingPlan>> {
        self.check_leader("Only the leader may perform zombie fencing.")?;
        let state = self.config.connector(name).ok_or_else(|| not_found(name))?;
        if self.kind(name) != "source" {
            return Err(Error::config(format!("Connector {name} is not a source connector")));
        }
        let tasks = state.tasks().len();
        let former = usize::try_from(state.fenced.unwrap_or(0)).unwrap_or(0);
        // One task before and one now have the same producer, which fences by itself.
        let former = if former == 1 && tasks == 1 { 0 } else { former };
        Ok(state.pending_fencing.then_some(FencingPlan { former, tasks }))
    }

    /// Whether nothing runs here, not even on its way out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let ended = |phase: Phase| matches!(phase, Phase::Failed | Phase::Idle(_));
        self.tasks.values().all(|task| ended(task.phase)) && self.connectors.values().all(|local| ended(local.phase))
    }
}
