//! What an offset of a file looks like: `{"filename": …}` and `{"position": …}`.

use millrace_api::config::Props;
use millrace_api::connector::Json;
use millrace_api::{Error, Result};

pub(crate) const FILENAME: &str = "filename";
pub(crate) const POSITION: &str = "position";

/// Whether a file is read, rather than standard input.
pub(crate) fn names_file(props: &Props) -> bool {
    props.get("file").is_some_and(|file| !file.trim().is_empty())
}

/// Checks offsets that an operator wants. Whether the file is so long is seen when the task starts. Any partition may be removed:
/// there could be some of former configurations.
pub(crate) fn check(props: &Props, offsets: &[(Json, Option<Json>)]) -> Result<()> {
    if !names_file(props) {
        return Err(Error::external(
            "Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used for input and \
             offsets are not tracked.",
        ));
    }
    for (partition, offset) in offsets {
        let Some(offset) = offset else { continue };
        let position = offset.get(POSITION).ok_or_else(|| {
            Error::external(format!("Offset objects should either be null or contain the key '{POSITION}'"))
        })?;
        let position = position.as_i64().ok_or_else(|| {
            Error::external(format!("The value for the '{POSITION}' key in the offset is expected to be a Long value"))
        })?;
        if position < 0 {
            return Err(Error::external(format!(
                "The value for the '{POSITION}' key in the offset should be a non-negative value"
            )));
        }
        if !partition.contains_key(FILENAME) {
            return Err(Error::external(format!("Partition objects should contain the key '{FILENAME}'")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(file: &str, partition: &str, offset: &str) -> Result<(), String> {
        let json = |text: &str| serde_json::from_str::<Json>(text).unwrap();
        let props = Props::from_iter([("file".to_owned(), file.to_owned())]);
        let offset = (offset != "null").then(|| json(offset));
        check(&props, &[(json(partition), offset)]).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn offsets_of_files_are_told_from_others() {
        let file = r#"{"filename":"f"}"#;
        assert_eq!(checked("f", file, r#"{"position":3}"#), Ok(()));
        assert_eq!(checked("f", r#"{"other":1}"#, "null"), Ok(()), "anything may be removed");
        assert!(checked(" ", file, "null").unwrap_err().contains("'file' configuration is unspecified"));
        assert!(checked("f", file, r#"{"pos":3}"#).unwrap_err().contains("contain the key 'position'"));
        for wrong in [r#"{"position":"3"}"#, r#"{"position":1.5}"#, r#"{"position":null}"#] {
            assert!(checked("f", file, wrong).unwrap_err().contains("Long value"), "{wrong}");
        }
        assert!(checked("f", file, r#"{"position":-1}"#).unwrap_err().contains("non-negative"));
        assert!(checked("f", "{}", r#"{"position":3}"#).unwrap_err().contains("contain the key 'filename'"));
    }
}
