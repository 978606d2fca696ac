//! Components that misbehave: each costs the record at fault, with a clear reason, and nothing else.

#![allow(clippy::expect_used, reason = "tests may")]

mod common;

use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{chain, components, done, failures, hostile, poisoned, texts};
use millrace_api::transform::Chain;
use millrace_api::{ErrorKind, Record};
use millrace_wasm::{Limits, WasmComponents};

const STAGE: [(&str, &str); 2] = [("transforms", "h"), ("transforms.h.type", "test.Hostile$Value")];

/// Deadlines that tests can wait for, for what is about deadlines.
fn limits() -> Limits {
    Limits { deadline: Duration::from_millis(500), memory: 32 << 20, ..Limits::default() }
}

fn sandbox() -> WasmComponents {
    components("hostile", hostile(), limits())
}

/// For what must run into another limit first, also on a machine that is busy.
fn patient() -> WasmComponents {
    let long = Duration::from_mins(1);
    components("hostile", hostile(), Limits { deadline: long, start_deadline: long, search_time: long, ..limits() })
}

/// Poisons the records numbered 7 and 300 of 400, and expects just them to fail, for a reason that contains `expected`.
fn costs_its_records(poison: &str, expected: &str) {
    let components = patient();
    let mut chain = chain(&components, &STAGE);
    for _ in 0..2 {
        let mut batch = poisoned(400, poison, &[7, 300]);
        let report = chain.apply(&mut batch).expect("the chain goes on");
        let failed = failures(&report);
        assert_eq!(failed.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [7, 300], "{failed:?}");
        for (failed, class) in &report.failed {
            assert!(failed.error.message().contains(expected), "{}", failed.error);
            assert_eq!(failed.error.kind(), ErrorKind::Limit);
            assert_eq!(&**class, "test.Hostile$Value");
            assert_eq!(failed.row.origin, u32::try_from(failed.row.offset).expect("small"));
        }
        assert_eq!((batch.len(), done(&batch)), (398, 398));
        let offsets: Vec<i64> = batch.iter().map(Record::offset).collect();
        assert!(offsets.is_sorted(), "records keep their order");
    }
}

#[test]
fn a_panic_costs_its_record() {
    costs_its_records("panic", "it panicked or aborted");
}

#[test]
fn infinite_recursion_costs_its_record() {
    costs_its_records("recurse", "ran out of stack");
}

#[test]
fn a_memory_bomb_costs_its_record() {
    costs_its_records("grow", "wanted more than its 32 MiB of memory");
}

#[test]
fn a_huge_answer_costs_its_record() {
    costs_its_records("huge", "answered with more than the");
}

#[test]
fn leaving_the_process_costs_its_record() {
    costs_its_records("exit", "called exit");
}

#[test]
fn a_topic_that_kafka_would_not_take_is_the_sinks_to_judge() {
    let components = patient();
    let mut batch = poisoned(400, "topic", &[7, 300]);
    let report = chain(&components, &STAGE).apply(&mut batch).expect("applies");
    assert!(report.failed.is_empty(), "{:?}", failures(&report));
    let odd = |record: &Record<'_>| record.topic() == "no such\0topic";
    assert_eq!(batch.iter().filter(odd).map(Record::offset).collect::<Vec<_>>(), [7, 300]);
    assert_eq!((batch.len(), done(&batch)), (400, 398));
}

#[test]
fn an_infinite_loop_costs_its_record_and_a_bounded_time() {
    // The search takes three times the deadline; innocent records have a fifth of it, which must do on a machine that is busy.
    let limits = Limits { deadline: Duration::from_secs(1), search_time: Duration::from_secs(20), ..limits() };
    let components = components("hostile", hostile(), limits.clone());
    let mut chain = chain(&components, &STAGE);
    let mut batch = poisoned(400, "loop", &[123]);
    let started = Instant::now();
    let report = chain.apply(&mut batch).expect("the chain goes on");
    let failed = failures(&report);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].0 == 123 && failed[0].1.contains("longer than its deadline of"), "{failed:?}");
    assert_eq!(done(&batch), 399);
    assert!(started.elapsed() < limits.deadline * 2 + limits.search_time, "{:?}", started.elapsed());
}

#[test]
fn when_every_record_loops_the_batch_fails_within_its_bound() {
    let components = sandbox();
    let mut chain = chain(&components, &STAGE);
    let every: Vec<usize> = (0..2000).collect();
    let mut batch = poisoned(2000, "loop", &every);
    let started = Instant::now();
    let report = chain.apply(&mut batch).expect("the chain goes on");
    let elapsed = started.elapsed();
    assert_eq!((report.failed.len(), batch.len()), (2000, 0));
    assert!(report.failed.last().is_some_and(|(failed, _)| failed.error.message().contains("not searched further")));
    // Twice as long on a machine that is busy; without a bound it were minutes.
    let bound = limits().deadline * 2 + limits().search_time + limits().deadline / 5 * 4;
    assert!(elapsed < bound * 2, "{elapsed:?}");
    let mut batch = texts(&["fine"]);
    chain.apply(&mut batch).expect("applies");
    assert_eq!(done(&batch), 1, "the next batch is served as if nothing had happened");
}

#[test]
fn every_record_of_a_batch_may_trap() {
    let components = patient();
    let mut chain = chain(&components, &STAGE);
    let every: Vec<usize> = (0..500).collect();
    let mut batch = poisoned(500, "panic", &every);
    let report = chain.apply(&mut batch).expect("the chain goes on");
    assert_eq!((report.failed.len(), batch.len()), (500, 0));
    assert!(report.failed.iter().all(|(failed, _)| !failed.error.message().contains("not searched")));
}

#[test]
fn sleeping_does_not_block_the_host() {
    let components = sandbox();
    let mut chain = chain(&components, &STAGE);
    let started = Instant::now();
    let mut batch = texts(&["fine", "sleep", "fine"]);
    let report = chain.apply(&mut batch).expect("the chain goes on");
    // It wants to sleep for an hour.
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    assert_eq!(batch.len() + report.failed.len(), 3);
}

#[test]
fn slow_records_are_not_taken_for_endless_ones() {
    // 4 x 300 ms are past the deadline together, each alone is not.
    let components = components("hostile", hostile(), Limits { deadline: Duration::from_secs(1), ..Limits::default() });
    let mut chain = chain(&components, &STAGE);
    let mut batch = texts(&["slow", "slow", "slow", "slow"]);
    let report = chain.apply(&mut batch).expect("the chain goes on");
    assert_eq!((done(&batch), report.failed.len()), (4, 0), "{:?}", failures(&report));
}

#[test]
fn a_component_that_never_starts_is_a_configuration_error_after_its_deadline() {
    let limits = Limits { start_deadline: Duration::from_millis(200), ..limits() };
    let components = components("hostile", hostile(), limits);
    let hang = [STAGE[0], STAGE[1], ("transforms.h.hang", "true")];
    let started = Instant::now();
    let error = common::config_error(&components, &hang);
    assert!(error.contains("longer than its deadline of 200 ms"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn instances_are_bounded() {
    let components = components("hostile", hostile(), Limits { instances: 2, ..Limits::default() });
    let held = [chain(&components, &STAGE), chain(&components, &STAGE)];
    let error = common::config_error(&components, &STAGE);
    assert!(error.contains("already runs 2 WebAssembly instances"), "{error}");
    drop(held);
    let mut again = chain(&components, &STAGE);
    let mut batch = texts(&["fine"]);
    again.apply(&mut batch).expect("applies");
    assert_eq!(done(&batch), 1);
}

thread_local! {
    /// What this thread logs, while somebody wants to know.
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Everything that this thread logs while `run` runs.
fn logged(run: impl FnOnce()) -> String {
    // One subscriber for all threads: which log statements are of interest is decided once for the process, and a thread without a
    // subscriber might decide it.
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_writer(|| Lines).with_ansi(false).without_time().finish();
        tracing::subscriber::set_global_default(subscriber).expect("the only one");
        tracing::callsite::rebuild_interest_cache();
    });
    LINES.set(Some(Vec::new()));
    run();
    String::from_utf8(LINES.take().unwrap_or_default()).expect("text")
}

struct Lines;

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.as_mut().map(|lines| lines.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_is_bounded_and_holds_no_secret() {
    let started = Instant::now();
    let components = patient();
    let stage = [STAGE[0], STAGE[1], ("transforms.h.password", "s3cret")];
    let mut chain = chain(&components, &stage);
    let text = logged(|| {
        let mut batch = texts(&["flood", "panic", "flood"]);
        chain.apply(&mut batch).expect("applies");
        assert_eq!(done(&batch), 2);
        std::thread::sleep(Duration::from_millis(1100));
        chain.apply(&mut texts(&["flood"])).expect("applies");
    });
    assert!(text.contains("flood 0 of [hidden]") && text.contains("component=\"hostile\""), "{}", &text[..500]);
    assert!(!text.contains("s3cret"));
    assert!(text.contains("entries of this component were left out"));
    let entries = text.lines().filter(|line| line.contains("flood ")).count();
    // Each second begun may bring its share, and none brings more.
    let seconds = started.elapsed().as_secs() + 1;
    assert!(entries as u64 <= seconds * (64 << 10) / 64, "{entries} entries of 64 bytes in {seconds} seconds");
}

/// How long this thread has waited for a core so far; none where the system does not tell.
fn waited() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').nth(1).and_then(|waited| waited.parse().ok()).unwrap_or(0))
}

/// Batches of 500 per second that a neighbour gets through `chain`, not counting the time it waits for a core: what else runs on
/// this machine takes cores away, and is not what is measured. Waiting for anything else counts.
fn throughput(chain: &mut dyn Chain, time: Duration) -> f64 {
    let (started, waited_before, mut batches) = (Instant::now(), waited(), 0u32);
    while started.elapsed() < time {
        let mut batch = poisoned(500, "", &[]);
        chain.apply(&mut batch).expect("applies");
        assert_eq!(done(&batch), 500);
        batches += 1;
    }
    let waited = waited().saturating_sub(waited_before);
    f64::from(batches) / started.elapsed().saturating_sub(waited).as_secs_f64().max(1e-9)
}

/// What a neighbour gets done while `hostile` is busy with one poisoned batch after the other.
fn beside(hostile: &mut dyn Chain, poison: &str, neighbour: &mut dyn Chain, time: Duration) -> f64 {
    let stop = AtomicBool::new(false);
    let every: Vec<usize> = (0..200).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Not for ever: a neighbour that does not get a turn at all must come back and say so.
            let started = Instant::now();
            while !stop.load(Ordering::Relaxed) && started.elapsed() < time * 4 {
                hostile.apply(&mut poisoned(200, poison, &every)).expect("the chain goes on");
            }
        });
        let throughput = throughput(neighbour, time);
        stop.store(true, Ordering::Relaxed);
        throughput
    })
}

#[test]
fn a_neighbour_keeps_its_speed() {
    let limits = Limits { deadline: Duration::from_secs(1), search_time: Duration::from_millis(500), ..limits() };
    let components = components("hostile", hostile(), limits);
    let mut neighbour = chain(&components, &STAGE);
    for poison in ["loop", "panic", "grow", "flood"] {
        let mut hostile = chain(&components, &STAGE);
        // A neighbour that can be slowed down is slowed down each time; one that had bad luck is not.
        let mut shares = Vec::new();
        while shares.len() < 5 && shares.iter().all(|share| *share < 0.4) {
            let alone = throughput(neighbour.as_mut(), Duration::from_millis(300));
            let beside = beside(hostile.as_mut(), poison, neighbour.as_mut(), Duration::from_millis(700));
            shares.push(beside / alone);
        }
        println!("beside {poison}: {shares:.2?} of its speed");
        assert!(shares.iter().any(|share| *share >= 0.4), "beside {poison}: {shares:.2?} of its speed");
    }
}
