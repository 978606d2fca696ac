//! TLS to brokers, and what is said when it fails.

use std::io;

use millrace_api::error::{Error, Result};
use millrace_tls::{Connector, HandshakeError, SslStream, Tls};
use tokio::net::TcpStream;

use super::connection::Fault;
use super::settings::Address;

/// Encrypts connections.
#[derive(Debug, Clone)]
pub(super) struct Encryption(Connector);

impl Encryption {
    pub(super) fn of(tls: &Tls) -> Result<Self> {
        Connector::new(tls).map(Self)
    }

    /// Shakes hands with a broker.
    pub(super) async fn over(&self, stream: TcpStream, broker: &Address) -> Result<SslStream<TcpStream>, Fault> {
        self.0.connect(stream, &broker.host).await.map_err(|error| match error {
            HandshakeError::Lost(cause) => Fault::Lost(format!("{broker}: {cause}")),
            // No further attempt can change these.
            HandshakeError::Refused(cause) => Fault::Fatal(refused(&cause, broker)),
            HandshakeError::Untrusted { reason, cause } => Fault::Fatal(
                Error::external(format!(
                    "the broker's certificate is not trusted: {reason}; check ssl.truststore.* and that the certificate names the \
                     host"
                ))
                .with("broker", broker)
                .with("cause", cause),
            ),
        })
    }
}

fn refused(cause: &str, broker: &Address) -> Error {
    let text = "the TLS handshake failed; do port and security.protocol fit the broker's listener, and does it accept the client's \
                certificate (ssl.keystore.*)?";
    Error::external(text).with("broker", broker).with("cause", cause)
}

/// The broker's refusal of a handshake that was over for this side.
pub(super) fn refusal(error: &io::Error, broker: &Address) -> Option<Error> {
    millrace_tls::refusal(error).map(|cause| refused(&cause, broker))
}
