//! Certificates and keys in PEM. Line ends may have become spaces on the way through a properties file or an environment, which Java
//! accepts and OpenSSL does not, so the base64 is taken out here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millrace_api::config::Password;
use millrace_api::error::Result;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use crate::invalid;

/// A client's certificates and key, in PEM.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) chain: String,
    pub(super) key: Password,
}

struct Block {
    label: String,
    der: Vec<u8>,
}

/// The blocks whose label ends in `kind`; `None` when one is damaged.
fn blocks(text: &str, kind: &str) -> Option<Vec<Block>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, begun) = begun.split_once("-----")?;
        let (body, ended) = begun.split_once("-----END ")?;
        rest = ended.split_once("-----")?.1;
        if label.ends_with(kind) {
            let lines = body.lines().filter(|line| !line.contains(':'));
            let base64: String = lines.flat_map(str::split_whitespace).collect();
            found.push(Block { label: label.to_owned(), der: STANDARD.decode(base64).ok()? });
        }
    }
    Some(found)
}

/// What a file holds.
pub(super) fn text(key: &str, bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| invalid(key, "the file is no PEM", "check the type of the store"))
}

/// All certificates of a text, written afresh.
pub(super) fn certificates(key: &str, text: &str) -> Result<String> {
    let damaged =
        || invalid(key, "a certificate is damaged", "check that it was copied whole, with its BEGIN and END lines");
    let blocks = blocks(text, "CERTIFICATE").ok_or_else(damaged)?;
    if blocks.is_empty() {
        return Err(invalid(key, "there is no certificate in it", "give PEM certificates (BEGIN CERTIFICATE)"));
    }
    let certificates = blocks.iter().map(|block| X509::from_der(&block.der)).collect::<Result<Vec<_>, _>>();
    write(&certificates.map_err(|_| damaged())?).ok_or_else(damaged)
}

/// Certificates as PEM.
pub(super) fn write(certificates: &[X509]) -> Option<String> {
    let mut out = String::new();
    for certificate in certificates {
        out.push_str(std::str::from_utf8(&certificate.to_pem().ok()?).ok()?);
    }
    Some(out)
}

/// A key as PEM.
pub(super) fn write_key(key: &PKey<Private>) -> Option<Password> {
    String::from_utf8(key.private_key_to_pem_pkcs8().ok()?).ok().map(Password::new)
}

/// Checks that a key belongs to the first certificate.
pub(super) fn is_pair(key: &PKey<Private>, certificate: &X509) -> bool {
    certificate.public_key().is_ok_and(|public| public.public_eq(key))
}

/// A chain and a key, each with the name of its setting.
pub(super) fn identity(
    (chain_key, chain): (&str, &str),
    (key_key, key): (&str, &str),
    password_key: &str,
    password: Option<&str>,
) -> Result<Identity> {
    let chain = certificates(chain_key, chain)?;
    let key = private_key(key_key, key, password_key, password)?;
    let leaf = X509::from_pem(chain.as_bytes());
    if !leaf.is_ok_and(|leaf| is_pair(&key, &leaf)) {
        let fix = "give the key of the first certificate of the chain";
        return Err(invalid(key_key, "the key does not belong to the certificate", fix));
    }
    let key = write_key(&key).ok_or_else(|| invalid(key_key, "the key cannot be used", "use an RSA or EC key"))?;
    Ok(Identity { chain, key })
}

fn private_key(key: &str, text: &str, password_key: &str, password: Option<&str>) -> Result<PKey<Private>> {
    let damaged =
        || invalid(key, "the key is damaged or of an unknown kind", "give one PKCS #8 key (BEGIN PRIVATE KEY)");
    let blocks = blocks(text, "PRIVATE KEY").ok_or_else(damaged)?;
    let [block] = blocks.as_slice() else {
        let fix = "give one PKCS #8 key (BEGIN PRIVATE KEY)";
        return Err(invalid(key, &format!("one private key is wanted, and {} were found", blocks.len()), fix));
    };
    if block.label != "ENCRYPTED PRIVATE KEY" {
        return PKey::private_key_from_der(&block.der).map_err(|_| damaged());
    }
    let Some(password) = password else {
        return Err(invalid(password_key, &format!("it is missing, and the key in {key} is encrypted"), "set it"));
    };
    PKey::private_key_from_pkcs8_passphrase(&block.der, password.as_bytes())
        .map_err(|_| invalid(password_key, &format!("it does not open the key in {key}"), "set the key's password"))
}
