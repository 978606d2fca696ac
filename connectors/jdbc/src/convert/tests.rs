//! Values by the type of their column. Expected texts are what SQL and Java's `BigDecimal` write.

use millrace_api::{Value, Writer};

use super::*;

fn encoded(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}

fn show(kind: Kind, write: impl FnOnce(&mut Writer<'_>)) -> Result<String, Misfit> {
    show_in(&Zone::UTC, kind, write)
}

fn show_in(zone: &Zone, kind: Kind, write: impl FnOnce(&mut Writer<'_>)) -> Result<String, Misfit> {
    let bytes = encoded(write);
    let mut scratch = String::new();
    let convert = Convert { zone: zone.clone(), infinities: false };
    let cell = convert.cell(Value::of(&bytes), None, kind, Unit::Millis, &mut scratch)?;
    if let Some(text) = cell.text(&scratch) {
        return Ok(text.to_owned());
    }
    let mut small = Small::new();
    push_text(&mut small, cell, kind == Kind::Timestamp { zoned: true });
    Ok(small.as_str().to_owned())
}

#[test]
fn decimals_are_exact() {
    assert_eq!(show(Kind::Decimal, |w| w.float64(19.99)).as_deref(), Ok("19.99"));
    assert_eq!(show(Kind::Decimal, |w| w.float64(9_999_999_999.99)).as_deref(), Ok("9999999999.99"));
    assert_eq!(show(Kind::Decimal, |w| w.float64(1e21)).as_deref(), Ok("1000000000000000000000"));
    assert_eq!(show(Kind::Decimal, |w| w.float64(1e-7)).as_deref(), Ok("0.0000001"));
    assert_eq!(show(Kind::Decimal, |w| w.float32(0.1)).as_deref(), Ok("0.1"));
    assert_eq!(show(Kind::Decimal, |w| w.decimal_i128(2, -1_999)).as_deref(), Ok("-19.99"));
    assert_eq!(show(Kind::Decimal, |w| w.int64(i64::MIN)).as_deref(), Ok("-9223372036854775808"));
    assert_eq!(show(Kind::Decimal, |w| w.str("0012.50")).as_deref(), Ok("0012.50"));
    for text in ["", "abc", "1,5", "1.2.3", "NaN", "1e99999", "0x10", "--1", "1 OR 1=1", "٣"] {
        assert!(show(Kind::Decimal, |w| w.str(text)).is_err(), "{text}");
    }
    assert!(show(Kind::Decimal, |w| w.float64(f64::NAN)).is_err());
}

#[test]
fn integers_are_whole_and_in_range() {
    let int = Kind::int(32);
    assert_eq!(int, Kind::Int { min: -2_147_483_648, max: 2_147_483_647 });
    assert_eq!(Kind::unsigned(8), Kind::Int { min: 0, max: 255 });
    assert_eq!(show(int, |w| w.float64(5.0)).as_deref(), Ok("5"));
    assert_eq!(show(int, |w| w.str("-7")).as_deref(), Ok("-7"));
    assert_eq!(show(int, |w| w.bool(true)).as_deref(), Ok("1"));
    assert_eq!(show(Kind::int(64), |w| w.decimal_i128(2, 500)).as_deref(), Ok("5"));
    assert_eq!(show(Kind::int(64), |w| w.timestamp(1_795_183_380_000)).as_deref(), Ok("1795183380000"));
    assert_eq!(show(Kind::UInt, |w| w.str("18446744073709551615")).as_deref(), Ok("18446744073709551615"));
    assert!(show(int, |w| w.int64(2_147_483_648)).is_err());
    assert!(show(int, |w| w.float64(5.5)).is_err());
    assert!(show(int, |w| w.str("x")).is_err());
    assert!(show(Kind::UInt, |w| w.int64(-1)).is_err());
}

#[test]
fn timestamps_come_from_text_logical_types_and_milliseconds() {
    let plain = Kind::Timestamp { zoned: false };
    let zoned = Kind::Timestamp { zoned: true };
    let seoul = Zone::from_config_text("Asia/Seoul");
    for kind in [plain, zoned] {
        let expected = if kind == zoned { "2026-11-20 14:03:00+00" } else { "2026-11-20 14:03:00" };
        assert_eq!(show(kind, |w| w.str("2026-11-20T14:03:00Z")).as_deref(), Ok(expected));
        assert_eq!(show(kind, |w| w.timestamp(1_795_183_380_000)).as_deref(), Ok(expected));
        assert_eq!(show(kind, |w| w.int64(1_795_183_380_000)).as_deref(), Ok(expected));
        assert_eq!(show(kind, |w| w.str("2026-11-20T14:03:00")).as_deref(), Ok(expected));
    }
    assert_eq!(show_in(&seoul, plain, |w| w.str("2026-11-20T14:03:00Z")).as_deref(), Ok("2026-11-20 23:03:00"));
    assert_eq!(show_in(&seoul, zoned, |w| w.str("2026-11-20T14:03:00Z")).as_deref(), Ok("2026-11-20 14:03:00+00"));
    assert_eq!(show_in(&seoul, plain, |w| w.str("2026-11-20T14:03:00")).as_deref(), Ok("2026-11-20 14:03:00"));
    assert_eq!(show_in(&seoul, zoned, |w| w.str("2026-11-20T14:03:00")).as_deref(), Ok("2026-11-20 05:03:00+00"));
    assert!(show(plain, |w| w.int64(i64::MAX)).is_err());
    assert!(show(plain, |w| w.int64(400_000_000_000_000)).is_err());
    assert!(show(plain, |w| w.str("yesterday")).is_err());
}

#[test]
fn dates_and_times() {
    assert_eq!(show(Kind::Date, |w| w.str("2026-11-20")).as_deref(), Ok("2026-11-20"));
    assert_eq!(show(Kind::Date, |w| w.date(20_777)).as_deref(), Ok("2026-11-20"));
    assert_eq!(show(Kind::Date, |w| w.int64(1_795_183_380_000)).as_deref(), Ok("2026-11-20"));
    assert_eq!(
        show_in(&Zone::from_config_text("Asia/Seoul"), Kind::Date, |w| w.str("2026-11-20T20:00:00Z")).as_deref(),
        Ok("2026-11-21")
    );
    assert_eq!(show(Kind::Time, |w| w.str("14:03")).as_deref(), Ok("14:03:00"));
    assert_eq!(show(Kind::Time, |w| w.time(50_580_001)).as_deref(), Ok("14:03:00.001000"));
    assert!(show(Kind::Time, |w| w.int64(-1)).is_err());
    assert!(show(Kind::Time, |w| w.str("14:03:00Z")).is_err());
}

#[test]
fn booleans_text_and_json() {
    assert_eq!(show(Kind::Bool, |w| w.str("Yes")).as_deref(), Ok("true"));
    assert_eq!(show(Kind::Bool, |w| w.int64(0)).as_deref(), Ok("false"));
    assert!(show(Kind::Bool, |w| w.int64(2)).is_err());
    assert_eq!(show(Kind::Text, |w| w.int64(7)).as_deref(), Ok("7"));
    assert_eq!(show(Kind::Text, |w| w.bytes(b"ok")).as_deref(), Ok("ok"));
    assert!(show(Kind::Text, |w| w.bytes(&[0xff])).is_err());
    let nested = |w: &mut Writer<'_>| {
        let map = w.begin_map();
        w.str("a\"b\\\n\u{1}");
        let list = w.begin_array();
        w.int32(1);
        w.null();
        w.bool(false);
        w.float64(2.0);
        w.bytes(b"hi");
        w.end(list, 5);
        w.end(map, 1);
    };
    let json = "{\"a\\\"b\\\\\\n\\u0001\":[1,null,false,2.0,\"aGk=\"]}";
    assert_eq!(show(Kind::Text, nested).as_deref(), Ok(json));
    assert_eq!(show(Kind::Json, nested).as_deref(), Ok(json));
    assert_eq!(show(Kind::Json, |w| w.str("{\"a\":1}")).as_deref(), Ok("{\"a\":1}"));
}

#[test]
fn arrays_are_literals_nothing_breaks_out_of() {
    let array = |w: &mut Writer<'_>| {
        let list = w.begin_array();
        w.str("a\"},{\\b");
        w.null();
        w.int64(3);
        w.bytes(&[0, 255]);
        w.end(list, 4);
    };
    assert_eq!(show(Kind::Array, array).as_deref(), Ok(r#"{"a\"},{\\b",NULL,3,"\\x00ff"}"#));
}

impl Zone {
    fn from_config_text(text: &str) -> Self {
        use millrace_api::config::{FromConfig as _, Parsed};
        Self::check(text).expect("a zone");
        Self::from_config(Parsed::Text(text.to_owned()))
    }
}
