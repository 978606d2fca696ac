//! Schemas that were seen before: text to schema and schema to text.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use millrace_api::SchemaRef;

/// Texts of schemas that a cache keeps at most, in bytes: `schemas.cache.size` counts schemas, and a schema may be as large as a
/// record.
const MAX_BYTES: usize = 16 << 20;

/// How many of the latest are compared one by one before anything is hashed.
const RECENT: usize = 4;

/// The schema of a text, by the text as it stands in the record.
pub(super) struct Texts {
    recent: Vec<(Arc<[u8]>, SchemaRef)>,
    all: Lru<Arc<[u8]>, SchemaRef>,
}

impl Texts {
    pub(super) fn new(capacity: usize) -> Self {
        Self { recent: Vec::new(), all: Lru::new(capacity) }
    }

    /// The schema whose text `json` begins with, and the length of that text, if it is one of the latest. Such a text is an
    /// object, so it ends where it ends whatever follows.
    #[inline]
    pub(super) fn recent(&mut self, json: &[u8]) -> Option<(SchemaRef, usize)> {
        let found = self.recent.iter().position(|(text, _)| json.starts_with(text))?;
        if found > 0 {
            self.recent.swap(0, found);
        }
        self.recent.first().map(|(text, schema)| (SchemaRef::clone(schema), text.len()))
    }

    /// The schema of exactly this text.
    pub(super) fn get(&mut self, text: &[u8]) -> Option<SchemaRef> {
        let (text, schema) = self.all.get(text)?;
        self.note(text, &schema);
        Some(schema)
    }

    /// Notes a schema.
    pub(super) fn insert(&mut self, text: &[u8], schema: &SchemaRef) {
        let text: Arc<[u8]> = Arc::from(text);
        self.all.insert(Arc::clone(&text), SchemaRef::clone(schema), text.len());
        self.note(text, schema);
    }

    fn note(&mut self, text: Arc<[u8]>, schema: &SchemaRef) {
        self.recent.truncate(RECENT - 1);
        self.recent.insert(0, (text, SchemaRef::clone(schema)));
    }
}

/// The text of a schema.
pub(super) struct Schemas {
    recent: Vec<(SchemaRef, Arc<[u8]>)>,
    all: Lru<SchemaRef, Arc<[u8]>>,
}

impl Schemas {
    pub(super) fn new(capacity: usize) -> Self {
        Self { recent: Vec::new(), all: Lru::new(capacity) }
    }

    /// The text of a schema: found by address among the latest, by contents among all.
    pub(super) fn get(&mut self, schema: &SchemaRef) -> Option<Arc<[u8]>> {
        if let Some(found) = self.recent.iter().position(|(known, _)| Arc::ptr_eq(known, schema)) {
            self.recent.swap(0, found);
            return self.recent.first().map(|(_, text)| Arc::clone(text));
        }
        let (_, text) = self.all.get(schema)?;
        self.note(schema, &text);
        Some(text)
    }

    /// Notes a text.
    pub(super) fn insert(&mut self, schema: &SchemaRef, text: &[u8]) {
        let text: Arc<[u8]> = Arc::from(text);
        self.all.insert(SchemaRef::clone(schema), Arc::clone(&text), text.len());
        self.note(schema, &text);
    }

    fn note(&mut self, schema: &SchemaRef, text: &Arc<[u8]>) {
        self.recent.truncate(RECENT - 1);
        self.recent.insert(0, (SchemaRef::clone(schema), Arc::clone(text)));
    }
}

/// Keeps what was used last, up to a number of entries and [`MAX_BYTES`].
struct Lru<K, V> {
    entries: HashMap<K, Used<V>>,
    capacity: usize,
    bytes: usize,
    clock: u64,
}

struct Used<V> {
    value: V,
    bytes: usize,
    at: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Lru<K, V> {
    fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity, bytes: 0, clock: 0 }
    }

    fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.clock += 1;
        let key = self.entries.get_key_value(key).map(|(key, _)| key.clone())?;
        let used = self.entries.get_mut(key.borrow())?;
        used.at = self.clock;
        Some((key, used.value.clone()))
    }

    fn insert(&mut self, key: K, value: V, bytes: usize) {
        if self.capacity == 0 || bytes > MAX_BYTES / 4 {
            return;
        }
        self.clock += 1;
        let entry = Used { value, bytes, at: self.clock };
        self.bytes += bytes;
        if let Some(before) = self.entries.insert(key, entry) {
            self.bytes -= before.bytes;
        }
        while self.entries.len() > self.capacity || self.bytes > MAX_BYTES {
            let oldest = self.entries.iter().min_by_key(|(_, used)| used.at).map(|(key, _)| key.clone());
            match oldest.and_then(|key| self.entries.remove(&key)) {
                Some(used) => self.bytes -= used.bytes,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lru;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut lru = Lru::new(2);
        lru.insert("a".to_owned(), 1, 1);
        lru.insert("b".to_owned(), 2, 1);
        assert_eq!(lru.get("a").map(|(_, v)| v), Some(1));
        lru.insert("c".to_owned(), 3, 1);
        assert_eq!(lru.get("b"), None);
        assert_eq!((lru.get("a").map(|(_, v)| v), lru.get("c").map(|(_, v)| v)), (Some(1), Some(3)));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut lru = Lru::new(1_000);
        for n in 0..100 {
            lru.insert(n, n, 1 << 20);
        }
        assert_eq!(lru.entries.len(), 16);
        assert!(lru.get(&99).is_some());
    }
}
