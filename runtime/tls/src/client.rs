//! The side that connects.

use std::fmt;
use std::io;
use std::pin::Pin;

use millrace_api::error::{Error, Result};
use openssl::error::ErrorStack;
use openssl::ssl::{self, SslConnector, SslMethod};
use openssl::x509::X509VerifyResult;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::{Tls, context};

/// Encrypts connections to servers. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    connector: SslConnector,
    verify_hostname: bool,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Why no connection came of a handshake.
#[derive(Debug)]
pub enum HandshakeError {
    /// OpenSSL could not begin, or the connection was lost: another attempt may do better.
    Lost(String),
    /// The server's certificate is not trusted, for this reason.
    Untrusted {
        /// OpenSSL's words.
        reason: &'static str,
        /// The error of the handshake.
        cause: String,
    },
    /// One side refused the other for another reason.
    Refused(String),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(cause) => f.write_str(cause),
            Self::Untrusted { reason, .. } => write!(f, "the certificate is not trusted: {reason}"),
            Self::Refused(cause) => write!(f, "the handshake failed: {cause}"),
        }
    }
}

impl Connector {
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] when OpenSSL refuses what the stores held.
    pub fn new(tls: &Tls) -> Result<Self> {
        let connector = connector(tls).map_err(|error| {
            Error::config("Invalid configuration ssl.*: OpenSSL refuses the certificates or the key").because(error)
        })?;
        Ok(Self { connector, verify_hostname: tls.verify_hostname })
    }

    /// Shakes hands with `host` over a connection to it. Dropping the call closes the connection.
    ///
    /// # Errors
    /// Why there is no encrypted connection.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> Result<SslStream<TcpStream>, HandshakeError> {
        let session = self.connector.configure();
        let session = session.and_then(|session| session.verify_hostname(self.verify_hostname).into_ssl(host));
        let mut stream = session
            .and_then(|session| SslStream::new(session, stream))
            .map_err(|error| HandshakeError::Lost(format!("TLS cannot begin: {error}")))?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) if error.ssl_error().is_some() => Err(match stream.ssl().verify_result() {
                X509VerifyResult::OK => HandshakeError::Refused(error.to_string()),
                verified => HandshakeError::Untrusted { reason: verified.error_string(), cause: error.to_string() },
            }),
            Err(error) => Err(HandshakeError::Lost(format!("TLS: {error}"))),
        }
    }
}

/// The other side's refusal of a handshake that was over for this one, as with client certificates in TLS 1.3: OpenSSL's words, when
/// `error` is one.
#[must_use]
pub fn refusal(error: &io::Error) -> Option<String> {
    let error: &ssl::Error = error.get_ref()?.downcast_ref()?;
    error.ssl_error().map(|_| error.to_string())
}

fn connector(tls: &Tls) -> Result<SslConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    context::prepare(&mut builder, tls)?;
    if let Some(ca) = &tls.ca {
        builder.set_cert_store(context::trust(ca)?);
    } else {
        // OpenSSL is our own and does not know the system's place.
        let found = openssl_probe::probe();
        if let Some(file) = &found.cert_file {
            builder.load_verify_locations(Some(file), None)?;
        }
        found.cert_dir.iter().try_for_each(|folder| builder.load_verify_locations(None, Some(folder)))?;
    }
    Ok(builder.build())
}
