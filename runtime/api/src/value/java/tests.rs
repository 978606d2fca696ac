//! Against values printed by a JVM (17, except where its digits are not the shortest: those are by the definition in the
//! documentation of `Double.toString` since 19).

use super::{Civil, base64, civil, date, days, decimal, double, float, parse_decimal, text};
use crate::schema::{Field, Kind, Schema};
use crate::value::{Value, Writer};

fn printed(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn doubles() {
    for (value, expected) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (99.5, "99.5"),
        (-0.001, "-0.001"),
        (9.9e-4, "9.9E-4"),
        (1e7, "1.0E7"),
        (9_999_999.999, "9999999.999"),
        (1e10, "1.0E10"),
        (1e-5, "1.0E-5"),
        (1e22, "1.0E22"),
        (1e23, "1.0E23"),
        (2e23, "2.0E23"),
        (12_345_678_901_234_567.0, "1.2345678901234568E16"),
        (f64::MAX, "1.7976931348623157E308"),
        (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
        (4.9e-324, "4.9E-324"),
        (9.9e-324, "9.9E-324"),
        (-1.5e-323, "-1.5E-323"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(printed(|out| double(value, out)), expected);
    }
}

#[test]
fn floats() {
    for (value, expected) in [
        (0.1, "0.1"),
        (3.0, "3.0"),
        (16_777_217.0, "1.6777216E7"),
        (f32::MAX, "3.4028235E38"),
        (1.4e-45, "1.4E-45"),
        (1e10, "1.0E10"),
        (-1e-10, "-1.0E-10"),
    ] {
        assert_eq!(printed(|out| float(value, out)), expected);
    }
}

#[test]
fn decimals_from_and_to_text() {
    for (given, expected) in [
        ("123.45", "123.45"),
        ("1E5", "1E+5"),
        ("1.00E-9", "1.00E-9"),
        ("0.00", "0.00"),
        ("0E-10", "0E-10"),
        ("-0.01", "-0.01"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1E-7"),
        ("1.", "1"),
        (".5", "0.5"),
        ("+007", "7"),
        ("123456789012345678901234567890.12", "123456789012345678901234567890.12"),
        ("-99999999999999999999999999999999999999999999", "-99999999999999999999999999999999999999999999"),
        ("12E+3", "1.2E+4"),
    ] {
        let (scale, unscaled) = parse_decimal(given).expect(given);
        assert_eq!(printed(|out| decimal(scale, &unscaled, out)), expected);
    }
    for wrong in ["", "-", ".", "1e", "e5", "1x", "0x1", "1e99999999999", "1 "] {
        assert_eq!(parse_decimal(wrong), None, "{wrong}");
    }
    assert_eq!(parse_decimal("128").map(|(_, unscaled)| unscaled), Some(vec![0, 0x80]));
    assert_eq!(parse_decimal("-128").map(|(_, unscaled)| unscaled), Some(vec![0x80]));
    assert_eq!(parse_decimal("0").map(|(_, unscaled)| unscaled), Some(vec![0]));
}

#[test]
fn dates() {
    for (millis, expected) in [
        (0, "Thu Jan 01 00:00:00 UTC 1970"),
        (1_641_600_000_000, "Sat Jan 08 00:00:00 UTC 2022"),
        (-86_400_000, "Wed Dec 31 00:00:00 UTC 1969"),
        (-1, "Wed Dec 31 23:59:59 UTC 1969"),
        (185_542_587_100_800_000, "Fri Jul 11 00:00:00 UTC 5881580"),
        (1_700_000_000_123, "Tue Nov 14 22:13:20 UTC 2023"),
    ] {
        assert_eq!(printed(|out| date(millis, out)), expected);
    }
}

#[test]
fn the_calendar_changes_in_1582() {
    let day = |year, month, day| days(Civil { year, month, day });
    assert_eq!(day(1582, 10, 15) * 86_400_000, -12_219_292_800_000);
    assert_eq!(day(1582, 10, 4) * 86_400_000, -12_219_379_200_000);
    assert_eq!(day(1, 1, 1) * 86_400_000, -62_135_769_600_000);
    assert_eq!(day(2020, 13, 45) * 86_400_000, 1_613_260_800_000);
    for n in (-1_000_000..1_000_000).step_by(97) {
        assert_eq!(days(civil(n)), n);
    }
}

#[test]
fn values_print_as_java_prints_them() {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    let open = w.begin_map();
    w.str("a");
    w.int64(1);
    w.str("b");
    let list = w.begin_array();
    w.null();
    w.bool(true);
    w.str("x y");
    w.end(list, 3);
    w.end(open, 2);
    assert_eq!(printed(|out| text(Value::of(&bytes), None, out)), "{a=1, b=[null, true, x y]}");

    let schema = Schema::structure(vec![
        Field::new("id", Schema::of(Kind::Int32)),
        Field::new("gone", Schema::optional(Kind::String)),
        Field::new("d", Schema::decimal(2)),
    ]);
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    let open = w.begin_struct();
    w.int32(7);
    w.null();
    w.decimal_i128(2, 12_345);
    w.end(open, 3);
    assert_eq!(printed(|out| text(Value::of(&bytes), Some(&schema), out)), "Struct{id=7,d=123.45}");
}

#[test]
fn bytes_are_base64() {
    for (given, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
        assert_eq!(printed(|out| base64(given.as_bytes(), out)), expected);
    }
}
