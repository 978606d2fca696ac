//! What the tests of the sandbox share.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::expect_used, reason = "tests may")]

#[path = "../../../guests/nested.rs"]
mod nested;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use millrace_api::batch::{NO_PARTITION, RecordBatch, Row};
use millrace_api::config::Props;
use millrace_api::transform::{Chain, ChainReport, Components};
use millrace_api::{Error, Writer};
use millrace_wasm::{Limits, WasmComponents, WasmOptions};

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn temporary() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR").map_or_else(|| std::env::temp_dir().join("millrace-guests"), PathBuf::from)
}

/// The component of `tests/guests/hostile`, built once.
pub fn hostile() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| guest("millrace-test-guests"))
}

/// The component of a package of this workspace.
pub fn guest(package: &str) -> Vec<u8> {
    let target = temporary().join("guests");
    let built = nested::build(&workspace(), &[package], &target).expect("builds");
    std::fs::read(&built[0]).expect("was built")
}

/// A worker's components with one loaded.
pub fn components(name: &str, bytes: &[u8], limits: Limits) -> WasmComponents {
    // Compiling takes seconds in an unoptimized build.
    let cache_dir = Some(temporary().join("components"));
    let components = WasmComponents::new(WasmOptions { cache_dir, limits }).expect("a sandbox");
    components.load_builtin(name, bytes).expect("a component");
    components
}

pub fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Text records on topic `t`, offsets from 0.
pub fn texts(values: &[&str]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("t");
    for (index, value) in values.iter().enumerate() {
        let (value, ()) = batch
            .append(|heap| {
                Writer::new(heap).str(value);
                Ok(())
            })
            .expect("fits");
        let (offset, origin) = (i64::try_from(index).expect("few"), u32::try_from(index).expect("few"));
        batch.push(Row { offset, origin, topic, value, partition: NO_PARTITION, ..Row::EMPTY });
    }
    batch
}

/// `count` records that do nothing wrong, with `poison` at some places.
pub fn poisoned(count: usize, poison: &str, at: &[usize]) -> RecordBatch {
    let values: Vec<&str> = (0..count).map(|index| if at.contains(&index) { poison } else { "fine" }).collect();
    texts(&values)
}

pub fn chain(components: &WasmComponents, pairs: &[(&str, &str)]) -> Box<dyn Chain> {
    components.chain(&props(pairs)).expect("a chain")
}

pub fn config_error(components: &WasmComponents, pairs: &[(&str, &str)]) -> String {
    components.chain(&props(pairs)).map(drop).expect_err("refused").message().to_owned()
}

/// Offsets and messages of what failed.
pub fn failures(report: &ChainReport) -> Vec<(i64, &str)> {
    report.failed.iter().map(|(failed, _)| (failed.row.offset, failed.error.message())).collect()
}

/// Number of records that reached topic `done`.
pub fn done(batch: &RecordBatch) -> usize {
    batch.iter().filter(|record| record.topic() == "done").count()
}

pub fn message(error: &Error) -> &str {
    error.message()
}

/// The same component with its classes in the package `best`.
pub fn renamed(component: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    for at in 0..bytes.len() {
        if [&b"test.Hostile"[..], b"test.Even", b"test.Noop"].iter().any(|class| bytes[at..].starts_with(class)) {
            bytes[at] = b'b';
        }
    }
    bytes
}
