//! Against `serde_json` as the judge of what is JSON. Messages and positions are checked against a real worker in `tests/golden.rs`.

use proptest::prelude::*;

use super::parser::{Parser, Token};
use super::{read_config, read_create};

/// Whether the parser takes `body` as one JSON value.
fn accepts(body: &[u8]) -> bool {
    let mut parser = Parser::new(body);
    let one_value = |parser: &mut Parser<'_>| {
        let Some(_) = parser.next()? else { return Ok(false) };
        parser.skip()?;
        Ok::<_, super::JsonError>(parser.next()?.is_none())
    };
    one_value(&mut parser).unwrap_or(false)
}

/// `None` where the judge has limits of its own: the range of numbers, half surrogate pairs.
fn judge(body: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(_) => Some(true),
        Err(error) => {
            let text = error.to_string();
            let own = ["out of range", "surrogate", "lone leading", "recursion limit"];
            (!own.iter().any(|limit| text.contains(limit))).then_some(false)
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let tokens: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\"a\"",
        b"\"b\\n\"",
        b"\\",
        b"\\u00e9",
        b"\\ud83d\\ude00",
        b"\\u12",
        b"true",
        b"false",
        b"null",
        b"nul",
        b"0",
        b"1",
        b"12",
        b"-",
        b".",
        b"e",
        b"+",
        b" ",
        b"\n",
        b"\t",
        b"\r\n",
        b"\x01",
        b"\xc3\xa9",
        b"\xc3",
        b"\x80",
        b"\xf0\x9f\x98\x80",
        b"\xed\xa0\x80",
        b"/",
        b"'",
        b"x",
        b"NaN",
        b"-I",
    ];
    prop::collection::vec(prop::sample::select(tokens), 0..12).prop_map(|pieces| pieces.concat())
}

/// Text that is nearly always JSON, with one byte changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let body = br#"{"name":"x\u00e9","initial_state":null,"config":{"a":[1,-2.5e3,{"b":true}],"c":"d\"\\"}}"#.to_vec();
    (Just(body), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut body, index, byte)| {
        let at = index.index(body.len());
        body[at] = byte;
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_json_are_judged_alike(body in pieces()) {
        if let Some(expected) = judge(&body) {
            prop_assert_eq!(accepts(&body), expected, "{:?}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn damaged_json_is_judged_alike(body in damaged()) {
        if let Some(expected) = judge(&body) {
            prop_assert_eq!(accepts(&body), expected, "{:?}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn no_body_whatsoever_panics(body in prop::collection::vec(any::<u8>(), 0..64), json in pieces()) {
        for body in [body, json] {
            let _ = read_create(&body);
            let _ = read_config(&body);
        }
    }

    #[test]
    fn configurations_arrive_as_they_were_written(config in prop::collection::hash_map(any::<String>(), any::<String>(), 0..5)) {
        let body = serde_json::to_vec(&config).unwrap();
        let read = read_config(&body).map_err(|error| TestCaseError::fail(error.to_string()))?.unwrap();
        prop_assert_eq!(read.len(), config.len());
        for (key, value) in read {
            prop_assert_eq!(config.get(&key), value.as_ref());
        }
    }
}

#[test]
fn an_object_is_read_in_the_order_of_its_keys_and_a_later_value_wins() {
    let read = read_config(br#"{"z":"1","a":2,"z":null,"m":-0.50}"#).unwrap().unwrap();
    let read: Vec<_> = read.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
    assert_eq!(read, [("z", None), ("a", Some("2")), ("m", Some("-0.50"))]);
}

#[test]
fn tokens_carry_jacksons_names() {
    let mut parser = Parser::new(br#"{"a":[1,2.5,"s",true,false,null]}"#);
    let mut names = Vec::new();
    while let Some(token) = parser.next().unwrap() {
        names.push(Token::name(token));
    }
    let values = "VALUE_NUMBER_INT VALUE_NUMBER_FLOAT VALUE_STRING VALUE_TRUE VALUE_FALSE VALUE_NULL";
    assert_eq!(names.join(" "), format!("START_OBJECT FIELD_NAME START_ARRAY {values} END_ARRAY END_OBJECT"));
}
