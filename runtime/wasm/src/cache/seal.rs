//! The key that tells our own files from others.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::precompiled::Verified;

const KEY_FILE: &str = "key";
const TAG: usize = 32;

/// Seals and opens files of the cache.
pub(super) struct Seal {
    key: [u8; 32],
}

impl Seal {
    /// Makes the directory private and reads its key, making one the first time.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
        let path = dir.join(KEY_FILE);
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).map_err(io::Error::other)?;
                file.write_all(&key)?;
                file.sync_all()?;
                File::open(&path)?
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(&path)?,
            Err(error) => return Err(error),
        };
        let (owner, key) = (fs::metadata(dir)?, file.metadata()?);
        if key.mode() & 0o077 != 0 || key.uid() != owner.uid() || key.len() != 32 {
            return Err(io::Error::other("its key is not private; remove the directory"));
        }
        let mut seal = Self { key: [0; 32] };
        file.read_exact(&mut seal.key)?;
        Ok(seal)
    }

    /// The content of a file called `name` with its MAC in front.
    pub(super) fn close(&self, name: &str, content: &[u8]) -> io::Result<Vec<u8>> {
        let tag = self.mac(name, content)?.finalize().into_bytes();
        Ok([tag.as_slice(), content].concat())
    }

    /// The content of a sealed file, if it is what was sealed under that name.
    pub(super) fn open<'a>(&self, name: &str, sealed: &'a [u8]) -> Option<Verified<'a>> {
        let (tag, content) = sealed.split_at_checked(TAG)?;
        self.mac(name, content).ok()?.verify_slice(tag).ok()?;
        Some(Verified(content))
    }

    fn mac(&self, name: &str, content: &[u8]) -> io::Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(io::Error::other)?;
        mac.update(&(name.len() as u64).to_le_bytes());
        mac.update(name.as_bytes());
        mac.update(content);
        Ok(mac)
    }
}
