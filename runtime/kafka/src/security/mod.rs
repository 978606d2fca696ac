//! Who a client is and whom it trusts: Kafka's `security.protocol`, `sasl.*` and `ssl.*` settings, resolved.
//!
//! - `jaas`, `tokenizer`: the login string, read as Kafka reads it.
//!
//! Trust and key stores are `millrace_tls`'s.

mod jaas;
mod native;
mod tokenizer;

use std::fmt;

use millrace_api::config::{Password, Props};
use millrace_api::error::{Error, Result};

use jaas::{Jaas, Module};
pub use millrace_tls::Tls;

/// How a client connects, for whoever speaks Kafka's protocol: librdkafka and Millrace's own group member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// `security.protocol`.
    pub protocol: Protocol,
    /// How to log in; there with [`Protocol::SaslPlaintext`] and [`Protocol::SaslSsl`].
    pub sasl: Option<Sasl>,
    /// There with [`Protocol::Ssl`] and [`Protocol::SaslSsl`].
    pub tls: Option<Tls>,
}

/// Kafka's `security.protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// TLS; with a client certificate when there is one.
    Ssl,
    /// A login without encryption.
    SaslPlaintext,
    /// A login over TLS.
    SaslSsl,
}

impl Protocol {
    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether clients log in.
    #[must_use]
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How a client logs in.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// Who logs in.
    pub username: String,
    /// The password.
    pub password: Password,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802 with SHA-512.
    ScramSha512,
    /// RFC 7628. Known, so that its settings are checked; [`Security::from_props`] refuses it for now.
    OAuthBearer,
}

const MECHANISMS: [Mechanism; 4] =
    [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512, Mechanism::OAuthBearer];

impl Mechanism {
    /// Its registered name, as in `sasl.mechanism` and in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    fn module(self) -> Module {
        match self {
            Self::Plain => Module::Plain,
            Self::ScramSha256 | Self::ScramSha512 => Module::Scram,
            Self::OAuthBearer => Module::OAuthBearer,
        }
    }
}

impl Security {
    /// Checks the settings that a connector gives, without the worker's beside them: what stands for itself must be right. Reads
    /// no file.
    pub(crate) fn check(props: &Props) -> Result<()> {
        protocol(props)?;
        given(props, jaas::KEY).map(Jaas::parse).transpose()?;
        if given(props, MECHANISM).is_some() {
            mechanism(props)?;
        }
        for key in ENDPOINTS {
            if let Some(url) = given(props, key) {
                https(key, url)?;
            }
        }
        Ok(())
    }

    /// Resolves a client's settings by their Kafka names; names that have nothing to do with it are passed over. Trust and key
    /// stores that are named as files are read, so this blocks: call it where a client is opened. Settings of a connector must
    /// have been checked before, as those may not name files.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming key, cause and fix; values are not repeated.
    pub fn from_props(props: &Props) -> Result<Self> {
        let protocol = protocol(props)?;
        endpoints(props)?;
        // Read even when it is not used: what is in there is either right or an attack.
        let jaas = given(props, jaas::KEY).map(Jaas::parse).transpose()?;
        let sasl = if protocol.has_sasl() { Some(sasl(props, jaas)?) } else { None };
        let tls = if protocol.has_tls() { Some(Tls::from_props(props)?) } else { None };
        Ok(Self { protocol, sasl, tls })
    }
}

/// A setting that is there and not blank.
fn given<'a>(props: &'a Props, key: &str) -> Option<&'a str> {
    props.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn invalid(key: &str, cause: &str, fix: &str) -> Error {
    Error::config(format!("Invalid value for configuration {key}: {cause}; {fix}"))
}

fn protocol(props: &Props) -> Result<Protocol> {
    let Some(name) = given(props, "security.protocol") else { return Ok(Protocol::Plaintext) };
    [Protocol::Plaintext, Protocol::Ssl, Protocol::SaslPlaintext, Protocol::SaslSsl]
        .into_iter()
        .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            invalid("security.protocol", "there is no such protocol", "use PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
        })
}

/// Addresses that Kafka's clients get tokens or keys from: a way to make the worker read files and ask its neighbours
/// (CVE-2025-27817).
const ENDPOINTS: [&str; 2] = ["sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.jwks.endpoint.url"];
pub(crate) const ALLOWED_URLS: &str = "sasl.oauthbearer.allowed.urls";

fn https(key: &str, url: &str) -> Result<()> {
    if url.starts_with("https://") && !url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Ok(());
    }
    Err(invalid(key, "only https is asked for tokens and keys", "use an https:// address"))
}

/// As in Kafka: an address counts only when the worker's list has exactly that.
fn endpoints(props: &Props) -> Result<()> {
    for key in ENDPOINTS {
        let Some(url) = given(props, key) else { continue };
        https(key, url)?;
        let allowed = given(props, ALLOWED_URLS).unwrap_or_default();
        if !allowed.split(',').any(|allowed| allowed.trim() == url) {
            return Err(invalid(
                key,
                &format!("the worker's {ALLOWED_URLS} does not have it"),
                "have the worker's operator add it",
            ));
        }
    }
    Ok(())
}

const MECHANISM: &str = "sasl.mechanism";

fn mechanism(props: &Props) -> Result<Mechanism> {
    let known = "use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
    // Kafka's default.
    let name = given(props, MECHANISM).unwrap_or("GSSAPI");
    if name == "GSSAPI" {
        return Err(invalid(MECHANISM, "GSSAPI, which is also the default, is Kerberos and not supported", known));
    }
    let mechanism = MECHANISMS.into_iter().find(|mechanism| mechanism.name() == name);
    mechanism.ok_or_else(|| invalid(MECHANISM, "there is no such mechanism", known))
}

fn sasl(props: &Props, jaas: Option<Jaas>) -> Result<Sasl> {
    let mechanism = mechanism(props)?;
    let name = mechanism.name();
    let Some(jaas) = jaas else {
        return Err(jaas::invalid("it is missing", &format!("sasl.mechanism={name} needs one that says who logs in")));
    };
    if jaas.module != mechanism.module() {
        let fix = format!("make it and sasl.mechanism={name} agree");
        return Err(jaas::invalid("its login module is one of another mechanism", &fix));
    }
    if mechanism == Mechanism::OAuthBearer {
        return Err(invalid(
            MECHANISM,
            "OAUTHBEARER is known but not supported yet",
            "use SCRAM-SHA-512, PLAIN or client certificates",
        ));
    }
    if jaas.option("tokenauth").is_some_and(|flag| flag.reveal().eq_ignore_ascii_case("true")) {
        return Err(jaas::invalid("delegation tokens (tokenauth) are not supported", "use a name and a password"));
    }
    let option = |name: &str| {
        let value = jaas.option(name).filter(|value| !value.reveal().is_empty());
        value.ok_or_else(|| jaas::invalid(&format!("the option {name} is missing"), &format!("add {name}=\"…\"")))
    };
    let username = option("username")?.reveal().to_owned();
    Ok(Sasl { mechanism, username, password: option("password")?.clone() })
}

#[cfg(test)]
mod tests;
