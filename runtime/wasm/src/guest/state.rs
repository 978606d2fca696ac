//! What the host keeps beside each instance.

use wasmtime::ResourceLimiter;

use super::log::GuestLog;
use crate::options::Limits;

/// Data of a store.
pub(crate) struct State {
    pub(crate) log: GuestLog,
    pub(crate) usage: Usage,
}

/// Counts memory and tables against their limits.
pub(crate) struct Usage {
    memory_limit: usize,
    memory: usize,
    table_limit: usize,
    tables: usize,
    /// Whether the guest asked for more memory than it may have.
    pub(crate) refused: bool,
}

impl State {
    pub(crate) fn new(limits: &Limits, log: GuestLog) -> Self {
        let (memory_limit, table_limit) = (limits.memory, limits.table_elements);
        Self { log, usage: Usage { memory_limit, memory: 0, table_limit, tables: 0, refused: false } }
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        if memory > self.memory_limit {
            self.refused = true;
            return Ok(false);
        }
        self.memory = memory;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let tables = self.tables.saturating_add(desired.saturating_sub(current));
        if tables > self.table_limit {
            self.refused = true;
            return Ok(false);
        }
        self.tables = tables;
        Ok(true)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        8
    }
}
