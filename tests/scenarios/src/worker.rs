//! The worker as a process of its own, so that it can be killed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The project's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// The binary under test; the lane builds it and says where.
#[must_use]
pub fn millrace() -> PathBuf {
    let path = std::env::var("MILLRACE_BIN").expect("MILLRACE_BIN is not set; run this through tests/run scenarios");
    PathBuf::from(path)
}

/// A port nobody has, and that nobody is given while its worker is down: connections go out from higher ones, `tests/services` starts
/// its servers on higher ones too, and one process gets each only once.
#[must_use]
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    let mut ports = (0..10_000).map(|_| 10_000 + first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % 10_000);
    let port =
        ports.find_map(|port| u16::try_from(port).ok().filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()));
    port.expect("a free port")
}

/// A worker that runs until it is dropped, stopped or killed.
pub struct Worker {
    child: Child,
}

impl Worker {
    /// Starts `millrace` with these arguments; standard error goes to `log`, appended.
    #[must_use]
    pub fn start(arguments: &[&str], log: &Path) -> Self {
        Self::start_in(Path::new("."), arguments, &[], log)
    }

    /// As [`Worker::start`], with `directory` as the current one, and with these variables in its environment.
    #[must_use]
    pub fn start_in(directory: &Path, arguments: &[&str], variables: &[(&str, &str)], log: &Path) -> Self {
        let errors = std::fs::File::options().create(true).append(true).open(log).expect("a log file");
        let mut command = Command::new(millrace());
        // What the tests are told is no setting of a worker.
        command.env_remove("MILLRACE_BIN").env_remove("MILLRACE_KEEP_LOGS").env_remove("MILLRACE_RUN_DIR");
        let child = command
            .args(arguments)
            .envs(variables.iter().copied())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn();
        Self { child: child.expect("millrace starts") }
    }

    /// SIGKILL, as a machine that dies.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM, and waits for an orderly end.
    pub fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        assert!(sent.success());
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                assert!(status.success(), "the worker ended with {status}");
                return;
            }
            assert!(Instant::now() < until, "the worker does not stop");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Resident memory in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap_or_default();
        statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
    }

    /// Number of threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).map_or(0, Iterator::count)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
