//! The same, in librdkafka's settings.

use super::{Protocol, Security};

impl Security {
    /// librdkafka's names and values. Contains secrets: it goes to a client's configuration and nowhere else.
    pub(crate) fn native(&self) -> Vec<(&'static str, String)> {
        let protocol = match self.protocol {
            Protocol::Plaintext => "plaintext",
            Protocol::Ssl => "ssl",
            Protocol::SaslPlaintext => "sasl_plaintext",
            Protocol::SaslSsl => "sasl_ssl",
        };
        let mut native = vec![("security.protocol", protocol.to_owned())];
        if let Some(sasl) = &self.sasl {
            native.push(("sasl.mechanism", sasl.mechanism.name().to_owned()));
            native.push(("sasl.username", sasl.username.clone()));
            native.push(("sasl.password", sasl.password.reveal().to_owned()));
        }
        if let Some(tls) = &self.tls {
            native.push(match &tls.ca {
                Some(ca) => ("ssl.ca.pem", ca.clone()),
                // Where systems keep theirs: OpenSSL is our own and does not know the system's place.
                None => ("ssl.ca.location", "probe".to_owned()),
            });
            if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
                native.push(("ssl.certificate.pem", certificate.clone()));
                native.push(("ssl.key.pem", key.reveal().to_owned()));
            }
            native.push(("enable.ssl.certificate.verification", "true".to_owned()));
            let algorithm = if tls.verify_hostname { "https" } else { "none" };
            native.push(("ssl.endpoint.identification.algorithm", algorithm.to_owned()));
        }
        native
    }
}
