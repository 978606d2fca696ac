//! The closed list of client settings. A setting has Kafka's name and is translated to librdkafka's; a name that is not in
//! [`table`] never reaches the C library, whatever its origin. There is no pass-through: some of librdkafka's own settings load
//! libraries, run shell commands or read files. What is checked is the resolved settings of a client, not a prefix of some
//! configuration, so that it does not matter how they were nested.

mod near;
mod raw;
mod table;

use millrace_api::config::Props;
use millrace_api::error::{Error, Result};

use crate::security::Security;
use table::{Entry, ROLES, Rule, TABLE};

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
    Admin,
}

/// Who gave a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The worker's configuration, whose author may read what the worker may read.
    Worker,
    /// A connector's configuration, which anybody may have sent.
    Connector,
}

/// Translated settings.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// librdkafka's names and values.
    pub(crate) native: Vec<(&'static str, String)>,
    /// How to connect; not among the above.
    pub(crate) security: Security,
    /// Settings that Millrace acts upon by itself, by their Kafka names.
    own: Vec<(&'static str, String)>,
}

impl Settings {
    /// A setting that Millrace acts upon by itself.
    pub(crate) fn own(&self, key: &str) -> Option<&str> {
        self.own.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }
}

/// Translates the settings of a client: the worker's, and the connector's over them. Reads the files that the worker's name.
///
/// A setting that no client knows, or only clients of another role, is dropped with a warning, as by Kafka's clients.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming key, cause and fix.
pub(crate) fn translate(role: Role, worker: &Props, overrides: &Props) -> Result<Settings> {
    let mut settings = Settings::default();
    let mut given = worker.clone();
    given.extend(overrides.iter().map(|(key, value)| (key.clone(), value.clone())));
    for (key, value) in &given {
        let origin = if overrides.contains_key(key) { Origin::Connector } else { Origin::Worker };
        let Some(entry) = find(key)? else { continue };
        if entry.roles.contains(&role) {
            entry.apply(value.trim(), &given, origin, &mut settings)?;
        } else {
            warn_of_role(entry, role);
        }
    }
    settings.security = Security::from_props(&given)?;
    Ok(settings)
}

/// Checks settings of a connector's client whose role is not known: each must be right for a client that knows it.
///
/// # Errors
/// As [`translate`].
pub(crate) fn check(overrides: &Props) -> Result<()> {
    let mut settings = Settings::default();
    for (key, value) in overrides {
        if let Some(entry) = find(key)? {
            entry.apply(value.trim(), overrides, Origin::Connector, &mut settings)?;
        }
    }
    Security::check(overrides)
}

/// Whether a name in a worker's configuration is a setting of its own clients. What the worker itself is called by that name is
/// not: its group and what members of it agree on, and who it is.
pub(crate) fn of_client(role: Role, key: &str) -> bool {
    const WORKERS: [&str; 5] =
        ["group.id", "client.id", "session.timeout.ms", "heartbeat.interval.ms", "group.instance.id"];
    let entry = TABLE.iter().find(|entry| entry.name == key);
    entry.is_some_and(|entry| {
        entry.roles.contains(&role) && !matches!(entry.rule, Rule::Refused(_)) && !WORKERS.contains(&key)
    })
}

/// The entry of a name; `None`, after a warning, for one that neither Kafka nor librdkafka knows.
fn find(key: &str) -> Result<Option<&'static Entry>> {
    if let Some(entry) = TABLE.iter().find(|entry| entry.name == key) {
        return Ok(Some(entry));
    }
    if let Some(name) = raw::named(key) {
        let kafka = TABLE.iter().find(|entry| entry.natives().contains(&name)).map(|entry| entry.name);
        let kafka = raw::instead(name).or(kafka).map_or(String::new(), |kafka| format!(" and use {kafka}"));
        return Err(Error::config(format!(
            "Invalid configuration {name}: it is a setting of librdkafka, and only those of Kafka's Java clients are accepted; \
             remove it{kafka}"
        )));
    }
    let names = TABLE.iter().filter(|entry| !matches!(entry.rule, Rule::Refused(_))).map(|entry| entry.name);
    let hint = near::nearest(key, names).map_or(String::new(), |name| format!(" (did you mean {name}?)"));
    let shown: String = key.chars().filter(|c| !c.is_control()).take(100).collect();
    tracing::warn!("the configuration {shown} is not one of Kafka's clients and has no effect; remove it{hint}");
    Ok(None)
}

fn warn_of_role(entry: &Entry, role: Role) {
    let name = |role: &Role| ROLES.iter().find(|(known, _)| known == role).map_or("", |(_, name)| *name);
    let knowing: Vec<_> = entry.roles.iter().map(name).collect();
    let (knowing, role) = (knowing.join(" and "), name(&role));
    tracing::warn!("the configuration {} is one of {knowing} and has no effect on {role}; remove it", entry.name);
}

impl Entry {
    /// librdkafka's names for it.
    fn natives(&self) -> &[&'static str] {
        match &self.rule {
            Rule::Int { names, .. } | Rule::IntOrOff { names, .. } => names,
            Rule::Kilobytes { name, .. } => std::slice::from_ref(name),
            _ => &[],
        }
    }

    fn apply(&self, value: &str, props: &Props, origin: Origin, settings: &mut Settings) -> Result<()> {
        match &self.rule {
            Rule::Int { names, min, max } => {
                let value = self.int(value, *min, *max)?;
                settings.native.extend(names.iter().map(|name| (*name, value.to_string())));
            }
            Rule::IntOrOff { names, max } => {
                let value = self.int(value, -1, *max)?.max(0);
                settings.native.extend(names.iter().map(|name| (*name, value.to_string())));
            }
            Rule::Kilobytes { name, max } => {
                let bytes = self.int(value, 0, *max)?;
                settings.native.push((name, (bytes / 1024).max(1).to_string()));
            }
            Rule::Choice { name, values } => {
                let lower = value.to_ascii_lowercase();
                let Some((_, native)) = values.iter().find(|(kafka, _)| *kafka == lower) else {
                    let allowed: Vec<_> = values.iter().map(|(kafka, _)| *kafka).collect();
                    return Err(self.invalid(&format!("use {}", allowed.join(", "))));
                };
                settings.native.push((name, (*native).to_owned()));
            }
            Rule::Text { name } => {
                if value.contains(|c: char| c.is_control()) || value.len() > 1_000 {
                    return Err(self.invalid("use up to 1000 printable characters"));
                }
                settings.native.push((name, value.to_owned()));
            }
            Rule::Only { values, reason } => {
                if !values.iter().any(|allowed| allowed.eq_ignore_ascii_case(value)) {
                    return Err(self.invalid(reason));
                }
            }
            Rule::Level { codec, min, max } => {
                let level = self.int(value, *min, *max)?;
                if props.get("compression.type").is_some_and(|used| used.trim().eq_ignore_ascii_case(codec)) {
                    settings.native.push(("compression.level", level.to_string()));
                }
            }
            Rule::Assignors => settings.native.push(("partition.assignment.strategy", self.assignors(value)?)),
            Rule::OwnCount => {
                let value = self.int(value, 1, i64::from(i32::MAX))?;
                settings.own.push((self.name, value.to_string()));
            }
            Rule::OwnText => {
                if value.is_empty() || value.contains(|c: char| c.is_control()) {
                    return Err(self.invalid("use one or more printable characters"));
                }
                settings.own.push((self.name, value.to_owned()));
            }
            Rule::Security => {}
            Rule::WorkerOnly => {
                if origin == Origin::Connector {
                    return Err(Error::config(format!(
                        "Invalid configuration {}: connectors may not make the worker read files or trust addresses; remove it, or \
                         set it in the worker's configuration{}",
                        self.name,
                        if self.name.starts_with("ssl.") { ", or give the content itself as PEM" } else { "" }
                    )));
                }
            }
            Rule::Unheeded(reason) => tracing::warn!("the configuration {} has no effect: {reason}", self.name),
            Rule::Ignored(reason) => tracing::debug!(key = self.name, reason, "Kafka client setting has no effect"),
            Rule::Refused(reason) => {
                return Err(Error::config(format!("Invalid configuration {}: {reason}; remove it", self.name)));
            }
        }
        Ok(())
    }

    fn int(&self, value: &str, min: i64, max: i64) -> Result<i64> {
        match value.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.invalid(&format!("use a whole number from {min} to {max}"))),
        }
    }

    /// Kafka takes the first class that all members of a group know. librdkafka cannot mix assignors that revoke everything with
    /// one that does not, and neither does Kafka when it is given both: it uses the former.
    fn assignors(&self, value: &str) -> Result<String> {
        let allowed = "use RangeAssignor, RoundRobinAssignor or CooperativeStickyAssignor";
        let mut eager = Vec::new();
        for class in value.split(',').map(str::trim).filter(|class| !class.is_empty()) {
            match class.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(class) {
                "RangeAssignor" | "range" => eager.push("range"),
                "RoundRobinAssignor" | "roundrobin" => eager.push("roundrobin"),
                "CooperativeStickyAssignor" | "cooperative-sticky" => {}
                _ => return Err(self.invalid(allowed)),
            }
        }
        if value.trim().is_empty() {
            return Err(self.invalid(allowed));
        }
        Ok(if eager.is_empty() { "cooperative-sticky".to_owned() } else { eager.join(",") })
    }

    fn invalid(&self, fix: &str) -> Error {
        Error::config(format!("Invalid value for configuration {}: {fix}", self.name))
    }
}

#[cfg(test)]
mod tests;
