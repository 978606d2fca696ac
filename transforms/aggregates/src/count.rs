//! `Count`: how many records a window holds.

use millrace_sdk::prelude::*;

use crate::bytes::Reader;
use crate::output::{OutputConfig, Shape};

/// Keys of [`Count`].
#[derive(Config)]
pub struct CountConfig {
    /// The shared keys.
    #[config(flatten)]
    output: OutputConfig,
    /// Name of the field that gets the number of records.
    #[config(name = "output.count.field", default = "count", non_empty, group = "Output")]
    count: String,
}

/// `millrace.aggregates.Count`: counts records, tombstones among them; a `Filter` in front of it leaves out what should not count.
pub struct Count {
    shape: Shape,
    count: String,
}

/// Records so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountState {
    /// Their number.
    pub count: u64,
}

const VERSION: u8 = 1;

impl Aggregate for Count {
    const CLASS: &'static str = "millrace.aggregates.Count";
    type Config = CountConfig;
    type State = CountState;

    fn configure(config: CountConfig) -> Result<Self> {
        Ok(Self { shape: Shape::new(config.output)?, count: config.count })
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn fold(&mut self, state: &mut CountState, _record: &Record<'_>) -> Result<()> {
        state.count = state.count.saturating_add(1);
        Ok(())
    }

    fn merge(&mut self, left: &mut CountState, right: &CountState) -> Result<()> {
        left.count = left.count.saturating_add(right.count);
        Ok(())
    }

    fn emit(&mut self, window: &Window<'_>, state: &CountState, out: &mut Emitted<'_>) -> Result<()> {
        let count = i64::try_from(state.count).unwrap_or(i64::MAX);
        self.shape.emit(window, out, &[&self.count], |fields| {
            fields.put(Some(&self.count), |writer| writer.int64(count));
        })
    }
}

/// The number as eight bytes.
impl State for CountState {
    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_version(bytes, VERSION)?;
        let state = Self { count: reader.u64()? };
        reader.end()?;
        Ok(state)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.count.to_le_bytes());
    }
}
