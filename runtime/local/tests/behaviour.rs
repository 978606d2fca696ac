//! The log seam's behaviours, held by the embedded log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millrace_behaviour::log_suite::Subject;
use millrace_local::{LocalLog, LocalOptions};

#[expect(clippy::unused_async, reason = "the shape that the suite asks for")]
async fn open() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    Subject::new(LocalLog::open(dir.path(), LocalOptions::default()).unwrap(), dir)
}

millrace_behaviour::log_suite!(open);
