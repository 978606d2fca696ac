//! The file by which `millrace topics` finds the worker that holds a data directory.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use millrace_api::{Error, Result};
use serde::{Deserialize, Serialize};

const NAME: &str = "worker.json";

/// Where a worker answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerAddress {
    /// Host and port of the REST API, as they are reached from this machine.
    pub(crate) rest: SocketAddr,
    /// What the worker's answers have in their header `millrace-worker`.
    pub(crate) instance: String,
    /// Its process, as the lock of the directory has it.
    pub(crate) pid: u32,
}

/// The file of a running worker; it is removed when this is dropped. What a killed worker leaves behind does no harm: nobody reads
/// it unless the directory is locked by the process that it names.
#[derive(Debug)]
pub(crate) struct WorkerFile {
    path: PathBuf,
}

impl WorkerFile {
    /// Writes the file of this process.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::External`] when the disk refuses.
    pub(crate) fn write(data: &Path, rest: SocketAddr, instance: String) -> Result<Self> {
        let address = WorkerAddress { rest: reachable(rest), instance, pid: std::process::id() };
        let text = serde_json::to_string(&address)
            .map_err(|error| Error::internal("the address of the worker is no JSON").because(error))?;
        let (path, draft) = (data.join(NAME), data.join("worker.json.new"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // A reader sees the whole file or none.
        let written = options
            .open(&draft)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&draft, &path));
        written.map_err(|error| {
            Error::external("The file with the worker's address cannot be written; check disk and permissions")
                .with("file", path.display())
                .because(error)
        })?;
        Ok(Self { path })
    }
}

impl Drop for WorkerFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, file = %self.path.display(), "the file with the worker's address cannot be removed");
        }
    }
}

/// The worker that process `pid`, which holds the directory, has written down; `None` when it has not (yet).
pub(crate) fn find(data: &Path, pid: &str) -> Option<WorkerAddress> {
    let text = std::fs::read_to_string(data.join(NAME)).ok()?;
    let address: WorkerAddress = serde_json::from_str(&text).ok()?;
    (address.pid.to_string() == pid).then_some(address)
}

/// A listener on all interfaces is reached by the loopback one.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_found_by_who_holds_the_directory_until_it_stops() {
        let data = tempfile::tempdir().unwrap();
        let pid = std::process::id().to_string();
        assert_eq!(find(data.path(), &pid), None);
        let file = WorkerFile::write(data.path(), ([0, 0, 0, 0], 8083).into(), "i".to_owned()).unwrap();
        let found = find(data.path(), &pid).unwrap();
        assert_eq!((found.rest.to_string().as_str(), found.instance.as_str()), ("127.0.0.1:8083", "i"));
        assert_eq!(find(data.path(), "unknown"), None);
        let stale = std::fs::read(data.path().join(NAME)).unwrap();
        drop(file);
        assert_eq!(find(data.path(), &pid), None);
        // What a killed worker leaves is not taken for another's.
        std::fs::write(data.path().join(NAME), stale).unwrap();
        assert_eq!(find(data.path(), "1"), None);
        std::fs::write(data.path().join(NAME), "{").unwrap();
        assert_eq!(find(data.path(), &pid), None);
    }
}
