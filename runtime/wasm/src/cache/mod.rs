//! Compiled code on disk, so that a worker starts without compiling. A file is named by the component's SHA-256 and by what
//! compiled it (wasmtime's version, target and settings), and sealed with a MAC: what was tampered with is compiled anew.

mod precompiled;
mod seal;

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use seal::Seal;
use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// A directory of compiled code, or none.
pub(crate) struct Cache {
    open: Option<(PathBuf, Seal)>,
}

impl Cache {
    /// The cache in `dir`. One that cannot be used safely is left alone, with a warning: compiling is slower, not wrong.
    pub(crate) fn new(dir: Option<&Path>) -> Self {
        let open = dir.and_then(|dir| match Seal::of(dir) {
            Ok(seal) => Some((dir.to_owned(), seal)),
            Err(error) => {
                tracing::warn!("compiled components are not kept in {}: {error}", dir.display());
                None
            }
        });
        Self { open }
    }

    /// The component of these bytes: from the cache, or compiled and then kept.
    ///
    /// # Errors
    /// When the bytes do not compile.
    pub(crate) fn component(&self, engine: &Engine, bytes: &[u8]) -> Result<Component> {
        let Some((dir, seal)) = &self.open else { return Component::from_binary(engine, bytes) };
        let name = file_name(engine, bytes);
        let path = dir.join(&name);
        if let Some(component) = load(engine, seal, &name, &path) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes)?;
        if let Err(error) =
            component.serialize().map_err(io::Error::other).and_then(|code| store(seal, &name, &path, &code))
        {
            tracing::warn!("a compiled component is not kept in {}: {error}", dir.display());
        }
        Ok(component)
    }
}

fn load(engine: &Engine, seal: &Seal, name: &str, path: &Path) -> Option<Component> {
    let sealed = fs::read(path).ok()?;
    let Some(code) = seal.open(name, &sealed) else {
        tracing::warn!("{} was not written by this worker; compiling again", path.display());
        return None;
    };
    precompiled::deserialize(engine, &code)
        .inspect_err(|error| tracing::warn!("{} cannot be used, compiling again: {error}", path.display()))
        .ok()
}

/// Writes beside the file and renames, so that nobody ever reads half of one.
fn store(seal: &Seal, name: &str, path: &Path, code: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let unique = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{unique}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written =
        seal.close(name, code).and_then(|sealed| file.write_all(&sealed)).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn file_name(engine: &Engine, bytes: &[u8]) -> String {
    let mut compiler = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compiler);
    let mut name = String::with_capacity(96);
    for byte in Sha256::digest(bytes) {
        let _ = write!(name, "{byte:02x}");
    }
    let _ = write!(name, "-{:016x}.cwasm", compiler.finish());
    name
}
