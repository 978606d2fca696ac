//! What records must look like: a JSON Schema.

use std::io::Read as _;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use millrace_api::{Error, Result};
use serde_json::Value;

use crate::decimal::{Decimal, MultipleOf};

/// Most faults told in one answer.
pub(crate) const MAX_FAULTS: usize = 100;

/// Largest schema file in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What is wrong with a record of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Index of the record in the request.
    pub(crate) index: usize,
    /// JSON pointer to the field; empty for the record as a whole.
    pub(crate) field: String,
    /// The reason. It never repeats the value.
    pub(crate) message: String,
}

/// A compiled schema, or none.
#[derive(Debug)]
pub(crate) struct Rules {
    validator: Option<Validator>,
}

impl Rules {
    /// Accepts everything.
    pub(crate) fn none() -> Self {
        Self { validator: None }
    }

    /// From `http.schema`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`].
    pub(crate) fn inline(text: &str) -> Result<Self> {
        let validator = compile(text)
            .map_err(|cause| Error::config(format!("Invalid value for configuration http.schema: {cause}")))?;
        Ok(Self { validator: Some(validator) })
    }

    /// From `http.schema.file`. What is wrong with the file is told without its contents: a configuration must not be a way
    /// to read files.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`].
    pub(crate) fn file(path: &str) -> Result<Self> {
        let wrong =
            |cause: String| Error::config(format!("Invalid value {path} for configuration http.schema.file: {cause}"));
        let text = read(path).map_err(wrong)?;
        match compile(&text) {
            Ok(validator) => Ok(Self { validator: Some(validator) }),
            Err(_) => Err(wrong("Not a JSON Schema; check it with http.schema, which tells the reason".to_owned())),
        }
    }

    /// Appends what is wrong with the record at `index`, up to [`MAX_FAULTS`] in all. Returns whether it is valid.
    pub(crate) fn check(&self, index: usize, record: &Value, faults: &mut Vec<Fault>) -> bool {
        let Some(validator) = &self.validator else { return true };
        if validator.is_valid(record) {
            return true;
        }
        for error in validator.iter_errors(record) {
            if faults.len() >= MAX_FAULTS {
                break;
            }
            faults.push(Fault { index, field: field_of(&error), message: error.masked().to_string() });
        }
        false
    }
}

/// For the table of keys.
pub(crate) fn check_inline(text: &str) -> Result<(), String> {
    compile(text).map(|_| ())
}

/// Formats are checked, patterns run in linear time, and `$ref` reaches nothing outside of the schema.
fn compile(text: &str) -> Result<Validator, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("Not JSON: {error}"))?;
    if !schema.is_object() {
        return Err("Not a JSON Schema: expected an object".to_owned());
    }
    jsonschema::options()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .with_keyword("multipleOf", |_, divisor, _| match divisor.as_number().and_then(Decimal::of) {
            Some(divisor) if divisor.digits > 0 => Ok(Box::new(MultipleOf(divisor))),
            _ => Err(ValidationError::schema("multipleOf must be a number above 0 of at most 30 digits")),
        })
        .build(&schema)
        .map_err(|error| format!("Not a JSON Schema: {error}"))
}

fn read(path: &str) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("Cannot be opened: {}", error.kind()))?;
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Err("Not a regular file".to_owned());
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| format!("Cannot be read: {}", error.kind()))?;
    if text.len() as u64 > MAX_FILE {
        return Err("Larger than 1 MiB".to_owned());
    }
    Ok(text)
}

/// The field at fault, which for a missing or surplus one is not where the validator stood.
fn field_of(error: &ValidationError<'_>) -> String {
    let at = error.instance_path().as_str();
    let name = match error.kind() {
        ValidationErrorKind::Required { property } => property.as_str(),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected.first().map(String::as_str),
        _ => None,
    };
    match name {
        Some(name) => format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
        None => at.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(schema: &str, record: &str) -> Vec<(String, String)> {
        let rules = Rules::inline(schema).expect("schema");
        let mut faults = Vec::new();
        let valid = rules.check(4, &serde_json::from_str(record).expect("json"), &mut faults);
        assert_eq!(valid, faults.is_empty());
        assert!(faults.iter().all(|fault| fault.index == 4));
        faults.into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    #[test]
    fn faults_name_the_field_and_never_the_value() {
        let schema = r#"{"type":"object","required":["orderId","price"],"additionalProperties":false,
            "properties":{"orderId":{"type":"string"},"price":{"type":"number","exclusiveMinimum":0},
            "a/b":{"type":"array","items":{"type":"integer"}},"at":{"type":"string","format":"date-time"}}}"#;
        assert_eq!(faults(schema, r#"{"orderId":"1","price":1.5,"a/b":[1],"at":"2026-11-20T14:00:00Z"}"#), []);
        let at = |record: &str| faults(schema, record);
        let pair = |field: &str, message: &str| (field.to_owned(), message.to_owned());
        assert_eq!(at(r#"{"orderId":"1"}"#), [pair("/price", "\"price\" is a required property")]);
        assert_eq!(at(r#"{"orderId":"1","price":"s3cret"}"#), [pair("/price", "value is not of type \"number\"")]);
        assert_eq!(at(r#"{"orderId":"1","price":1,"a/b":[1,"x"]}"#)[0].0, "/a~1b/1");
        assert_eq!(at(r#"{"orderId":"1","price":1,"extra":2}"#)[0].0, "/extra");
        assert_eq!(at(r#"{"orderId":"1","price":1,"at":"yesterday"}"#)[0].0, "/at");
        assert_eq!(at("7")[0].0, "");
    }

    #[test]
    fn prices_are_multiples_of_a_cent_as_people_count() {
        let rules = Rules::inline(r#"{"multipleOf":0.01}"#).expect("schema");
        let valid = |text: &str| rules.check(0, &serde_json::from_str(text).expect("json"), &mut Vec::new());
        for cents in (0..2_000_000).step_by(7) {
            let price = format!("{}.{:02}", cents / 100, cents % 100);
            assert!(valid(&price), "{price}");
        }
        assert!(valid("9999999999.99") && valid("7") && valid("-0.03") && valid("1e3") && valid("0"));
        let mut faults = Vec::new();
        assert!(!valid("0.001") && !valid("19.995") && !valid("1e-9"));
        assert!(!rules.check(0, &serde_json::json!(19.995), &mut faults));
        assert_eq!(faults[0].message, "value is not a multiple of 0.01");
    }

    #[test]
    fn a_schema_reaches_nothing_outside() {
        for reference in ["file:///etc/passwd", "http://127.0.0.1:1/x.json"] {
            let error = Rules::inline(&format!(r#"{{"$ref":"{reference}"}}"#)).expect_err("refused");
            assert!(error.message().starts_with("Invalid value for configuration http.schema: "), "{error}");
        }
    }

    #[test]
    fn patterns_cannot_be_made_to_hang() {
        let text = "a".repeat(50_000);
        let started = std::time::Instant::now();
        assert_eq!(faults(r#"{"pattern":"^(a+)+$"}"#, &format!("\"{text}!\"")).len(), 1);
        assert!(started.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_file_is_not_told() {
        let error = Rules::file("/etc/hostname").expect_err("no schema").message().to_owned();
        assert!(error.starts_with("Invalid value /etc/hostname for configuration http.schema.file: Not a JSON Schema"));
        let error = Rules::file("/nowhere").expect_err("no file").message().to_owned();
        assert!(error.ends_with("Cannot be opened: entity not found"), "{error}");
        assert!(Rules::file("/dev/zero").expect_err("device").message().ends_with("Not a regular file"));
    }
}
