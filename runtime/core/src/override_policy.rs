//! Which Kafka client settings connectors may override (`producer.override.*` and its kin): KIP-458, KIP-1188. Pure decisions; what
//! is in a value, and which names there are at all, is checked by the log.

use millrace_api::config::Props;
use millrace_api::connector::ConnectorType;
use millrace_api::error::{Error, Result};

use crate::convert::strip_prefix;

const POLICY_KEY: &str = "connector.client.config.override.policy";
const ALLOWLIST_KEY: &str = "connector.client.config.override.allowlist";

/// `connector.client.config.override.policy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// What the allowlist names. Millrace's default; Kafka Connect's is [`Policy::All`].
    #[default]
    Allowlist,
    /// Everything.
    All,
    /// Who the connector is: `security.protocol`, `sasl.mechanism`, `sasl.jaas.config`.
    Principal,
    /// Nothing.
    None,
}

const POLICIES: [(Policy, &str); 4] =
    [(Policy::Allowlist, "Allowlist"), (Policy::All, "All"), (Policy::Principal, "Principal"), (Policy::None, "None")];

const PRINCIPAL: [&str; 3] = ["sasl.jaas.config", "sasl.mechanism", "security.protocol"];

/// What the allowlist holds when the worker does not say: how much and how fast a connector reads and writes, its group, and who it
/// logs in as. Not whether and how connections are encrypted, nor anything that names a class, a file or an address.
pub const DEFAULT_ALLOWLIST: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "batch.size",
    "buffer.memory",
    "check.crcs",
    "client.id",
    "client.rack",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "connections.max.idle.ms",
    "default.api.timeout.ms",
    "delivery.timeout.ms",
    "enable.idempotence",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "heartbeat.interval.ms",
    "isolation.level",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "max.poll.records",
    "max.request.size",
    "metadata.max.age.ms",
    "metadata.max.idle.ms",
    "partition.assignment.strategy",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.ignore.keys",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.jaas.config",
    "sasl.mechanism",
    "send.buffer.bytes",
    "session.timeout.ms",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "transaction.timeout.ms",
];

/// Client settings by which clients have been made to load, run or dial something (CVE-2023-25194, CVE-2025-27817, CVE-2025-27818, and
/// librdkafka's own). Some have harmless values.
const DANGEROUS: [&str; 13] = [
    "plugin.library.paths",
    "sasl.client.callback.handler.class",
    "sasl.jaas.config",
    "sasl.kerberos.kinit.cmd",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.jwks.endpoint.url",
    "sasl.oauthbearer.token.endpoint.url",
    "ssl.engine.factory.class",
    "ssl.engine.id",
    "ssl.engine.location",
    "ssl.providers",
];

/// Client settings that name files.
const FILES: [&str; 6] = [
    "https.ca.location",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.truststore.location",
];

/// The client setting that a connector's key is, or ends with, when its value must be checked whatever the policy and whoever reads
/// it: connectors hand parts of their configuration on to clients (`schema.history.internal.producer.*`), so that it does not help to
/// look at the overrides of those clients that a connector has.
#[must_use]
pub fn dangerous(key: &str) -> Option<&'static str> {
    let key = key.trim().to_lowercase();
    let ends =
        |setting: &&&str| key.strip_suffix(**setting).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    let overrides = CLIENTS.iter().any(|client| key.starts_with(client.prefix()));
    let files = FILES.iter().filter(|_| overrides);
    DANGEROUS.iter().chain(files).find(ends).copied()
}

/// A kind of client of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientType {
    /// Of sources, and for dead letters.
    Producer,
    /// Of sinks.
    Consumer,
    /// For topics that are created, and for dead letters.
    Admin,
}

const CLIENTS: [ClientType; 3] = [ClientType::Producer, ClientType::Consumer, ClientType::Admin];

impl ClientType {
    /// What its settings begin with in a connector's configuration, without the last dot.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Producer => "producer.override",
            Self::Consumer => "consumer.override",
            Self::Admin => "admin.override",
        }
    }

    /// The clients that a connector has, as Kafka Connect sees it: overrides of others have no effect and are not checked.
    #[must_use]
    pub fn of_connector(kind: ConnectorType, config: &Props) -> Vec<Self> {
        let dlq = config.get("errors.deadletterqueue.topic.name").is_some_and(|topic| !topic.is_empty());
        // Millrace's own log of operations is written by a producer, too.
        let oplog = config.get("operation.log.topic").is_some_and(|topic| !topic.is_empty());
        let creates = config.keys().any(|key| key.starts_with("topic.creation."));
        match kind {
            ConnectorType::Source if creates => vec![Self::Producer, Self::Admin],
            ConnectorType::Source => vec![Self::Producer],
            ConnectorType::Sink if dlq => vec![Self::Producer, Self::Admin, Self::Consumer],
            ConnectorType::Sink if oplog => vec![Self::Producer, Self::Consumer],
            ConnectorType::Sink => vec![Self::Consumer],
        }
    }
}

/// A worker's policy with its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverridePolicy {
    policy: Policy,
    allowlist: Vec<String>,
}

impl Default for OverridePolicy {
    fn default() -> Self {
        let allowlist = DEFAULT_ALLOWLIST.iter().map(|name| (*name).to_owned()).collect();
        Self { policy: Policy::default(), allowlist }
    }
}

impl OverridePolicy {
    /// The policy of a worker's properties. Policies are known by their short names and by those of Kafka Connect's classes.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key, the cause and the fix.
    pub fn from_props(props: &Props) -> Result<Self> {
        let mut chosen = Self::default();
        if let Some(name) = props.get(POLICY_KEY).map(|name| name.trim()).filter(|name| !name.is_empty()) {
            let short = name.strip_prefix("org.apache.kafka.connect.connector.policy.").unwrap_or(name);
            let short = short.strip_suffix("ConnectorClientConfigOverridePolicy").unwrap_or(short);
            let known = POLICIES.iter().find(|(_, known)| *known == short);
            let (policy, _) = known.ok_or_else(|| {
                Error::config(format!(
                    "Invalid value {name} for configuration {POLICY_KEY}: there is no such policy; use Allowlist, All, Principal \
                     or None"
                ))
            })?;
            chosen.policy = *policy;
        }
        if let Some(list) = props.get(ALLOWLIST_KEY) {
            chosen.allowlist = list.split(',').map(|name| name.trim().to_owned()).collect();
        }
        Ok(chosen)
    }

    /// Overrides of a connector's configuration that are not allowed: the whole key, and the error in Kafka Connect's words.
    #[must_use]
    pub fn violations(&self, kind: ConnectorType, config: &Props) -> Vec<(String, String)> {
        let of = |client: ClientType| {
            let overrides = strip_prefix(config, client.prefix());
            check(self.policy, &self.allowlist, client, overrides.keys().map(String::as_str))
        };
        ClientType::of_connector(kind, config).into_iter().flat_map(of).collect()
    }
}

/// The overrides (names without prefix) that a policy does not allow: the whole key, and the error in Kafka Connect's words.
pub fn check<'a>(
    policy: Policy,
    allowlist: &[String],
    client: ClientType,
    overrides: impl Iterator<Item = &'a str>,
) -> Vec<(String, String)> {
    let allowed = |name: &str| match policy {
        Policy::All => true,
        Policy::None => false,
        Policy::Principal => PRINCIPAL.contains(&name),
        Policy::Allowlist => allowlist.iter().any(|allowed| allowed == name),
    };
    let policy = POLICIES.iter().find(|(known, _)| *known == policy).map_or("", |(_, name)| *name);
    overrides
        .filter(|name| !allowed(name))
        .map(|name| {
            let error = format!(
                "The '{policy}' policy does not allow '{name}' to be overridden in the connector configuration."
            );
            (format!("{}.{name}", client.prefix()), error)
        })
        .collect()
}

#[cfg(test)]
mod tests;
