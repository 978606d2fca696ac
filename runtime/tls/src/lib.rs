//! TLS as Kafka's `ssl.*` settings describe it, by the library that librdkafka uses, so that both reach the same servers.
//!
//! [`Tls`] holds what the settings name: trust and key stores, PEM whatever they were stored in. [`Connector`] is the side that
//! connects (to brokers, to other workers), [`Acceptor`] the one that listens (https listeners of the REST API).

mod client;
mod context;
mod jks;
mod pem;
mod server;
mod store;

use std::fmt;
use std::path::Path;

use millrace_api::config::{Password, Props};
use millrace_api::error::{Error, Result};

pub use client::{Connector, HandshakeError, refusal};
use pem::Identity;
pub use server::Acceptor;
use store::Format;
pub use tokio_openssl::SslStream;

/// Whom one side of a connection trusts, and what it shows of itself. All PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of authorities that the other side's certificate must lead to; `None` for those of the system.
    pub ca: Option<String>,
    /// The own certificate with those that lead to its authority, leaf first.
    pub certificate: Option<String>,
    /// Its key, `PRIVATE KEY` (PKCS #8), never encrypted: what was encrypted in the store is decrypted here.
    pub key: Option<Password>,
    /// Whether a server's certificate must name the host that was connected to
    /// (`ssl.endpoint.identification.algorithm`). That it must be trusted cannot be turned off.
    pub verify_hostname: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { ca: None, certificate: None, key: None, verify_hostname: true }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca.is_some())
            .field("certificate", &self.certificate.is_some())
            .field("verify_hostname", &self.verify_hostname)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads `ssl.*` by the rules of Kafka's `DefaultSslEngineFactory`; other keys are passed over. Stores that are named as files
    /// are read, so this blocks.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming key, cause and fix; values are not repeated.
    pub fn from_props(props: &Props) -> Result<Self> {
        let ca = trusted(props)?;
        let (certificate, key) = match identity(props)? {
            Some(identity) => (Some(identity.chain), Some(identity.key)),
            None => (None, None),
        };
        Ok(Self { ca, certificate, key, verify_hostname: verify_hostname(props)? })
    }
}

/// A setting that is there and not blank.
fn given<'a>(props: &'a Props, key: &str) -> Option<&'a str> {
    props.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn invalid(key: &str, cause: &str, fix: &str) -> Error {
    Error::config(format!("Invalid value for configuration {key}: {cause}; {fix}"))
}

/// Absent means https; only an empty text turns it off.
fn verify_hostname(props: &Props) -> Result<bool> {
    const KEY: &str = "ssl.endpoint.identification.algorithm";
    match props.get(KEY).map(|value| value.trim()) {
        None => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("https") => Ok(true),
        Some("") => Ok(false),
        Some(_) => {
            Err(invalid(KEY, "there is no such algorithm", "use https, or leave it empty to turn the check off"))
        }
    }
}

/// The PEM of the authorities.
fn trusted(props: &Props) -> Result<Option<String>> {
    const TYPE: &str = "ssl.truststore.type";
    const LOCATION: &str = "ssl.truststore.location";
    const PASSWORD: &str = "ssl.truststore.password";
    const INLINE: &str = "ssl.truststore.certificates";
    let format = Format::named(TYPE, given(props, TYPE))?;
    let password = props.get(PASSWORD).filter(|value| !value.is_empty());
    if let Some(certificates) = given(props, INLINE) {
        only_inline(props, format, (TYPE, LOCATION, INLINE), "certificates")?;
        no_password(password, PASSWORD, "remove it")?;
        return pem::certificates(INLINE, certificates).map(Some);
    }
    let Some(location) = location(props, LOCATION, password.map(|_| PASSWORD))? else { return Ok(None) };
    let bytes = store::read(LOCATION, Path::new(location))?;
    if format == Format::Pem {
        no_password(password, PASSWORD, "remove it")?;
        return pem::certificates(LOCATION, &pem::text(LOCATION, &bytes)?).map(Some);
    }
    store::certificates(LOCATION, PASSWORD, &bytes, password.map_or("", String::as_str)).map(Some)
}

/// The own certificate and key.
fn identity(props: &Props) -> Result<Option<Identity>> {
    const TYPE: &str = "ssl.keystore.type";
    const LOCATION: &str = "ssl.keystore.location";
    const PASSWORD: &str = "ssl.keystore.password";
    const KEY_PASSWORD: &str = "ssl.key.password";
    const INLINE_KEY: &str = "ssl.keystore.key";
    const INLINE_CHAIN: &str = "ssl.keystore.certificate.chain";
    let format = Format::named(TYPE, given(props, TYPE))?;
    let password = props.get(PASSWORD).filter(|value| !value.is_empty());
    let key_password = props.get(KEY_PASSWORD).filter(|value| !value.is_empty()).map(String::as_str);
    let use_key_password = &format!("use {KEY_PASSWORD} for the key");
    match (given(props, INLINE_KEY), given(props, INLINE_CHAIN)) {
        (Some(key), Some(chain)) => {
            only_inline(props, format, (TYPE, LOCATION, INLINE_KEY), "a key")?;
            no_password(password, PASSWORD, use_key_password)?;
            return pem::identity((INLINE_CHAIN, chain), (INLINE_KEY, key), KEY_PASSWORD, key_password).map(Some);
        }
        (Some(_), None) => return Err(invalid(INLINE_KEY, &format!("{INLINE_CHAIN} is missing"), "set both or none")),
        (None, Some(_)) => return Err(invalid(INLINE_CHAIN, &format!("{INLINE_KEY} is missing"), "set both or none")),
        (None, None) => {}
    }
    let Some(location) = location(props, LOCATION, password.map(|_| PASSWORD))? else { return Ok(None) };
    let bytes = store::read(LOCATION, Path::new(location))?;
    if format == Format::Pem {
        no_password(password, PASSWORD, use_key_password)?;
        let text = pem::text(LOCATION, &bytes)?;
        return pem::identity((LOCATION, &text), (LOCATION, &text), KEY_PASSWORD, key_password).map(Some);
    }
    let Some(password) = password else {
        return Err(invalid(PASSWORD, &format!("it is missing, and {LOCATION} is set"), "set the store's password"));
    };
    store::identity(LOCATION, PASSWORD, KEY_PASSWORD, &bytes, password, key_password).map(Some)
}

/// What is given in the settings themselves is PEM, and there is no file beside it.
fn only_inline(props: &Props, format: Format, keys: (&str, &str, &str), what: &str) -> Result<()> {
    let (kind, location, inline) = keys;
    if format != Format::Pem {
        let cause = format!("{what} can be given only as PEM");
        return Err(invalid(kind, &cause, &format!("use PEM, as {inline} is set")));
    }
    if given(props, location).is_some() {
        return Err(invalid(location, &format!("{inline} is set as well"), "keep one of the two"));
    }
    Ok(())
}

/// The store's file, if there is one; a password without it is a mistake.
fn location<'a>(props: &'a Props, key: &str, password: Option<&str>) -> Result<Option<&'a str>> {
    match (given(props, key), password) {
        (None, Some(password)) => Err(invalid(password, &format!("there is no {key}"), "set both or none")),
        (location, _) => Ok(location),
    }
}

fn no_password(password: Option<&String>, key: &str, fix: &str) -> Result<()> {
    match password {
        Some(_) => Err(invalid(key, "PEM stores have no password", fix)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
