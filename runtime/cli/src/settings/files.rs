//! Reading configuration files: Java properties, TOML, and connector JSON as it is POSTed.

use std::path::Path;

use config::{FileFormat, Source as _, ValueKind};
use millrace_api::config::Props;
use millrace_api::{Error, Result};
use serde_json::Value;

/// Properties of a worker or connector from a Java properties file, in the order of the file.
fn read_properties(path: &Path) -> Result<Props> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path).because(error))?;
    let mut props = Props::new();
    java_properties::PropertiesIter::new(bytes.as_slice())
        .read_into(|key, value| {
            props.insert(key.clone(), value);
        })
        .map_err(|error| Error::config(format!("{} is no Java properties file", path.display())).because(error))?;
    Ok(props)
}

/// Properties of a worker: TOML when the file's name ends so, else Java properties.
pub(crate) fn read_worker(path: &Path) -> Result<Props> {
    if path.extension().is_none_or(|extension| extension != "toml") {
        return read_properties(path);
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path).because(error))?;
    parse_toml(&text).map_err(|error| error.with("file", path.display()))
}

/// Tables become dots, arrays become commas. A key whose beginning is a key itself is quoted: `"key.converter.schemas.enable"`.
fn parse_toml(text: &str) -> Result<Props> {
    let table = config::File::from_str(text, FileFormat::Toml)
        .collect()
        .map_err(|error| Error::config("the file is not valid TOML").because(error))?;
    let mut props = Props::new();
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (key, value) in entries {
        flatten(&key, value.kind, &mut props)?;
    }
    Ok(props)
}

fn flatten(key: &str, value: ValueKind, props: &mut Props) -> Result<()> {
    let text = match value {
        ValueKind::Table(table) => {
            let mut entries: Vec<_> = table.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            return entries
                .into_iter()
                .try_for_each(|(inner, value)| flatten(&format!("{key}.{inner}"), value.kind, props));
        }
        ValueKind::Array(items) => {
            let texts = items.into_iter().map(|item| match item.kind {
                ValueKind::Table(_) | ValueKind::Array(_) | ValueKind::Nil => Err(Error::config(format!(
                    "Invalid value for configuration {key}: a list has only texts and numbers"
                ))),
                plain => Ok(plain.to_string()),
            });
            texts.collect::<Result<Vec<_>>>()?.join(",")
        }
        ValueKind::Nil => String::new(),
        plain => plain.to_string(),
    };
    if props.insert(key.to_owned(), text).is_some() {
        return Err(Error::config(format!("Invalid configuration {key}: it is there twice")));
    }
    Ok(())
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
    fn tables_become_dots_and_lists_commas() {
        let text = r#"
            listeners = ["http://:8083", "http://:8084"]
            "key.converter" = "A"
            "key.converter.schemas.enable" = false
            [group]
            id = "g"
            [topics."orders.v1"]
            partitions = 3
            config."retention.ms" = 5
        "#;
        let props = parse_toml(text).expect("valid");
        let expected = [
            ("group.id", "g"),
            ("key.converter", "A"),
            ("key.converter.schemas.enable", "false"),
            ("listeners", "http://:8083,http://:8084"),
            ("topics.orders.v1.config.retention.ms", "5"),
            ("topics.orders.v1.partitions", "3"),
        ];
        let mut found: Vec<_> = props.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
        for wrong in ["a = ", "a = [[1]]", "\"a.b\" = 1\n[a]\nb = 2"] {
            assert!(parse_toml(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn posted_json_and_flat_json_are_the_same_connector() {
        let posted =
            parse_connector_json(br#"{"name":"a","config":{"tasks.max":3,"connector.class":"X"}}"#).expect("posted");
        let flat = parse_connector_json(br#"{"tasks.max":"3","connector.class":"X","name":"a"}"#).expect("flat");
        assert_eq!(posted, flat);
    }
}
