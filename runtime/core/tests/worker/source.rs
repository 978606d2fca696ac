//! Sources when the log fails them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_core::herder::{Herder as _, State};

use crate::support::faults::{Fault, Faults};
use crate::support::{Bench, until};

const COUNT: usize = 60;

struct Case {
    bench: Bench,
    faults: Arc<Faults>,
    _dir: tempfile::TempDir,
}

impl Case {
    /// A source of the numbers below 60 in batches of 10, on a log with a fault, which comes with the third batch.
    async fn start(exactly_once: &str, faults: Arc<Faults>, config: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench =
            Bench::open_faulty(dir.path(), &[("exactly.once.source.support", exactly_once)], Arc::clone(&faults)).await;
        let mut pairs = vec![("connector.class", "TestSource"), ("count", "60")];
        pairs.extend(config);
        bench.put("source", &pairs).await;
        Self { bench, faults, _dir: dir }
    }

    fn told(&self) -> usize {
        self.bench.seen.committed.lock().unwrap().len()
    }

    async fn failed(&self) -> bool {
        self.bench.task_state("source").await.is_some_and(|(state, _)| state == State::Failed)
    }

    /// Until it has failed, or everything is committed. Whether it went on.
    async fn goes_on(&self) -> bool {
        until("the task fails or is done", async || self.failed().await || self.told() == COUNT / 10).await;
        !self.failed().await
    }

    async fn trace(&self) -> String {
        self.bench.task_state("source").await.and_then(|(_, trace)| trace).unwrap_or_default()
    }

    /// The numbers in the log, in order.
    async fn numbers(&self) -> Vec<usize> {
        let text = |value: &str| value.trim_start_matches("{\"n\":").trim_end_matches('}').parse().unwrap();
        self.bench.read("numbers").await.iter().map(|(_, value, _)| text(value)).collect()
    }

    async fn last_offset(&self) -> String {
        self.bench.read("connect-offsets").await.last().map(|(_, value, _)| value.clone()).unwrap_or_default()
    }

    fn count(&self, metric: &str) -> u64 {
        let line = format!("millrace_task_{metric}_total{{connector=\"source\",task=\"0\"}} ");
        let metrics = self.bench.herder.metrics();
        metrics.lines().find_map(|text| text.strip_prefix(&line)).and_then(|n| n.parse().ok()).unwrap_or_default()
    }
}

async fn exactly_once(fault: Fault, timeout: &str, goes_on: bool) {
    let times = if matches!(fault, Fault::CommitUnclear | Fault::CommitUnclearThenBroken) { 2 } else { 1 };
    let case = Case::start("enabled", Faults::armed(fault, 2, times), &[("errors.retry.timeout", timeout)]).await;
    assert_eq!(case.goes_on().await, goes_on, "{fault:?} with errors.retry.timeout={timeout}: {}", case.trace().await);
    assert_eq!(case.faults.hits(), times, "{fault:?} happened");
    if !goes_on {
        assert!(case.told() < COUNT / 10, "{fault:?}");
        case.faults.disarm();
        case.bench.herder.restart_task("source", 0).await.unwrap();
        until("the rest after a restart", async || case.last_offset().await == "{\"n\":60}").await;
    }
    assert_eq!(case.numbers().await, (0..COUNT).collect::<Vec<_>>(), "{fault:?}: each number once, in order");
    assert_eq!(case.last_offset().await, "{\"n\":60}", "{fault:?}");
    assert!(case.faults.violations.lock().unwrap().is_empty(), "{fault:?}: {:?}", case.faults.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_failed_is_aborted_and_tried_again() {
    for fault in [Fault::Begin, Fault::OneRecord, Fault::WholeSend, Fault::Offsets, Fault::CommitRefused] {
        exactly_once(fault, "-1", true).await;
        exactly_once(fault, "0", false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclear_commit_is_asked_for_again_whatever_the_retry_timeout() {
    for fault in [Fault::CommitLost, Fault::CommitUnclear] {
        exactly_once(fault, "0", true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_unknown_outcome_fails_the_task_and_a_restart_loses_and_repeats_nothing() {
    for fault in [Fault::CommitBroken, Fault::CommitUnclearThenBroken, Fault::AbortFails] {
        exactly_once(fault, "-1", false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_behind_one_that_was_not_written_are_sent_again_so_that_the_last_stays_the_last() {
    let case = Case::start("disabled", Faults::armed(Fault::OneRecord, 2, 1), &[("errors.retry.timeout", "-1")]).await;
    assert!(case.goes_on().await, "{}", case.trace().await);
    let before = (0..23).chain(24..30);
    assert_eq!(case.numbers().await, before.chain(23..60).collect::<Vec<_>>());
    assert_eq!((case.count("retries"), case.count("records_out")), (1, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_retry_timeout_bounds_how_long_a_source_tries_to_write() {
    for mode in ["enabled", "disabled"] {
        let none =
            Case::start(mode, Faults::armed(Fault::WholeSend, 2, u32::MAX), &[("errors.tolerance", "all")]).await;
        assert!(!none.goes_on().await, "{mode}");
        assert_eq!((none.faults.hits(), none.count("retries")), (1, 0), "{mode}: the default of 0 is no retry");
        assert!(none.trace().await.contains("records could not be written to the log"), "{}", none.trace().await);

        let config = [("errors.retry.timeout", "1000"), ("errors.retry.delay.max.ms", "100")];
        let started = Instant::now();
        let some = Case::start(mode, Faults::armed(Fault::WholeSend, 2, u32::MAX), &config).await;
        assert!(!some.goes_on().await, "{mode}");
        assert!(started.elapsed() >= Duration::from_secs(1), "{mode}: {:?}", started.elapsed());
        assert!(some.faults.hits() > 3, "{mode}: delays are below 100 ms, not 300 ms and more");
        assert_eq!(some.count("retries"), u64::from(some.faults.hits()) - 1, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_retries_without_end_can_be_stopped() {
    for mode in ["enabled", "disabled"] {
        let faults = Faults::armed(Fault::WholeSend, 2, u32::MAX);
        let case = Case::start(mode, faults, &[("errors.retry.timeout", "-1")]).await;
        until("some attempts", async || case.faults.hits() > 2).await;
        tokio::time::timeout(Duration::from_secs(5), case.bench.herder.shutdown()).await.unwrap();
        let hits = case.faults.hits();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(case.faults.hits(), hits, "{mode}: nothing is sent for a task that is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_the_log_refuses_for_good_are_judged_one_by_one() {
    for mode in ["enabled", "disabled"] {
        let refused = || Faults::armed(Fault::Refused, 0, u32::MAX);
        let tolerant = Case::start(mode, refused(), &[("errors.tolerance", "all")]).await;
        assert!(tolerant.goes_on().await, "{mode}: {}", tolerant.trace().await);
        assert_eq!(tolerant.numbers().await, (0..COUNT).filter(|n| n % 10 != 3).collect::<Vec<_>>(), "{mode}");
        assert_eq!((tolerant.count("records_failed"), tolerant.count("records_out")), (6, 54), "{mode}");
        assert!(tolerant.faults.violations.lock().unwrap().is_empty(), "{:?}", tolerant.faults.violations);

        let strict = Case::start(mode, refused(), &[("errors.retry.timeout", "-1")]).await;
        assert!(!strict.goes_on().await, "{mode}");
        let trace = strict.trace().await;
        assert!(trace.contains("Tolerance exceeded in error handler") && trace.contains("KAFKA_PRODUCE"), "{trace}");
        assert!(trace.contains("the record is too large"), "{trace}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_for_an_illegal_topic_fails_alone() {
    let never = || Faults::armed(Fault::Begin, u32::MAX, 0);
    for mode in ["enabled", "disabled"] {
        let config = [("errors.tolerance", "all"), ("odd.topic", "../nowhere")];
        let tolerant = Case::start(mode, never(), &config).await;
        assert!(tolerant.goes_on().await, "{mode}: {}", tolerant.trace().await);
        assert_eq!(tolerant.numbers().await, (0..COUNT).filter(|n| n % 10 != 3).collect::<Vec<_>>(), "{mode}");
        assert_eq!((tolerant.count("records_failed"), tolerant.count("records_out")), (6, 54), "{mode}");
        assert_eq!(tolerant.last_offset().await, "{\"n\":60}");

        let strict = Case::start(mode, never(), &[("odd.topic", "../nowhere")]).await;
        assert!(!strict.goes_on().await, "{mode}");
        let trace = strict.trace().await;
        for part in ["KAFKA_PRODUCE", "\"../nowhere\"", "a-z A-Z 0-9 . _ -", "249"] {
            assert!(trace.contains(part), "{part}: {trace}");
        }
    }
}
