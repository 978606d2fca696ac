//! Numbered lines that are appended to files, and what arrived of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Appends `<prefix>-<number>` to a file until it is told to stop.
pub struct Appender {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Appender {
    /// Appends `per_tick` lines every 20 ms.
    #[must_use]
    pub fn start(file: &Path, prefix: &str, per_tick: u64) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut file = std::fs::File::options().create(true).append(true).open(file).expect("a file");
        let (stopped, count, prefix) = (Arc::clone(&stop), Arc::clone(&written), prefix.to_owned());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let from = count.load(Ordering::Relaxed);
                let mut text = String::new();
                for n in from..from + per_tick {
                    let _ = writeln!(text, "{prefix}-{n}");
                }
                file.write_all(text.as_bytes()).expect("written");
                count.store(from + per_tick, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { stop, written, thread: Some(thread) }
    }

    /// Lines so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Stops; how many lines there are.
    pub fn finish(&mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it wrote");
        }
        self.written()
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The lines of a file that a sink writes.
pub struct Arrived {
    file: PathBuf,
}

/// What is in a file beside what should be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Lines that are not there.
    pub missing: u64,
    /// Lines that are there again.
    pub twice: u64,
    /// Lines that nobody wrote.
    pub foreign: u64,
}

impl Arrived {
    /// In this file, which need not exist yet.
    #[must_use]
    pub fn of(file: PathBuf) -> Self {
        Self { file }
    }

    /// Number of lines, whichever.
    #[must_use]
    pub fn count(&self) -> u64 {
        std::fs::read_to_string(&self.file).unwrap_or_default().lines().count() as u64
    }

    /// Compares with `<prefix>-0` to `<prefix>-<count - 1>`, once each.
    #[must_use]
    pub fn compare(&self, prefix: &str, count: u64) -> Difference {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
        let mut difference = Difference::default();
        for line in text.lines() {
            let number = line.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).and_then(|n| n.parse().ok());
            match number.filter(|number| *number < count) {
                Some(number) => *seen.entry(number).or_default() += 1,
                None => difference.foreign += 1,
            }
        }
        difference.missing = count - seen.len() as u64;
        difference.twice = seen.values().map(|times| times - 1).sum();
        difference
    }
}
