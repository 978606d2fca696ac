//! The worker's log. Limited to 64 KiB per second and instance; never log what records hold.

/// How much an operator should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Writes one entry.
#[cfg(target_arch = "wasm32")]
pub fn write(level: Level, message: &str) {
    use crate::bindings::smt::millrace::connect::log;
    let level = match level {
        Level::Error => log::Level::Error,
        Level::Warn => log::Level::Warn,
        Level::Info => log::Level::Info,
        Level::Debug => log::Level::Debug,
        Level::Trace => log::Level::Trace,
    };
    log::log(level, message);
}

/// Writes one entry to the standard error output: outside of a component there is no worker.
#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::print_stderr, reason = "tests on the host have no other log")]
pub fn write(level: Level, message: &str) {
    eprintln!("{level:?} {message}");
}
