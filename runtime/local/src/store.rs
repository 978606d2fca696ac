//! The store on disk: blocks of records in one keyspace, everything else in another, written together atomically.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use fjall::config::CompressionPolicy;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable, UserKey,
    UserValue,
};
use millrace_api::{Error, Result};

use crate::error::{corrupt, disk};
use crate::keys::{self, BlockKey, Mark};
use crate::lock::{self, Lock};
use crate::options::LocalOptions;
use crate::topic::Partition;
use crate::{journal, keys::mark};

const FORMAT_VERSION: &[u8] = b"1";

/// Longest wait for what is in memory to be in files before space is freed; what comes later is freed next time.
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// The store. Calls block on the disk for a short time; only [`Store::write`] with `sync` blocks for long.
pub(crate) struct Store {
    db: Database,
    records: Keyspace,
    meta: Keyspace,
    _lock: Lock,
}

/// What one atomic write changes; `None` removes.
#[derive(Default)]
pub(crate) struct Changes {
    /// Blocks.
    pub(crate) blocks: BTreeMap<BlockKey, Option<UserValue>>,
    /// Everything else.
    pub(crate) meta: BTreeMap<Vec<u8>, Option<UserValue>>,
    /// Bytes of values.
    pub(crate) bytes: usize,
}

impl Changes {
    /// Writes a block.
    pub(crate) fn put_block(&mut self, key: BlockKey, value: Vec<u8>) {
        self.bytes += value.len();
        self.blocks.insert(key, Some(value.into()));
    }

    /// Sets a number.
    pub(crate) fn put_number(&mut self, key: Vec<u8>, number: i64) {
        self.meta.insert(key, Some(number.to_be_bytes().into()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.meta.is_empty()
    }
}

impl Store {
    /// Opens or creates a store in a directory that nobody else uses.
    pub(crate) fn open(dir: &Path, options: &LocalOptions) -> Result<Self> {
        lock::create(dir)?;
        let lock = Lock::take(dir)?;
        let path = dir.join("log");
        let db = open_database(&path, options)?;
        let refused = |error| disk("opening the log", error);
        let records = db.keyspace("records", || record_options(options)).map_err(refused)?;
        let small = || KeyspaceCreateOptions::default().max_memtable_size(options.write_buffer_bytes.min(4 << 20));
        let meta = db.keyspace("meta", small).map_err(refused)?;
        let store = Self { db, records, meta, _lock: lock };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<()> {
        match self.meta(keys::FORMAT)? {
            Some(version) if *version == *FORMAT_VERSION => Ok(()),
            Some(_) => Err(Error::external(
                "The data directory was written by another version of Millrace whose format this one does not know",
            )),
            None => {
                let mut changes = Changes::default();
                changes.meta.insert(keys::FORMAT.to_vec(), Some(FORMAT_VERSION.into()));
                changes.meta.insert(keys::CLUSTER.to_vec(), Some(uuid::Uuid::new_v4().to_string().into_bytes().into()));
                self.write(changes, true)
            }
        }
    }

    /// Writes changes, all or none of them. With `sync` they and everything written before are durable afterwards.
    pub(crate) fn write(&self, changes: Changes, sync: bool) -> Result<()> {
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.db.batch().durability(Some(mode));
        for (key, value) in changes.blocks {
            match value {
                Some(value) => batch.insert(&self.records, key, value),
                None => batch.remove(&self.records, key),
            }
        }
        for (key, value) in changes.meta {
            match value {
                Some(value) => batch.insert(&self.meta, key, value),
                None => batch.remove(&self.meta, key),
            }
        }
        batch.commit().map_err(|error| disk("writing the log", error))
    }

    /// A value that is no block.
    pub(crate) fn meta(&self, key: &[u8]) -> Result<Option<UserValue>> {
        self.meta.get(key).map_err(|error| disk("reading the log", error))
    }

    /// All values that are no blocks, under a prefix, in order.
    pub(crate) fn scan_meta(&self, prefix: &[u8]) -> Result<Vec<(UserKey, UserValue)>> {
        let entries = self.meta.prefix(prefix).map(fjall::Guard::into_inner);
        entries.collect::<fjall::Result<_>>().map_err(|error| disk("reading the log", error))
    }

    /// A mark of a partition.
    pub(crate) fn mark(&self, kind: Mark, partition: &Partition) -> Result<Option<i64>> {
        let value = self.meta(&mark(kind, partition.topic_id, partition.key_index()))?;
        value.map(|value| keys::number(&value).ok_or_else(|| corrupt("reading marks"))).transpose()
    }

    /// The last offset that any block of a partition covers.
    pub(crate) fn last(&self, partition: &Partition) -> Result<Option<i64>> {
        let (id, index) = (partition.topic_id, partition.key_index());
        let mut range = self.records.range(keys::block(id, index, 0)..=keys::block(id, index, i64::MAX));
        let Some(guard) = range.next_back() else { return Ok(None) };
        let key = guard.key().map_err(|error| disk("reading the log", error))?;
        keys::last_offset(&key).map(Some).ok_or_else(|| corrupt("reading blocks"))
    }

    /// Blocks of a partition from the one that covers `from` (or the next) up to the last that ends before `end`, with the last
    /// offset of each: as they are now. Compaction puts blocks together while this is being read; without a snapshot a reader would see
    /// the whole beside its parts, or neither.
    pub(crate) fn blocks(
        &self,
        partition: &Partition,
        from: i64,
        end: i64,
    ) -> impl Iterator<Item = Result<(i64, UserValue)>> {
        let (id, index) = (partition.topic_id, partition.key_index());
        let range = keys::block(id, index, from)..keys::block(id, index, end);
        self.db.snapshot().range(&self.records, range).map(|guard| {
            let (key, value) = guard.into_inner().map_err(|error| disk("reading the log", error))?;
            Ok((keys::last_offset(&key).ok_or_else(|| corrupt("reading blocks"))?, value))
        })
    }

    /// Last offsets and sizes of a partition's blocks in order, without reading them.
    pub(crate) fn sizes(&self, partition: &Partition) -> Result<Vec<(i64, u64)>> {
        let (id, index) = (partition.topic_id, partition.key_index());
        let keys = keys::block(id, index, 0)..=keys::block(id, index, i64::MAX);
        // A guard gives either its key or its size, so there are two walks over one snapshot.
        let snapshot = self.db.snapshot();
        let offsets = snapshot.range(&self.records, keys.clone()).map(fjall::Guard::key);
        let sizes = snapshot.range(&self.records, keys).map(fjall::Guard::size);
        let pairs = offsets.zip(sizes).map(|(key, size)| {
            let failed = |error| disk("reading the log", error);
            let last = keys::last_offset(&key.map_err(failed)?).ok_or_else(|| corrupt("reading blocks"))?;
            Ok((last, u64::from(size.map_err(failed)?)))
        });
        pairs.collect()
    }

    /// At most `limit` keys of blocks of a topic, whatever its partitions.
    pub(crate) fn keys_of_topic(&self, topic: u32, limit: usize) -> Result<Vec<BlockKey>> {
        let range = self.records.range(keys::block(topic, 0, 0)..=keys::block(topic, u32::MAX, i64::MAX));
        let keys = range.take(limit).map(|guard| {
            let key = guard.key().map_err(|error| disk("reading the log", error))?;
            BlockKey::try_from(&*key).map_err(|_| corrupt("reading blocks"))
        });
        keys.collect()
    }

    /// Keys of all marks of a topic.
    pub(crate) fn marks_of_topic(&self, topic: u32) -> Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        for kind in Mark::ALL {
            all.extend(self.scan_meta(&keys::marks(kind, topic))?.into_iter().map(|(key, _)| key.to_vec()));
        }
        Ok(all)
    }

    /// Gives the space of removed blocks back to the disk. Costs little, because blocks lie beside the sorted files of keys.
    pub(crate) fn reclaim(&self) -> Result<()> {
        let failed = |error| disk("freeing space", error);
        // fjall keeps what the newest write removed, for snapshots that may still see it.
        self.touch()?;
        self.records.rotate_memtable().map_err(failed)?;
        let deadline = Instant::now() + FLUSH_PATIENCE;
        while self.records.sealed_memtable_count() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        // The first round finds out which files hold nothing any more, the second drops them.
        for _ in 0..2 {
            self.records.major_compact().map_err(failed)?;
            self.touch()?;
        }
        self.meta.rotate_memtable().map_err(failed)?;
        Ok(())
    }

    /// A write that changes nothing.
    fn touch(&self) -> Result<()> {
        let mut changes = Changes::default();
        changes.meta.insert(keys::FORMAT.to_vec(), Some(FORMAT_VERSION.into()));
        self.write(changes, false)
    }

    /// Bytes on disk.
    pub(crate) fn disk_space(&self) -> Result<u64> {
        self.db.disk_space().map_err(|error| disk("measuring the log", error))
    }
}

fn open_database(path: &Path, options: &LocalOptions) -> Result<Database> {
    match database(path, options) {
        // The machine lost power in the middle of a write that nobody was told of: its pages reached the disk out of order.
        Err(fjall::Error::JournalRecovery(cause)) if journal::repair(path)? => {
            tracing::warn!(directory = %path.display(), %cause, "the log's journal ended in a torn write, which was cut off");
            database(path, options).map_err(|error| disk("opening the log", error))
        }
        Err(fjall::Error::Locked) => Err(Error::new(
            millrace_api::ErrorKind::Conflict,
            "The data directory is still being closed. Wait a moment and try again",
        )
        .with("directory", path.display())),
        other => other.map_err(|error| disk("opening the log", error).with("directory", path.display())),
    }
}

fn database(path: &Path, options: &LocalOptions) -> fjall::Result<Database> {
    Database::builder(path)
        .cache_size(options.cache_bytes)
        .manual_journal_persist(true)
        // Blocks are compressed already.
        .journal_compression(CompressionType::None)
        // What is in the journals is replayed when the log is opened, so they are kept as short as fjall allows.
        .max_journaling_size(64 << 20)
        .worker_threads(2)
        .open()
}

fn record_options(options: &LocalOptions) -> KeyspaceCreateOptions {
    let separation = KvSeparationOptions::default().compression(CompressionType::None).staleness_threshold(0.5);
    KeyspaceCreateOptions::default()
        .max_memtable_size(options.write_buffer_bytes)
        .manual_journal_persist(true)
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
        .with_kv_separation(Some(separation))
}
