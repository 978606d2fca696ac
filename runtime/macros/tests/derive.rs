//! A derived struct against Kafka's rules and wording.

use millrace_api::config::{Config as _, ConfigType, Importance, Password, Props};
use millrace_macros::Config;

/// Everything at once.
#[derive(Debug, Config)]
struct Example {
    /// Where to write. If not specified, the standard output
    /// will be used
    #[config(name = "file", importance = "high")]
    file: Option<String>,
    /// Lines to buffer.
    #[config(default = "2000", range = "1..")]
    batch_size: i32,
    /// The topic.
    #[config(importance = "high", non_empty)]
    topic: String,
    /// Mode.
    #[config(name = "insert.mode", default = "insert", one_of("insert", "upsert"))]
    mode: String,
    /// Secret.
    #[config(name = "connection.password")]
    password: Option<Password>,
    /// Columns.
    #[config(name = "pk.fields", default = "")]
    fields: Vec<String>,
}

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn the_table_says_what_the_struct_says() {
    let def = Example::def();
    let file = def.get("file").expect("file");
    assert_eq!(file.doc, "Where to write. If not specified, the standard output will be used");
    assert_eq!((file.kind, file.importance), (ConfigType::String, Importance::High));
    assert_eq!(def.get("pk.fields").map(|key| key.kind), Some(ConfigType::List));
    assert_eq!(def.get("connection.password").map(|key| key.kind), Some(ConfigType::Password));
}

#[test]
fn values_are_parsed() {
    let parsed = Example::parse(&props(&[("topic", " t "), ("pk.fields", "a, b"), ("connection.password", "s3cret")]))
        .expect("valid");
    assert_eq!((parsed.topic.as_str(), parsed.batch_size, parsed.mode.as_str()), ("t", 2000, "insert"));
    assert_eq!(parsed.fields, ["a", "b"]);
    assert_eq!(parsed.file, None);
    assert_eq!(parsed.password.as_ref().map(Password::reveal), Some("s3cret"));
    assert!(!format!("{parsed:?}").contains("s3cret"));
}

#[test]
fn errors_are_worded_as_kafka_words_them() {
    let error = |pairs: &[(&str, &str)]| Example::parse(&props(pairs)).expect_err("invalid").message().to_owned();
    assert_eq!(error(&[]), "Missing required configuration \"topic\" which has no default value.");
    assert_eq!(
        error(&[("topic", "t"), ("batch.size", "x")]),
        "Invalid value x for configuration batch.size: Not a number of type INT"
    );
    assert_eq!(
        error(&[("topic", "t"), ("batch.size", "0")]),
        "Invalid value 0 for configuration batch.size: Value must be at least 1"
    );
    assert_eq!(
        error(&[("topic", "t"), ("insert.mode", "merge")]),
        "Invalid value merge for configuration insert.mode: String must be one of: insert, upsert"
    );
}
