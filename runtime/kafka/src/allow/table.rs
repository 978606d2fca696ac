//! Kafka's names, and what becomes of each. Ranges are librdkafka's where they are narrower than Kafka's.

use super::Role::{self, Admin, Consumer, Producer};

/// A setting.
pub(super) struct Entry {
    /// Kafka's name.
    pub(super) name: &'static str,
    /// Whose it is.
    pub(super) roles: &'static [Role],
    /// What becomes of it.
    pub(super) rule: Rule,
}

/// What becomes of a setting.
pub(super) enum Rule {
    /// A number, under librdkafka's names.
    Int { names: &'static [&'static str], min: i64, max: i64 },
    /// A number whose -1 is librdkafka's 0: the system's default, or never.
    IntOrOff { names: &'static [&'static str], max: i64 },
    /// Bytes that librdkafka counts in KiB.
    Kilobytes { name: &'static str, max: i64 },
    /// One of Kafka's values with librdkafka's for each.
    Choice { name: &'static str, values: &'static [(&'static str, &'static str)] },
    /// Text.
    Text { name: &'static str },
    /// Millrace decides; the values that agree with it are accepted.
    Only { values: &'static [&'static str], reason: &'static str },
    /// A compression level, which counts when its codec is used.
    Level { codec: &'static str, min: i64, max: i64 },
    /// Classes of assignors.
    Assignors,
    /// A number that Millrace acts upon by itself.
    OwnCount,
    /// Text that Millrace acts upon by itself.
    OwnText,
    /// Accepted without effect, with the reason.
    Ignored(&'static str),
    /// Known, and refused with the reason.
    Refused(&'static str),
}

/// Roles by name.
pub(super) const ROLES: [(Role, &str); 3] =
    [(Producer, "producers"), (Consumer, "consumers"), (Admin, "admin clients")];

const ALL: &[Role] = &[Producer, Consumer, Admin];
const P: &[Role] = &[Producer];
const C: &[Role] = &[Consumer];
const FLAG: &[(&str, &str)] = &[("true", "true"), ("false", "false")];
const INT: i64 = i32::MAX as i64;

const JAVA: &str = "it configures Java classes";
const METRICS: &str = "Millrace has metrics of its own";
const OWN_DEADLINES: &str = "calls have Millrace's deadlines";
const NOT_NEEDED: &str = "librdkafka decides this by itself";

const fn int(name: &'static str, roles: &'static [Role], names: &'static [&'static str], min: i64, max: i64) -> Entry {
    Entry { name, roles, rule: Rule::Int { names, min, max } }
}

const fn off(name: &'static str, roles: &'static [Role], names: &'static [&'static str], max: i64) -> Entry {
    Entry { name, roles, rule: Rule::IntOrOff { names, max } }
}

const fn choice(name: &'static str, roles: &'static [Role], values: &'static [(&'static str, &'static str)]) -> Entry {
    Entry { name, roles, rule: Rule::Choice { name, values } }
}

const fn text(name: &'static str, roles: &'static [Role]) -> Entry {
    Entry { name, roles, rule: Rule::Text { name } }
}

const fn only(
    name: &'static str,
    roles: &'static [Role],
    values: &'static [&'static str],
    reason: &'static str,
) -> Entry {
    Entry { name, roles, rule: Rule::Only { values, reason } }
}

const fn ignored(name: &'static str, roles: &'static [Role], reason: &'static str) -> Entry {
    Entry { name, roles, rule: Rule::Ignored(reason) }
}

const fn refused(name: &'static str, roles: &'static [Role], reason: &'static str) -> Entry {
    Entry { name, roles, rule: Rule::Refused(reason) }
}

const fn rule(name: &'static str, roles: &'static [Role], rule: Rule) -> Entry {
    Entry { name, roles, rule }
}

/// Every setting there is.
pub(super) const TABLE: &[Entry] = &[
    // All clients.
    text("client.id", ALL),
    choice(
        "client.dns.lookup",
        ALL,
        &[
            ("use_all_dns_ips", "use_all_dns_ips"),
            ("resolve_canonical_bootstrap_servers_only", "resolve_canonical_bootstrap_servers_only"),
        ],
    ),
    off("connections.max.idle.ms", ALL, &["connections.max.idle.ms"], INT),
    int("metadata.max.age.ms", ALL, &["topic.metadata.refresh.interval.ms"], 10, 3_600_000),
    choice("metadata.recovery.strategy", ALL, &[("none", "none"), ("rebootstrap", "rebootstrap")]),
    int("metadata.recovery.rebootstrap.trigger.ms", ALL, &["metadata.recovery.rebootstrap.trigger.ms"], 0, INT),
    int("reconnect.backoff.ms", ALL, &["reconnect.backoff.ms"], 0, 3_600_000),
    int("reconnect.backoff.max.ms", ALL, &["reconnect.backoff.max.ms"], 0, 3_600_000),
    int("request.timeout.ms", ALL, &["socket.timeout.ms"], 10, 300_000),
    int("retry.backoff.ms", ALL, &["retry.backoff.ms"], 1, 300_000),
    int("retry.backoff.max.ms", ALL, &["retry.backoff.max.ms"], 1, 300_000),
    off("send.buffer.bytes", ALL, &["socket.send.buffer.bytes"], 100_000_000),
    off("receive.buffer.bytes", ALL, &["socket.receive.buffer.bytes"], 100_000_000),
    int("socket.connection.setup.timeout.ms", ALL, &["socket.connection.setup.timeout.ms"], 1_000, INT),
    ignored("socket.connection.setup.timeout.max.ms", ALL, NOT_NEEDED),
    choice("enable.metrics.push", ALL, FLAG),
    only(
        "security.protocol",
        ALL,
        &["PLAINTEXT"],
        "connections with TLS or SASL are not supported; use PLAINTEXT or remove it",
    ),
    ignored("default.api.timeout.ms", &[Consumer, Admin], OWN_DEADLINES),
    ignored("metric.reporters", ALL, METRICS),
    ignored("metrics.num.samples", ALL, METRICS),
    ignored("metrics.recording.level", ALL, METRICS),
    ignored("metrics.sample.window.ms", ALL, METRICS),
    ignored("auto.include.jmx.reporter", ALL, METRICS),
    refused("bootstrap.servers", ALL, "all clients use the worker's bootstrap.servers"),
    // Producers.
    only("acks", P, &["all", "-1"], "records are always acknowledged by all replicas; use all or remove it"),
    only("enable.idempotence", P, &["true"], "producers are always idempotent; use true or remove it"),
    int("max.in.flight.requests.per.connection", P, &["max.in.flight.requests.per.connection"], 1, 5),
    int("batch.size", P, &["batch.size"], 1, INT),
    int("linger.ms", P, &["linger.ms"], 0, 900_000),
    rule("buffer.memory", P, Rule::Kilobytes { name: "queue.buffering.max.kbytes", max: 1 << 40 }),
    choice(
        "compression.type",
        P,
        &[("none", "none"), ("gzip", "gzip"), ("snappy", "snappy"), ("lz4", "lz4"), ("zstd", "zstd")],
    ),
    rule("compression.gzip.level", P, Rule::Level { codec: "gzip", min: -1, max: 9 }),
    rule("compression.lz4.level", P, Rule::Level { codec: "lz4", min: 0, max: 12 }),
    rule("compression.zstd.level", P, Rule::Level { codec: "zstd", min: -1, max: 12 }),
    int("max.request.size", P, &["message.max.bytes"], 1_000, 1_000_000_000),
    int("delivery.timeout.ms", P, &["delivery.timeout.ms"], 0, INT),
    int("retries", &[Producer, Admin], &["retries"], 0, INT),
    int("transaction.timeout.ms", P, &["transaction.timeout.ms"], 1_000, INT),
    refused("transactional.id", P, "it is derived from the connector's name (exactly.once.source.support)"),
    refused("partitioner.class", P, "records go where Kafka's default partitioner puts them"),
    only("partitioner.ignore.keys", P, &["false"], "records with a key go where the key says; use false or remove it"),
    ignored("partitioner.adaptive.partitioning.enable", P, NOT_NEEDED),
    ignored("partitioner.availability.timeout.ms", P, NOT_NEEDED),
    ignored("max.block.ms", P, OWN_DEADLINES),
    ignored("metadata.max.idle.ms", P, NOT_NEEDED),
    ignored("key.serializer", P, JAVA),
    ignored("value.serializer", P, JAVA),
    ignored("interceptor.classes", &[Producer, Consumer], JAVA),
    // Consumers.
    rule("group.id", C, Rule::OwnText),
    text("group.instance.id", C),
    only("group.protocol", C, &["classic"], "only the classic group protocol is supported; use classic or remove it"),
    text("client.rack", C),
    rule("max.poll.records", C, Rule::OwnCount),
    int("max.poll.interval.ms", C, &["max.poll.interval.ms"], 1, 86_400_000),
    int("session.timeout.ms", C, &["session.timeout.ms"], 1, 3_600_000),
    int("heartbeat.interval.ms", C, &["heartbeat.interval.ms"], 1, 3_600_000),
    rule("partition.assignment.strategy", C, Rule::Assignors),
    choice("isolation.level", C, &[("read_committed", "read_committed"), ("read_uncommitted", "read_uncommitted")]),
    choice("auto.offset.reset", C, &[("earliest", "earliest"), ("latest", "latest"), ("none", "error")]),
    int("fetch.min.bytes", C, &["fetch.min.bytes"], 1, 100_000_000),
    int("fetch.max.bytes", C, &["fetch.max.bytes"], 0, 2_147_483_135),
    int("fetch.max.wait.ms", C, &["fetch.wait.max.ms"], 0, 300_000),
    int("max.partition.fetch.bytes", C, &["max.partition.fetch.bytes"], 1, 1_000_000_000),
    choice("check.crcs", C, FLAG),
    choice("allow.auto.create.topics", C, FLAG),
    only(
        "enable.auto.commit",
        C,
        &["false"],
        "offsets are committed when records were delivered; use false or remove it",
    ),
    ignored("auto.commit.interval.ms", C, "offsets are committed when records were delivered"),
    only(
        "exclude.internal.topics",
        C,
        &["true"],
        "Kafka's own topics are never matched by a pattern; use true or remove it",
    ),
    ignored("key.deserializer", C, JAVA),
    ignored("value.deserializer", C, JAVA),
];
