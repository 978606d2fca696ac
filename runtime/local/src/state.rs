//! State tables: one keyspace each of a store of their own, so that the log's fsyncs do not wait for them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use millrace_api::log::{StateStores, StateTable};
use millrace_api::{Error, ErrorKind, Result};

use crate::check::lock;
use crate::error::disk;
use crate::lock::{Lock, create};
use crate::options::LocalOptions;

/// Longest name of a table, in bytes.
const LONGEST_NAME: usize = 255;

/// The state tables in the folder `state` of a data directory. Works beside the embedded log and without it.
pub struct LocalStateStores {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    memory: u64,
    open: Mutex<HashSet<String>>,
    _lock: Lock,
}

impl LocalStateStores {
    /// Opens the tables of a data directory.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when another process uses them; [`ErrorKind::External`] when the disk refuses.
    pub fn open(dir: impl AsRef<Path>, options: &LocalOptions) -> Result<Self> {
        let dir = dir.as_ref().join("state");
        create(&dir)?;
        let lock = Lock::take(&dir)?;
        let database = || {
            Database::builder(dir.join("tables"))
                .cache_size(options.state_cache_bytes)
                .max_journaling_size(64 << 20)
                .worker_threads(2)
                .open()
        };
        let db = match database() {
            Err(fjall::Error::JournalRecovery(_)) if crate::journal::repair(&dir.join("tables"))? => database(),
            other => other,
        };
        let db = db.map_err(|error| disk("opening the state tables", error).with("directory", dir.display()))?;
        let inner = Inner { db, memory: options.state_write_buffer_bytes, open: Mutex::default(), _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn keyspace(&self, name: &str) -> Result<Keyspace> {
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(
                Error::config("The name of a state table is empty or longer than 255 bytes").with("table", name)
            );
        }
        let options = || KeyspaceCreateOptions::default().max_memtable_size(self.inner.memory);
        self.inner.db.keyspace(name, options).map_err(|error| disk("opening a state table", error).with("table", name))
    }

    /// Takes the name, or says that somebody has it.
    fn take(&self, name: &str) -> Result<Taken> {
        if !lock(&self.inner.open).insert(name.to_owned()) {
            let message = "This state table is in use; it has one holder at a time";
            return Err(Error::new(ErrorKind::Conflict, message).with("table", name));
        }
        Ok(Taken { name: name.to_owned(), inner: Arc::clone(&self.inner) })
    }
}

impl StateStores for LocalStateStores {
    fn open(&self, name: &str) -> Result<Box<dyn StateTable>> {
        let taken = self.take(name)?;
        Ok(Box::new(Table { keyspace: self.keyspace(name)?, taken }))
    }

    fn delete(&self, name: &str) -> Result<()> {
        let _taken = self.take(name)?;
        if !self.inner.db.keyspace_exists(name) {
            return Ok(());
        }
        let keyspace = self.keyspace(name)?;
        self.inner
            .db
            .delete_keyspace(keyspace)
            .map_err(|error| disk("deleting a state table", error).with("table", name))
    }
}

/// A name in use.
struct Taken {
    name: String,
    inner: Arc<Inner>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        lock(&self.inner.open).remove(&self.name);
    }
}

struct Table {
    keyspace: Keyspace,
    taken: Taken,
}

impl Table {
    fn failed(&self, what: &'static str) -> impl Fn(fjall::Error) -> Error {
        move |error| disk(what, error).with("table", &self.taken.name)
    }
}

impl StateTable for Table {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.keyspace.get(key).map_err(self.failed("reading a state table"))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if from >= to {
            return Ok(Vec::new());
        }
        let entries = self.keyspace.range(from..to).take(limit).map(|guard| {
            let (key, value) = guard.into_inner()?;
            Ok((key.to_vec(), value.to_vec()))
        });
        entries.collect::<fjall::Result<_>>().map_err(self.failed("reading a state table"))
    }

    fn write(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<()> {
        // A journal is read from its start, so what a crash leaves is always a prefix of the writes.
        let mut batch = self.taken.inner.db.batch().durability(Some(PersistMode::Buffer));
        // Of several entries with one key the last counts.
        let mut seen = HashSet::with_capacity(entries.len());
        for (key, value) in entries.iter().rev().filter(|(key, _)| seen.insert(key.as_slice())) {
            match value {
                Some(value) => batch.insert(&self.keyspace, key.as_slice(), value.as_slice()),
                None => batch.remove(&self.keyspace, key.as_slice()),
            }
        }
        batch.commit().map_err(self.failed("writing a state table"))
    }

    fn sync(&self) -> Result<()> {
        self.taken.inner.db.persist(PersistMode::SyncData).map_err(self.failed("syncing a state table"))
    }

    fn clear(&self) -> Result<()> {
        self.keyspace.clear().map_err(self.failed("clearing a state table"))
    }
}
