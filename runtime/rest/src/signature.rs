//! Signatures of requests among workers (KIP-507): an HMAC over the body, in two headers.
//!
//! It covers the body alone, as Kafka Connect's does, so a request that was overheard can be repeated for another connector while
//! the key holds (an hour by default). Among workers, use https.

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use millrace_core::herder::{SessionKey, Signing};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::error::ApiError;

/// Header with the signature, in base64.
pub(crate) const SIGNATURE: &str = "x-connect-authorization";
/// Header with its algorithm.
pub(crate) const ALGORITHM: &str = "x-connect-request-signature-algorithm";

/// Algorithms that this worker can sign and check with.
const SUPPORTED: [&str; 4] = ["HmacSHA256", "HmacSHA1", "HmacSHA384", "HmacSHA512"];

/// What a JVM has besides: a request that names one is told which are allowed, not that there is no such algorithm.
const OTHERS: [&str; 8] = [
    "HmacMD5",
    "HmacSHA224",
    "HmacSHA512/224",
    "HmacSHA512/256",
    "HmacSHA3-224",
    "HmacSHA3-256",
    "HmacSHA3-384",
    "HmacSHA3-512",
];

/// Java's decoder takes a last unit without padding, and does not look at the bits that are left over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether this worker can sign and check with `algorithm`.
pub(crate) fn is_supported(algorithm: &str) -> bool {
    SUPPORTED.contains(&algorithm)
}

/// The names, for messages.
pub(crate) fn supported() -> String {
    SUPPORTED.join(", ")
}

/// The two headers for `body`; `None` for an algorithm that is not supported.
pub(crate) fn headers(algorithm: &str, key: &SessionKey, body: &[u8]) -> Option<[(&'static str, HeaderValue); 2]> {
    let signature = match algorithm {
        "HmacSHA1" => sign::<Hmac<Sha1>>(&key.key, body),
        "HmacSHA256" => sign::<Hmac<Sha256>>(&key.key, body),
        "HmacSHA384" => sign::<Hmac<Sha384>>(&key.key, body),
        "HmacSHA512" => sign::<Hmac<Sha512>>(&key.key, body),
        _ => None,
    }?;
    let mut signature = HeaderValue::try_from(BASE64.encode(signature)).ok()?;
    signature.set_sensitive(true);
    Some([(SIGNATURE, signature), (ALGORITHM, HeaderValue::try_from(algorithm).ok()?)])
}

/// Checks an internal request, in Kafka Connect's order.
///
/// # Errors
/// 400 without a signature or with one that this worker does not check, 503 before a key has been read, 403 for a wrong one.
pub(crate) fn check(signing: &Signing, allowed: &[String], headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    if *signing == Signing::Off {
        return Ok(());
    }
    let (Some(signature), Some(algorithm)) = (headers.get(SIGNATURE), headers.get(ALGORITHM)) else {
        return Err(ApiError::bad_request("Internal request missing required signature"));
    };
    let algorithm = String::from_utf8_lossy(algorithm.as_bytes());
    if !SUPPORTED.iter().chain(&OTHERS).any(|known| known.eq_ignore_ascii_case(&algorithm)) {
        return Err(ApiError::bad_request(format!("Algorithm {algorithm} not available")));
    }
    if let Some(fault) = base64_fault(signature.as_bytes()) {
        return Err(ApiError::bad_request(fault));
    }
    let signature = BASE64.decode(signature.as_bytes()).map_err(|error| ApiError::bad_request(error.to_string()))?;
    if !allowed.iter().any(|name| *name == algorithm) {
        return Err(ApiError::bad_request(format!(
            "This worker does not support the '{algorithm}' key signing algorithm used by other workers. This worker is currently configured to use: [{}]. Check that all workers' configuration files permit the same set of signature algorithms, and correct any misconfigured worker and restart it.",
            allowed.join(", ")
        )));
    }
    match signing {
        Signing::Keys(keys) if keys.iter().any(|key| holds(&algorithm, key, body, &signature)) => Ok(()),
        Signing::Keys(_) => Err(ApiError::new(StatusCode::FORBIDDEN, "Internal request contained invalid signature.")),
        Signing::Pending | Signing::Off => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "This worker is still starting up and has not been able to read a session key from the config topic yet",
        )),
    }
}

fn holds(algorithm: &str, key: &SessionKey, body: &[u8], signature: &[u8]) -> bool {
    match algorithm {
        "HmacSHA1" => verify::<Hmac<Sha1>>(&key.key, body, signature),
        "HmacSHA256" => verify::<Hmac<Sha256>>(&key.key, body, signature),
        "HmacSHA384" => verify::<Hmac<Sha384>>(&key.key, body, signature),
        "HmacSHA512" => verify::<Hmac<Sha512>>(&key.key, body, signature),
        _ => false,
    }
}

fn sign<M: Mac + KeyInit>(key: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mac = <M as KeyInit>::new_from_slice(key).ok()?;
    Some(mac.chain_update(body).finalize().into_bytes().to_vec())
}

/// Takes the same time wherever the signatures differ.
fn verify<M: Mac + KeyInit>(key: &[u8], body: &[u8], signature: &[u8]) -> bool {
    <M as KeyInit>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(body).verify_slice(signature).is_ok())
}

/// What Java's decoder says of a text that is no base64.
fn base64_fault(text: &[u8]) -> Option<String> {
    const WRONG_END: &str = "Input byte array has wrong 4-byte ending unit";
    if text.len() == 1 {
        return Some("Input byte[] should at least have 2 bytes for base64 bytes".to_owned());
    }
    // Letters of the unit that is being read, and where reading went on after its padding.
    let (mut letters, mut end) = (0, text.len());
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => letters = (letters + 1) % 4,
            b'=' if letters == 0 || (letters == 2 && text.get(at + 1) != Some(&b'=')) => {
                return Some(WRONG_END.to_owned());
            }
            b'=' => {
                end = at + if letters == 2 { 2 } else { 1 };
                break;
            }
            _ => return Some(format!("Illegal base64 character {}", signed_hex(*byte))),
        }
    }
    if letters == 1 {
        return Some("Last unit does not have enough valid bits".to_owned());
    }
    (end < text.len()).then(|| format!("Input byte array has incorrect ending byte at {end}"))
}

/// A Java byte has a sign.
fn signed_hex(byte: u8) -> String {
    if byte < 128 { format!("{byte:x}") } else { format!("-{:x}", 256 - u16::from(byte)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SessionKey {
        SessionKey { algorithm: "HmacSHA256".to_owned(), key: b"key".to_vec(), created: 0 }
    }

    /// What Kafka Connect 4.3.1's client sends with the key `key`.
    #[test]
    fn signatures_are_those_of_kafka_connect() {
        let of = |body: &[u8]| headers("HmacSHA256", &key(), body).unwrap()[0].1.to_str().unwrap().to_owned();
        assert_eq!(of(b""), "XV0TlWPJW1lnub2ajJsjOp3ttFByeUzSMtwbdIMmB9A=");
        assert_eq!(of("[{\"k\":\"vé😀/\"}]".as_bytes()), "6+eq2J9hNZbUnbhmJOS2Dd7xRYppjv5jnnoTQwLqc84=");
        assert!(headers("HmacMD5", &key(), b"").is_none());
    }

    #[test]
    fn a_signature_holds_for_its_body_key_and_algorithm_only() {
        for algorithm in SUPPORTED {
            let signed: HeaderMap = headers(algorithm, &key(), b"[]")
                .unwrap()
                .into_iter()
                .map(|(name, value)| (axum::http::HeaderName::from_static(name), value))
                .collect();
            let all: Vec<String> = SUPPORTED.map(str::to_owned).to_vec();
            let old = SessionKey { key: b"old".to_vec(), ..key() };
            let ask = |keys: &[SessionKey], allowed: &[String], body: &[u8]| {
                check(&Signing::Keys(keys.to_vec()), allowed, &signed, body).map_err(|error| error.status().as_u16())
            };
            assert_eq!(ask(&[key()], &all, b"[]"), Ok(()));
            assert_eq!(ask(&[old.clone(), key()], &all, b"[]"), Ok(()), "an older key still holds");
            assert_eq!(ask(&[key()], &all, b"[{}]"), Err(403));
            assert_eq!(ask(&[old], &all, b"[]"), Err(403));
            assert_eq!(ask(&[], &all, b"[]"), Err(403));
            assert_eq!(ask(&[key()], &[], b"[]"), Err(400));
            assert_eq!(check(&Signing::Pending, &all, &signed, b"[]").unwrap_err().status().as_u16(), 503);
            assert!(check(&Signing::Off, &all, &HeaderMap::new(), b"[]").is_ok());
        }
    }
}
