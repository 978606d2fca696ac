//! The key `spec`.

use millrace_sdk::encoded;
use millrace_sdk::prelude::*;

/// What is cast.
pub(super) enum Spec {
    /// All of the key or value.
    Whole(Kind),
    /// Fields, each once.
    Fields(Vec<FieldCast>),
}

/// A field that is cast.
pub(super) struct FieldCast {
    name: String,
    /// The name as it is in a map.
    pub(super) encoded: Box<[u8]>,
    pub(super) target: Kind,
}

/// Types that values can be cast to, as error messages list them.
const TARGETS: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]";

impl Spec {
    /// Reads the entries of `spec`. As in Java colons at the end of one do not count.
    ///
    /// # Errors
    /// Kafka Connect's words for what is wrong.
    pub(super) fn parse(entries: &[String]) -> Result<Self, String> {
        let (mut fields, mut whole) = (Vec::<FieldCast>::new(), None);
        for entry in entries {
            let pair = entry.trim_end_matches(':');
            match pair.split_once(':') {
                None if pair.is_empty() && !entry.is_empty() => return Err(no_pair(entries, entry)),
                None => whole = Some(target(pair)?),
                Some((_, name)) if name.contains(':') => return Err(no_pair(entries, entry)),
                Some((name, target_name)) => {
                    let (name, target) = (trim(name), target(target_name)?);
                    fields.retain(|known| known.name != name);
                    fields.push(FieldCast { name: name.to_owned(), encoded: encoded(name), target });
                }
            }
        }
        match whole {
            _ if entries.is_empty() => Err("Must specify at least one field to cast.".to_owned()),
            Some(_) if entries.len() > 1 => {
                Err("Cast transformations that specify a type to cast the entire value to \
                may only specify a single cast in their spec"
                    .to_owned())
            }
            Some(target) => Ok(Self::Whole(target)),
            None => Ok(Self::Fields(fields)),
        }
    }

    /// As [`Spec::parse`] for the text of the key.
    pub(super) fn check(text: &str) -> Result<(), String> {
        let entries: Vec<_> = text.split(',').map(|entry| trim(entry).to_owned()).collect();
        Self::parse(if text.is_empty() { &[] } else { &entries }).map(|_| ())
    }

    /// The new type of the field called `name`, if it gets one.
    pub(super) fn target(&self, name: &str) -> Option<Kind> {
        let Self::Fields(fields) = self else { return None };
        fields.iter().find(|field| field.name == name).map(|field| field.target)
    }
}

fn target(name: &str) -> Result<Kind, String> {
    let name = trim(name);
    let upper = name.to_uppercase();
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == upper) else {
        return Err(format!(
            "Invalid value java.lang.IllegalArgumentException: No enum constant \
             org.apache.kafka.connect.data.Schema.Type.{upper} for configuration Invalid type found in casting spec: {name}"
        ));
    };
    if matches!(kind, Kind::Bytes | Kind::Array | Kind::Map | Kind::Struct) {
        return Err(format!("Cast transformation does not support casting to {upper}; supported types are {TARGETS}"));
    }
    Ok(kind)
}

fn no_pair(entries: &[String], entry: &str) -> String {
    format!("Invalid value [{}] for configuration renames: Invalid rename mapping: {entry}", entries.join(", "))
}

/// As Java's `String.trim`.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}
