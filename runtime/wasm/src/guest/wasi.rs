//! The WASI 0.2 that components of standard toolchains expect, with nothing behind it: no environment, arguments, files or
//! network. Clocks and random numbers work; standard output and error go to the worker's log; nothing ever blocks, so the
//! deadline holds. Functions that are not here trap when they are called.
//!
//! It is written out instead of taken from `wasmtime-wasi` because that one lets a guest sleep in the host past its deadline, holds
//! tables on the guest's behalf, and runs on a tokio runtime of its own.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType, WasmList};
use wasmtime::{Result, StoreContextMut, bail};

use super::state::State;
use crate::v0_1::Level;

type Store<'a> = StoreContextMut<'a, State>;
type Linker<'a> = LinkerInstance<'a, State>;

/// Namespaces whose interfaces a component may import.
const PACKAGES: [&str; 6] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

/// Most random bytes of one call.
const MAX_RANDOM: u64 = 64 << 10;

struct Input;
struct Output;
struct Pollable;
struct IoError;
struct Descriptor;
struct Terminal;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code, reason = "the layout needs it")]
    Failed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Whether the interface called `name` (`wasi:io/streams@0.2.6`) may be imported.
pub(super) fn allows(name: &str) -> bool {
    let Some((interface, version)) = name.split_once('@') else { return false };
    let package = interface.split('/').next().unwrap_or_default();
    version.starts_with("0.2.") && PACKAGES.contains(&package)
}

/// Defines what the interface called `name` offers.
pub(super) fn define(name: &str, linker: &mut Linker<'_>) -> Result<()> {
    match name.split('@').next().unwrap_or_default() {
        "wasi:cli/environment" => {
            linker.func_wrap("get-environment", |_: Store<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
            linker.func_wrap("get-arguments", |_: Store<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
            linker.func_wrap("initial-cwd", |_: Store<'_>, (): ()| Ok((None::<String>,)))
        }
        "wasi:cli/exit" => linker.func_wrap("exit", |_: Store<'_>, (_,): (Result<(), ()>,)| -> Result<()> {
            bail!("the component called exit")
        }),
        "wasi:cli/stdin" => linker.func_wrap("get-stdin", |_: Store<'_>, (): ()| Ok((Resource::<Input>::new_own(0),))),
        "wasi:cli/stdout" => {
            linker.func_wrap("get-stdout", |_: Store<'_>, (): ()| Ok((Resource::<Output>::new_own(STDOUT),)))
        }
        "wasi:cli/stderr" => {
            linker.func_wrap("get-stderr", |_: Store<'_>, (): ()| Ok((Resource::<Output>::new_own(STDERR),)))
        }
        "wasi:cli/terminal-stdin" => no_terminal(linker, "get-terminal-stdin"),
        "wasi:cli/terminal-stdout" => no_terminal(linker, "get-terminal-stdout"),
        "wasi:cli/terminal-stderr" => no_terminal(linker, "get-terminal-stderr"),
        "wasi:io/poll" => poll(linker),
        "wasi:io/streams" => streams(linker),
        "wasi:clocks/monotonic-clock" => monotonic_clock(linker),
        "wasi:clocks/wall-clock" => {
            linker.func_wrap("now", |_: Store<'_>, (): ()| Ok((now(),)))?;
            linker.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
        }
        "wasi:random/random" => random(linker, "get-random-bytes", "get-random-u64"),
        "wasi:random/insecure" => random(linker, "get-insecure-random-bytes", "get-insecure-random-u64"),
        "wasi:random/insecure-seed" => {
            linker.func_wrap("insecure-seed", |_: Store<'_>, (): ()| Ok(((random_u64()?, random_u64()?),)))
        }
        "wasi:filesystem/preopens" => linker
            .func_wrap("get-directories", |_: Store<'_>, (): ()| Ok((Vec::<(Resource<Descriptor>, String)>::new(),))),
        _ => Ok(()),
    }
}

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// Defines the resource called `name`, in its own interface or in one that uses it.
pub(super) fn define_resource(name: &str, linker: &mut Linker<'_>) -> Result<()> {
    let ty = match name {
        "input-stream" => ResourceType::host::<Input>(),
        "output-stream" => ResourceType::host::<Output>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "error" => ResourceType::host::<IoError>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        "terminal-input" | "terminal-output" => ResourceType::host::<Terminal>(),
        // Nothing here hands one out.
        _ => ResourceType::host::<()>(),
    };
    linker.resource(name, ty, |_, _| Ok(()))
}

fn no_terminal(linker: &mut Linker<'_>, name: &str) -> Result<()> {
    linker.func_wrap(name, |_: Store<'_>, (): ()| Ok((None::<Resource<Terminal>>,)))
}

/// Everything is always ready: whoever waits goes on at once, into its deadline if it has nothing to do.
fn poll(linker: &mut Linker<'_>) -> Result<()> {
    linker.func_wrap("[method]pollable.ready", |_: Store<'_>, (_,): (Resource<Pollable>,)| Ok((true,)))?;
    linker.func_wrap("[method]pollable.block", |_: Store<'_>, (_,): (Resource<Pollable>,)| Ok(()))?;
    linker.func_wrap("poll", |_: Store<'_>, (waiting,): (Vec<Resource<Pollable>>,)| {
        Ok(((0..u32::try_from(waiting.len())?).collect::<Vec<u32>>(),))
    })
}

fn pollable() -> Resource<Pollable> {
    Resource::new_own(0)
}

fn streams(linker: &mut Linker<'_>) -> Result<()> {
    for read in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        linker.func_wrap(read, |_: Store<'_>, (_, _): (Resource<Input>, u64)| {
            Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
        })?;
    }
    linker.func_wrap("[method]input-stream.subscribe", |_: Store<'_>, (_,): (Resource<Input>,)| Ok((pollable(),)))?;
    linker.func_wrap("[method]output-stream.subscribe", |_: Store<'_>, (_,): (Resource<Output>,)| Ok((pollable(),)))?;
    linker.func_wrap("[method]output-stream.check-write", |_: Store<'_>, (_,): (Resource<Output>,)| {
        Ok((Ok::<u64, StreamError>(4096),))
    })?;
    for write in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        linker.func_wrap(write, |store: Store<'_>, (stream, bytes): (Resource<Output>, WasmList<u8>)| {
            let bytes = bytes.as_le_slice(&store);
            let text = String::from_utf8_lossy(bytes.get(..4096).unwrap_or(bytes));
            let level = if stream.rep() == STDERR { Level::Warn } else { Level::Info };
            store.data().log.write(level, &text);
            Ok((Ok::<(), StreamError>(()),))
        })?;
    }
    for flush in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        linker.func_wrap(flush, |_: Store<'_>, (_,): (Resource<Output>,)| Ok((Ok::<(), StreamError>(()),)))?;
    }
    Ok(())
}

fn monotonic_clock(linker: &mut Linker<'_>) -> Result<()> {
    let start = Instant::now();
    linker.func_wrap("now", move |_: Store<'_>, (): ()| {
        Ok((u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),))
    })?;
    linker.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((1u64,)))?;
    for subscribe in ["subscribe-instant", "subscribe-duration"] {
        linker.func_wrap(subscribe, |_: Store<'_>, (_,): (u64,)| Ok((pollable(),)))?;
    }
    Ok(())
}

fn now() -> Datetime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Datetime { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() }
}

fn random(linker: &mut Linker<'_>, bytes: &str, number: &str) -> Result<()> {
    linker.func_wrap(bytes, |_: Store<'_>, (len,): (u64,)| {
        if len > MAX_RANDOM {
            bail!("the component asked for {len} random bytes at once; {MAX_RANDOM} are allowed");
        }
        let mut bytes = vec![0; usize::try_from(len)?];
        fill(&mut bytes)?;
        Ok((bytes,))
    })?;
    linker.func_wrap(number, |_: Store<'_>, (): ()| Ok((random_u64()?,)))
}

fn random_u64() -> Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| wasmtime::format_err!("no random numbers: {error}"))
}
