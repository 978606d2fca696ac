//! One instance of a component: its store, its limits, and calls with a deadline.

pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod state;
mod wasi;

use std::time::Duration;

use millrace_api::{Error, ErrorKind, Result};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use self::log::GuestLog;
use self::state::State;
use crate::engine::Sandbox;
use crate::ticker::TICK;

/// A store with every limit set.
pub(crate) fn store(sandbox: &Sandbox, log: GuestLog) -> Store<State> {
    let mut store = Store::new(&sandbox.engine, State::new(&sandbox.limits, log));
    store.limiter(|state| &mut state.usage);
    store.set_max_component_handles(sandbox.limits.handles);
    store.epoch_deadline_trap();
    store
}

/// Lets a guest run for at most `deadline`, handing out at most `output` bytes per crossing.
///
/// # Errors
/// [`ErrorKind::Limit`]: it trapped, overran a limit, or answered with something that is no value of the promised type. The
/// instance must not be used again then.
pub(crate) fn call<T>(
    sandbox: &Sandbox,
    store: &mut Store<State>,
    deadline: Duration,
    output: usize,
    run: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
) -> Result<T> {
    let ticks = deadline.as_millis().div_ceil(TICK.as_millis()).saturating_add(1);
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
    store.set_hostcall_fuel(output);
    let running = sandbox.run();
    let result = run(store);
    drop(running);
    result.map_err(|error| fault(sandbox, store, deadline, output, &error))
}

/// What went wrong, in words for an operator. Guests cannot put text of their own here, so nothing of a record gets in.
fn fault(sandbox: &Sandbox, store: &Store<State>, deadline: Duration, output: usize, error: &wasmtime::Error) -> Error {
    let limit = |message: String| Error::new(ErrorKind::Limit, message);
    if error.is::<PoolConcurrencyLimitError>() {
        return limit(format!(
            "this worker already runs {} WebAssembly instances, its limit; run fewer tasks on it or raise the limit",
            sandbox.limits.instances
        ));
    }
    let memory = sandbox.limits.memory >> 20;
    let refused = store.data().usage.refused;
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => {
            limit(format!("the component ran longer than its deadline of {} ms", deadline.as_millis()))
        }
        Some(Trap::StackOverflow) => {
            limit("the component ran out of stack; is it calling itself without end?".to_owned())
        }
        Some(_) if refused => limit(format!("the component wanted more than its {memory} MiB of memory")),
        Some(Trap::UnreachableCodeReached) => {
            limit("the component trapped: it panicked or aborted; its own words are in the worker's log".to_owned())
        }
        Some(trap) => limit(format!("the component trapped: {trap}")),
        None if refused => limit(format!("the component wanted more than its {memory} MiB of memory")),
        None => {
            let cause = error.root_cause().to_string();
            if cause.contains("fuel allocated for hostcalls has been exhausted") {
                return limit(format!("the component answered with more than the {output} bytes that are allowed"));
            }
            limit(format!("the component broke the rules of its interface: {cause}"))
        }
    }
}
