//! One process per data directory.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use millrace_api::{Error, ErrorKind, Result};

/// Creates a directory that only its owner can look into, if it does not exist, durably.
pub(crate) fn create(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let sync = || parent.map_or(Ok(()), |parent| File::open(parent)?.sync_all());
    builder.create(dir).and_then(|()| sync()).map_err(|error| {
        Error::external("The data directory cannot be created; check the path and its permissions")
            .with("directory", dir.display())
            .because(error)
    })
}

/// Holds the directory until dropped. The kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the directory or tells who has it.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join("LOCK");
        let refused = |error: std::io::Error| {
            Error::external("The data directory cannot be locked; check its permissions")
                .with("directory", dir.display())
                .because(error)
        };
        let mut file =
            OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())?;
            file.sync_data()
        };
        note(&mut file).map_err(refused)?;
        Ok(Self { _file: file })
    }
}

fn held(dir: &Path, file: &mut File) -> Error {
    let mut pid = String::new();
    if file.read_to_string(&mut pid).is_err() || pid.is_empty() {
        "unknown".clone_into(&mut pid);
    }
    Error::new(
        ErrorKind::Conflict,
        "Another process uses this data directory. Stop it, or give this one a directory of its own",
    )
    .with("directory", dir.display())
    .with("pid", pid)
}
