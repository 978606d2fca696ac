//! Kafka Connect's worker keys that no field of a struct holds, with what becomes of each: they go to Kafka connections as they are,
//! or have no effect, with the reason. They are checked like all others, so that a file that one worker refuses is refused by both.

use millrace_api::config::{ConfigKey, ConfigType, Default, Importance, Validator};

use self::Effect::{Both, Client, Ignored, Rest};
use ConfigType::{Boolean, Class, Double, Int, List, Long, Password, Short, String};
use Importance::{High, Low, Medium};
use Validator::{Any, AtLeast, Between, Custom, Distinct, DistinctNonEmpty, OneOf, OneOfIgnoreCase};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It goes to the worker's own connections to Kafka, which check it again.
    Client,
    /// It is for `https` listeners of the REST API.
    Rest,
    /// Both.
    Both,
    /// It is accepted without effect, for this reason.
    Ignored(&'static str),
}

/// A key.
pub(super) struct Row {
    pub(super) name: &'static str,
    kind: ConfigType,
    default: Option<&'static str>,
    valid: Validator,
    importance: Importance,
    pub(super) effect: Effect,
}

const METRICS: &str = "metrics are at /metrics, in Prometheus' format";
const JAVA: &str = "it names or configures Java code";

const fn row(
    name: &'static str,
    kind: ConfigType,
    default: Option<&'static str>,
    valid: Validator,
    importance: Importance,
    effect: Effect,
) -> Row {
    Row { name, kind, default, valid, importance, effect }
}

impl Row {
    /// The key as a table has it. What is required by Kafka Connect in one mode only is not required here.
    pub(super) fn key(&self) -> ConfigKey {
        let default = self.default.map_or(Default::Null, |text| Default::Value(text.to_owned()));
        let mut key = ConfigKey::new(self.name, self.kind, default, self.importance, self.effect.text());
        key.validator = self.valid.clone();
        key
    }
}

impl Effect {
    /// A sentence for the documentation.
    #[must_use]
    pub fn text(&self) -> std::string::String {
        match self {
            Client => "Goes to the worker's own connections to Kafka.".to_owned(),
            Rest => "For https listeners.".to_owned(),
            Both => "Goes to the worker's own connections to Kafka when security.protocol asks for TLS, and is the default for https listeners.".to_owned(),
            Ignored(reason) => format!("No effect: {reason}."),
        }
    }
}

fn factor(text: &str) -> Result<(), std::string::String> {
    between(text, 0.5, 1.0)
}

fn jitter(text: &str) -> Result<(), std::string::String> {
    between(text, 0.0, 0.25)
}

fn between(text: &str, min: f64, max: f64) -> Result<(), std::string::String> {
    match text.parse::<f64>() {
        Ok(number) if number < min => Err(format!("Value must be at least {min:?}")),
        Ok(number) if number > max => Err(format!("Value must be no more than {max:?}")),
        _ => Ok(()),
    }
}

/// By name.
pub(super) const ROWS: &[Row] = &[
    row(
        "client.dns.lookup",
        String,
        Some("use_all_dns_ips"),
        OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]),
        Medium,
        Client,
    ),
    row("connections.max.idle.ms", Long, Some("540000"), Any, Medium, Client),
    row("header.converter.plugin.version", String, None, Any, Low, Ignored("there is one version of each converter")),
    row("key.converter.plugin.version", String, None, Any, Low, Ignored("there is one version of each converter")),
    row("metadata.max.age.ms", Long, Some("300000"), AtLeast(0), Low, Client),
    row("metadata.recovery.rebootstrap.trigger.ms", Long, Some("300000"), AtLeast(0), Low, Client),
    row(
        "metadata.recovery.strategy",
        String,
        Some("rebootstrap"),
        OneOfIgnoreCase(&["REBOOTSTRAP", "NONE"]),
        Low,
        Client,
    ),
    row("metric.reporters", List, Some("org.apache.kafka.common.metrics.JmxReporter"), Distinct, Low, Ignored(METRICS)),
    row("metrics.num.samples", Int, Some("2"), AtLeast(1), Low, Ignored(METRICS)),
    row("metrics.recording.level", String, Some("INFO"), OneOf(&["INFO", "DEBUG"]), Low, Ignored(METRICS)),
    row("metrics.sample.window.ms", Long, Some("30000"), AtLeast(0), Low, Ignored(METRICS)),
    row(
        "offset.storage.file.filename",
        String,
        None,
        Any,
        High,
        Ignored("offsets are kept in offset.storage.topic, of Kafka or of the embedded log"),
    ),
    row(
        "plugin.discovery",
        String,
        Some("hybrid_warn"),
        OneOfIgnoreCase(&["ONLY_SCAN", "SERVICE_LOAD", "HYBRID_WARN", "HYBRID_FAIL"]),
        Low,
        Ignored("there is nothing to discover: connectors are part of the program"),
    ),
    row(
        "plugin.path",
        List,
        None,
        DistinctNonEmpty,
        Low,
        Ignored("connectors are part of the program; Java plugins cannot be loaded"),
    ),
    row("receive.buffer.bytes", Int, Some("32768"), AtLeast(-1), Medium, Client),
    row("reconnect.backoff.max.ms", Long, Some("1000"), AtLeast(0), Low, Client),
    row("reconnect.backoff.ms", Long, Some("50"), AtLeast(0), Low, Client),
    row("request.timeout.ms", Int, Some("40000"), AtLeast(0), Medium, Client),
    row("retry.backoff.max.ms", Long, Some("1000"), AtLeast(0), Low, Client),
    row("retry.backoff.ms", Long, Some("100"), AtLeast(0), Low, Client),
    row("sasl.client.callback.handler.class", Class, None, Any, Medium, Ignored(JAVA)),
    row("sasl.jaas.config", Password, None, Any, Medium, Client),
    row("sasl.kerberos.kinit.cmd", String, Some("/usr/bin/kinit"), Any, Low, Client),
    row("sasl.kerberos.min.time.before.relogin", Long, Some("60000"), Any, Low, Client),
    row("sasl.kerberos.service.name", String, None, Any, Medium, Client),
    row("sasl.kerberos.ticket.renew.jitter", Double, Some("0.05"), Any, Low, Client),
    row("sasl.kerberos.ticket.renew.window.factor", Double, Some("0.8"), Any, Low, Client),
    row("sasl.login.callback.handler.class", Class, None, Any, Medium, Ignored(JAVA)),
    row("sasl.login.class", Class, None, Any, Medium, Ignored(JAVA)),
    row("sasl.login.connect.timeout.ms", Int, None, Any, Low, Client),
    row("sasl.login.read.timeout.ms", Int, None, Any, Low, Client),
    row("sasl.login.refresh.buffer.seconds", Short, Some("300"), Between(0, 3600), Low, Client),
    row("sasl.login.refresh.min.period.seconds", Short, Some("60"), Between(0, 900), Low, Client),
    row("sasl.login.refresh.window.factor", Double, Some("0.8"), Custom(factor), Low, Client),
    row("sasl.login.refresh.window.jitter", Double, Some("0.05"), Custom(jitter), Low, Client),
    row("sasl.login.retry.backoff.max.ms", Long, Some("10000"), Any, Low, Client),
    row("sasl.login.retry.backoff.ms", Long, Some("100"), Any, Low, Client),
    row("sasl.mechanism", String, Some("GSSAPI"), Any, Medium, Client),
    row(
        "sasl.oauthbearer.assertion.algorithm",
        String,
        Some("RS256"),
        OneOfIgnoreCase(&["ES256", "RS256"]),
        Medium,
        Client,
    ),
    row("sasl.oauthbearer.assertion.claim.aud", String, None, Any, Medium, Client),
    row("sasl.oauthbearer.assertion.claim.exp.seconds", Int, Some("300"), Between(0, 86400), Low, Client),
    row("sasl.oauthbearer.assertion.claim.iss", String, None, Any, Medium, Client),
    row("sasl.oauthbearer.assertion.claim.jti.include", Boolean, Some("false"), Any, Medium, Client),
    row("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Some("60"), Between(0, 3600), Low, Client),
    row("sasl.oauthbearer.assertion.claim.sub", String, None, Any, Medium, Client),
    row("sasl.oauthbearer.assertion.file", String, None, Any, Medium, Client),
    row("sasl.oauthbearer.assertion.private.key.file", String, None, Any, Medium, Client),
    row("sasl.oauthbearer.assertion.private.key.passphrase", Password, None, Any, Medium, Client),
    row("sasl.oauthbearer.assertion.template.file", String, None, Any, Medium, Client),
    row("sasl.oauthbearer.client.credentials.client.id", String, None, Any, Medium, Client),
    row("sasl.oauthbearer.client.credentials.client.secret", Password, None, Any, Medium, Client),
    row("sasl.oauthbearer.clock.skew.seconds", Int, Some("30"), Any, Low, Client),
    row("sasl.oauthbearer.expected.audience", List, Some(""), Distinct, High, Client),
    row("sasl.oauthbearer.expected.issuer", String, None, Any, High, Client),
    row("sasl.oauthbearer.header.urlencode", Boolean, Some("false"), Any, Low, Client),
    row("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Some("3600000"), Any, Low, Client),
    row("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Some("10000"), Any, Low, Client),
    row("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Some("100"), Any, Low, Client),
    row("sasl.oauthbearer.jwks.endpoint.url", String, None, Any, Medium, Client),
    row(
        "sasl.oauthbearer.jwt.retriever.class",
        Class,
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"),
        Any,
        Medium,
        Ignored(JAVA),
    ),
    row(
        "sasl.oauthbearer.jwt.validator.class",
        Class,
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"),
        Any,
        Medium,
        Ignored(JAVA),
    ),
    row("sasl.oauthbearer.scope", String, None, Any, Medium, Client),
    row("sasl.oauthbearer.scope.claim.name", String, Some("scope"), Any, Low, Client),
    row("sasl.oauthbearer.sub.claim.name", String, Some("sub"), Any, Low, Client),
    row("sasl.oauthbearer.token.endpoint.url", String, None, Any, Medium, Client),
    row(
        "security.protocol",
        String,
        Some("PLAINTEXT"),
        OneOfIgnoreCase(&["SASL_SSL", "PLAINTEXT", "SSL", "SASL_PLAINTEXT"]),
        Medium,
        Client,
    ),
    row("send.buffer.bytes", Int, Some("131072"), AtLeast(-1), Medium, Client),
    row("socket.connection.setup.timeout.max.ms", Long, Some("30000"), AtLeast(0), Low, Client),
    row("socket.connection.setup.timeout.ms", Long, Some("10000"), AtLeast(0), Low, Client),
    row("ssl.cipher.suites", List, Some(""), Distinct, Low, Both),
    row("ssl.client.auth", String, Some("none"), OneOf(&["required", "requested", "none"]), Low, Rest),
    row("ssl.enabled.protocols", List, Some("TLSv1.2,TLSv1.3"), Distinct, Medium, Both),
    row("ssl.endpoint.identification.algorithm", String, Some("https"), Any, Low, Both),
    row("ssl.engine.factory.class", Class, None, Any, Low, Ignored(JAVA)),
    row("ssl.key.password", Password, None, Any, High, Both),
    row("ssl.keymanager.algorithm", String, Some("SunX509"), Any, Low, Ignored(JAVA)),
    row("ssl.keystore.certificate.chain", Password, None, Any, High, Both),
    row("ssl.keystore.key", Password, None, Any, High, Both),
    row("ssl.keystore.location", String, None, Any, High, Both),
    row("ssl.keystore.password", Password, None, Any, High, Both),
    row("ssl.keystore.type", String, Some("JKS"), Any, Medium, Both),
    row("ssl.protocol", String, Some("TLSv1.3"), Any, Medium, Both),
    row("ssl.provider", String, None, Any, Medium, Ignored(JAVA)),
    row("ssl.secure.random.implementation", String, None, Any, Low, Ignored(JAVA)),
    row("ssl.trustmanager.algorithm", String, Some("PKIX"), Any, Low, Ignored(JAVA)),
    row("ssl.truststore.certificates", Password, None, Any, High, Both),
    row("ssl.truststore.location", String, None, Any, High, Both),
    row("ssl.truststore.password", Password, None, Any, High, Both),
    row("ssl.truststore.type", String, Some("JKS"), Any, Medium, Both),
    row("value.converter.plugin.version", String, None, Any, Low, Ignored("there is one version of each converter")),
];
