//! TLS, by the same library and rules as librdkafka, so that what it reaches is reached here too.

use std::fmt;
use std::io;
use std::pin::Pin;

use millrace_api::error::{Error, Result};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{self, SslConnector, SslMethod, SslVersion};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509VerifyResult};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::connection::Fault;
use super::settings::Address;
use crate::security::Tls;

/// Encrypts connections.
#[derive(Clone)]
pub(super) struct Encryption {
    connector: SslConnector,
    verify_hostname: bool,
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption").finish_non_exhaustive()
    }
}

impl Encryption {
    pub(super) fn of(tls: &Tls) -> Result<Self> {
        let connector = connector(tls).map_err(|error| {
            Error::config("Invalid configuration ssl.*: OpenSSL refuses the certificates or the key").because(error)
        })?;
        Ok(Self { connector, verify_hostname: tls.verify_hostname })
    }

    /// Shakes hands with a broker.
    pub(super) async fn over(&self, stream: TcpStream, broker: &Address) -> Result<SslStream<TcpStream>, Fault> {
        let session = self
            .connector
            .configure()
            .and_then(|session| session.verify_hostname(self.verify_hostname).into_ssl(&broker.host));
        let session = session.and_then(|session| SslStream::new(session, stream));
        let mut stream = session.map_err(|error| Fault::Lost(format!("{broker}: TLS cannot begin: {error}")))?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) if error.ssl_error().is_some() => {
                Err(Fault::Fatal(refused(&error, stream.ssl().verify_result(), broker)))
            }
            Err(error) => Err(Fault::Lost(format!("{broker}: TLS: {error}"))),
        }
    }
}

fn connector(tls: &Tls) -> Result<SslConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    if let Some(ca) = &tls.ca {
        let mut store = X509StoreBuilder::new()?;
        for certificate in X509::stack_from_pem(ca.as_bytes())? {
            store.add_cert(certificate)?;
        }
        builder.set_cert_store(store.build());
    } else {
        // OpenSSL is our own and does not know the system's place.
        let found = openssl_probe::probe();
        if let Some(file) = &found.cert_file {
            builder.load_verify_locations(Some(file), None)?;
        }
        found.cert_dir.iter().try_for_each(|folder| builder.load_verify_locations(None, Some(folder)))?;
    }
    if let (Some(chain), Some(key)) = (&tls.certificate, &tls.key) {
        let mut chain = X509::stack_from_pem(chain.as_bytes())?.into_iter();
        if let Some(leaf) = chain.next() {
            builder.set_certificate(&leaf)?;
        }
        chain.try_for_each(|certificate| builder.add_extra_chain_cert(certificate))?;
        let key = PKey::private_key_from_pem(key.reveal().as_bytes())?;
        builder.set_private_key(&key)?;
    }
    Ok(builder.build())
}

/// A handshake that no further attempt can change.
fn refused(error: &ssl::Error, verified: X509VerifyResult, broker: &Address) -> Error {
    let text = if verified == X509VerifyResult::OK {
        "the TLS handshake failed; do port and security.protocol fit the broker's listener, and does it accept the client's \
         certificate (ssl.keystore.*)?"
            .to_owned()
    } else {
        format!(
            "the broker's certificate is not trusted: {}; check ssl.truststore.* and that the certificate names the host",
            verified.error_string()
        )
    };
    Error::external(text).with("broker", broker).with("cause", error)
}

/// The other side's refusal of a handshake that was over for this one, as with client certificates in TLS 1.3.
pub(super) fn refusal(error: &io::Error, broker: &Address) -> Option<Error> {
    let error: &ssl::Error = error.get_ref()?.downcast_ref()?;
    error.ssl_error().map(|_| refused_later(error, broker))
}

fn refused_later(error: &ssl::Error, broker: &Address) -> Error {
    refused(error, X509VerifyResult::OK, broker)
}
