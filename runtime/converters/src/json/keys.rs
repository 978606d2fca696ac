//! Duplicate keys, which Jackson's `ObjectNode` does not keep: objects that seem to have some are closed with
//! `Writer::end_distinct`.

/// Objects with more keys than this are always checked exactly, in one pass at their end.
const FEW: usize = 64;

/// Hashes of the keys of the objects being read, innermost last. Suspects cost a second look, so hashes may collide.
#[derive(Default)]
pub(super) struct Keys {
    hashes: Vec<u32>,
}

impl Keys {
    pub(super) fn clear(&mut self) {
        self.hashes.clear();
    }

    /// Opens an object; give the answer back to the other calls.
    pub(super) fn open(&self) -> usize {
        self.hashes.len()
    }

    /// Closes an object.
    pub(super) fn close(&mut self, open: usize) {
        self.hashes.truncate(open);
    }

    /// Notes a key of the innermost object. `true` when it may be there already.
    #[inline]
    pub(super) fn suspect(&mut self, open: usize, key: &[u8]) -> bool {
        let known = self.hashes.get(open..).unwrap_or_default();
        if known.len() >= FEW {
            return true;
        }
        let hash = hash(key);
        let seen = known.contains(&hash);
        self.hashes.push(hash);
        seen
    }
}

#[inline]
fn hash(key: &[u8]) -> u32 {
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (key.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(mixed >> 32).unwrap_or_default()
}
