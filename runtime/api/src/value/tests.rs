//! Round trips and hostile bytes.

use proptest::prelude::*;

use super::{Value, Writer, validate, writer};

/// A value to be written; mirrors every tag.
#[derive(Debug, Clone)]
enum Tree {
    Null,
    Bool(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float64(f64),
    Text(String),
    Bytes(Vec<u8>),
    Decimal(i32, i128),
    Date(i32),
    Timestamp(i64),
    Array(Vec<Tree>),
    Map(Vec<(String, Tree)>),
    Struct(Vec<Tree>),
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i8>().prop_map(Tree::Int8),
        any::<i16>().prop_map(Tree::Int16),
        any::<i32>().prop_map(Tree::Int32),
        any::<i64>().prop_map(Tree::Int64),
        any::<f64>().prop_map(Tree::Float64),
        ".*".prop_map(Tree::Text),
        any::<Vec<u8>>().prop_map(Tree::Bytes),
        (any::<i32>(), any::<i128>()).prop_map(|(scale, n)| Tree::Decimal(scale, n)),
        any::<i32>().prop_map(Tree::Date),
        any::<i64>().prop_map(Tree::Timestamp),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::Array),
            prop::collection::vec((".*", inner.clone()), 0..6).prop_map(Tree::Map),
            prop::collection::vec(inner, 0..6).prop_map(Tree::Struct),
        ]
    })
}

fn write(tree: &Tree, w: &mut Writer<'_>) {
    match tree {
        Tree::Null => w.null(),
        Tree::Bool(b) => w.bool(*b),
        Tree::Int8(n) => w.int8(*n),
        Tree::Int16(n) => w.int16(*n),
        Tree::Int32(n) => w.int32(*n),
        Tree::Int64(n) => w.int64(*n),
        Tree::Float64(n) => w.float64(*n),
        Tree::Text(s) => w.str(s),
        Tree::Bytes(b) => w.bytes(b),
        Tree::Decimal(scale, n) => w.decimal_i128(*scale, *n),
        Tree::Date(d) => w.date(*d),
        Tree::Timestamp(t) => w.timestamp(*t),
        Tree::Array(items) => {
            let open = w.begin_array();
            for item in items {
                write(item, w);
            }
            w.end(open, items.len());
        }
        Tree::Struct(items) => {
            let open = w.begin_struct();
            for item in items {
                write(item, w);
            }
            w.end(open, items.len());
        }
        Tree::Map(entries) => {
            let open = w.begin_map();
            for (key, value) in entries {
                w.str(key);
                write(value, w);
            }
            w.end(open, entries.len());
        }
    }
}

/// Reads `value` back and compares it with what was written.
fn same(tree: &Tree, value: Value<'_>) -> bool {
    match tree {
        Tree::Null => value.is_null(),
        Tree::Bool(b) => value.as_bool() == Some(*b),
        Tree::Int8(n) => value.as_i64() == Some(i64::from(*n)),
        Tree::Int16(n) => value.as_i64() == Some(i64::from(*n)),
        Tree::Int32(n) => value.as_i64() == Some(i64::from(*n)),
        Tree::Int64(n) => value.as_i64() == Some(*n),
        Tree::Float64(n) => value.as_f64().map(f64::to_bits) == Some(n.to_bits()),
        Tree::Text(s) => value.as_str() == Some(s),
        Tree::Bytes(b) => value.as_bytes() == Some(b),
        Tree::Decimal(scale, n) => {
            value.as_decimal().is_some_and(|(s, unscaled)| s == *scale && super::display::to_i128(unscaled) == Some(*n))
        }
        Tree::Date(d) => value.as_date() == Some(*d),
        Tree::Timestamp(t) => value.as_timestamp() == Some(*t),
        Tree::Array(items) | Tree::Struct(items) => {
            value.count() == Some(items.len())
                && value.elements().count() == items.len()
                && items.iter().zip(value.elements()).all(|(tree, value)| same(tree, value))
        }
        Tree::Map(entries) => {
            value.count() == Some(entries.len())
                && entries.iter().zip(value.entries()).all(|((k, t), (key, v))| key.as_str() == Some(k) && same(t, v))
        }
    }
}

/// Touches everything an accessor can reach.
fn walk(value: Value<'_>, depth: usize) {
    let _ = (value.as_bool(), value.as_i64(), value.as_f64(), value.as_str(), value.as_bytes(), value.as_timestamp());
    let _ = (value.get("a"), value.field_at(1), value.count(), value.decimal_text());
    if depth < 70 {
        value.elements().for_each(|child| walk(child, depth + 1));
        value.entries().for_each(|(k, v)| {
            walk(k, depth + 1);
            walk(v, depth + 1);
        });
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(tree in trees()) {
        let mut bytes = Vec::new();
        write(&tree, &mut Writer::new(&mut bytes));
        prop_assert!(validate(&bytes).is_ok());
        prop_assert!(same(&tree, Value::of(&bytes)));
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = validate(&bytes);
        walk(Value::of(&bytes), 0);
    }

    #[test]
    fn one_wrong_byte_does_not_panic(tree in trees(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = Vec::new();
        write(&tree, &mut Writer::new(&mut bytes));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = validate(&bytes);
        walk(Value::of(&bytes), 0);
    }
}

#[test]
fn a_count_that_lies_is_refused() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    let open = writer.begin_array();
    writer.null();
    writer.end(open, 2);
    assert!(validate(&bytes).is_err());
}

#[test]
fn nesting_past_the_limit_is_refused() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    let open: Vec<_> = (0..100).map(|_| writer.begin_array()).collect();
    for container in open.into_iter().rev() {
        let leaf = usize::from(writer.position() != 900);
        writer.end(container, leaf);
    }
    assert!(validate(&bytes).unwrap_err().message().contains("64 levels"));
}

#[test]
fn decimals_print_exactly() {
    let text = |scale, unscaled: i128| {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).decimal_i128(scale, unscaled);
        Value::of(&bytes).decimal_text().unwrap_or_default()
    };
    assert_eq!(text(2, 12345), "123.45");
    assert_eq!(text(2, -5), "-0.05");
    assert_eq!(text(0, 0), "0");
    assert_eq!(text(-3, 7), "7000");
    let mut long = Vec::new();
    Writer::new(&mut long).decimal(1, &[0x80; 17]);
    assert_eq!(Value::of(&long).decimal_text().as_deref(), Some("-4338533456209235813380876563459469839552.0"));
}

#[test]
fn copies_of_every_length_are_exact() {
    let from: Vec<u8> = (0..=255).collect();
    for len in 0..=130 {
        let mut out = vec![7];
        writer::blocks(&from[3..3 + len], &mut out);
        assert_eq!((out[0], &out[1..]), (7, &from[3..3 + len]), "{len} bytes");
        // Followed by many bytes, and by none.
        for start in [0, 3, from.len() - len] {
            let mut out = vec![7];
            Writer::new(&mut out).raw_part(&from, start, len);
            assert_eq!((out[0], &out[1..]), (7, &from[start..start + len]), "{len} bytes at {start}");
        }
    }
    let mut out = vec![7];
    Writer::new(&mut out).raw_part(&from, 250, 10);
    Writer::new(&mut out).raw_part(&from, 300, 10);
    assert_eq!(out, [7], "bytes that are not there");
}

#[test]
fn a_byte_that_is_not_utf8_is_found_wherever_it_is() {
    for len in 1..40 {
        for at in 0..len {
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes);
            let open = writer.begin_array();
            writer.str(&"x".repeat(len));
            writer.end(open, 1);
            assert!(validate(&bytes).is_ok());
            let text = bytes.len() - len;
            bytes[text + at] = 0xff;
            assert!(validate(&bytes).is_err(), "byte {at} of {len}");
        }
    }
}
