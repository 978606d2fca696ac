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
    /// Resolved by [`crate::security`].
    Security,
    /// As [`Rule::Security`], but it names a file or a place to get credentials from: only for the worker's own configuration.
    WorkerOnly,
    /// Accepted without effect, with the reason.
    Ignored(&'static str),
    /// As [`Rule::Ignored`], but whoever gives it expects something that does not happen, and is told so.
    Unheeded(&'static str),
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
const BROKERS: &str = "it is for brokers that check tokens";
const NO_KERBEROS: &str = "Kerberos is not supported";
const SHARE: &str = "it is for share groups";
const ONE_LOGIN: &str = "librdkafka logs in afresh with every connection";

const NO_CLASSES: &str = "classes are not loaded; remove it";
const NO_ASSERTIONS: &str = "tokens are asked for with an id and a secret, not with assertions";
const LOGIN_HANDLERS: &[&str] = &[
    "",
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler",
    "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler",
];
const RETRIEVERS: &[&str] = &[
    "",
    "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
    "org.apache.kafka.common.security.oauthbearer.ClientCredentialsJwtRetriever",
];

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

const fn unheeded(name: &'static str, reason: &'static str) -> Entry {
    Entry { name, roles: ALL, rule: Rule::Unheeded(reason) }
}

const fn security(name: &'static str) -> Entry {
    Entry { name, roles: ALL, rule: Rule::Security }
}

const fn worker_only(name: &'static str) -> Entry {
    Entry { name, roles: ALL, rule: Rule::WorkerOnly }
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
    ignored("default.api.timeout.ms", &[Consumer, Admin], OWN_DEADLINES),
    ignored("metric.reporters", ALL, METRICS),
    ignored("metrics.num.samples", ALL, METRICS),
    ignored("metrics.recording.level", ALL, METRICS),
    ignored("metrics.sample.window.ms", ALL, METRICS),
    ignored("auto.include.jmx.reporter", ALL, METRICS),
    refused("bootstrap.servers", ALL, "all clients use the worker's bootstrap.servers"),
    refused("config.providers", ALL, "providers are the worker's: they are set in the worker's own configuration"),
    ignored("bootstrap.controllers", &[Admin], "admin clients ask the brokers of bootstrap.servers"),
    // Security.
    security("security.protocol"),
    security("sasl.mechanism"),
    security("sasl.jaas.config"),
    only("sasl.client.callback.handler.class", ALL, &[""], NO_CLASSES),
    only("sasl.login.callback.handler.class", ALL, LOGIN_HANDLERS, NO_CLASSES),
    only("sasl.login.class", ALL, &[""], NO_CLASSES),
    ignored("sasl.login.connect.timeout.ms", ALL, OWN_DEADLINES),
    ignored("sasl.login.read.timeout.ms", ALL, OWN_DEADLINES),
    ignored("sasl.login.refresh.buffer.seconds", ALL, ONE_LOGIN),
    ignored("sasl.login.refresh.min.period.seconds", ALL, ONE_LOGIN),
    ignored("sasl.login.refresh.window.factor", ALL, ONE_LOGIN),
    ignored("sasl.login.refresh.window.jitter", ALL, ONE_LOGIN),
    ignored("sasl.login.retry.backoff.max.ms", ALL, ONE_LOGIN),
    ignored("sasl.login.retry.backoff.ms", ALL, ONE_LOGIN),
    // librdkafka runs this one as a shell command.
    refused("sasl.kerberos.kinit.cmd", ALL, NO_KERBEROS),
    ignored("sasl.kerberos.min.time.before.relogin", ALL, NO_KERBEROS),
    ignored("sasl.kerberos.service.name", ALL, NO_KERBEROS),
    ignored("sasl.kerberos.ticket.renew.jitter", ALL, NO_KERBEROS),
    ignored("sasl.kerberos.ticket.renew.window.factor", ALL, NO_KERBEROS),
    worker_only("sasl.oauthbearer.assertion.file"),
    worker_only("sasl.oauthbearer.assertion.private.key.file"),
    worker_only("sasl.oauthbearer.assertion.template.file"),
    security("sasl.oauthbearer.token.endpoint.url"),
    security("sasl.oauthbearer.jwks.endpoint.url"),
    security("sasl.oauthbearer.client.credentials.client.id"),
    security("sasl.oauthbearer.client.credentials.client.secret"),
    security("sasl.oauthbearer.scope"),
    worker_only("sasl.oauthbearer.allowed.urls"),
    ignored("sasl.oauthbearer.assertion.algorithm", ALL, NO_ASSERTIONS),
    ignored("sasl.oauthbearer.assertion.claim.aud", ALL, NO_ASSERTIONS),
    ignored("sasl.oauthbearer.assertion.claim.exp.seconds", ALL, NO_ASSERTIONS),
    ignored("sasl.oauthbearer.assertion.claim.iss", ALL, NO_ASSERTIONS),
    ignored("sasl.oauthbearer.assertion.claim.jti.include", ALL, NO_ASSERTIONS),
    ignored("sasl.oauthbearer.assertion.claim.nbf.seconds", ALL, NO_ASSERTIONS),
    ignored("sasl.oauthbearer.assertion.claim.sub", ALL, NO_ASSERTIONS),
    ignored("sasl.oauthbearer.assertion.private.key.passphrase", ALL, NO_ASSERTIONS),
    ignored("sasl.oauthbearer.clock.skew.seconds", ALL, BROKERS),
    ignored("sasl.oauthbearer.expected.audience", ALL, BROKERS),
    ignored("sasl.oauthbearer.expected.issuer", ALL, BROKERS),
    ignored("sasl.oauthbearer.header.urlencode", ALL, BROKERS),
    ignored("sasl.oauthbearer.jwks.endpoint.refresh.ms", ALL, BROKERS),
    ignored("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", ALL, BROKERS),
    ignored("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", ALL, BROKERS),
    only("sasl.oauthbearer.jwt.retriever.class", ALL, RETRIEVERS, NO_CLASSES),
    ignored("sasl.oauthbearer.jwt.validator.class", ALL, BROKERS),
    ignored("sasl.oauthbearer.scope.claim.name", ALL, BROKERS),
    ignored("sasl.oauthbearer.sub.claim.name", ALL, BROKERS),
    security("ssl.truststore.type"),
    worker_only("ssl.truststore.location"),
    security("ssl.truststore.password"),
    security("ssl.truststore.certificates"),
    security("ssl.keystore.type"),
    worker_only("ssl.keystore.location"),
    security("ssl.keystore.password"),
    security("ssl.keystore.key"),
    security("ssl.keystore.certificate.chain"),
    security("ssl.key.password"),
    security("ssl.endpoint.identification.algorithm"),
    unheeded("ssl.cipher.suites", "OpenSSL's own list is used"),
    unheeded("ssl.enabled.protocols", "TLSv1.3 or TLSv1.2 is used, the newer one that the broker knows"),
    ignored("ssl.protocol", ALL, "TLSv1.3 or TLSv1.2 is used, the newer one that the broker knows"),
    // Who makes the engine decides whom to trust.
    only("ssl.engine.factory.class", ALL, &[""], NO_CLASSES),
    ignored("ssl.keymanager.algorithm", ALL, JAVA),
    ignored("ssl.trustmanager.algorithm", ALL, JAVA),
    ignored("ssl.provider", ALL, JAVA),
    ignored("ssl.secure.random.implementation", ALL, JAVA),
    ignored("security.providers", ALL, JAVA),
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
    only(
        "transaction.two.phase.commit.enable",
        P,
        &["false"],
        "transactions are committed by Millrace; use false or remove it",
    ),
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
    ignored("group.remote.assignor", C, "only the classic group protocol is supported"),
    ignored("internal.throw.on.fetch.stable.offset.unsupported", C, NOT_NEEDED),
    ignored("share.acknowledgement.mode", C, SHARE),
    ignored("share.acquire.mode", C, SHARE),
    ignored("key.deserializer", C, JAVA),
    ignored("value.deserializer", C, JAVA),
];
