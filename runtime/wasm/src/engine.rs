//! The one engine of a worker.

use millrace_api::{Error, Result};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};

use crate::options::Limits;
use crate::ticker::{Running, Ticker};

/// Core instances, memories and tables that a component may consist of: its own module, adapters, and what glue they need.
const CORE_INSTANCES: u32 = 16;
const MEMORIES: u32 = 2;
const TABLES: u32 = 8;

/// Engine and clock. One per worker.
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    ticker: Ticker,
}

impl Sandbox {
    pub(crate) fn new(limits: Limits) -> Result<Self> {
        let failed = |error| Error::internal(format!("cannot set up WebAssembly: {error}"));
        // Without enough address space (ulimit -v) instances are made on demand: slower to start, same limits.
        let engine = Engine::new(&config(&limits, true)).or_else(|_| Engine::new(&config(&limits, false)));
        let engine = engine.map_err(failed)?;
        let ticker = Ticker::start(engine.clone())
            .map_err(|error| Error::internal("cannot start the WebAssembly clock").because(error))?;
        Ok(Self { engine, limits, ticker })
    }

    /// To be held while a guest runs: deadlines pass only then.
    pub(crate) fn run(&self) -> Running<'_> {
        self.ticker.run()
    }
}

fn config(limits: &Limits, pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .concurrency_support(false)
        .epoch_interruption(true)
        .wasm_component_model(true)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .wasm_backtrace_max_frames(None)
        // Chains call their stages through a table: filling it at the start is cheaper than looking at every call.
        .table_lazy_init(false)
        .generate_address_map(false);
    if pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    }
    config
}

/// Slots are address space until they are used, and give their memory back when an instance ends.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits.instances)
        .total_core_instances(limits.instances.saturating_mul(4))
        .total_memories(limits.instances)
        .total_tables(limits.instances.saturating_mul(2))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(4)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(4 << 20)
        .table_elements(limits.table_elements)
        .max_memory_size(limits.memory)
        .max_unused_warm_slots(4)
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        .decommit_batch_size(1);
    pool
}
