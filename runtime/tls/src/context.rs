//! What both sides tell OpenSSL.

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{SslContextBuilder, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::{X509Store, X509StoreBuilder};

use crate::Tls;

/// TLS 1.2 and later, and the own certificate when there is one.
pub(crate) fn prepare(builder: &mut SslContextBuilder, tls: &Tls) -> Result<(), ErrorStack> {
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    let (Some(chain), Some(key)) = (&tls.certificate, &tls.key) else { return Ok(()) };
    let mut chain = X509::stack_from_pem(chain.as_bytes())?.into_iter();
    if let Some(leaf) = chain.next() {
        builder.set_certificate(&leaf)?;
    }
    chain.try_for_each(|certificate| builder.add_extra_chain_cert(certificate))?;
    let key = PKey::private_key_from_pem(key.reveal().as_bytes())?;
    builder.set_private_key(&key)
}

/// The authorities of `ca`, PEM.
pub(crate) fn trust(ca: &str) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for certificate in X509::stack_from_pem(ca.as_bytes())? {
        store.add_cert(certificate)?;
    }
    Ok(store.build())
}
