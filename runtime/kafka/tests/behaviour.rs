//! The behaviour suite of the log seam against real brokers.
#![allow(clippy::expect_used, reason = "tests may")]

use millrace_behaviour::log_suite::Subject;
use millrace_kafka::{ClientProps, KafkaLog};

#[allow(clippy::unused_async, reason = "other logs open asynchronously")]
async fn open() -> Subject {
    let bootstrap = std::env::var("MILLRACE_TEST_KAFKA").expect("MILLRACE_TEST_KAFKA: the brokers to test against");
    Subject::new(KafkaLog::new(&bootstrap, ClientProps::default()).expect("a log"), ())
}

millrace_behaviour::log_suite!(open, ignore = "needs MILLRACE_TEST_KAFKA");
