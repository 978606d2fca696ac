//! SCRAM (RFC 5802, RFC 7677), the client's side, as Kafka has it: without channel binding, names and passwords in plain UTF-8.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::memcmp;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sign::Signer;

/// Fewer are too weak, as in Kafka.
const LEAST_ITERATIONS: usize = 4_096;
/// More would only keep the processor busy; Kafka itself stores 16,384 at most.
const MOST_ITERATIONS: usize = 1 << 18;

/// Why an exchange failed.
pub(super) type Fault = &'static str;

/// An exchange that has not begun.
pub(super) struct Scram<'a> {
    digest: MessageDigest,
    password: &'a str,
    /// The first message without its header.
    bare: String,
    nonce: String,
}

impl<'a> Scram<'a> {
    pub(super) fn new(digest: MessageDigest, username: &str, password: &'a str, nonce: String) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self { digest, password, bare: format!("n={name},r={nonce}"), nonce }
    }

    /// What the client says first.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// What the client answers to the server's first message, and what the server must say then.
    pub(super) fn proof(&self, server_first: &str) -> Result<(String, Expected), Fault> {
        let nonce = field(server_first, "r").ok_or("the broker's first message has no nonce")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the broker's first message answers another client's");
        }
        let salt = field(server_first, "s").and_then(|salt| BASE64.decode(salt).ok());
        let salt = salt.ok_or("the broker's first message has no salt")?;
        let iterations = field(server_first, "i").and_then(|count| count.parse().ok());
        let iterations = iterations.filter(|count| (LEAST_ITERATIONS..=MOST_ITERATIONS).contains(count));
        let iterations = iterations.ok_or("the broker's number of iterations is not from 4096 to 262144")?;

        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.bare);
        let (proof, expected) =
            self.keys(&salt, iterations, signed.as_bytes()).map_err(|_| "OpenSSL cannot compute the proof")?;
        Ok((format!("{without_proof},p={}", BASE64.encode(proof)), Expected(expected)))
    }

    /// The client's proof and the server's signature.
    fn keys(&self, salt: &[u8], iterations: usize, signed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
        let mut salted = vec![0; self.digest.size()];
        pbkdf2_hmac(self.password.as_bytes(), salt, iterations, self.digest, &mut salted)?;
        let client_key = self.hmac(&salted, b"Client Key")?;
        let signature = self.hmac(&hash(self.digest, &client_key)?, signed)?;
        let proof = client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
        let server_key = self.hmac(&salted, b"Server Key")?;
        Ok((proof, self.hmac(&server_key, signed)?))
    }

    fn hmac(&self, key: &[u8], message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let key = PKey::hmac(key)?;
        let mut signer = Signer::new(self.digest, &key)?;
        signer.update(message)?;
        signer.sign_to_vec()
    }
}

/// The signature by which a server shows that it knows the password too.
pub(super) struct Expected(Vec<u8>);

impl Expected {
    pub(super) fn check(&self, server_final: &str) -> Result<(), Fault> {
        if field(server_final, "e").is_some() {
            return Err("the broker does not accept the name or the password");
        }
        let given = field(server_final, "v").and_then(|given| BASE64.decode(given).ok()).unwrap_or_default();
        let same = given.len() == self.0.len() && memcmp::eq(&given, &self.0);
        same.then_some(()).ok_or("the broker does not prove that it knows the password; is it the right one?")
    }
}

fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // RFC 7677, section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn scram() -> Scram<'static> {
        Scram::new(MessageDigest::sha256(), "user", "pencil", NONCE.to_owned())
    }

    #[test]
    fn the_exchange_of_rfc_7677() {
        assert_eq!(scram().first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, expected) = scram().proof(SERVER_FIRST).unwrap();
        let proof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(last, proof);
        expected.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(expected.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").is_err());
        assert!(expected.check("v=").is_err());
        assert!(expected.check("").is_err());
        assert!(expected.check("e=invalid-proof").is_err());
    }

    #[test]
    fn weak_foreign_and_endless_exchanges_are_refused() {
        for wrong in [
            "",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999999",
        ] {
            assert!(scram().proof(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_with_signs_are_escaped() {
        let scram = Scram::new(MessageDigest::sha512(), "a=b,c", "", "x".to_owned());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=x");
    }

    proptest! {
        #[test]
        fn foreign_texts_never_panic(text in "[rsiev=,0-9a-zA-Z%]{0,80}") {
            let _ = scram().proof(&text);
            let _ = Expected(vec![1, 2, 3]).check(&text);
        }
    }
}
