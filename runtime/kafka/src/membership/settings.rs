//! What a member's connections need of the worker's client settings.

use std::fmt;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::error::{Error, Result};

use super::login;
use super::tls::Encryption;
use crate::security::{Mechanism, Sasl, Security};

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Settings, with Kafka Connect's defaults.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) bootstrap: Vec<Address>,
    pub(super) client_id: String,
    /// Nothing is encrypted when it is missing.
    pub(super) encryption: Option<Encryption>,
    /// Who logs in, if anybody.
    pub(super) sasl: Option<Sasl>,
    /// For an answer.
    pub(super) request_timeout: Duration,
    /// For a connection.
    pub(super) setup_timeout: Duration,
    /// Between requests that fail.
    pub(super) retry: Backoff,
    /// Between connections that fail.
    pub(super) reconnect: Backoff,
}

impl Settings {
    /// Reads the files of trust and key stores, so it blocks.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the setting at fault.
    pub(super) fn of(bootstrap: &str, client_id: &str, props: &Props) -> Result<Self> {
        let ms = |key, default| millis(props, key, default);
        let security = Security::from_props(props)?;
        if let Some(Sasl { mechanism: mechanism @ Mechanism::OAuthBearer, .. }) = security.sasl {
            return Err(login::unsupported(mechanism));
        }
        Ok(Self {
            bootstrap: addresses(bootstrap)?,
            client_id: client_id.to_owned(),
            encryption: security.tls.as_ref().map(Encryption::of).transpose()?,
            sasl: security.sasl,
            request_timeout: ms("request.timeout.ms", 40_000)?,
            setup_timeout: ms("socket.connection.setup.timeout.ms", 10_000)?,
            retry: Backoff { first: ms("retry.backoff.ms", 100)?, most: ms("retry.backoff.max.ms", 1_000)? },
            reconnect: Backoff { first: ms("reconnect.backoff.ms", 50)?, most: ms("reconnect.backoff.max.ms", 1_000)? },
        })
    }
}

/// Waiting that doubles up to a most, with a fifth more or less by chance (KIP-144, KIP-580).
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// How long to wait after so many failures before this one; `chance` decides on the fifth.
    pub(super) fn after(self, failures: u32, chance: u16) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(16)).min(self.most.max(self.first));
        doubled.mul_f64(0.8 + 0.4 * f64::from(chance) / f64::from(u16::MAX))
    }
}

fn millis(props: &Props, key: &str, default: u64) -> Result<Duration> {
    let Some(value) = props.get(key) else { return Ok(Duration::from_millis(default)) };
    match value.trim().parse() {
        Ok(number @ 0..=0x7fff_ffff) => Ok(Duration::from_millis(number)),
        _ => Err(Error::config(format!(
            "Invalid value for configuration {key}: use a whole number of milliseconds from 0 to 2147483647"
        ))),
    }
}

/// `host:port` pairs. As in Kafka, a protocol in front has no meaning, and IPv6 addresses are in brackets.
fn addresses(bootstrap: &str) -> Result<Vec<Address>> {
    let parts = bootstrap.split(',').map(str::trim).filter(|part| !part.is_empty());
    let found: Vec<_> = parts.map(|part| address(part).ok_or_else(|| unusable(part))).collect::<Result<_>>()?;
    if found.is_empty() {
        return Err(unusable(""));
    }
    Ok(found)
}

fn address(text: &str) -> Option<Address> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, port) = rest.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let bare = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'))?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '%' | '.' | '_' | ':');
    (!bare.is_empty() && bare.chars().all(legal)).then(|| Address { host: bare.to_owned(), port })
}

fn unusable(part: &str) -> Error {
    let shown: String = part.chars().filter(|c| !c.is_control()).take(100).collect();
    Error::config(format!(
        "Invalid value for configuration bootstrap.servers: '{shown}' is no host:port; use host:port pairs, separated by commas"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bootstrap_servers_are_read_as_kafka_reads_them() {
        let address = |host: &str, port| Address { host: host.to_owned(), port };
        let read = addresses("a:1, PLAINTEXT://b.c:2,[::1]:3 ,").unwrap();
        assert_eq!(read, [address("a", 1), address("b.c", 2), address("::1", 3)]);
        assert_eq!(read[2].to_string(), "[::1]:3");
        for wrong in ["", " , ", "a", "a:", "a:0", "a:65536", ":1", "a b:1", "[::1:3", "a/b:1"] {
            let error = addresses(wrong).unwrap_err();
            assert!(error.to_string().contains("bootstrap.servers"), "{wrong}: {error}");
        }
    }

    #[test]
    fn times_are_checked() {
        let props: Props = [("request.timeout.ms".to_owned(), "-1".to_owned())].into_iter().collect();
        assert!(Settings::of("a:1", "", &props).unwrap_err().to_string().contains("request.timeout.ms"));
    }

    proptest! {
        #[test]
        fn waiting_is_bounded(failures: u32, chance: u16, first in 0_u64..10_000, most in 0_u64..10_000) {
            let backoff = Backoff { first: Duration::from_millis(first), most: Duration::from_millis(most) };
            let waited = backoff.after(failures, chance);
            prop_assert!(waited >= Duration::from_millis(first).mul_f64(0.79));
            prop_assert!(waited <= Duration::from_millis(first.max(most)).mul_f64(1.21));
        }
    }
}
