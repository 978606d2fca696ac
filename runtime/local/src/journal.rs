//! Repair of a journal that ends in a torn write.
//!
//! fjall discards a last write that is incomplete. It refuses to open when the last write is complete in length but not in
//! content, which is what a power failure leaves behind when the disk wrote its pages out of order. Such a write was never
//! acknowledged: an acknowledgement waits for fsync. The journal is cut before the first write that is not sound, as `SQLite` does
//! with its write-ahead log; what is cut off is kept in a file beside it.
//!
//! The form of a journal is fjall 3's: `1 u32 items u64 sequence`, then the items `2 u8 type u8 compression u64 keyspace u16 key
//! u32 length u32 stored-length key value` or `4 u64 keyspace`, then `3 u64 xxh3-of-the-items "FJL" 3`.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use millrace_api::{Error, Result};
use xxhash_rust::xxh3::Xxh3;

const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];

/// Cuts the newest journal of a database before its first unsound write. `false` when there is nothing to repair.
pub(crate) fn repair(database: &Path) -> Result<bool> {
    let failed = |error: std::io::Error| {
        Error::external("The log's journal is damaged and cannot be repaired")
            .with("directory", database.display())
            .because(error)
    };
    let Some(path) = newest(database).map_err(failed)? else { return Ok(false) };
    let sound = sound_length(&path).map_err(failed)?;
    cut(&path, sound).map_err(failed)
}

fn newest(database: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in std::fs::read_dir(database)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
        newest = newest.max(number.map(|number| (number, path)));
    }
    Ok(newest.map(|(_, path)| path))
}

/// Length of the journal up to the end of its last sound write.
fn sound_length(path: &Path) -> std::io::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let length = reader.get_ref().metadata()?.len();
    let mut sound = 0;
    while let Some(size) = write(&mut reader, length - sound)? {
        sound += size;
    }
    Ok(sound)
}

/// Reads one write and returns its size; `None` when it is not sound or there is none.
fn write(reader: &mut impl Read, rest: u64) -> std::io::Result<Option<u64>> {
    let mut taken = Taken { reader, rest, size: 0, hash: Xxh3::new() };
    match taken.write() {
        Ok(sound) => Ok(sound.then_some(taken.size)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

struct Taken<'a, R> {
    reader: &'a mut R,
    rest: u64,
    size: u64,
    hash: Xxh3,
}

impl<R: Read> Taken<'_, R> {
    fn write(&mut self) -> std::io::Result<bool> {
        let start: [u8; 13] = self.array()?;
        if start[0] != 1 {
            return Ok(false);
        }
        let items = u32::from_le_bytes([start[1], start[2], start[3], start[4]]);
        self.hash.reset();
        for _ in 0..items {
            if !self.item()? {
                return Ok(false);
            }
        }
        let hash = self.hash.digest();
        let [tag] = self.array()?;
        let expected = u64::from_le_bytes(self.array()?);
        let trailer: [u8; 4] = self.array()?;
        Ok(tag == 3 && hash == expected && trailer == TRAILER)
    }

    fn item(&mut self) -> std::io::Result<bool> {
        match self.array()? {
            [4] => {
                self.array::<8>()?;
                Ok(true)
            }
            [2] => {
                self.array::<10>()?;
                let key = u16::from_le_bytes(self.array()?);
                self.array::<4>()?;
                let value = u32::from_le_bytes(self.array()?);
                self.skip(u64::from(key) + u64::from(value))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn array<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.hash.update(&bytes);
        self.size += N as u64;
        Ok(bytes)
    }

    fn skip(&mut self, mut count: u64) -> std::io::Result<()> {
        if count > self.rest.saturating_sub(self.size) {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.size += count;
        let mut buffer = [0; 8192];
        while count > 0 {
            let part = usize::try_from(count).unwrap_or(usize::MAX).min(buffer.len());
            let part = buffer.get_mut(..part).unwrap_or_default();
            self.reader.read_exact(part)?;
            self.hash.update(part);
            count -= part.len() as u64;
        }
        Ok(())
    }
}

fn cut(path: &Path, sound: u64) -> std::io::Result<bool> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    if file.metadata()?.len() <= sound {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(sound))?;
    std::io::copy(&mut file, &mut File::create(path.with_extension("torn"))?)?;
    file.set_len(sound)?;
    file.sync_all()?;
    Ok(true)
}
