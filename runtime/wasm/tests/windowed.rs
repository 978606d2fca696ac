//! Aggregates through WebAssembly: the built-in ones as a component, and hand-written ones that lie.

#![allow(clippy::expect_used, clippy::panic, reason = "tests may")]

mod common;

use std::sync::OnceLock;
use std::time::Duration;

use common::{components, guest, props, texts};
use millrace_api::batch::{RecordBatch, Row, flags};
use millrace_api::transform::{Components, Windowed};
use millrace_api::{ErrorKind, Writer};
use millrace_wasm::{Limits, WasmComponents};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn built_in() -> WasmComponents {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    components("aggregates", BYTES.get_or_init(|| guest("millrace-aggregates")), Limits::default())
}

fn count(components: &WasmComponents) -> Box<dyn Windowed> {
    components.windowed("Count", &props(&[])).expect("an aggregate")
}

/// A batch of states as `emit` takes them, in the window from 0 to 1000.
fn states(states: &[Vec<u8>]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("out");
    for (index, state) in states.iter().enumerate() {
        let part = |batch: &mut RecordBatch, write: &dyn Fn(&mut Writer<'_>)| {
            let written = batch.append(|heap| {
                write(&mut Writer::new(heap));
                Ok(())
            });
            written.expect("fits").0
        };
        let key = part(&mut batch, &|writer| writer.str(if index == 0 { "a" } else { "b" }));
        let value = part(&mut batch, &|writer| writer.bytes(state));
        batch.push(Row { topic, key, value, timestamp: 0, offset: 1000, flags: flags::FINAL, ..Row::EMPTY });
    }
    batch
}

#[test]
fn states_are_folded_merged_and_shown() {
    let components = built_in();
    let mut aggregate = count(&components);
    let batch = texts(&["x", "y", "z"]);
    // Rows 0, 1 and 2 into state 0; row 2 into state 1 as well, as in a hopping window.
    let folded = aggregate.update(&batch, &[(0, 0), (1, 0), (2, 0), (2, 1)], &[vec![], vec![]]).expect("folds");
    assert_eq!(folded.len(), 2);
    let again = aggregate.update(&batch, &[(0, 1)], &folded).expect("folds");
    assert_eq!(again.first(), folded.first(), "a state that no row names comes back as it was");
    let merged = aggregate.merge(&folded, &again).expect("merges");
    let neutral = aggregate.merge(&merged, &[vec![], vec![]]).expect("merges");
    assert_eq!(merged, neutral);
    let shown = aggregate.emit(&states(&merged)).expect("emits");
    let rows: Vec<_> = shown.iter().map(|r| (r.row().origin, r.topic().to_owned())).collect();
    assert_eq!(rows, [(0, "out".to_owned()), (1, "out".to_owned())]);
    let keys: Vec<_> = shown.iter().map(|record| record.key().to_string()).collect();
    assert!(keys[0].contains("\"a\"") && keys[1].contains("\"b\""), "{keys:?}");
    // 3 + 3, and 1 + 2.
    let numbers: Vec<_> = shown.iter().map(|record| record.value().to_string()).collect();
    assert!(numbers[0].contains("\"count\":6") && numbers[1].contains("\"count\":3"), "{numbers:?}");
}

#[test]
fn an_unknown_aggregate_names_the_nearest() {
    let error = built_in().windowed("Cuont", &props(&[])).map(drop).expect_err("unknown");
    assert_eq!(
        error.message(),
        "Invalid value Cuont for configuration aggregate: Class Cuont could not be found. Did you mean \
         millrace.aggregates.Count?"
    );
}

#[test]
fn states_that_are_none_cost_the_call_only() {
    let components = built_in();
    let mut aggregate = count(&components);
    let error = aggregate.merge(&[b"no state".to_vec()], &[vec![]]).expect_err("refused");
    assert!(error.kind() == ErrorKind::Data && error.message().contains("state of version 110"), "{error}");
    let folded = aggregate.update(&texts(&["x"]), &[(0, 0)], &[vec![]]).expect("the next call works");
    assert_eq!(folded.len(), 1);
}

/// An aggregate written by hand.
#[derive(Default)]
struct Raw<'a> {
    /// What its functions answer, as `ok`.
    answer: &'a [u8],
    /// Code at the start of `configure` and of the functions.
    configure: &'a str,
    code: &'a str,
}

impl Raw<'_> {
    fn load(&self, limits: Limits) -> WasmComponents {
        components("raw", &self.component(), limits)
    }

    fn component(&self) -> Vec<u8> {
        let Raw { answer, configure, code } = self;
        let escaped = answer.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:02x}"));
        let function = |name: &str, params: usize| {
            format!(
                r#"(func (export "millrace:connect/aggregates@0.1.0#{name}") (param {}) (result i32)
                    {code}
                    (i32.store8 (i32.const 300) (i32.const 0))
                    (i32.store (i32.const 304) (i32.const 4096)) (i32.store (i32.const 308) (i32.const {}))
                    (i32.const 300))"#,
                "i32 i32 ".repeat(params),
                answer.len()
            )
        };
        let text = format!(
            r#"(module
              (memory (export "memory") 4)
              (global $next (mut i32) (i32.const 65536))
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (global.get $next))
                (global.set $next (i32.add (local.get $at) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
                (local.get $at))
              (data (i32.const 400) "test.Raw")
              (func (export "millrace:connect/aggregates@0.1.0#describe") (result i32)
                ;; A list of one plugin at 128: class, kind 2, version, no keys.
                (i32.store (i32.const 16) (i32.const 128)) (i32.store (i32.const 20) (i32.const 1))
                (i32.store (i32.const 128) (i32.const 400)) (i32.store (i32.const 132) (i32.const 8))
                (i32.store8 (i32.const 136) (i32.const 2))
                (i32.store (i32.const 140) (i32.const 400)) (i32.store (i32.const 144) (i32.const 1))
                (i32.const 16))
              (func (export "millrace:connect/aggregates@0.1.0#configure") (param i32 i32) (param $at i32) (param $len i32)
                (result i32)
                {configure}
                (i32.store8 (i32.const 205) (i32.const 1))
                (i32.const 200))
              (data (i32.const 4096) "{escaped}")
              {} {} {})"#,
            function("update", 3),
            function("merge", 2),
            function("emit", 1)
        );
        let mut module = wat::parse_str(text).expect("module text");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(common::workspace().join("wit/v0.1.0")).expect("wit");
        let world = resolve.select_world(&[package], Some("windowed")).expect("world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("embeds");
        ComponentEncoder::default().module(&module).expect("module").validate(true).encode().expect("encodes")
    }
}

/// An aggregate that answers with these bytes, whatever it is asked.
fn answering(answer: &[u8]) -> Box<dyn Windowed> {
    aggregate(&Raw { answer, ..Raw::default() }, Limits::default())
}

fn aggregate(raw: &Raw<'_>, limits: Limits) -> Box<dyn Windowed> {
    raw.load(limits).windowed("test.Raw", &props(&[])).expect("an aggregate")
}

fn u32s(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// What `update` with two states says.
fn update(aggregate: &mut dyn Windowed) -> Result<Vec<Vec<u8>>, (ErrorKind, String)> {
    let two = [vec![1], vec![2]];
    aggregate.update(&texts(&["x"]), &[(0, 0)], &two).map_err(|error| (error.kind(), error.message().to_owned()))
}

/// Two states: none, and one of the byte 9.
fn honest() -> Vec<u8> {
    [u32s(&[2, 0, 1]), vec![9]].concat()
}

#[test]
fn lying_answers_are_refused() {
    assert_eq!(update(&mut *answering(&honest())), Ok(vec![vec![], vec![9]]));
    for lie in [
        u32s(&[]),
        u32s(&[1, 0]),
        u32s(&[3, 0, 0, 0]),
        u32s(&[2, 0, 5]),
        u32s(&[2, 0, 0, 0]),
        u32s(&[u32::MAX, 0, 0]),
        u32s(&[2, u32::MAX, 0]),
    ] {
        let (kind, message) = update(&mut *answering(&lie)).expect_err("refused");
        assert_eq!(kind, ErrorKind::Limit);
        assert!(message.contains("answer is malformed"), "{message}");
    }
    let error = answering(b"garbage").emit(&states(&[vec![1]])).expect_err("no batch");
    assert!(error.message().contains("answer is malformed"), "{error}");
}

#[test]
fn traps_and_loops_end() {
    let raw = |code| Raw { code, ..Raw::default() };
    let (kind, message) = update(&mut *aggregate(&raw("(unreachable)"), Limits::default())).expect_err("trapped");
    assert!(kind == ErrorKind::Limit && message.contains("panicked or aborted"), "{message}");
    let limits = Limits { deadline: Duration::from_millis(200), ..Limits::default() };
    let (kind, message) = update(&mut *aggregate(&raw("(loop $l (br $l))"), limits)).expect_err("interrupted");
    assert!(kind == ErrorKind::Limit && message.contains("longer than its deadline of 200 ms"), "{message}");
}

#[test]
fn after_a_trap_the_next_call_works() {
    // Works once in its life.
    let code = "(if (i32.load (i32.const 500)) (then (unreachable))) (i32.store (i32.const 500) (i32.const 1))";
    let mut aggregate = aggregate(&Raw { answer: &honest(), code, ..Raw::default() }, Limits::default());
    for _ in 0..2 {
        update(&mut *aggregate).expect("the first call of an instance");
        let (_, message) = update(&mut *aggregate).expect_err("trapped");
        assert!(message.contains("panicked or aborted"), "{message}");
    }
}

#[test]
fn a_connectors_other_keys_are_not_shown_to_the_aggregate() {
    // Gives up when it is given any key; it has declared none.
    let components =
        Raw { configure: "(if (local.get $len) (then (unreachable)))", ..Raw::default() }.load(Limits::default());
    components.windowed("test.Raw", &props(&[("connection.password", "s3cret")])).map(drop).expect("no key");
}

#[test]
fn records_go_where_their_state_goes() {
    // One row of topic "evil", for the state numbered `origin`, without key and value.
    let evil = |origin: u8| {
        let mut row = vec![0; 64];
        for at in [24, 32, 40] {
            row[at..at + 4].fill(0xff);
        }
        row[60] = origin;
        [b"MRB1".to_vec(), u32s(&[1, 0, 1, 0, 0, 0, 0]), row, u32s(&[4]), b"evil".to_vec()].concat()
    };
    let emitted = answering(&evil(0)).emit(&states(&[vec![1]])).expect("well-formed");
    assert_eq!(emitted.iter().map(|record| record.topic().to_owned()).collect::<Vec<_>>(), ["out"]);
    let error = answering(&evil(7)).emit(&states(&[vec![1]])).expect_err("refused");
    assert!(error.message().contains("state that was not given"), "{error}");
}
