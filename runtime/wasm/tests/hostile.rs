//! Components that misbehave: each costs the record at fault, with a clear reason, and nothing else.

#![allow(clippy::expect_used, reason = "tests may")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{chain, components, done, failures, hostile, poisoned, texts};
use millrace_api::transform::Chain;
use millrace_api::{ErrorKind, Record};
use millrace_wasm::{Limits, WasmComponents};

const STAGE: [(&str, &str); 2] = [("transforms", "h"), ("transforms.h.type", "test.Hostile$Value")];

/// Deadlines that tests can wait for.
fn limits() -> Limits {
    Limits { deadline: Duration::from_millis(500), memory: 32 << 20, ..Limits::default() }
}

fn sandbox() -> WasmComponents {
    components("hostile", hostile(), limits())
}

/// For what must run into another limit first, also on a machine that is busy.
fn patient() -> WasmComponents {
    components("hostile", hostile(), Limits { deadline: Duration::from_secs(10), ..limits() })
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
fn an_illegal_topic_costs_its_record() {
    costs_its_records("topic", "routed to an illegal topic name");
}

#[test]
fn an_infinite_loop_costs_its_record_and_a_bounded_time() {
    let components = sandbox();
    let mut chain = chain(&components, &STAGE);
    let mut batch = poisoned(400, "loop", &[123]);
    let started = Instant::now();
    let report = chain.apply(&mut batch).expect("the chain goes on");
    let failed = failures(&report);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].0 == 123 && failed[0].1.contains("longer than its deadline of"), "{failed:?}");
    assert_eq!(done(&batch), 399);
    assert!(started.elapsed() < limits().deadline * 2 + limits().search_time, "{:?}", started.elapsed());
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
    let bound = limits().deadline * 2 + limits().search_time + limits().deadline / 5 * 4 + Duration::from_secs(1);
    assert!(elapsed < bound, "{elapsed:?}");
    let mut batch = texts(&["fine"]);
    chain.apply(&mut batch).expect("applies");
    assert_eq!(done(&batch), 1, "the next batch is served as if nothing had happened");
}

#[test]
fn every_record_of_a_batch_may_trap() {
    let components = sandbox();
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
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
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
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn instances_are_bounded() {
    let components = components("hostile", hostile(), Limits { instances: 2, ..limits() });
    let held = [chain(&components, &STAGE), chain(&components, &STAGE)];
    let error = common::config_error(&components, &STAGE);
    assert!(error.contains("already runs 2 WebAssembly instances"), "{error}");
    drop(held);
    let mut again = chain(&components, &STAGE);
    let mut batch = texts(&["fine"]);
    again.apply(&mut batch).expect("applies");
    assert_eq!(done(&batch), 1);
}

/// Everything logged while `run` runs.
fn logged(run: impl FnOnce()) -> String {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = {
        let lines = Arc::clone(&lines);
        move || Lines(Arc::clone(&lines))
    };
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(subscriber, run);
    let bytes = lines.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("text")
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
#[ignore = "counts entries per second: run it alone on an idle machine"]
fn the_log_is_bounded_and_holds_no_secret() {
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
    assert!(entries <= 2 * (64 << 10) / 64, "{entries} entries of 64 bytes in two seconds");
}

/// Batches of 500 per second that a neighbour gets through `chain`.
fn throughput(chain: &mut dyn Chain, time: Duration) -> f64 {
    let (started, mut batches) = (Instant::now(), 0u32);
    while started.elapsed() < time {
        let mut batch = poisoned(500, "", &[]);
        chain.apply(&mut batch).expect("applies");
        assert_eq!(done(&batch), 500);
        batches += 1;
    }
    f64::from(batches) / started.elapsed().as_secs_f64()
}

#[test]
fn a_neighbour_keeps_its_speed() {
    let components = sandbox();
    let mut neighbour = chain(&components, &STAGE);
    let time = Duration::from_millis(700);
    let alone = throughput(neighbour.as_mut(), time);
    for poison in ["loop", "panic", "grow", "flood"] {
        let every: Vec<usize> = (0..200).collect();
        let mut hostile = chain(&components, &STAGE);
        let stop = std::sync::atomic::AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    hostile.apply(&mut poisoned(200, poison, &every)).expect("the chain goes on");
                }
            });
            let beside = throughput(neighbour.as_mut(), time);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            beside
        });
        assert!(beside > alone / 4.0, "beside {poison}: {beside:.0} batches/s, alone {alone:.0}");
        println!("beside {poison}: {beside:.0} batches/s, alone {alone:.0}");
    }
}
