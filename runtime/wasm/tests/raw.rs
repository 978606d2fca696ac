//! Components written by hand, for what no toolchain would produce: answers that are no deltas, values that break the canonical
//! ABI, imports that nobody grants, compiled code that somebody changed.

#![allow(clippy::expect_used, reason = "tests may")]

mod common;

use std::path::Path;

use common::{chain, components, failures, props, texts};
use millrace_api::transform::{ChainReport, Components};
use millrace_api::{ErrorKind, RecordBatch};
use millrace_wasm::{Limits, WasmComponents, WasmOptions};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// How a hand-written component behaves.
struct Raw {
    /// What lies at address 4096.
    data: Vec<u8>,
    /// Address and length that `apply` answers with.
    answer: (u32, u32),
    /// Class that `describe` tells.
    class: Vec<u8>,
    /// Code at the start of `describe` and of `apply`.
    describe: &'static str,
    apply: &'static str,
    /// Imports of the module; the component then imports WASI's standard output.
    imports: &'static str,
}

impl Default for Raw {
    fn default() -> Self {
        Self { data: vec![], answer: (4096, 0), class: b"test.Raw".to_vec(), describe: "", apply: "", imports: "" }
    }
}

impl Raw {
    fn answering(bytes: &[u8]) -> Self {
        Self { data: bytes.to_vec(), answer: (4096, u32::try_from(bytes.len()).expect("short")), ..Self::default() }
    }

    fn component(&self) -> Vec<u8> {
        let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<Vec<_>>().concat();
        let text = format!(
            r#"(module
              {imports}
              (memory (export "memory") 2)
              (table (export "table") 1 funcref)
              (global $next (mut i32) (i32.const 65536))
              (func $self (export "self") (result i32) (i32.const 0))
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (global.get $next))
                (global.set $next (i32.add (local.get $at) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
                (if (i32.gt_u (global.get $next) (i32.const 131072)) (then (unreachable)))
                (local.get $at))
              (data (i32.const 400) "{class}")
              (func (export "millrace:connect/transformations@0.1.0#describe") (result i32)
                {describe}
                ;; A list of one plugin at 128: class, kind, version, no keys.
                (i32.store (i32.const 16) (i32.const 128)) (i32.store (i32.const 20) (i32.const 1))
                (i32.store (i32.const 128) (i32.const 400)) (i32.store (i32.const 132) (i32.const {class_len}))
                (i32.store8 (i32.const 136) (i32.const 0))
                (i32.store (i32.const 140) (i32.const 400)) (i32.store (i32.const 144) (i32.const 1))
                (i32.const 16))
              (func (export "millrace:connect/transformations@0.1.0#configure") (param i32 i32) (result i32)
                ;; ok(needs: everything).
                (i32.store8 (i32.const 204) (i32.const 1))
                (i32.store8 (i32.const 205) (i32.const 1))
                (i32.store8 (i32.const 206) (i32.const 1))
                (i32.const 200))
              (data (i32.const 4096) "{data}")
              (func (export "millrace:connect/transformations@0.1.0#apply") (param i32 i32) (result i32)
                {apply}
                (global.set $next (i32.const 65536))
                (i32.store (i32.const 300) (i32.const {at})) (i32.store (i32.const 304) (i32.const {len}))
                (i32.const 300)))"#,
            class = escaped(&self.class),
            class_len = self.class.len(),
            data = escaped(&self.data),
            at = self.answer.0,
            len = self.answer.1,
            imports = self.imports,
            describe = self.describe,
            apply = self.apply,
        );
        let mut module = wat::parse_str(text).expect("module text");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(common::workspace().join("wit/v0.1.0")).expect("wit");
        let mut world = resolve.select_world(&[package], Some("smt")).expect("world");
        if !self.imports.is_empty() {
            for text in [
                "package wasi:io@0.2.0; interface streams { resource output-stream; }",
                "package wasi:cli@0.2.0;
                 interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }",
                "package test:flood; world flood { import wasi:cli/stdout@0.2.0; include millrace:connect/smt@0.1.0; }",
            ] {
                let package = resolve.push_str("flood.wit", text).expect("wit");
                world = resolve.select_world(&[package], Some("flood")).unwrap_or(world);
            }
        }
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("embeds");
        ComponentEncoder::default().module(&module).expect("module").validate(true).encode().expect("encodes")
    }
}

const STAGE: [(&str, &str); 2] = [("transforms", "r"), ("transforms.r.type", "test.Raw")];

fn run(raw: &Raw, batch: &mut RecordBatch) -> ChainReport {
    let components = components("raw", &raw.component(), Limits::default());
    chain(&components, &STAGE).apply(batch).expect("the chain goes on")
}

/// Expects every one of four records to fail, for a reason that contains `expected`.
fn fails(raw: &Raw, expected: &str) {
    let mut batch = texts(&["a", "b", "c", "d"]);
    let report = run(raw, &mut batch);
    let failed = failures(&report);
    assert_eq!((failed.len(), batch.len()), (4, 0), "{failed:?}");
    for (failed, class) in &report.failed {
        assert!(failed.error.message().contains(expected), "{}", failed.error);
        assert_eq!((failed.error.kind(), &**class), (ErrorKind::Limit, "test.Raw"));
    }
}

/// The header of a delta for one input.
fn delta(counts: [u32; 7]) -> Vec<u8> {
    let mut bytes = b"MRD1".to_vec();
    for count in counts {
        bytes.extend_from_slice(&count.to_le_bytes());
    }
    bytes
}

#[test]
fn a_delta_written_by_hand_is_understood() {
    // One input, nothing new, flag 1: all kept.
    let mut batch = texts(&["a"]);
    let report = run(&Raw::answering(&delta([1, 0, 0, 0, 0, 0, 1])), &mut batch);
    assert_eq!((batch.len(), report.failed.len()), (1, 0), "{:?}", failures(&report));
    // One input, verdict 2: dropped.
    let dropped = [delta([1, 0, 0, 0, 0, 0, 0]), vec![2]].concat();
    let report = run(&Raw::answering(&dropped), &mut batch);
    assert_eq!((batch.len(), report.dropped), (0, vec![0]));
}

#[test]
fn garbage_is_no_delta() {
    fails(&Raw::default(), "answer is malformed: bytes are missing");
    fails(&Raw::answering(b"{\"verdict\": \"keep\", \"of\": \"all\"} "), "no delta of version 1");
    fails(&Raw::answering(&delta([9, 0, 0, 0, 0, 0, 1])), "another number of records");
    fails(&Raw::answering(&delta([1, 0, 0, 0, 0, 0, 0])), "bytes are missing");
    fails(&Raw::answering(&[delta([1, 0, 0, 0, 0, 0, 0]), vec![9]].concat()), "unknown verdict");
    fails(&Raw::answering(&delta([1, u32::MAX, 0, 0, 0, 0, 1])), "count is larger than the bytes");
    fails(&Raw::answering(&delta([1, 0, 0, u32::MAX, 0, 0, 1])), "count is larger than the bytes");
    fails(&Raw::answering(&delta([1, 0, 0, 0, 0, u32::MAX, 1])), "heap is shorter or longer");
    // A topic that is not UTF-8.
    fails(&Raw::answering(&[delta([1, 1, 0, 0, 0, 0, 1]), vec![2, 0, 0, 0, 0xc3, 0x28]].concat()), "not UTF-8");
    // A schema cut off after its type.
    fails(&Raw::answering(&[delta([1, 0, 1, 0, 0, 0, 1]), vec![1, 0, 0, 0, 11]].concat()), "bytes are missing");
}

/// A delta that changes the value of its one input to `heap`, with the row's value slice at `slice`.
fn changed_value(slice: (u32, u32), schema: u32, heap: &[u8]) -> Vec<u8> {
    let mut bytes = delta([1, 0, 0, 1, 0, u32::try_from(heap.len()).expect("short"), 0]);
    bytes.push(1);
    for n in [0u32, 16] {
        bytes.extend_from_slice(&n.to_le_bytes());
    }
    let mut row = [0u8; 64];
    row[32..36].copy_from_slice(&slice.0.to_le_bytes());
    row[36..40].copy_from_slice(&slice.1.to_le_bytes());
    row[52..56].copy_from_slice(&schema.to_le_bytes());
    bytes.extend_from_slice(&row);
    bytes.extend_from_slice(heap);
    bytes
}

#[test]
fn values_are_checked_to_the_last_byte() {
    let mut batch = texts(&["a"]);
    let report = run(&Raw::answering(&changed_value((0, 6), 0, b"\x09\x01\0\0\0z")), &mut batch);
    assert_eq!(batch.get(0).map(|r| r.value().as_str() == Some("z")), Some(true), "{:?}", failures(&report));
    fails(&Raw::answering(&changed_value((0, 7), 0, b"\x09\x01\0\0\0z")), "slice leaves the heap");
    fails(&Raw::answering(&changed_value((u32::MAX - 2, 6), 0, b"\x09\x01\0\0\0z")), "slice leaves the heap");
    fails(&Raw::answering(&changed_value((0, 6), 0, b"\x09\x02\0\0\0z")), "unknown tag or a wrong length");
    fails(&Raw::answering(&changed_value((0, 6), 0, b"\x09\x01\0\0\0\xff")), "not UTF-8");
    fails(&Raw::answering(&changed_value((0, 6), 0, b"\xee\x01\0\0\0z")), "unknown tag");
    fails(&Raw::answering(&changed_value((0, 6), 7, b"\x09\x01\0\0\0z")), "names a schema that is not there");
    // An array that claims four billion elements, and one nested past the limit.
    fails(&Raw::answering(&changed_value((0, 9), 0, b"\x0b\x04\0\0\0\xff\xff\xff\xff")), "count differs");
    let mut nested = Vec::new();
    for within in (0..80u32).rev() {
        nested.push(11);
        nested.extend_from_slice(&(4 + within * 9).to_le_bytes());
        nested.extend_from_slice(&u32::from(within > 0).to_le_bytes());
    }
    let len = u32::try_from(nested.len()).expect("short");
    fails(&Raw::answering(&changed_value((0, len), 0, &nested)), "nest deeper than 64 levels");
}

#[test]
fn lists_outside_of_memory_break_the_rules() {
    fails(&Raw { answer: (4096, u32::MAX), ..Raw::default() }, "out of bounds of memory");
    fails(&Raw { answer: (u32::MAX, 64), ..Raw::default() }, "out of bounds of memory");
}

#[test]
fn a_two_gibibyte_list_is_not_copied() {
    let grow = "(drop (memory.grow (i32.const 900)))";
    fails(&Raw { answer: (0, 48 << 20), apply: grow, ..Raw::default() }, "answered with more than the");
    let too_much = "(if (i32.eq (memory.grow (i32.const 32768)) (i32.const -1)) (then (unreachable)))";
    fails(&Raw { apply: too_much, ..Raw::default() }, "wanted more than its 64 MiB of memory");
    let table = "(if (i32.eq (table.grow (ref.null func) (i32.const 100000000)) (i32.const -1)) (then (unreachable)))";
    fails(&Raw { apply: table, ..Raw::default() }, "wanted more than its");
}

#[test]
fn a_flood_of_handles_is_stopped() {
    let imports = r#"(import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))"#;
    let apply = "(local $n i32)
        (loop $again
          (drop (call $stdout))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 2000))))";
    fails(&Raw { apply, imports, ..Raw::default() }, "handle limit");
    let few: &str = "(drop (call $stdout)) (drop (call $stdout))";
    let kept = Raw { imports, apply: few, ..Raw::answering(&delta([1, 0, 0, 0, 0, 0, 1])) };
    let mut batch = texts(&["a"]);
    assert_eq!(failures(&run(&kept, &mut batch)), []);
}

fn refusal(bytes: &[u8]) -> String {
    let components = WasmComponents::new(WasmOptions::default()).expect("a sandbox");
    let error = components.load_builtin("bad", bytes).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(components.plugins().is_empty());
    error.message().to_owned()
}

#[test]
fn what_is_no_component_is_refused() {
    assert!(refusal(b"#!/bin/sh").contains("no WebAssembly component"));
    assert!(refusal(b"").contains("no WebAssembly component"));
    let module = wat::parse_str("(module)").expect("text");
    assert!(refusal(&module).contains("core module, not a component"));
    let mut broken = Raw::default().component();
    broken.truncate(broken.len() / 2);
    assert!(refusal(&broken).contains("does not compile"));
    assert!(refusal(&wat::parse_str("(component)").expect("text")).contains("exports neither"));
}

#[test]
fn undeclared_imports_are_refused_before_anything_runs() {
    let import = |text: &str| refusal(&wat::parse_str(format!("(component (import {text}))")).expect("text"));
    let error = import("\"wasi:http/outgoing-handler@0.2.3\" (instance)");
    assert!(error.contains("imports wasi:http/outgoing-handler@0.2.3, which is not allowed"), "{error}");
    assert!(import("\"wasi:keyvalue/store@0.2.0-draft\" (instance)").contains("nothing else"));
    assert!(import("\"wasi:cli/environment@0.3.0\" (instance)").contains("not allowed"));
    assert!(import("\"evil\" (func)").contains("imports evil"));
    assert!(import("\"millrace:connect/log@9.0.0\" (instance)").contains("update the worker"));
    // Right name, wrong shape.
    assert!(import("\"wasi:cli/environment@0.2.0\" (func)").contains("not allowed"));
}

#[test]
fn proposals_that_are_not_needed_are_off() {
    for (what, module) in [
        ("threads", "(module (memory 1 1 shared))"),
        ("memory64", "(module (memory i64 1))"),
        ("tail calls", "(module (func $f (return_call $f)))"),
        ("exceptions", "(module (tag))"),
        ("gc", "(module (type (struct)))"),
        ("two memories", "(module (memory 1) (memory 1))"),
        (
            "relaxed simd",
            "(module (func (result v128) (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0))))",
        ),
    ] {
        let component = wat::parse_str(format!("(component (core {})", &module[1..])).expect("text");
        let component = refusal(&component);
        assert!(component.contains("does not compile"), "{what}: {component}");
    }
}

#[test]
fn descriptions_that_lie_are_refused() {
    let class = |class: &[u8]| refusal(&Raw { class: class.to_vec(), ..Raw::default() }.component());
    assert!(class(b"").contains("no class name"));
    assert!(class(b"a b\n").contains("no class name"));
    assert!(class(b"\xff\xfe").contains("broke the rules of its interface"));
    assert!(class(&[b'a'; 300]).contains("no class name"));
    let trap = Raw { describe: "(unreachable)", ..Raw::default() };
    assert!(refusal(&trap.component()).contains("trapped"));
    // As many plugins as memory holds.
    let many = "(i32.store (i32.const 16) (i32.const 8192)) (i32.store (i32.const 20) (i32.const 4000)) (return (i32.const 16))";
    assert!(refusal(&Raw { describe: many, ..Raw::default() }.component()).contains("more than 1000 plugins"));
}

fn cached(dir: &Path, component: &[u8]) -> bool {
    let options = WasmOptions { cache_dir: Some(dir.to_owned()), ..WasmOptions::default() };
    let components = WasmComponents::new(options).expect("a sandbox");
    components.load_builtin("raw", component).expect("loads");
    components.chain(&props(&STAGE)).is_ok()
}

#[test]
#[cfg(unix)]
fn compiled_code_is_kept_and_forgeries_are_compiled_anew() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().expect("a directory");
    let cache = dir.path().join("deep/components");
    let component = Raw::answering(&delta([1, 0, 0, 0, 0, 0, 1])).component();
    assert!(cached(&cache, &component));
    let mode = |path: &Path| std::fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(&cache.join("key"))), (0o700, 0o600));
    let files = || {
        let entries = std::fs::read_dir(&cache).expect("a directory").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.extension().is_some_and(|e| e == "cwasm")).collect::<Vec<_>>()
    };
    let [file] = &files()[..] else { panic!("one compiled component: {:?}", files()) };
    assert_eq!(mode(file), 0o600);
    let honest = std::fs::read(file).expect("readable");

    // Kept: the same file, not written again.
    let written = std::fs::metadata(file).and_then(|meta| meta.modified()).expect("a time");
    assert!(cached(&cache, &component));
    assert_eq!(std::fs::metadata(file).and_then(|meta| meta.modified()).expect("a time"), written);

    // One byte of code changed, the MAC left out, and code of another component under this one's name.
    let mut flipped = honest.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    let other = Raw { class: b"test.Other".to_vec(), ..Raw::default() }.component();
    let components = WasmComponents::new(WasmOptions { cache_dir: Some(cache.clone()), ..WasmOptions::default() });
    components.expect("a sandbox").load_builtin("other", &other).expect("loads");
    let foreign = files().into_iter().find(|path| path != file).expect("a second file");
    for forged in [flipped, honest[32..].to_vec(), std::fs::read(foreign).expect("readable"), vec![]] {
        std::fs::write(file, &forged).expect("writable");
        assert!(cached(&cache, &component), "the component works");
        assert_eq!(std::fs::read(file).expect("readable").len(), honest.len(), "and was compiled anew");
        assert_ne!(std::fs::read(file).expect("readable"), forged);
    }

    // A key that others can read protects nothing: the cache is left alone.
    std::fs::set_permissions(cache.join("key"), std::fs::Permissions::from_mode(0o644)).expect("ours");
    std::fs::write(file, b"forged").expect("writable");
    assert!(cached(&cache, &component));
    assert_eq!(std::fs::read(file).expect("readable"), b"forged");
}

#[test]
fn a_component_file_has_a_size_limit() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("raw.wasm");
    std::fs::write(&path, Raw::default().component()).expect("writable");
    let load = |component_bytes| {
        let limits = Limits { component_bytes, ..Limits::default() };
        WasmComponents::new(WasmOptions { limits, ..WasmOptions::default() }).expect("a sandbox").load_file(&path)
    };
    load(1 << 20).expect("small enough");
    assert!(load(1000).expect_err("too large").message().contains("is larger than"));
    let missing = WasmComponents::new(WasmOptions::default()).expect("a sandbox").load_file(&dir.path().join("none"));
    assert!(missing.expect_err("missing").message().contains("cannot be read"));
}
