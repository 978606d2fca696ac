//! Logging in on a connection: PLAIN (RFC 4616) and SCRAM.

use std::time::Duration;

use millrace_api::error::Error;
use openssl::hash::MessageDigest;

use super::codes::{self, NONE};
use super::connection::{Connection, Fault};
use super::messages::{SaslAuthenticate, SaslHandshake};
use super::scram::Scram;
use crate::security::{Mechanism, Sasl};

/// Logs in. Answers how long that lasts, if not for ever.
pub(super) async fn log_in(
    connection: &mut Connection,
    sasl: &Sasl,
    patience: Duration,
) -> Result<Option<Duration>, Fault> {
    let mut login = Login { connection, mechanism: sasl.mechanism, patience, lifetime_ms: 0 };
    login.choose().await?;
    match sasl.mechanism {
        Mechanism::Plain => {
            let said = format!("\0{}\0{}", sasl.username, sasl.password.reveal());
            login.say(said.as_bytes()).await?;
        }
        Mechanism::ScramSha256 => login.scram(MessageDigest::sha256(), sasl).await?,
        Mechanism::ScramSha512 => login.scram(MessageDigest::sha512(), sasl).await?,
        Mechanism::OAuthBearer => return Err(Fault::Fatal(unsupported(sasl.mechanism))),
    }
    let lifetime = u64::try_from(login.lifetime_ms).ok().filter(|lifetime| *lifetime > 0);
    Ok(lifetime.map(Duration::from_millis))
}

/// A mechanism that members cannot use.
pub(super) fn unsupported(mechanism: Mechanism) -> Error {
    Error::config(format!(
        "Invalid value for configuration sasl.mechanism: {} is not supported for the worker's own group; use PLAIN, \
         SCRAM-SHA-256 or SCRAM-SHA-512",
        mechanism.name()
    ))
}

struct Login<'a> {
    connection: &'a mut Connection,
    mechanism: Mechanism,
    patience: Duration,
    lifetime_ms: i64,
}

impl Login<'_> {
    async fn choose(&mut self) -> Result<(), Fault> {
        let mechanism = self.mechanism.name();
        let (code, known) = self.connection.call(&SaslHandshake { mechanism }, self.patience).await?;
        if code == NONE {
            return Ok(());
        }
        let error = if code == codes::UNSUPPORTED_SASL_MECHANISM {
            let known: String = known.join(", ").chars().filter(|c| !c.is_control()).take(200).collect();
            Error::config(format!(
                "Invalid value for configuration sasl.mechanism: the broker does not have {mechanism}; it has {known}"
            ))
        } else {
            Error::external(format!("Kafka refused to begin a login with {mechanism}: {}", codes::name(code)))
        };
        Err(Fault::Fatal(error))
    }

    async fn say(&mut self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let answer = self.connection.call(&SaslAuthenticate { message }, self.patience).await?;
        if answer.code != NONE {
            // The broker's words are for the client, and hold nothing that it said.
            let said: String = answer.error.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(self.refused(&format!("{} {said}", codes::name(answer.code))));
        }
        self.lifetime_ms = answer.lifetime_ms;
        Ok(answer.message)
    }

    async fn scram(&mut self, digest: MessageDigest, sasl: &Sasl) -> Result<(), Fault> {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let scram = Scram::new(digest, &sasl.username, sasl.password.reveal(), nonce);
        let first = self.say(scram.first().as_bytes()).await?;
        let (proof, expected) = scram.proof(&String::from_utf8_lossy(&first)).map_err(|fault| self.refused(fault))?;
        let last = self.say(proof.as_bytes()).await?;
        expected.check(&String::from_utf8_lossy(&last)).map_err(|fault| self.refused(fault))
    }

    fn refused(&self, cause: &str) -> Fault {
        Fault::Fatal(Error::external(format!(
            "the login with {} failed: {}; check sasl.jaas.config against the users that the brokers know",
            self.mechanism.name(),
            cause.trim()
        )))
    }
}
