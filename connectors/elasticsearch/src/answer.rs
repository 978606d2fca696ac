//! What the server says about each operation of a bulk request.

use millrace_api::{Error, Result};
use serde::Deserialize;

use crate::operation::Conflict;

/// Error types that Confluent's connector calls malformed documents.
const MALFORMED: [&str; 5] = [
    "strict_dynamic_mapping_exception",
    "mapper_parsing_exception",
    "illegal_argument_exception",
    "action_request_validation_exception",
    "document_parsing_exception",
];

/// Longest reason that is passed on.
const MAX_REASON: usize = 500;

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Done.
    Done,
    /// The index holds the same or something newer.
    Newer,
    /// No room at the moment, for this reason: try again.
    Again(String),
    /// The document does not fit the mapping.
    Malformed(String),
    /// The record is at fault otherwise.
    Refused(String),
    /// Not about the record: nothing will be written until somebody does something.
    Broken(String),
}

#[derive(Deserialize)]
struct Answer {
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(alias = "index", alias = "create", alias = "update", alias = "delete")]
    operation: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    error: Option<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(rename = "type", default)]
    class: String,
    #[serde(default)]
    reason: String,
}

/// The fate of each operation, given what a conflict means for it.
///
/// # Errors
/// [`millrace_api::ErrorKind::Retriable`] when the answer is no answer to these operations.
pub(crate) fn fates(body: &[u8], conflicts: impl ExactSizeIterator<Item = Conflict>) -> Result<Vec<Fate>> {
    let expected = conflicts.len();
    if body.starts_with(b"{\"errors\":false,") {
        return Ok(vec![Fate::Done; expected]);
    }
    let strange = || Error::retriable("Elasticsearch answered a bulk request with something else");
    let answer: Answer = serde_json::from_slice(body).map_err(|_| strange())?;
    if !answer.errors {
        return Ok(vec![Fate::Done; expected]);
    }
    if answer.items.len() != expected {
        return Err(strange());
    }
    Ok(answer.items.into_iter().zip(conflicts).map(|(item, conflict)| item.operation.fate(conflict)).collect())
}

impl Outcome {
    fn fate(self, conflict: Conflict) -> Fate {
        let Some(Reason { class, reason }) = self.error else {
            // A document to be deleted that is not there: 404 without an error.
            return Fate::Done;
        };
        let text = format!("{class}: {}", without_contents(&reason));
        match (self.status, conflict) {
            (409, Conflict::Newer) => Fate::Newer,
            (409, Conflict::Done) => Fate::Done,
            (409, Conflict::Race) => Fate::Again(text),
            (429 | 502..=504, _) => Fate::Again(text),
            _ if MALFORMED.contains(&class.as_str()) => Fate::Malformed(text),
            (400, _) if class != "index_closed_exception" => Fate::Refused(text),
            _ => Fate::Broken(text),
        }
    }
}

/// A reason without what the server quotes of the document: its id, and a preview of the field's value.
fn without_contents(reason: &str) -> String {
    let mut text = reason.replace(['\n', '\r'], " ");
    for quote in [" in document with id", ". Preview of field's value", ": For input string"] {
        if let Some(at) = text.find(quote) {
            text.truncate(at);
        }
    }
    let end = (0..=MAX_REASON.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(item: &str, conflict: Conflict) -> Fate {
        let body = format!(r#"{{"errors":true,"items":[{item}]}}"#);
        fates(body.as_bytes(), std::iter::once(conflict)).expect("answer").remove(0)
    }

    #[test]
    fn each_status_has_its_fate() {
        let item = |status: u16, class: &str| {
            format!(r#"{{"index":{{"status":{status},"error":{{"type":"{class}","reason":"because"}}}}}}"#)
        };
        let text = |class: &str| format!("{class}: because");
        for (status, class, conflict, fate) in [
            (409, "version_conflict_engine_exception", Conflict::Newer, Fate::Newer),
            (409, "version_conflict_engine_exception", Conflict::Done, Fate::Done),
            (409, "c", Conflict::Race, Fate::Again(text("c"))),
            (
                429,
                "es_rejected_execution_exception",
                Conflict::Race,
                Fate::Again(text("es_rejected_execution_exception")),
            ),
            (503, "unavailable_shards_exception", Conflict::Newer, Fate::Again(text("unavailable_shards_exception"))),
            (400, "document_parsing_exception", Conflict::Newer, Fate::Malformed(text("document_parsing_exception"))),
            (400, "routing_missing_exception", Conflict::Newer, Fate::Refused(text("routing_missing_exception"))),
            (403, "cluster_block_exception", Conflict::Newer, Fate::Broken(text("cluster_block_exception"))),
            (404, "index_not_found_exception", Conflict::Newer, Fate::Broken(text("index_not_found_exception"))),
            (500, "null_pointer_exception", Conflict::Newer, Fate::Broken(text("null_pointer_exception"))),
        ] {
            assert_eq!(judge(&item(status, class), conflict), fate);
        }
        assert_eq!(judge(r#"{"delete":{"status":404}}"#, Conflict::Newer), Fate::Done);
    }

    #[test]
    fn what_is_quoted_of_a_document_is_cut_off() {
        let reason = "[1:9] failed to parse field [price] of type [float] in document with id 'k'. Preview of field's value: 'x'";
        assert_eq!(without_contents(reason), "[1:9] failed to parse field [price] of type [float]");
        assert_eq!(without_contents("a\nb"), "a b");
    }

    #[test]
    fn an_answer_to_something_else_is_no_success() {
        let two = || [Conflict::Newer, Conflict::Newer].into_iter();
        assert!(fates(b"<html>", two()).is_err());
        assert!(fates(br#"{"errors":true,"items":[{"index":{"status":201}}]}"#, two()).is_err());
        assert_eq!(fates(br#"{"errors":false,"items":[]}"#, two()).expect("fine"), vec![Fate::Done; 2]);
    }
}
