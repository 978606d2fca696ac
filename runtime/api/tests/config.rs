//! Validation of single keys: the answers are those of Kafka 4.3's `ConfigDef`.
#![allow(clippy::unwrap_used, reason = "a failed expectation is what tests are for")]

use millrace_api::config::{ConfigKey, ConfigType, Default, Importance, Props, Validator};

fn key(kind: ConfigType, default: Default, validator: Validator) -> ConfigKey {
    let mut key = ConfigKey::new("k", kind, default, Importance::High, "");
    key.validator = validator;
    key
}

fn errors(key: &ConfigKey, value: Option<&str>) -> Vec<String> {
    let props: Props = value.map(|value| ("k".to_owned(), value.to_owned())).into_iter().collect();
    key.validate_as(&props, "a.k").errors
}

#[test]
fn only_what_is_missing_or_unreadable_is_said_of_the_name_with_its_prefix() {
    let number = key(ConfigType::Int, Default::Required, Validator::AtLeast(1));
    assert_eq!(
        errors(&number, Some("x")),
        [
            "Invalid value x for configuration a.k: Not a number of type INT",
            "Invalid value null for configuration k: Value must be non-null"
        ]
    );
    assert_eq!(errors(&number, Some("0")), ["Invalid value 0 for configuration k: Value must be at least 1"]);
    assert_eq!(
        errors(&number, None),
        [
            "Missing required configuration \"a.k\" which has no default value.",
            "Invalid value null for configuration k: Value must be non-null"
        ]
    );
}

#[test]
fn validators_that_know_null_have_nothing_against_it() {
    let optional = key(ConfigType::Long, Default::Null, Validator::AtLeast(0));
    assert_eq!(errors(&optional, Some("x")).len(), 1);
    assert!(errors(&optional, None).is_empty());
    let text = key(ConfigType::String, Default::Required, Validator::NonEmpty);
    assert_eq!(errors(&text, None).len(), 1);
    let list = key(ConfigType::List, Default::Required, Validator::Distinct);
    assert_eq!(errors(&list, None).last().unwrap(), "Configuration 'k' values must not be null.");
}

#[test]
fn values_are_trimmed_as_java_does() {
    let text = key(ConfigType::String, Default::Required, Validator::Any);
    let trimmed = |value: &str| {
        let props: Props = std::iter::once(("k".to_owned(), value.to_owned())).collect();
        text.validate(&props).value
    };
    assert_eq!(trimmed(" a\u{1}").as_deref(), Some("a"));
    assert_eq!(trimmed("a\u{a0}").as_deref(), Some("a\u{a0}"), "a no-break space stays");
}

#[test]
fn twice_the_same_is_said_before_empty() {
    let list = key(ConfigType::List, Default::Required, Validator::Distinct);
    assert_eq!(errors(&list, Some(",")), ["Configuration 'k' values must not be duplicated."]);
    assert_eq!(errors(&list, Some("a,")), ["Configuration 'k' values must not be empty."]);
}
