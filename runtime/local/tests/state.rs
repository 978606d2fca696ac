//! State tables.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;

use millrace_api::ErrorKind;
use millrace_api::log::StateStores;
use millrace_local::{LocalLog, LocalOptions, LocalStateStores};

fn open(dir: &Path) -> LocalStateStores {
    LocalStateStores::open(dir, &LocalOptions::default()).unwrap()
}

fn put(key: &str, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))
}

fn remove(key: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.as_bytes().to_vec(), None)
}

fn text(entries: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<String> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    entries.into_iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect()
}

#[test]
fn tables_are_ordered_maps() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path());
    let table = stores.open("a/b").unwrap();
    table.write(&[put("c", "3"), put("a", "1"), put("b", "2"), put("a", "4")]).unwrap();
    assert_eq!(table.get(b"a").unwrap().as_deref(), Some(&b"4"[..]), "the last of several writes counts");
    assert_eq!(table.get(b"x").unwrap(), None);
    assert_eq!(text(table.scan(b"a", b"c", 10).unwrap()), ["a=4", "b=2"]);
    assert_eq!(text(table.scan(b"", b"z", 2).unwrap()), ["a=4", "b=2"]);
    assert!(table.scan(b"z", b"a", 2).unwrap().is_empty());
    table.write(&[remove("b"), put("d", "5")]).unwrap();
    assert_eq!(text(table.scan(b"", b"z", 10).unwrap()), ["a=4", "c=3", "d=5"]);
    table.clear().unwrap();
    assert!(table.scan(b"", b"z", 10).unwrap().is_empty());
    table.write(&[put("a", "6")]).unwrap();
    assert_eq!(text(table.scan(b"", b"z", 10).unwrap()), ["a=6"]);
}

#[test]
fn tables_stay_and_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    {
        let stores = open(dir.path());
        let (one, two) = (stores.open("one").unwrap(), stores.open("two").unwrap());
        one.write(&[put("a", "1")]).unwrap();
        two.write(&[put("a", "2")]).unwrap();
        two.clear().unwrap();
        two.write(&[put("b", "3")]).unwrap();
        one.sync().unwrap();
    }
    let stores = open(dir.path());
    assert_eq!(text(stores.open("one").unwrap().scan(b"", b"z", 10).unwrap()), ["a=1"]);
    assert_eq!(text(stores.open("two").unwrap().scan(b"", b"z", 10).unwrap()), ["b=3"]);
}

#[test]
fn a_deleted_table_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path());
    stores.delete("never there").unwrap();
    for _ in 0..3 {
        let table = stores.open("t").unwrap();
        assert!(table.get(b"a").unwrap().is_none());
        table.write(&[put("a", "1")]).unwrap();
        drop(table);
        stores.delete("t").unwrap();
    }
    drop(stores);
    assert!(open(dir.path()).open("t").unwrap().get(b"a").unwrap().is_none());
}

#[test]
fn a_table_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path());
    let table = stores.open("t").unwrap();
    assert_eq!(stores.open("t").err().unwrap().kind(), ErrorKind::Conflict);
    assert_eq!(stores.delete("t").unwrap_err().kind(), ErrorKind::Conflict);
    drop(table);
    stores.open("t").unwrap();
    assert_eq!(LocalStateStores::open(dir.path(), &LocalOptions::default()).err().unwrap().kind(), ErrorKind::Conflict);
    // The log has a lock of its own, so both can be used in one data directory.
    LocalLog::open(dir.path(), LocalOptions::default()).unwrap();
    assert!(stores.open("").is_err());
}
