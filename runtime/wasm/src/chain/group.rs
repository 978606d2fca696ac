//! Stages of one component, on one instance of it.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::batch::RecordBatch;
use millrace_api::batch::delta::Applier;
use millrace_api::batch::wire::{self, Needs};
use millrace_api::{Error, ErrorKind, Result};
use wasmtime::Store;

use super::plan::{GroupPlan, refusal};
use crate::component::Program;
use crate::engine::Sandbox;
use crate::guest;
use crate::guest::log::GuestLog;
use crate::guest::state::State;
use crate::secrets::Secrets;
use crate::v0_1::{self, Condition, Stage, smt::Smt, smt::SmtPre};

/// Configured stages. The instance is replaced whenever a call fails; everything else stays.
pub(crate) struct Group {
    sandbox: Arc<Sandbox>,
    program: SmtPre<State>,
    component: Arc<str>,
    /// Class of each stage, for whoever reports a failure.
    pub(crate) classes: Vec<Arc<str>>,
    stages: Vec<Stage>,
    pub(crate) secrets: Secrets,
    needs: Needs,
    log: GuestLog,
    instance: Option<Instance>,
    /// The batch on its way in; kept for its memory.
    input: Vec<u8>,
}

struct Instance {
    store: Store<State>,
    world: Smt,
}

/// Why an instance could not be set up.
enum Setup {
    Refused(v0_1::types::ConfigError),
    Failed(Error),
}

impl Group {
    /// Instantiates and configures the stages of `plan`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the key when the component refuses, [`ErrorKind::Limit`] when it does not start.
    pub(crate) fn new(sandbox: &Arc<Sandbox>, plan: &GroupPlan) -> Result<Self> {
        let Some(Program::Smt(program)) = plan.stages.first().map(|stage| &stage.plugin.loaded.program) else {
            return Err(Error::internal("a group of stages without a component of transformations"));
        };
        let component = plan.stages.first().map_or("", |stage| &stage.plugin.loaded.name);
        let component: Arc<str> = Arc::from(component);
        let secrets = plan.secrets();
        let mut group = Self {
            sandbox: Arc::clone(sandbox),
            program: program.clone(),
            log: GuestLog::new(&component, secrets.clone(), sandbox.limits.log_bytes),
            component,
            secrets,
            classes: plan.stages.iter().map(|stage| Arc::from(stage.plugin.class())).collect(),
            stages: plan.stages.iter().map(wire_stage).collect(),
            needs: Needs::ALL,
            instance: None,
            input: Vec::new(),
        };
        let (instance, needs) = group.instantiate().map_err(|setup| match setup {
            Setup::Refused(error) => refusal(plan, error.stage as usize, error.key.as_deref(), &error.message),
            Setup::Failed(error) => group.named(&error),
        })?;
        (group.instance, group.needs) = (Some(instance), needs);
        Ok(group)
    }

    /// Takes the rows numbered `inputs` through the stages, within `deadline`. After an error they are as before, and the next
    /// call gets a fresh instance.
    ///
    /// # Errors
    /// Outer: no instance can be made any more. Inner, [`ErrorKind::Limit`]: the component failed on these rows.
    pub(crate) fn attempt(
        &mut self,
        batch: &mut RecordBatch,
        applier: &mut Applier,
        inputs: &[u32],
        deadline: Duration,
    ) -> Result<Result<()>> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.replace()?,
        };
        wire::encode(batch, inputs, self.needs, &mut self.input);
        let output = self.sandbox.limits.output(self.input.len());
        let Instance { store, world } = &mut instance;
        let answer = guest::call(&self.sandbox, store, deadline, output, |store| {
            world.millrace_connect_transformations().call_apply(store, &self.input)
        });
        let outcome = answer.and_then(|delta| {
            applier.chunk(batch, inputs, &delta).map_err(|error| {
                Error::new(ErrorKind::Limit, format!("the component's answer is malformed: {}", error.message()))
            })
        });
        if outcome.is_ok() {
            self.instance = Some(instance);
        }
        Ok(outcome.map_err(|error| self.named(&error)))
    }

    /// A fresh instance in place of one that failed.
    fn replace(&self) -> Result<Instance> {
        match self.instantiate() {
            Ok((instance, needs)) if needs == self.needs => Ok(instance),
            Ok(_) => Err(self.named(&Error::internal("configured a second time, it wants other parts of records"))),
            Err(Setup::Refused(_)) => {
                Err(self.named(&Error::external("it refused a configuration that it had accepted before")))
            }
            Err(Setup::Failed(error)) => Err(self.named(&error)),
        }
    }

    fn instantiate(&self) -> Result<(Instance, Needs), Setup> {
        let mut store = guest::store(&self.sandbox, self.log.clone());
        let limits = &self.sandbox.limits;
        let (world, configured) =
            guest::call(&self.sandbox, &mut store, limits.start_deadline, limits.output_slack, |store| {
                let world = self.program.instantiate(&mut *store)?;
                let configured = world.millrace_connect_transformations().call_configure(store, &self.stages)?;
                Ok((world, configured))
            })
            .map_err(Setup::Failed)?;
        let needs = configured.map_err(Setup::Refused)?;
        Ok((Instance { store, world }, v0_1::needs(needs)))
    }

    fn named(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("{} (component {})", error.message(), self.component))
    }
}

fn wire_stage(stage: &super::plan::StagePlan) -> Stage {
    Stage {
        class: stage.plugin.class().to_owned(),
        config: v0_1::properties(&stage.config),
        predicate: stage.predicate.as_ref().map(|predicate| Condition {
            class: predicate.plugin.class().to_owned(),
            config: v0_1::properties(&predicate.config),
        }),
        negate: stage.negate,
    }
}
