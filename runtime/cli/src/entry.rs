//! How this program was started: by its own name, or by one of the names that images for Kafka Connect start.
//!
//! | name | means |
//! |---|---|
//! | `connect-distributed.sh`, `connect-distributed` | `millrace distributed` |
//! | `connect-standalone.sh`, `connect-standalone` | `millrace standalone` |
//! | `kafka_connect_run.sh` (Strimzi) | `millrace distributed` with the file that Strimzi mounts |

use std::ffi::OsString;
use std::path::Path;

use millrace_core::providers::Environment;

/// Where Strimzi's operator mounts the worker's configuration.
const STRIMZI_FILE: &str = "/opt/kafka/custom-config/kafka-connect.properties";

/// Arguments as this program understands them, and the environment that goes with them.
pub(crate) struct Entry {
    pub(crate) args: Vec<OsString>,
    pub(crate) environment: Environment,
}

impl Entry {
    pub(crate) fn of(args: impl Iterator<Item = OsString>, mut environment: Environment) -> Self {
        let mut args: Vec<OsString> = args.collect();
        let name = args.first().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("");
        let command: &[&str] = match name.strip_suffix(".sh").unwrap_or(name) {
            "connect-distributed" => &["distributed"],
            "connect-standalone" => &["standalone"],
            "kafka_connect_run" => {
                environment
                    .entry("ADVERTISED_HOSTNAME".to_owned())
                    .or_insert_with(|| strimzi_host(&host_name(), &hosts()));
                &["distributed", STRIMZI_FILE]
            }
            _ => &[],
        };
        if !command.is_empty() {
            // Options of Kafka's start scripts, which are about the JVM.
            args.retain(|argument| !["-daemon", "-loggc"].iter().any(|option| argument == option));
            args.splice(1..1, command.iter().map(OsString::from));
        }
        Self { args, environment }
    }
}

/// The name that other pods reach this one under: the first four labels of its full name, as Strimzi's script takes them.
fn strimzi_host(name: &str, hosts: &str) -> String {
    full_name(name, hosts).split('.').take(4).collect::<Vec<_>>().join(".")
}

/// `hostname -f` where names come from the file of hosts, as in a pod: the first name of the line that has this one.
fn full_name<'a>(name: &'a str, hosts: &'a str) -> &'a str {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut names = lines.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    names.find(|names| names.contains(&name)).and_then(|names| names.first().copied()).unwrap_or(name)
}

/// The name of this machine; `localhost` when it has none.
pub(crate) fn host_name() -> String {
    let name =
        ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|path| std::fs::read_to_string(path).ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "localhost".to_owned())
}

/// The name under which other machines know this one, as Java's `InetAddress.getLocalHost().getCanonicalHostName()` finds it in the
/// file of hosts.
pub(crate) fn canonical_host_name() -> String {
    full_name(&host_name(), &hosts()).to_owned()
}

fn hosts() -> String {
    std::fs::read_to_string("/etc/hosts").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(args: &[&str]) -> Vec<String> {
        let entry = Entry::of(args.iter().map(OsString::from), Environment::new());
        entry.args.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn names_of_kafkas_scripts_are_commands() {
        assert_eq!(entry(&["/usr/bin/millrace", "topics"]), ["/usr/bin/millrace", "topics"]);
        assert_eq!(
            entry(&["bin/connect-distributed.sh", "-daemon", "w"]),
            ["bin/connect-distributed.sh", "distributed", "w"]
        );
        assert_eq!(entry(&["connect-standalone", "w", "c"]), ["connect-standalone", "standalone", "w", "c"]);
        let strimzi = entry(&["/opt/kafka/kafka_connect_run.sh"]);
        assert_eq!(strimzi[1..], ["distributed", "/opt/kafka/custom-config/kafka-connect.properties"]);
    }

    #[test]
    fn strimzi_finds_its_pod() {
        let hosts = "127.0.0.1 localhost\n# pod-0\n10.0.0.7 pod-0.connect.ns.svc.cluster.local pod-0\n";
        assert_eq!(strimzi_host("pod-0", hosts), "pod-0.connect.ns.svc");
        assert_eq!(strimzi_host("pod-1", hosts), "pod-1");
        let entry = Entry::of([OsString::from("kafka_connect_run.sh")].into_iter(), Environment::new());
        assert!(entry.environment.contains_key("ADVERTISED_HOSTNAME"));
        let given = [("ADVERTISED_HOSTNAME".to_owned(), "x".to_owned())].into_iter().collect();
        let entry = Entry::of([OsString::from("kafka_connect_run.sh")].into_iter(), given);
        assert_eq!(entry.environment["ADVERTISED_HOSTNAME"], "x");
    }
}
