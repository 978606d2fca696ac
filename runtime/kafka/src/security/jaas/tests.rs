use std::collections::BTreeMap;

use millrace_api::ErrorKind;

use super::*;

/// Texts and what Kafka 4.3.1 made of them.
const GOLDEN: &str = include_str!("../golden/jaas.tsv");

/// Undoes the escapes of the file.
fn unescape(text: &str) -> String {
    let mut units = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter().copied());
            continue;
        }
        units.push(match chars.next().unwrap() {
            'u' => u16::from_str_radix(&chars.by_ref().take(4).collect::<String>(), 16).unwrap(),
            't' => 9,
            c => c as u16,
        });
    }
    String::from_utf16(&units).unwrap()
}

#[test]
fn texts_are_read_as_kafka_reads_them() {
    let mut accepted = 0;
    for line in GOLDEN.lines().skip(1) {
        let (text, expected) = line.split_once('\t').unwrap();
        let (text, expected) = (unescape(text), unescape(expected));
        let read = Jaas::parse(&text);
        let known = |name: &str| MODULES.iter().find(|(class, _)| *class == name).map(|(_, module)| *module);
        let mut parts = expected.strip_prefix('=').unwrap_or_default().split('\u{1}');
        let Some(module) = parts.next().and_then(known) else {
            assert!(read.is_err(), "{text:?}");
            continue;
        };
        let read = read.unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let options: BTreeMap<_, _> = read.options.iter().map(|(key, value)| (key.as_str(), value.reveal())).collect();
        let wanted: BTreeMap<_, _> = parts.map(|pair| pair.split_once('\u{2}').unwrap()).collect();
        assert_eq!((read.module, options), (module, wanted), "{text:?}");
        accepted += 1;
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn nothing_of_the_text_is_repeated() {
    for text in [
        "com.sun.security.auth.module.JndiLoginModule required user.provider.url=\"ldap://canary\";",
        "org.apache.kafka.common.security.plain.PlainLoginModule canary;",
        "org.apache.kafka.common.security.plain.PlainLoginModule required password=\"canary\"",
        "org.apache.kafka.common.security.plain.PlainLoginModule required canary;",
        "org.apache.kafka.common.security.plain.PlainLoginModule required; canary",
    ] {
        let error = Jaas::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(KEY) && !format!("{error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn an_entry_does_not_show_its_options() {
    let text = "org.apache.kafka.common.security.plain.PlainLoginModule required password=\"canary\";";
    assert!(!format!("{:?}", Jaas::parse(text).unwrap()).contains("canary"));
}
