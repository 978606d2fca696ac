//! What a worker lets components use.

use std::path::PathBuf;
use std::time::Duration;

/// How to run components. The defaults are safe for components of strangers.
#[derive(Debug, Clone, Default)]
pub struct WasmOptions {
    /// Where compiled code is kept between starts; `None` compiles at every start. The directory becomes private to the
    /// worker's user (0700).
    pub cache_dir: Option<PathBuf>,
    /// The limits.
    pub limits: Limits,
}

/// Limits of components. Every one is enforced by the host, whatever the component does.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Instances alive at the same time in this worker: a task needs one for each run of consecutive stages of a component.
    /// Memory for them is reserved as addresses only.
    pub instances: u32,
    /// Bytes of linear memory of an instance.
    pub memory: usize,
    /// Elements of all tables of an instance.
    pub table_elements: usize,
    /// Handles to resources an instance holds at a time.
    pub handles: usize,
    /// How long a call may run: a chunk of records of a chain, or one call of an aggregate.
    pub deadline: Duration,
    /// How long an instance may take to start and accept its configuration.
    pub start_deadline: Duration,
    /// How long, for one batch, the search for records at fault may take in all. What is left then fails with its neighbours.
    pub search_time: Duration,
    /// Answer bytes per byte sent, beside [`Limits::output_slack`].
    pub output_factor: usize,
    /// Answer bytes that are always allowed.
    pub output_slack: usize,
    /// Log bytes per second of a chain or aggregate.
    pub log_bytes: usize,
    /// Bytes of a component that is not built in. JavaScript and Python components bring their interpreter: 12 to 18 MB.
    pub component_bytes: usize,
    /// Records per call.
    pub chunk_rows: usize,
    /// Bytes per call, unless a single record is larger.
    pub chunk_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            instances: 1000,
            memory: 64 << 20,
            table_elements: 100_000,
            handles: 1000,
            deadline: Duration::from_secs(1),
            start_deadline: Duration::from_secs(5),
            search_time: Duration::from_secs(3),
            output_factor: 8,
            output_slack: 1 << 20,
            log_bytes: 64 << 10,
            component_bytes: 24 << 20,
            chunk_rows: 500,
            chunk_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// Largest answer to a call with `input` bytes.
    pub(crate) fn output(&self, input: usize) -> usize {
        input.saturating_mul(self.output_factor).saturating_add(self.output_slack)
    }

    /// Shortest deadline of a call while records at fault are searched, so that the search ends before long.
    pub(crate) fn search_deadline(&self) -> Duration {
        (self.deadline / 5).max(crate::ticker::TICK * 2)
    }
}
