//! What a component may import, checked before anything of it runs.

use millrace_api::{Error, Result};
use wasmtime::component::{
    Component, Linker, LinkerInstance, WasmStr,
    types::{ComponentInstance, ComponentItem},
};
use wasmtime::{Engine, StoreContextMut};

use super::state::State;
use super::wasi;
use crate::v0_1::{self, Level};

/// A linker with exactly what the component imports.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming the first import that no component gets, or that this version does not know.
pub(crate) fn link(engine: &Engine, component: &Component) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let failed = |error: wasmtime::Error| Error::config(format!("its imports cannot be linked: {error:#}"));
    for (name, import) in component.component_type().imports(engine) {
        let ty = check(name, &import.ty)?;
        let mut instance = linker.instance(name).map_err(failed)?;
        for (export, _) in ty.exports(engine).filter(|(_, export)| matches!(export.ty, ComponentItem::Resource(_))) {
            wasi::define_resource(export, &mut instance).map_err(failed)?;
        }
        let defined = if name == v0_1::LOG { log(&mut instance) } else { wasi::define(name, &mut instance) };
        defined.map_err(failed)?;
    }
    linker.define_unknown_imports_as_traps(component).map_err(failed)?;
    Ok(linker)
}

fn check<'t>(name: &str, import: &'t ComponentItem) -> Result<&'t ComponentInstance> {
    match import {
        ComponentItem::ComponentInstance(instance) if v0_1::IMPORTS.contains(&name) || wasi::allows(name) => {
            return Ok(instance);
        }
        _ => {}
    }
    let hint = if name.starts_with("millrace:connect/") {
        "this worker knows millrace:connect@0.1.0: build the component for that version, or update the worker"
    } else if name.starts_with("wasi:http/") {
        "components have no network; with componentize-js, build with the features http and fetch-event disabled"
    } else {
        "components get millrace:connect/log and an empty WASI 0.2 (cli, clocks, filesystem, io, random, sockets), nothing else"
    };
    Err(Error::config(format!("it imports {name}, which is not allowed. Hint: {hint}")))
}

fn log(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("log", |mut store: StoreContextMut<'_, State>, (level, message): (Level, WasmStr)| {
        let log = store.data().log.clone();
        log.write(level, &message.to_str(&mut store)?);
        Ok(())
    })
}
