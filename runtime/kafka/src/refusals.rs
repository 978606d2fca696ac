//! Logins and handshakes that brokers refuse. librdkafka tries again for ever and only logs it; Kafka's own clients give up, and so
//! does Millrace, after a moment in which a broker that has just started may learn whom to trust.

use std::time::Duration;

use millrace_api::error::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tokio::sync::watch;

/// How long a refusal must stand before a call fails with it.
const GRACE: Duration = Duration::from_secs(3);

/// What a client was last refused for. Cloning an error is not possible, so its text is kept.
#[derive(Debug)]
pub(crate) struct Refusals(watch::Sender<Option<String>>);

impl Default for Refusals {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Refusals {
    /// Takes note of a client's error, if it is one.
    pub(crate) fn note(&self, error: &KafkaError, reason: &str) {
        if let Some(text) = error.rdkafka_error_code().and_then(|code| explain(code, reason)) {
            self.0.send_replace(Some(text));
        }
    }

    /// Something succeeded.
    pub(crate) fn clear(&self) {
        if self.0.borrow().is_some() {
            self.0.send_replace(None);
        }
    }

    /// The error for what stands now.
    pub(crate) fn error(&self) -> Option<Error> {
        self.0.borrow().clone().map(|text| Error::new(ErrorKind::External, text))
    }

    /// Waits until a refusal has stood for a moment.
    async fn stands(&self) -> Error {
        let mut watched = self.0.subscribe();
        loop {
            if watched.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(GRACE).await;
            if let Some(error) = self.error() {
                return error;
            }
        }
    }

    /// The result of `work`, unless a refusal stands before it is there.
    ///
    /// # Errors
    /// [`ErrorKind::External`], naming what to check.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            refusal = self.stands() => Err(refusal),
        }
    }
}

/// What was refused, why, and what to check; `None` for errors of other kinds. The reason is librdkafka's, without the names of its
/// settings, which nobody can set here.
fn explain(code: Code, reason: &str) -> Option<String> {
    let shown = reason.split(" (after ").next().unwrap_or_default();
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed => Some(format!(
            "Kafka refused the login: {shown}; check the name and the password in sasl.jaas.config, sasl.mechanism and \
             security.protocol"
        )),
        Code::SSL => {
            let shown = shown.split(": broker certificate could not").next().unwrap_or_default();
            let shown = shown.split(": client SSL authentication might").next().unwrap_or_default();
            Some(format!("no TLS connection to Kafka: {shown}; check {}", tls_fix(shown)))
        }
        // A broker of TLS 1.3 tells only after the handshake that it wants another certificate.
        Code::BrokerTransportFailure if shown.contains(" alert ") => {
            Some(format!("Kafka ended a TLS connection: {shown}; check {}", tls_fix(shown)))
        }
        _ => None,
    }
}

fn tls_fix(reason: &str) -> &'static str {
    // OpenSSL does not tell an unknown authority from another host's certificate.
    if reason.contains("certificate verify failed") {
        "that ssl.truststore.certificates or ssl.truststore.location holds the authority of the broker's certificate, and that the \
         certificate names the host in bootstrap.servers (ssl.endpoint.identification.algorithm, left empty, turns that off)"
    } else if reason.contains("alert") || reason.contains("unexpected message") {
        "that ssl.keystore.certificate.chain and ssl.keystore.key, or ssl.keystore.location, hold a certificate that the broker accepts"
    } else {
        "security.protocol and the port in bootstrap.servers"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_what_to_check() {
        for (code, reason, words) in [
            (
                Code::Authentication,
                "sasl_ssl://h:1/1: SASL authentication error: no (after 5ms in state X)",
                "sasl.jaas.config",
            ),
            (
                Code::SSL,
                "ssl://h:1/1: SSL handshake failed: error:0A000086:certificate verify failed: broker certificate could not be verified, verify that ssl.ca.location is",
                "ssl.truststore.location",
            ),
            (
                Code::BrokerTransportFailure,
                "ssl://h:1/1: Receive failed: tlsv13 alert certificate required",
                "ssl.keystore.location",
            ),
            (Code::SSL, "ssl://h:1/1: SSL handshake failed: wrong version number", "security.protocol"),
        ] {
            let text = explain(code, reason).unwrap();
            assert!(text.contains(words) && !text.contains("ssl.ca.location") && !text.contains("(after"), "{text}");
        }
        assert_eq!(explain(Code::BrokerTransportFailure, "Disconnected"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_stands_ends_a_call() {
        let refusals = Refusals::default();
        refusals.note(&KafkaError::Global(Code::Authentication), "no");
        let busy = tokio::time::sleep(GRACE / 2);
        assert!(refusals.or(busy).await.is_ok());
        let repaired = async {
            tokio::time::sleep(GRACE / 2).await;
            refusals.clear();
            tokio::time::sleep(GRACE * 9).await;
        };
        assert!(refusals.or(repaired).await.is_ok());
        refusals.note(&KafkaError::Global(Code::Authentication), "no");
        let error = refusals.or(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::External);
    }
}
