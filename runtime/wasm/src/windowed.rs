//! Aggregates.

use std::sync::Arc;

use millrace_api::batch::wire::{self, Needs, Trust};
use millrace_api::batch::{RecordBatch, Row};
use millrace_api::config::Props;
use millrace_api::transform::Windowed;
use millrace_api::{Error, ErrorKind, Result};
use wasmtime::Store;

use crate::chain::plan::name_key;
use crate::classes::Found;
use crate::component::Program;
use crate::engine::Sandbox;
use crate::guest;
use crate::guest::log::GuestLog;
use crate::guest::state::State;
use crate::secrets::Secrets;
use crate::v0_1::{self, types::ConfigError, windowed};

/// A configured aggregate. The instance is replaced whenever a call fails.
pub(crate) struct WasmWindowed {
    sandbox: Arc<Sandbox>,
    plugin: Found,
    config: Props,
    secrets: Secrets,
    log: GuestLog,
    needs: Needs,
    instance: Option<Instance>,
    input: Vec<u8>,
}

struct Instance {
    store: Store<State>,
    world: windowed::Windowed,
}

impl WasmWindowed {
    /// Instantiates and configures an aggregate.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the key when it refuses, [`ErrorKind::Limit`] when it does not start.
    pub(crate) fn new(sandbox: &Arc<Sandbox>, plugin: Found, config: Props) -> Result<Self> {
        let secrets = Secrets::of(std::iter::once((&plugin.plugin.config_def, &config)));
        let log = GuestLog::new(&plugin.loaded.name, secrets.clone(), sandbox.limits.log_bytes);
        // A connector's other keys, with what secrets they hold, are none of the aggregate's business.
        let declared = |key: &str| plugin.plugin.config_def.get(key).is_some();
        let config: Props = config.into_iter().filter(|(key, _)| declared(key)).collect();
        let mut aggregate = Self {
            sandbox: Arc::clone(sandbox),
            plugin,
            config,
            secrets,
            log,
            needs: Needs::ALL,
            instance: None,
            input: Vec::new(),
        };
        let (instance, configured) = aggregate.instantiate()?;
        aggregate.needs = v0_1::needs(configured.map_err(|error| aggregate.refusal(&error))?);
        aggregate.instance = Some(instance);
        Ok(aggregate)
    }

    fn refusal(&self, error: &ConfigError) -> Error {
        let message = self.secrets.hide(&error.message);
        match error.key.as_deref() {
            Some(key) if !message.contains(key) => {
                Error::config(format!("Invalid value for configuration {key}: {message}"))
            }
            Some(_) => Error::config(message.into_owned()),
            None => name_key("aggregate", None, &message),
        }
    }

    fn instantiate(&self) -> Result<(Instance, Result<v0_1::types::Needs, ConfigError>)> {
        let Program::Windowed(program) = &self.plugin.loaded.program else {
            return Err(Error::internal("an aggregate in a component of transformations"));
        };
        let mut store = guest::store(&self.sandbox, self.log.clone());
        let limits = &self.sandbox.limits;
        let (world, configured) =
            guest::call(&self.sandbox, &mut store, limits.start_deadline, limits.output_slack, |store| {
                let world = program.instantiate(&mut *store)?;
                let aggregates = world.millrace_connect_aggregates();
                let configured =
                    aggregates.call_configure(store, self.plugin.class(), &v0_1::properties(&self.config))?;
                Ok((world, configured))
            })
            .map_err(|error| self.named(&error))?;
        Ok((Instance { store, world }, configured))
    }

    /// Calls the instance, or a fresh one after a failure.
    fn call(
        &mut self,
        input: usize,
        run: impl FnOnce(&windowed::Windowed, &mut Store<State>, &[u8]) -> wasmtime::Result<Result<Vec<u8>, String>>,
    ) -> Result<Vec<u8>> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.replace()?,
        };
        let limits = &self.sandbox.limits;
        let Instance { store, world } = &mut instance;
        let bytes = &self.input;
        let answer =
            guest::call(&self.sandbox, store, limits.deadline, limits.output(input), |store| run(world, store, bytes));
        let answer = answer.map_err(|error| self.named(&error))?;
        let answer = answer.map_err(|reason| Error::data(self.secrets.hide(&reason).into_owned()));
        // After a refusal it may have folded some of the records, but only into states of its own that nobody keeps.
        self.instance = Some(instance);
        answer
    }

    fn replace(&self) -> Result<Instance> {
        let (instance, configured) = self.instantiate()?;
        match configured {
            Ok(needs) if v0_1::needs(needs) == self.needs => Ok(instance),
            _ => Err(self.named(&Error::external("configured a second time, it does not answer as before"))),
        }
    }

    fn named(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("{} (component {})", error.message(), self.plugin.loaded.name))
    }

    fn malformed(&mut self, error: &Error) -> Error {
        self.instance = None;
        let message = format!("the component's answer is malformed: {}", error.message());
        self.named(&Error::new(ErrorKind::Limit, message))
    }
}

impl Windowed for WasmWindowed {
    fn update(&mut self, batch: &RecordBatch, slots: &[(u32, u32)], states: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let rows: Vec<u32> = (0..u32::try_from(batch.len()).unwrap_or(u32::MAX)).collect();
        wire::encode(batch, &rows, self.needs, &mut self.input);
        let slots: Vec<u8> =
            slots.iter().flat_map(|(row, slot)| [row.to_le_bytes(), slot.to_le_bytes()]).flatten().collect();
        let count = states.len();
        let states = encode(states);
        let size = self.input.len() + states.len();
        let answer = self.call(size, |world, store, batch| {
            world.millrace_connect_aggregates().call_update(store, batch, &slots, &states)
        })?;
        decode(&answer, count).map_err(|error| self.malformed(&error))
    }

    fn merge(&mut self, left: &[Vec<u8>], right: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let count = left.len();
        if count != right.len() {
            return Err(Error::internal("states to merge are not in pairs"));
        }
        let (left, right) = (encode(left), encode(right));
        let answer = self.call(left.len() + right.len(), |world, store, _| {
            world.millrace_connect_aggregates().call_merge(store, &left, &right)
        })?;
        decode(&answer, count).map_err(|error| self.malformed(&error))
    }

    fn emit(&mut self, states: &RecordBatch) -> Result<RecordBatch> {
        let rows: Vec<u32> = (0..u32::try_from(states.len()).unwrap_or(u32::MAX)).collect();
        wire::encode(states, &rows, Needs::ALL, &mut self.input);
        let answer = self.call(self.input.len(), |world, store, batch| {
            world.millrace_connect_aggregates().call_emit(store, batch)
        })?;
        let emitted = wire::decode(answer, Trust::Nobody).and_then(|answer| checked(answer, states));
        emitted.map_err(|error| self.malformed(&error))
    }
}

/// Every row stands for one it was given, and goes to that one's topic: where records go is not the guest's to say.
fn checked(mut answer: RecordBatch, states: &RecordBatch) -> Result<RecordBatch> {
    let mut topics = Vec::with_capacity(answer.len());
    for row in answer.rows() {
        let state = states.get(row.origin as usize);
        topics.push(state.ok_or_else(|| Error::data("a record stands for a state that was not given"))?.topic());
    }
    let topics: Vec<u32> = topics.into_iter().map(|topic| answer.intern_topic(topic)).collect();
    for (row, topic) in answer.rows_mut().iter_mut().zip(topics) {
        *row = Row { topic, ..*row };
    }
    Ok(answer)
}

fn encode(states: &[Vec<u8>]) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::with_capacity(4 + states.iter().map(|state| 4 + state.len()).sum::<usize>());
    out.extend_from_slice(&number(states.len()));
    for state in states {
        out.extend_from_slice(&number(state.len()));
        out.extend_from_slice(state);
    }
    out
}

fn decode(bytes: &[u8], expected: usize) -> Result<Vec<Vec<u8>>> {
    let malformed = || Error::data("states are cut off or of another number than was given");
    let (count, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
    if u32::from_le_bytes(*count) as usize != expected {
        return Err(malformed());
    }
    let mut states = Vec::with_capacity(expected);
    for _ in 0..expected {
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let (state, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(malformed)?;
        states.push(state.to_vec());
        rest = after;
    }
    if rest.is_empty() { Ok(states) } else { Err(malformed()) }
}
