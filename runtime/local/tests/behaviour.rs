//! The log seam's behaviours, held by the embedded log.

use millrace_behaviour::log_suite::Subject;
use millrace_local::{LocalLog, LocalOptions};

async fn open() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    Subject::new(LocalLog::open(dir.path(), LocalOptions::default()).unwrap(), dir)
}

millrace_behaviour::log_suite!(open);
