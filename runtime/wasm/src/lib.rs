//! Transformations, predicates and windowed aggregates in WebAssembly components: all of wasmtime.
//!
//! A component is compiled once (and kept compiled on disk), checked against an allowlist of imports, and asked what it offers.
//! Each task gets instances of its own: consecutive stages of one component share one, and a batch crosses into it once, as flat
//! bytes, and comes back as a delta. Limits of memory, time, output and log hold whatever a component does; one that breaks them
//! loses its instance, and the record at fault is found and handed out.

mod cache;
mod chain;
mod classes;
mod component;
mod engine;
mod guest;
mod options;
mod secrets;
mod ticker;
mod v0_1;
mod windowed;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use millrace_api::config::Props;
use millrace_api::transform::{Chain, ComponentKind, ComponentPlugin, Components, NoChain, Windowed};
use millrace_api::{Error, Result};

use crate::cache::Cache;
use crate::chain::WasmChain;
use crate::component::Loaded;
use crate::engine::Sandbox;
pub use crate::options::{Limits, WasmOptions};
use crate::windowed::WasmWindowed;

/// The components of a worker.
pub struct WasmComponents {
    sandbox: Arc<Sandbox>,
    cache: Cache,
    loaded: RwLock<Vec<Arc<Loaded>>>,
}

impl WasmComponents {
    /// Sets up the sandbox, without any component.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Internal`] when this machine cannot run WebAssembly.
    pub fn new(options: WasmOptions) -> Result<Self> {
        let cache = Cache::new(options.cache_dir.as_deref());
        Ok(Self { sandbox: Arc::new(Sandbox::new(options.limits)?), cache, loaded: RwLock::default() })
    }

    /// Loads a component that is part of the program.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] with what is wrong with it.
    pub fn load_builtin(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.add(Loaded::new(&self.sandbox, &self.cache, name, bytes)?)
    }

    /// Loads a component of the operator's. Compiling a large one takes seconds, the first time.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the file and what is wrong with it.
    pub fn load_file(&self, path: &Path) -> Result<()> {
        let limit = self.sandbox.limits.component_bytes;
        let unreadable =
            |error| Error::config(format!("The component {} cannot be read", path.display())).because(error);
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > limit {
            return Err(Error::config(format!(
                "The component {} is larger than {} MiB, the limit of this worker",
                path.display(),
                limit >> 20
            )));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        self.add(Loaded::new(&self.sandbox, &self.cache, &name, &bytes)?)
    }

    fn add(&self, new: Loaded) -> Result<()> {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        for plugin in &new.plugins {
            let other = loaded.iter().find(|other| other.plugins.iter().any(|known| known.class == plugin.class));
            if let Some(other) = other {
                return Err(Error::config(format!(
                    "The component {} cannot be used: {} is offered by {} too",
                    new.name, plugin.class, other.name
                )));
            }
        }
        loaded.push(Arc::new(new));
        Ok(())
    }

    fn loaded(&self) -> Vec<Arc<Loaded>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Components for WasmComponents {
    fn plugins(&self) -> Vec<ComponentPlugin> {
        self.loaded().iter().flat_map(|loaded| loaded.plugins.clone()).collect()
    }

    fn chain(&self, connector: &Props) -> Result<Box<dyn Chain>> {
        let plans = chain::plan::plan(&self.loaded(), connector)?;
        if plans.is_empty() {
            return Ok(Box::new(NoChain));
        }
        Ok(Box::new(WasmChain::new(&self.sandbox, plans)?))
    }

    fn windowed(&self, class: &str, props: &Props) -> Result<Box<dyn Windowed>> {
        let plugin = classes::find(&self.loaded(), ComponentKind::Aggregate, "aggregate", class)?;
        plugin.plugin.config_def.check(props)?;
        Ok(Box::new(WasmWindowed::new(&self.sandbox, plugin, props.clone())?))
    }
}
