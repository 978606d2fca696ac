//! Every file that people copy is read, and what can be checked without servers is.

#![allow(clippy::expect_used, reason = "tests may")]

use std::path::Path;

use millrace_scenarios::repository;
use serde_json::Value;

fn files(dir: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

#[test]
fn connectors_are_as_they_are_posted() {
    let connectors = files(&repository().join("configs"), "json");
    assert!(connectors.len() >= 10);
    for path in connectors {
        let text = std::fs::read_to_string(&path).expect("readable");
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(value["name"].as_str(), path.file_stem().and_then(|stem| stem.to_str()), "{}", path.display());
        let config = value["config"].as_object().expect("config");
        assert!(
            config.values().all(Value::is_string),
            "{}: values are strings, as Kafka Connect shows them",
            path.display()
        );
        assert!(config.contains_key("connector.class"));
        for (key, nested) in config.iter().filter(|(key, _)| key.ends_with("schema") || key.ends_with("mappings")) {
            let nested: Result<Value, _> = serde_json::from_str(nested.as_str().expect("text"));
            assert!(nested.is_ok(), "{}: {key} is no JSON", path.display());
        }
    }
}

#[test]
fn worker_files_are_java_properties() {
    let workers = files(&repository().join("configs"), "properties");
    assert!(workers.len() >= 2);
    for path in workers {
        let bytes = std::fs::read(&path).expect("readable");
        let props =
            java_properties::read(bytes.as_slice()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(props.contains_key("listeners") && props.contains_key("data.dir"), "{}", path.display());
    }
}

#[test]
fn kibana_objects_refer_to_each_other() {
    let text =
        std::fs::read_to_string(repository().join("configs/shopstream/kibana/shopstream.ndjson")).expect("readable");
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let known: Vec<(&str, &str)> =
        objects.iter().map(|o| (o["type"].as_str().expect("type"), o["id"].as_str().expect("id"))).collect();
    for object in &objects {
        for reference in object["references"].as_array().expect("references") {
            let wanted = (reference["type"].as_str().expect("type"), reference["id"].as_str().expect("id"));
            assert!(known.contains(&wanted), "{wanted:?} is referred to but not there");
        }
    }
    assert!(known.iter().any(|(kind, _)| *kind == "index-pattern"));
}

#[test]
fn the_compose_file_has_what_the_scenario_names() {
    let text = std::fs::read_to_string(repository().join("docker-compose.yml")).expect("readable");
    let mut compose: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).expect("YAML");
    compose.apply_merge().expect("merge keys");
    let services = compose["services"].as_mapping().expect("services");
    for name in ["kafka-1", "kafka-2", "mysql", "elasticsearch", "kibana", "millrace"] {
        let service = services.get(name).unwrap_or_else(|| panic!("no service {name}"));
        assert!(service.get("image").is_some() || service.get("build").is_some(), "{name} has neither image nor build");
        for dependency in service.get("depends_on").and_then(|d| d.as_mapping()).into_iter().flat_map(|m| m.keys()) {
            assert!(services.contains_key(dependency), "{name} depends on {dependency:?}, which is not there");
        }
        for mount in service.get("volumes").and_then(|v| v.as_sequence()).into_iter().flatten() {
            let source = mount.as_str().and_then(|mount| mount.split(':').next()).expect("source:target");
            let there = !source.starts_with("./") || repository().join(source).exists();
            assert!(there, "{name} mounts {source}, which is not there");
        }
    }
    // The host names in the connectors are services of the compose file.
    for path in files(&repository().join("configs/shopstream/connectors"), "json") {
        let text = std::fs::read_to_string(&path).expect("readable");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        if let Some(url) = value["config"]["connection.url"].as_str() {
            let host = url.split("//").nth(1).and_then(|rest| rest.split([':', '/']).next()).expect("a host");
            assert!(services.contains_key(host), "{}: no service {host}", path.display());
        }
    }
}
