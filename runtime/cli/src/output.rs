//! What people read: log lines, errors, totals. Data goes to standard output, everything else to standard error.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a command line is for")]

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use millrace_api::{Error, ErrorKind};
use millrace_core::providers::{RedactingWriter, Redactor};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::{Args, Command};
use crate::loggers::{SharedFilter, TracingLoggers};

/// Log lines to standard error. The demo shows warnings only, so that its progress can be read.
pub(crate) fn init_logging(args: &Args) {
    let default = match args.command {
        Command::Standalone(_) | Command::Distributed(_) => "info",
        Command::Demo(_) | Command::Topics(_) => "warn",
    };
    let text = args.log.as_deref().unwrap_or(default);
    let loggers = TracingLoggers::new(text).or_else(|error| {
        eprintln!("warning: log filter {text:?} is not understood ({error}); using {default}");
        TracingLoggers::new(default)
    });
    let Ok(loggers) = loggers else { return };
    loggers.make_global();
    let layer = tracing_subscriber::fmt::layer().with_writer(|| RedactingWriter(std::io::stderr()));
    let layer =
        if args.log_json { layer.json().boxed() } else { layer.with_ansi(std::io::stderr().is_terminal()).boxed() };
    tracing_subscriber::registry().with(layer.with_filter(SharedFilter(loggers))).init();
}

/// Prints an error with its causes and gives the exit code: 2 for a wrong configuration, 3 for what is missing outside, 1 else.
pub(crate) fn fail(error: &Error) -> ExitCode {
    let mut text = format!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let _ = write!(text, "\n  because: {inner}");
        cause = inner.source();
    }
    eprintln!("{}", Redactor::process().redact(&text));
    ExitCode::from(match error.kind() {
        ErrorKind::Config => 2,
        ErrorKind::Retriable | ErrorKind::External | ErrorKind::Timeout => 3,
        _ => 1,
    })
}

/// A panic's message goes past the log; it is shown without the secrets that are known (invariant 6).
pub(crate) fn hide_secrets_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let text = format!("thread '{}' {panic}", thread.name().unwrap_or("unnamed"));
        eprintln!("{}", Redactor::process().redact(&text));
    }));
}

/// A line of data.
pub(crate) fn data(line: &str) {
    println!("{line}");
}

/// A line for a person; not for standard output when that is for machines.
pub(crate) fn note(machine: bool, line: &str) {
    if machine {
        eprintln!("{line}");
    } else {
        println!("{line}");
    }
}
