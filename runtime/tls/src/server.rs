//! The side that listens.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::error::{Error, Result};
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVerifyMode};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::{Tls, context, given, invalid};

/// Encrypts connections of clients. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor(Arc<SslAcceptor>);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl Acceptor {
    /// From `ssl.*` settings: a key store, `ssl.client.auth` (none, requested, required), and a trust store when clients show
    /// certificates. Reads files, so this blocks.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming key, cause and fix.
    pub fn from_props(props: &Props) -> Result<Self> {
        let tls = Tls::from_props(props)?;
        if tls.certificate.is_none() {
            return Err(invalid(
                "ssl.keystore.location",
                "it is missing, and who listens with TLS shows a certificate",
                "name a key store, or give ssl.keystore.certificate.chain and ssl.keystore.key in PEM",
            ));
        }
        let clients = client_auth(props)?;
        if clients != SslVerifyMode::NONE && tls.ca.is_none() {
            return Err(invalid(
                "ssl.truststore.location",
                "it is missing, and ssl.client.auth asks clients for certificates",
                "name a trust store with their authority, or give ssl.truststore.certificates in PEM",
            ));
        }
        let acceptor = acceptor(&tls, clients).map_err(|error| {
            Error::config("Invalid configuration ssl.*: OpenSSL refuses the certificates or the key").because(error)
        })?;
        Ok(Self(Arc::new(acceptor)))
    }

    /// Shakes hands with a client. Dropping the call closes the connection.
    ///
    /// # Errors
    /// When the client does not speak TLS, or one side refuses the other.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<SslStream<TcpStream>> {
        let session = Ssl::new(self.0.context())?;
        let mut stream = SslStream::new(session, stream)?;
        Pin::new(&mut stream).accept().await.map_err(io::Error::other)?;
        Ok(stream)
    }
}

fn client_auth(props: &Props) -> Result<SslVerifyMode> {
    const KEY: &str = "ssl.client.auth";
    match given(props, KEY) {
        None => Ok(SslVerifyMode::NONE),
        Some(value) if value.eq_ignore_ascii_case("none") => Ok(SslVerifyMode::NONE),
        Some(value) if value.eq_ignore_ascii_case("requested") => Ok(SslVerifyMode::PEER),
        Some(value) if value.eq_ignore_ascii_case("required") => {
            Ok(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT)
        }
        Some(_) => Err(invalid(KEY, "there is no such way", "use none, requested or required")),
    }
}

fn acceptor(tls: &Tls, clients: SslVerifyMode) -> Result<SslAcceptor, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    context::prepare(&mut builder, tls)?;
    if let Some(ca) = &tls.ca {
        builder.set_verify_cert_store(context::trust(ca)?)?;
    }
    builder.set_verify(clients);
    // A session is bound to who it was made for; without this, clients with certificates cannot resume one.
    builder.set_session_id_context(b"millrace")?;
    Ok(builder.build())
}
