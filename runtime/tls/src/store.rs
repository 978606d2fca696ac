//! Key stores in files: PKCS #12, by OpenSSL, and Java's JKS. As in Java, either is accepted under the name of the other.

use std::fs;
use std::path::Path;

use millrace_api::error::{Error, Result};
use openssl::pkcs12::{ParsedPkcs12_2, Pkcs12};
use openssl::pkey::PKey;
use openssl::x509::X509;

use crate::invalid;
use crate::jks::{self, Jks};
use crate::pem::{self, Identity};

/// What a store is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pem,
    /// PKCS #12 or JKS; the file tells.
    Binary,
}

impl Format {
    /// The format of a type; JKS is Kafka's default.
    pub(super) fn named(key: &str, name: Option<&str>) -> Result<Self> {
        match name.unwrap_or("JKS").to_ascii_uppercase().as_str() {
            "PEM" => Ok(Self::Pem),
            "JKS" | "PKCS12" | "P12" => Ok(Self::Binary),
            _ => Err(invalid(key, "there is no such type", "use PEM, PKCS12 or JKS")),
        }
    }
}

/// A store larger than this is something else.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a file that the worker's configuration names.
pub(super) fn read(key: &str, path: &Path) -> Result<Vec<u8>> {
    let told = |cause: &str| {
        Error::config(format!(
            "Invalid value {} for configuration {key}: {cause}; name a readable file",
            path.display()
        ))
    };
    let meta = fs::metadata(path).map_err(|error| told(&error.to_string()))?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return Err(told("it is no file of up to 16 MiB"));
    }
    fs::read(path).map_err(|error| told(&error.to_string()))
}

const CONVERT: &str = "or convert the store with keytool -importkeystore -deststoretype PKCS12";

fn pkcs12(key: &str, password_key: &str, bytes: &[u8], password: &str) -> Result<ParsedPkcs12_2> {
    let store = Pkcs12::from_der(bytes)
        .map_err(|_| invalid(key, "the file is neither PKCS12 nor JKS", "check the file and its type"))?;
    store.parse2(password).map_err(|_| {
        let cause =
            format!("the password does not open the store in {key}, or the store uses algorithms of Java before 8u301");
        invalid(password_key, &cause, &format!("set the store's password, {CONVERT}"))
    })
}

fn jks(key: &str, password_key: &str, bytes: &[u8], password: &str) -> Result<Jks> {
    Jks::parse(bytes, password).map_err(|error| match error {
        jks::Broken::Damaged => invalid(key, "the file is damaged or no JKS store", CONVERT.trim_start_matches("or ")),
        jks::Broken::Password => {
            invalid(password_key, &format!("it does not open the store in {key}"), "set the store's password")
        }
    })
}

/// The certificates that a trust store trusts.
pub(super) fn certificates(key: &str, password_key: &str, bytes: &[u8], password: &str) -> Result<String> {
    let certificates = if jks::is_one(bytes) {
        let ders = jks(key, password_key, bytes, password)?.trusted;
        ders.iter().map(|der| X509::from_der(der)).collect::<Result<Vec<_>, _>>()
    } else {
        let store = pkcs12(key, password_key, bytes, password)?;
        Ok(store.ca.into_iter().flatten().collect())
    };
    let certificates = certificates.map_err(|_| invalid(key, "a certificate in the store is damaged", CONVERT))?;
    if certificates.is_empty() {
        return Err(invalid(key, "the store holds no trusted certificate", "import one with keytool -importcert"));
    }
    pem::write(&certificates).ok_or_else(|| invalid(key, "a certificate in the store is damaged", CONVERT))
}

/// The client's certificate and key out of a key store.
pub(super) fn identity(
    key: &str,
    password_key: &str,
    key_password_key: &str,
    bytes: &[u8],
    password: &str,
    key_password: Option<&str>,
) -> Result<Identity> {
    let empty = || invalid(key, "the store holds no private key", "import one, with its certificate");
    let damaged = || invalid(key, "the key or a certificate in the store is damaged", CONVERT);
    let (private, chain) = if jks::is_one(bytes) {
        let entry = jks(key, password_key, bytes, password)?.keys.into_iter().next().ok_or_else(empty)?;
        let der = jks::open(&entry.protected, key_password.unwrap_or(password)).ok_or_else(|| {
            invalid(key_password_key, &format!("it does not open the key in {key}"), "set the key's password")
        })?;
        let chain = entry.chain.iter().map(|der| X509::from_der(der)).collect::<Result<Vec<_>, _>>();
        (PKey::private_key_from_pkcs8(&der).map_err(|_| damaged())?, chain.map_err(|_| damaged())?)
    } else {
        let store = pkcs12(key, password_key, bytes, password)?;
        let leaf = store.cert.ok_or_else(empty)?;
        (store.pkey.ok_or_else(empty)?, ordered(leaf, store.ca.into_iter().flatten().collect()))
    };
    let pair = chain.first().is_some_and(|leaf| pem::is_pair(&private, leaf));
    let (true, Some(chain), Some(key)) = (pair, pem::write(&chain), pem::write_key(&private)) else {
        return Err(damaged());
    };
    Ok(Identity { chain, key })
}

/// The leaf, then each one's issuer: the store keeps no order, and holds certificates of others, too.
fn ordered(leaf: X509, mut others: Vec<X509>) -> Vec<X509> {
    let mut chain = vec![leaf];
    while let Some(last) = chain.last()
        && let Some(at) = others.iter().position(|other| other.issued(last) == openssl::x509::X509VerifyResult::OK)
    {
        chain.push(others.swap_remove(at));
    }
    chain
}
