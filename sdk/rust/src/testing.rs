//! Plugins on the host, for tests: the whole path of a component (wire form in, delta out, applied and checked), without the
//! WebAssembly in between.

use millrace_api::batch::RecordBatch;
use millrace_api::batch::delta::{Applied, Applier};
use millrace_api::batch::wire;
use millrace_api::config::Props;
use millrace_api::{Error, Result};

use crate::chain::{Chain, StageConfig};
use crate::plugin::Plugin;

/// A chain under test.
pub struct TestChain {
    chain: Chain,
}

impl TestChain {
    /// A chain of one stage: `class` of `plugins` with `config`.
    ///
    /// # Errors
    /// What the configuration lacks.
    pub fn one(plugins: &[Plugin], class: &str, config: &[(&str, &str)]) -> Result<Self> {
        Self::of(plugins, &[StageConfig { class: class.to_owned(), config: props(config), ..StageConfig::default() }])
    }

    /// A chain of stages.
    ///
    /// # Errors
    /// What the configuration lacks.
    pub fn of(plugins: &[Plugin], stages: &[StageConfig]) -> Result<Self> {
        let chain = Chain::configure(plugins, stages).map_err(|(_, error)| error)?;
        Ok(Self { chain })
    }

    /// Takes `batch` through the chain, in place.
    ///
    /// # Errors
    /// When the answer is malformed: a bug of the stage, for instance a value written in halves.
    pub fn apply(&mut self, batch: &mut RecordBatch) -> Result<Applied> {
        let rows: Vec<u32> = (0..u32::try_from(batch.len()).map_err(|_| Error::internal("too many rows"))?).collect();
        let mut bytes = Vec::new();
        wire::encode(batch, &rows, self.chain.needs(), &mut bytes);
        let delta = self.chain.apply(bytes)?;
        let mut applier = Applier::new(batch);
        applier.chunk(batch, &rows, &delta)?;
        Ok(applier.finish(batch))
    }
}

/// Properties of pairs.
#[must_use]
pub fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
