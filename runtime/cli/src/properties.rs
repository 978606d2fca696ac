//! Reading configuration files: Java properties, and connector JSON as it is POSTed.

use std::path::Path;

use millrace_api::config::Props;
use millrace_api::{Error, Result};
use serde_json::Value;

/// Properties of a worker or connector from a Java properties file, in the order of the file.
pub(crate) fn read_properties(path: &Path) -> Result<Props> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path).because(error))?;
    let mut props = Props::new();
    java_properties::PropertiesIter::new(bytes.as_slice())
        .read_into(|key, value| {
            props.insert(key, value);
        })
        .map_err(|error| Error::config(format!("{} is no Java properties file", path.display())).because(error))?;
    Ok(props)
}

/// Name and configuration of a connector: `{"name", "config"}`, a flat JSON object with `name`, or a properties file.
pub(crate) fn read_connector(path: &Path) -> Result<(String, Props)> {
    let mut props = if path.extension().is_some_and(|extension| extension == "json") {
        let bytes = std::fs::read(path).map_err(|error| unreadable(path).because(error))?;
        parse_connector_json(&bytes).map_err(|error| error.with("file", path.display()))?
    } else {
        read_properties(path)?
    };
    let Some(name) = props.get("name").filter(|name| !name.is_empty()).cloned() else {
        return Err(Error::config("Missing required configuration \"name\" which has no default value.")
            .with("file", path.display()));
    };
    props.insert("name".to_owned(), name.clone());
    Ok((name, props))
}

/// The configuration in a connector's JSON, with its name.
pub(crate) fn parse_connector_json(bytes: &[u8]) -> Result<Props> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::config("the connector is no JSON object").because(error))?;
    let wrapped = value.get("config").and_then(Value::as_object);
    let Some(object) = wrapped.or_else(|| value.as_object()) else {
        return Err(Error::config("a connector must be a JSON object: {\"name\": …, \"config\": {…}}"));
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut props: Props = object.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    if let (Some(name), Some(_)) = (value.get("name").and_then(Value::as_str), wrapped) {
        props.insert("name".to_owned(), name.to_owned());
    }
    Ok(props)
}

fn unreadable(path: &Path) -> Error {
    Error::config(format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posted_json_and_flat_json_are_the_same_connector() {
        let posted =
            parse_connector_json(br#"{"name":"a","config":{"tasks.max":3,"connector.class":"X"}}"#).expect("posted");
        let flat = parse_connector_json(br#"{"tasks.max":"3","connector.class":"X","name":"a"}"#).expect("flat");
        assert_eq!(posted, flat);
    }
}
