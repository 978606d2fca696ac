//! Connectors and tasks of this worker: what should run against what does.

use std::collections::BTreeSet;
use std::sync::Arc;

use millrace_api::config::Props;

use super::local::{LocalConnector, LocalTask, Made, Phase, settled, wanted};
use super::restart::Restarts;
use super::{Effect, Failure, Machine, State, TargetState};
use crate::task::{TaskId, Wanted};

impl Machine {
    pub(super) fn reconcile(&mut self) {
        let mut tasks: BTreeSet<TaskId> = self.tasks.keys().cloned().collect();
        tasks.extend(self.membership.held_tasks());
        for id in &tasks {
            self.reconcile_task(id);
        }
        let mut names: BTreeSet<String> = self.connectors.keys().cloned().collect();
        names.extend(self.membership.held_connectors().iter().map(ToString::to_string));
        for name in &names {
            self.reconcile_connector(name);
        }
    }

    /// The connector's configuration and target, when it is this worker's.
    fn wanted_connector(&self, name: &str) -> Option<(&Arc<Props>, TargetState)> {
        let state = self.config.connector(name).filter(|_| self.membership.holds_connector(name))?;
        Some((state.config.as_ref()?, state.target))
    }

    /// The configurations of connector and task as they were committed, when the task is this worker's.
    fn wanted_task(&self, id: &TaskId) -> Option<(&Arc<Props>, &Arc<Props>, Wanted)> {
        let state = self.config.connector(&id.connector).filter(|_| self.membership.holds_task(id))?;
        let config = state.tasks().get(usize::try_from(id.task).ok()?)?;
        let wanted = Some(wanted(state.target)).filter(|wanted| *wanted != Wanted::Stopped)?;
        Some((state.applied.as_ref().or(state.config.as_ref())?, config, wanted))
    }

    fn reconcile_connector(&mut self, name: &str) {
        let may_start = self.membership.is_settled(self.config.offset());
        let target = self.wanted_connector(name).map(|(_, target)| target);
        let Some(local) = self.connectors.get(name) else {
            match target.filter(|_| may_start) {
                Some(TargetState::Started) => self.start_connector(name),
                Some(target) => self.idle_connector(name, target),
                None => {}
            }
            return;
        };
        let same = self.wanted_connector(name).is_some_and(|(config, _)| *config == local.config);
        let due = local.asked || local.restarts.is_due(self.now);
        match (local.phase, target) {
            (Phase::Stopping, _) => {}
            (phase, None) if phase.is_active() => self.stop_connector(name),
            (_, None) => {
                self.connectors.remove(name);
                self.say_connector_unassigned(name);
            }
            (phase, Some(TargetState::Started)) if phase.is_active() => {
                if local.asked || !same {
                    self.stop_connector(name);
                }
            }
            (phase, Some(_)) if phase.is_active() => self.stop_connector(name),
            (Phase::Failed, Some(TargetState::Started)) => {
                if due || !same {
                    if local.asked {
                        self.say_connector(name, State::Restarting, None);
                    }
                    self.start_connector(name);
                }
            }
            (Phase::Idle(_), Some(TargetState::Started)) => self.start_connector(name),
            (Phase::Idle(now), Some(target)) if now == target => {}
            (_, Some(target)) => self.idle_connector(name, target),
        }
    }

    fn start_connector(&mut self, name: &str) {
        let Some((config, _)) = self.wanted_connector(name) else { return };
        let config = Arc::clone(config);
        let epoch = self.number();
        let restarts = self.connectors.remove(name).map(|before| before.restarts).unwrap_or_default();
        let local = LocalConnector {
            epoch,
            config: Arc::clone(&config),
            phase: Phase::Starting,
            made: None,
            asked: false,
            restarts: restarts.started(),
        };
        self.connectors.insert(name.to_owned(), local);
        self.effects.push(Effect::StartConnector { name: name.to_owned(), epoch, config: Props::clone(&config) });
    }

    fn stop_connector(&mut self, name: &str) {
        let Some(local) = self.connectors.get_mut(name) else { return };
        local.phase = Phase::Stopping;
        local.made = None;
        let epoch = local.epoch;
        self.effects.push(Effect::StopConnector { name: name.to_owned(), epoch });
    }

    /// Nothing is started for a connector that is paused or stopped.
    fn idle_connector(&mut self, name: &str, target: TargetState) {
        let local = LocalConnector {
            epoch: self.number(),
            config: Arc::default(),
            phase: Phase::Idle(target),
            made: None,
            asked: false,
            restarts: Restarts::default(),
        };
        self.connectors.insert(name.to_owned(), local);
        self.say_connector(name, settled(target), None);
    }

    pub(super) fn connector_started(&mut self, name: &str, epoch: u64, configs: Vec<Props>) {
        let Some(local) = self.connectors.get_mut(name) else { return };
        if local.epoch != epoch || local.phase != Phase::Starting {
            return;
        }
        local.phase = Phase::Up;
        let configs = configs.into_iter().map(Arc::new).collect();
        local.made = Some(Made { configs, ticket: None, committed: false, attempts: 0, retry_at: self.now });
        self.say_connector(name, State::Running, None);
    }

    pub(super) fn connector_ended(&mut self, name: &str, epoch: u64, failure: Option<Failure>) {
        let Some(local) = self.connectors.get_mut(name).filter(|local| local.epoch == epoch) else { return };
        self.dirty = true;
        if local.phase != Phase::Stopping {
            let failure = failure.unwrap_or_else(Failure::unasked);
            local.phase = Phase::Failed;
            local.made = None;
            let policy = self.options.restart.with(&local.config);
            let trace = local.restarts.failed(&policy, &failure, self.now);
            self.say_connector(name, State::Failed, Some(trace));
            return;
        }
        let asked = local.asked;
        self.connectors.remove(name);
        match self.wanted_connector(name).map(|(_, target)| target) {
            Some(TargetState::Started) => {
                self.say_connector(name, State::Unassigned, None);
                if asked {
                    self.say_connector(name, State::Restarting, None);
                }
            }
            Some(target) => self.idle_connector(name, target),
            None => self.say_connector_unassigned(name),
        }
    }

    fn reconcile_task(&mut self, id: &TaskId) {
        let may_start = self.membership.is_settled(self.config.offset());
        let Some(local) = self.tasks.get(id) else {
            if may_start && self.wanted_task(id).is_some() {
                self.start_task(id);
            }
            return;
        };
        let wanted = self.wanted_task(id);
        let same =
            wanted.is_some_and(|(connector, config, _)| *connector == local.connector && *config == local.config);
        let due = local.asked || local.restarts.is_due(self.now);
        let wanted = wanted.map(|(_, _, wanted)| wanted);
        match (local.phase, wanted) {
            (Phase::Stopping, _) => {}
            (Phase::Failed | Phase::Idle(_), None) => {
                self.tasks.remove(id);
                self.say_task_gone(id);
            }
            (Phase::Failed | Phase::Idle(_), Some(_)) => {
                if due || !same {
                    if local.asked {
                        self.say_task(id, State::Restarting, None);
                    }
                    self.start_task(id);
                }
            }
            (_, Some(wanted)) if same && !local.asked => self.want(id, wanted),
            _ => self.stop_task(id),
        }
    }

    fn start_task(&mut self, id: &TaskId) {
        let Some((connector, config, wanted)) = self.wanted_task(id) else { return };
        let (connector, config) = (Arc::clone(connector), Arc::clone(config));
        let epoch = self.number();
        let restarts = self.tasks.remove(id).map(|before| before.restarts).unwrap_or_default();
        let local = LocalTask {
            epoch,
            connector: Arc::clone(&connector),
            config: Arc::clone(&config),
            wanted,
            phase: Phase::Starting,
            asked: false,
            restarts: restarts.started(),
        };
        self.tasks.insert(id.clone(), local);
        let (connector, config) = (Props::clone(&connector), Props::clone(&config));
        self.effects.push(Effect::StartTask { id: id.clone(), epoch, connector, config, wanted });
    }

    fn stop_task(&mut self, id: &TaskId) {
        let Some(local) = self.tasks.get_mut(id) else { return };
        local.phase = Phase::Stopping;
        let epoch = local.epoch;
        self.effects.push(Effect::StopTask { id: id.clone(), epoch });
    }

    fn want(&mut self, id: &TaskId, wanted: Wanted) {
        let Some(local) = self.tasks.get_mut(id).filter(|local| local.wanted != wanted) else { return };
        local.wanted = wanted;
        let epoch = local.epoch;
        self.effects.push(Effect::Want { id: id.clone(), epoch, wanted });
    }

    pub(super) fn task_changed(&mut self, id: &TaskId, epoch: u64, state: State) {
        let Some(local) = self.tasks.get_mut(id) else { return };
        if local.epoch == epoch && local.phase.is_active() {
            local.phase = Phase::Up;
            self.say_task(id, state, None);
        }
    }

    pub(super) fn task_ended(&mut self, id: &TaskId, epoch: u64, failure: Option<Failure>) {
        let Some(local) = self.tasks.get_mut(id).filter(|local| local.epoch == epoch) else { return };
        self.dirty = true;
        if local.phase != Phase::Stopping {
            let failure = failure.unwrap_or_else(Failure::unasked);
            local.phase = Phase::Failed;
            let policy = self.options.restart.with(&local.connector);
            let trace = local.restarts.failed(&policy, &failure, self.now);
            self.say_task(id, State::Failed, Some(trace));
            return;
        }
        let asked = local.asked;
        self.tasks.remove(id);
        self.say_task_unassigned(id);
        if asked && self.wanted_task(id).is_some() {
            self.say_task(id, State::Restarting, None);
        }
    }

    /// Restarts what runs here of a connector; what it does is seen in the states.
    pub(super) fn restart_here(&mut self, name: &str, connector: bool, tasks: bool, only_failed: bool) {
        let wanted = |phase: Phase| match phase {
            Phase::Failed => true,
            Phase::Starting | Phase::Up => !only_failed,
            Phase::Stopping | Phase::Idle(_) => false,
        };
        if let Some(local) = self.connectors.get_mut(name).filter(|local| connector && wanted(local.phase)) {
            local.asked = true;
        }
        for (_, task) in
            self.tasks.iter_mut().filter(|(id, task)| tasks && *id.connector == *name && wanted(task.phase))
        {
            task.asked = true;
        }
        self.dirty = true;
    }

    /// A configuration was written again: one that could not start gets another chance.
    pub(super) fn connector_was_written(&mut self, name: &str) {
        if let Some(local) = self.connectors.get_mut(name).filter(|local| local.phase == Phase::Failed) {
            local.restarts.forget();
            local.asked = true;
        }
    }
}
