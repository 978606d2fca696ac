//! A loaded component: compiled, checked, and asked what it offers.

use std::sync::Arc;

use millrace_api::transform::{ComponentKind, ComponentPlugin};
use millrace_api::{Error, Result};
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::engine::Sandbox;
use crate::guest::log::GuestLog;
use crate::guest::state::State;
use crate::guest::{self, link::link};
use crate::secrets::Secrets;
use crate::v0_1;

/// Most a component may say about itself.
const MAX_DESCRIPTION: usize = 4 << 20;
/// Most plugins of a component.
const MAX_PLUGINS: usize = 1000;

/// A component that can be instantiated at once.
pub(crate) struct Loaded {
    /// Name for errors and logs.
    pub(crate) name: Arc<str>,
    pub(crate) program: Program,
    pub(crate) plugins: Vec<ComponentPlugin>,
}

/// By world.
pub(crate) enum Program {
    Smt(v0_1::smt::SmtPre<State>),
    Windowed(v0_1::windowed::WindowedPre<State>),
}

impl Loaded {
    /// Compiles, checks and describes a component.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] saying what is wrong with it.
    pub(crate) fn new(sandbox: &Sandbox, cache: &Cache, name: &str, bytes: &[u8]) -> Result<Self> {
        let name: Arc<str> = Arc::from(name);
        let named = |error: Error| Error::config(format!("The component {name} cannot be used: {}", error.message()));
        check_header(bytes).map_err(named)?;
        let component = cache
            .component(&sandbox.engine, bytes)
            .map_err(|error| named(Error::config(format!("it does not compile: {error:#}"))))?;
        let program = Program::new(sandbox, &component).map_err(named)?;
        let plugins = program.describe(sandbox, &name).map_err(named)?;
        check_plugins(&plugins, &program).map_err(named)?;
        Ok(Self { name, program, plugins })
    }
}

impl Program {
    fn new(sandbox: &Sandbox, component: &Component) -> Result<Self> {
        let failed = |error: wasmtime::Error| Error::config(format!("it does not fit its world: {error:#}"));
        let ty = component.component_type();
        let exports = |name: &str| ty.get_export(&sandbox.engine, name).is_some();
        let linker = link(&sandbox.engine, component)?;
        let (smt, windowed) = (exports(v0_1::TRANSFORMATIONS), exports(v0_1::AGGREGATES));
        if !smt && !windowed {
            return Err(Error::config(format!(
                "it exports neither {} nor {}; is it built for another version?",
                v0_1::TRANSFORMATIONS,
                v0_1::AGGREGATES
            )));
        }
        let pre = linker.instantiate_pre(component).map_err(failed)?;
        if smt {
            v0_1::smt::SmtPre::new(pre).map(Self::Smt).map_err(failed)
        } else {
            v0_1::windowed::WindowedPre::new(pre).map(Self::Windowed).map_err(failed)
        }
    }

    fn describe(&self, sandbox: &Sandbox, name: &Arc<str>) -> Result<Vec<ComponentPlugin>> {
        let mut store = guest::store(sandbox, GuestLog::new(name, Secrets::default(), sandbox.limits.log_bytes));
        let deadline = sandbox.limits.start_deadline;
        let plugins = guest::call(sandbox, &mut store, deadline, MAX_DESCRIPTION, |store| match self {
            Self::Smt(pre) => {
                let world = pre.instantiate(&mut *store)?;
                world.millrace_connect_transformations().call_describe(store)
            }
            Self::Windowed(pre) => {
                let world = pre.instantiate(&mut *store)?;
                world.millrace_connect_aggregates().call_describe(store)
            }
        })?;
        Ok(plugins.into_iter().take(MAX_PLUGINS + 1).map(v0_1::plugin).collect())
    }
}

fn check_header(bytes: &[u8]) -> Result<()> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(Error::config(
            "it is a core module, not a component. Hint: build for wasm32-wasip2, or wrap it with `wasm-tools component new`",
        )),
        _ => Err(Error::config("it is no WebAssembly component")),
    }
}

fn check_plugins(plugins: &[ComponentPlugin], program: &Program) -> Result<()> {
    if plugins.len() > MAX_PLUGINS {
        return Err(Error::config(format!("it offers more than {MAX_PLUGINS} plugins")));
    }
    for (index, plugin) in plugins.iter().enumerate() {
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '$' | '-');
        if plugin.class.is_empty() || plugin.class.len() > 255 || !plugin.class.chars().all(legal) {
            return Err(Error::config(format!("the name of its plugin {index} is no class name")));
        }
        if plugins.iter().take(index).any(|other| other.class == plugin.class) {
            return Err(Error::config(format!("it offers {} twice", plugin.class)));
        }
        let is_aggregate = plugin.kind == ComponentKind::Aggregate;
        if is_aggregate != matches!(program, Program::Windowed(_)) {
            return Err(Error::config(format!("{} does not belong into its world", plugin.class)));
        }
    }
    Ok(())
}
