//! Config providers against what Kafka's `ConfigTransformer` answered (`golden/config-transformer-4.3.1.json`), and the attacks on
//! them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::fs;
use std::path::Path;

use millrace_api::config::Props;
use millrace_core::providers::{Environment, Providers, Redactor};

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn environment() -> Environment {
    [("USER_A", "alice"), ("PASS", "p:w}x"), ("EMPTY", "")]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// The files that the recording had: `in` is allowed, `out` is not.
fn files(dir: &Path) {
    fs::create_dir_all(dir.join("in")).unwrap();
    fs::create_dir_all(dir.join("out")).unwrap();
    let properties = "user=bob\npass = s3cr\\u0065t \nempty=\n${k}=odd\nnested=${env:USER_A}\n";
    fs::write(dir.join("in/s.properties"), properties).unwrap();
    fs::write(dir.join("in/token"), "tok\n").unwrap();
    fs::write(dir.join("out/t.properties"), "user=eve\n").unwrap();
    fs::write(dir.join("out/token"), "evil").unwrap();
}

fn worker(dir: &Path) -> Props {
    let allowed = dir.join("in").display().to_string();
    props(&[
        ("config.providers", "env,lim,file,dir,k8s"),
        ("config.providers.env.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider"),
        ("config.providers.lim.class", "io.strimzi.kafka.EnvVarConfigProvider"),
        ("config.providers.lim.param.allowlist.pattern", "USER_.*"),
        ("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider"),
        ("config.providers.file.param.allowed.paths", &allowed),
        ("config.providers.dir.class", "org.apache.kafka.common.config.provider.DirectoryConfigProvider"),
        ("config.providers.dir.param.allowed.paths", &allowed),
        ("config.providers.k8s.class", "io.strimzi.kafka.KubernetesSecretConfigProvider"),
    ])
}

fn providers(dir: &Path) -> Providers {
    files(dir);
    Providers::from_worker(&worker(dir), &environment()).unwrap()
}

fn resolve(providers: &Providers, value: &str) -> Result<String, String> {
    let resolved = providers.resolve(&props(&[("k", value)])).map_err(|error| error.message().to_owned())?;
    Ok(resolved.props["k"].clone())
}

#[test]
fn variables_become_what_kafka_makes_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let providers = providers(dir.path());
    let prefix = format!("{}/", dir.path().display());
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/config-transformer-4.3.1.json")).unwrap();
    for case in golden.as_array().unwrap() {
        let value = case["value"].as_str().unwrap();
        let ours = resolve(&providers, &value.replace('@', &prefix));
        let ours = ours.map(|text| text.replace(&prefix, "@")).map_err(|text| text.replace(&prefix, "@"));
        match case["result"].as_str() {
            // Kafka reads nothing either, but leaves the variable, which a connector takes for the value.
            Some(left) if left == value && (value.contains("@out") || value.contains("../out")) => {
                assert!(
                    ours.clone().is_err_and(|error| error.contains("not allowed to be accessed")),
                    "{value}: {ours:?}"
                );
            }
            // What is allowed is told apart from what does not exist.
            Some(left) if left == value && value.contains("@nodir") => {
                assert!(
                    ours.clone().is_err_and(|error| error.contains("not allowed to be accessed")),
                    "{value}: {ours:?}"
                );
            }
            // Relative paths are outside as well.
            Some(left) if left == value && value == "${file:a:b:c}" => {
                assert!(
                    ours.clone().is_err_and(|error| error.contains("not allowed to be accessed")),
                    "{value}: {ours:?}"
                );
            }
            Some(expected) => assert_eq!(ours.as_deref(), Ok(expected), "{value}"),
            None => {
                let error = case["error"].as_str().unwrap().split_once(": ").unwrap().1;
                assert!(ours.clone().is_err_and(|ours| ours.contains(error)), "{value}: {ours:?}, not {error}");
            }
        }
    }
}

#[test]
fn errors_name_key_variable_and_fix() {
    let dir = tempfile::tempdir().unwrap();
    let providers = providers(dir.path());
    let error = resolve(&providers, "${k8s:ns/secret:password}").unwrap_err();
    assert!(
        error.contains("configuration k") && error.contains("KubernetesSecretConfigProvider is not available"),
        "{error}"
    );
    for (pairs, parts) in [
        (&[("config.providers", "x")][..], &["config.providers.x.class"][..]),
        (
            &[("config.providers", "x"), ("config.providers.x.class", "a.VaultProvider")],
            &["a.VaultProvider could not be found", "FileConfigProvider"],
        ),
        (
            &[
                ("config.providers", "x"),
                ("config.providers.x.class", "FileConfigProvider"),
                ("config.providers.x.param.allowed.paths", "relative"),
            ],
            &["config.providers.x.param.allowed.paths", "Path relative is not absolute"],
        ),
        (
            &[
                ("config.providers", "x"),
                ("config.providers.x.class", "FileConfigProvider"),
                ("config.providers.x.param.allowed.paths", "/does/not/exist"),
            ],
            &["Path /does/not/exist does not exist"],
        ),
        (
            &[
                ("config.providers", "x"),
                ("config.providers.x.class", "EnvVarConfigProvider"),
                ("config.providers.x.param.allowlist.pattern", "("),
            ],
            &["config.providers.x.param.allowlist.pattern"],
        ),
    ] {
        let error = Providers::from_worker(&props(pairs), &environment()).err().unwrap();
        for part in parts {
            assert!(error.message().contains(part), "{error}: no {part}");
        }
    }
}

/// Attack 6: nothing outside of what is allowed is read, whatever way leads there, and nothing of it is in the error.
#[test]
fn no_way_leads_out_of_the_allowed_paths() {
    let dir = tempfile::tempdir().unwrap();
    let providers = providers(dir.path());
    let root = dir.path().display().to_string();
    std::os::unix::fs::symlink(dir.path().join("out/t.properties"), dir.path().join("in/link.properties")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("out"), dir.path().join("in/linked")).unwrap();
    std::os::unix::fs::symlink("/proc/self/environ", dir.path().join("in/environ")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("in/token"), dir.path().join("in/alias")).unwrap();
    for value in [
        format!("${{file:{root}/in/link.properties:user}}"),
        format!("${{file:{root}/in/linked/t.properties:user}}"),
        format!("${{file:{root}/in/../out/t.properties:user}}"),
        format!("${{file:{root}/in/linked/../out/t.properties:user}}"),
        format!("${{file:{root}/in/environ:PATH}}"),
        "${file:/proc/self/environ:PATH}".to_owned(),
        "${file:/etc/passwd:root}".to_owned(),
        "${file:/etc/does-not-exist:root}".to_owned(),
        format!("${{dir:{root}/in/linked:token}}"),
        format!("${{dir:{root}/in/../out:token}}"),
        format!("${{dir:{root}/in:environ}}"),
        format!("${{dir:{root}/in:link.properties}}"),
        "${dir:/proc/self:environ}".to_owned(),
    ] {
        let error = resolve(&providers, &value).expect_err(&value);
        assert!(error.contains("is not allowed to be accessed") && error.contains("allowed.paths"), "{value}: {error}");
        assert!(!error.contains("eve") && !error.contains("evil"), "{error}");
    }
    for key in ["../out/token", "..", ".", "", "/etc/passwd"] {
        let value = format!("${{dir:{root}/in:{key}}}");
        assert_eq!(resolve(&providers, &value).as_deref(), Ok(value.as_str()), "left as it is");
    }
    // Secrets that Kubernetes mounts are links within the directory.
    assert_eq!(resolve(&providers, &format!("${{dir:{root}/in:alias}}")).as_deref(), Ok("tok\n"));
}

#[test]
fn without_allowed_paths_the_kernels_files_are_still_refused() {
    let worker = props(&[
        ("config.providers", "file,dir"),
        ("config.providers.file.class", "FileConfigProvider"),
        ("config.providers.dir.class", "DirectoryConfigProvider"),
    ]);
    let providers = Providers::from_worker(&worker, &environment()).unwrap();
    for value in [
        "${file:/proc/self/environ:PATH}",
        "${dir:/proc/self:environ}",
        "${file:/dev/stdin:x}",
        "${dir:/sys/kernel:notes}",
    ] {
        assert!(resolve(&providers, value).unwrap_err().contains("not allowed"), "{value}");
    }
}

#[test]
fn large_and_odd_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let providers = providers(dir.path());
    let root = dir.path().join("in");
    fs::write(root.join("large.properties"), "k=v\n".repeat(300_000)).unwrap();
    fs::write(root.join("binary.properties"), b"k=\xff\xfe\n").unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    for name in ["large.properties", "binary.properties", "folder"] {
        let error = resolve(&providers, &format!("${{file:{}:k}}", root.join(name).display())).unwrap_err();
        assert!(error.contains("Could not read properties from file"), "{name}: {error}");
    }
}

/// Attack 6: providers are the worker's alone.
#[test]
fn a_connector_brings_no_providers() {
    let providers = Providers::default();
    for key in [
        "config.providers",
        "config.providers.x.class",
        "producer.override.config.providers",
        "consumer.override.config.providers.f.class",
        "admin.override.config.providers.f.param.p",
        "schema.history.internal.producer.config.providers",
    ] {
        let errors = providers.check(&props(&[("name", "c"), (key, "x")]));
        assert_eq!(errors.len(), 1, "{key}");
        assert!(errors[0].1.contains(key) && errors[0].1.contains("worker's"), "{errors:?}");
        assert!(providers.resolve_connector(&props(&[(key, "x")])).is_err());
    }
}

/// Attack 8: a value that is to be shown as a topic's name.
#[test]
fn a_variable_is_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let strict = providers(dir.path());
    for key in [
        "name",
        "topics",
        "topics.regex",
        "topic",
        "connector.class",
        "errors.deadletterqueue.topic.name",
        "consumer.override.group.id",
    ] {
        let config = props(&[(key, "x-${env:PASS}")]);
        let errors = strict.check(&config);
        assert_eq!(errors.len(), 1, "{key}");
        assert!(errors[0].1.contains("${env:PASS}") && !errors[0].1.contains("p:w"), "{errors:?}");
        assert!(strict.resolve_connector(&config).is_err());
        // What no provider of this worker means is text.
        assert!(strict.check(&props(&[(key, "${vault:a:b}-${topic}")])).is_empty());
    }
    let mut worker = worker(dir.path());
    worker.insert("connector.config.variables.in.identifiers".to_owned(), "true".to_owned());
    let lenient = Providers::from_worker(&worker, &environment()).unwrap();
    assert!(lenient.check(&props(&[("topics", "${env:PASS}")])).is_empty());
}

/// Attack 7: a secret inside of another value.
#[test]
fn what_a_connector_makes_of_a_secret_is_kept_as_the_variable() {
    let dir = tempfile::tempdir().unwrap();
    let providers = providers(dir.path());
    let root = dir.path().display();
    let url = format!("jdbc:x://h/?password=${{file:{root}/in/s.properties:pass}}");
    let config = props(&[("connection.url", url.as_str()), ("user", "${env:USER_A}"), ("plain", "text")]);
    let resolved = providers.resolve_connector(&config).unwrap();
    assert_eq!(resolved.props["connection.url"], "jdbc:x://h/?password=s3cret ");
    let mut task = resolved.props.clone();
    task.insert("derived".to_owned(), "u=alice;p=s3cret ;".to_owned());
    resolved.unresolve(&mut task);
    assert_eq!(task["connection.url"], url);
    assert_eq!(task["user"], "${env:USER_A}");
    assert_eq!(task["plain"], "text");
    assert!(!task["derived"].contains("alice") && !task["derived"].contains("s3cret"), "{}", task["derived"]);
    let again = providers.resolve(&task).unwrap();
    assert_eq!(again.props["derived"], "u=alice;p=s3cret ;");
    assert!(!format!("{resolved:?}").contains("s3cret"));
    assert_eq!(
        Redactor::process().redact("login as alice with s3cret failed"),
        "login as [hidden] with [hidden] failed"
    );
}
