//! Java's own key store format, JKS, unchanged since Java 1.2. Only what reading it takes.

use openssl::sha::Sha1;

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const DIGEST: usize = 20;

/// A store.
#[derive(Debug, Default)]
pub(super) struct Jks {
    /// Private keys.
    pub(super) keys: Vec<KeyEntry>,
    /// Trusted certificates, DER.
    pub(super) trusted: Vec<Vec<u8>>,
}

/// A private key.
#[derive(Debug)]
pub(super) struct KeyEntry {
    /// The key, for [`open`].
    pub(super) protected: Vec<u8>,
    /// Its certificates, leaf first, DER.
    pub(super) chain: Vec<Vec<u8>>,
}

/// Why a store cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Damaged,
    Password,
}

/// Whether a file says that it is such a store.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

impl Jks {
    /// Reads a store. An empty password leaves its integrity unchecked, as in Java.
    pub(super) fn parse(bytes: &[u8], password: &str) -> Result<Self, Broken> {
        let body_end = bytes.len().checked_sub(DIGEST).ok_or(Broken::Damaged)?;
        let (body, digest) = bytes.split_at(body_end);
        if !password.is_empty() {
            let mut hash = Sha1::new();
            hash.update(&utf16(password));
            hash.update(b"Mighty Aphrodite");
            hash.update(body);
            if hash.finish() != digest {
                return Err(Broken::Password);
            }
        }
        Self::entries(body).ok_or(Broken::Damaged)
    }

    fn entries(body: &[u8]) -> Option<Self> {
        let mut input = Input(body.strip_prefix(&MAGIC)?);
        let version = input.number()?;
        if !matches!(version, 1 | 2) {
            return None;
        }
        let mut store = Self::default();
        for _ in 0..input.number()? {
            let tag = input.number()?;
            input.short()?; // the alias
            input.take(8)?; // when it was made
            match tag {
                1 => {
                    let protected = input.long()?.to_vec();
                    let mut chain = Vec::new();
                    for _ in 0..input.number()? {
                        chain.push(input.certificate(version)?);
                    }
                    store.keys.push(KeyEntry { protected, chain });
                }
                2 => store.trusted.push(input.certificate(version)?),
                _ => return None,
            }
        }
        Some(store)
    }
}

/// Decrypts a key of a store to PKCS #8; `None` when the password is wrong.
pub(super) fn open(protected: &[u8], password: &str) -> Option<Vec<u8>> {
    // EncryptedPrivateKeyInfo: the algorithm, of which there is one, and the octets.
    let mut outer = Input(Input(protected).der(0x30)?);
    outer.der(0x30)?;
    let octets = outer.der(0x04)?;
    let (salt, rest) = octets.split_at_checked(DIGEST)?;
    let (sealed, check) = rest.split_at_checked(rest.len().checked_sub(DIGEST)?)?;
    let password = utf16(password);
    let next = |seed: &[u8]| {
        let mut hash = Sha1::new();
        hash.update(&password);
        hash.update(seed);
        hash.finish()
    };
    let mut plain = Vec::with_capacity(sealed.len());
    let mut pad = next(salt);
    for block in sealed.chunks(DIGEST) {
        plain.extend(block.iter().zip(pad).map(|(byte, pad)| byte ^ pad));
        pad = next(&pad);
    }
    (next(&plain) == check).then_some(plain)
}

fn utf16(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Bytes behind a length of two bytes.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.try_into().ok().map(u16::from_be_bytes)?;
        self.take(length.into())
    }

    /// Bytes behind a length of four bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn certificate(&mut self, version: u32) -> Option<Vec<u8>> {
        if version == 2 && self.short()? != b"X.509" {
            return None;
        }
        self.long().map(<[u8]>::to_vec)
    }

    /// The content of a DER element with this tag.
    fn der(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.take(1)? != [tag] {
            return None;
        }
        let [first] = *self.take(1)? else { return None };
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x83 => {
                let bytes = self.take(usize::from(first & 0x7f))?;
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        self.take(length)
    }
}
