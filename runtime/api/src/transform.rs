//! Transformations and windowed aggregates as the worker sees them. `runtime/wasm` implements both; nobody else knows wasmtime.

use std::sync::Arc;

use crate::batch::RecordBatch;
use crate::batch::delta::Failed;
use crate::config::{ConfigDef, Props};
use crate::error::{Error, Result};

/// What a component offers: its transformations, predicates or aggregates, with the keys each takes.
#[derive(Debug, Clone)]
pub struct ComponentPlugin {
    /// Class name, for instance `org.apache.kafka.connect.transforms.InsertField$Value`.
    pub class: String,
    /// What it is.
    pub kind: ComponentKind,
    /// Version to show.
    pub version: String,
    /// Its keys, as the component tells them.
    pub config_def: ConfigDef,
}

/// What a plugin inside a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ComponentKind {
    Transformation,
    Predicate,
    Aggregate,
}

/// A configured chain of transformations. Called from one thread at a time; a call blocks for at most the epoch deadline per
/// chunk. Dropping it frees its instances.
pub trait Chain: Send {
    /// Applies the chain to the batch in place. Rows keep their `origin`, so that every input is accounted for.
    ///
    /// # Errors
    /// Only when the chain cannot work at all any more (a component that does not instantiate); what is wrong with single
    /// records is in the answer.
    fn apply(&mut self, batch: &mut RecordBatch) -> Result<ChainReport>;
}

/// What a chain did beside changing records.
#[derive(Debug, Default)]
pub struct ChainReport {
    /// Origins of records that a transformation dropped on purpose.
    pub dropped: Vec<u32>,
    /// Records at fault, each with the class of the stage that refused it.
    pub failed: Vec<(Failed, Arc<str>)>,
}

/// Makes chains and aggregates out of components. One per worker.
pub trait Components: Send + Sync {
    /// Everything the loaded components offer.
    fn plugins(&self) -> Vec<ComponentPlugin>;

    /// The chain of a connector's `transforms` and `predicates`; an empty one leaves batches as they are.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming the key, the cause and, for an unknown class, the nearest known one.
    fn chain(&self, connector: &Props) -> Result<Box<dyn Chain>>;

    /// An instance of an aggregate.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when the class is unknown or refuses its configuration.
    fn windowed(&self, class: &str, props: &Props) -> Result<Box<dyn Windowed>>;
}

/// A guest of the `windowed` world: it owns what an aggregate means, and nothing else. The host owns time, windows, grace, keys,
/// slots and states; a state is bytes only the guest understands.
///
/// On an error the instance is replaced by a fresh one before the next call; states are the host's, so nothing is lost.
pub trait Windowed: Send {
    /// Folds records into states. `slots` pairs a row of `batch` with an index into `states`, a row may stand in several; an
    /// empty state is one that has just been opened. Returns all states anew, in order.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the guest refuses a record, [`crate::ErrorKind::Limit`] when it traps or overruns.
    fn update(&mut self, batch: &RecordBatch, slots: &[(u32, u32)], states: &[Vec<u8>]) -> Result<Vec<Vec<u8>>>;

    /// Merges states pairwise. Associative and commutative; an empty state is neutral.
    ///
    /// # Errors
    /// As [`Windowed::update`].
    fn merge(&mut self, left: &[Vec<u8>], right: &[Vec<u8>]) -> Result<Vec<Vec<u8>>>;

    /// Turns states into records. Each input row holds one state: its value is the state as `Bytes`, its key the group key, its
    /// `timestamp` the start and its `offset` the end of the window in milliseconds, with [`crate::batch::flags::FINAL`] set
    /// when the window is closed. The answer's rows name the input row they stand for in `origin`.
    ///
    /// # Errors
    /// As [`Windowed::update`].
    fn emit(&mut self, states: &RecordBatch) -> Result<RecordBatch>;
}

/// A component source that offers nothing: for tests and workers without WASM.
#[derive(Debug, Default)]
pub struct NoComponents;

impl Components for NoComponents {
    fn plugins(&self) -> Vec<ComponentPlugin> {
        Vec::new()
    }

    fn chain(&self, connector: &Props) -> Result<Box<dyn Chain>> {
        match connector.get("transforms").map(|aliases| aliases.trim()) {
            None | Some("") => Ok(Box::new(NoChain)),
            Some(_) => {
                Err(Error::config("Invalid value for configuration transforms: this worker was built without WASM"))
            }
        }
    }

    fn windowed(&self, class: &str, _props: &Props) -> Result<Box<dyn Windowed>> {
        Err(Error::config(format!(
            "Invalid value {class} for configuration aggregate: this worker was built without WASM"
        )))
    }
}

/// The chain without stages.
#[derive(Debug, Default)]
pub struct NoChain;

impl Chain for NoChain {
    fn apply(&mut self, _batch: &mut RecordBatch) -> Result<ChainReport> {
        Ok(ChainReport::default())
    }
}
