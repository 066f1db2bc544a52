//! Point reads, from memory only or from wherever the row is.

use std::ops::Deref;

use rocksdb::{DBPinnableSlice, ErrorKind, ReadOptions, ReadTier};

use super::engine::Engine;
use super::error::Error;
use super::hot_cache::HotItem;

/// Where a read may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Memtable and block cache: never waits for the disk. For event loops and the committer.
    Memory,
    /// Also the disk: may block for milliseconds. For the pool.
    Any,
}

/// What a read found.
pub enum Lookup<'s> {
    Found(StoredBytes<'s>),
    Missing,
    /// `Tier::Memory` does not suffice: ask again on the pool with `Tier::Any`.
    WouldBlock,
}

/// A stored value: of the hot-item cache, or pinned in the block cache as long as this lives (short, or the block cache
/// cannot evict).
pub struct StoredBytes<'s>(Source<'s>);

enum Source<'s> {
    Hot(HotItem),
    Pinned(DBPinnableSlice<'s>),
}

impl Deref for StoredBytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Hot(item) => item,
            Source::Pinned(bytes) => bytes,
        }
    }
}

impl From<HotItem> for StoredBytes<'_> {
    fn from(item: HotItem) -> Self {
        StoredBytes(Source::Hot(item))
    }
}

/// Read options that are made once: making them costs an allocation, and RocksDB only reads them.
pub(super) struct TierOptions {
    memory: ReadOptions,
    any: ReadOptions,
}

impl TierOptions {
    pub fn new() -> TierOptions {
        let mut memory = ReadOptions::default();
        memory.set_read_tier(ReadTier::BlockCache);
        TierOptions { memory, any: ReadOptions::default() }
    }

    fn of(&self, tier: Tier) -> &ReadOptions {
        match tier {
            Tier::Memory => &self.memory,
            Tier::Any => &self.any,
        }
    }
}

impl Engine {
    pub(super) fn get(&self, row_key: &[u8], tier: Tier) -> Result<Lookup<'_>, Error> {
        self.get_with(row_key, self.tiers.of(tier))
    }

    fn get_with(&self, row_key: &[u8], options: &ReadOptions) -> Result<Lookup<'_>, Error> {
        match self.db.get_pinned_opt(row_key, options) {
            Ok(Some(value)) => Ok(Lookup::Found(StoredBytes(Source::Pinned(value)))),
            Ok(None) => Ok(Lookup::Missing),
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(Lookup::WouldBlock),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot<'_> {
        let snapshot = self.db.snapshot();
        let mut tiers = TierOptions::new();
        tiers.memory.set_snapshot(&snapshot);
        tiers.any.set_snapshot(&snapshot);
        Snapshot { engine: self, tiers, _snapshot: snapshot }
    }
}

/// The store at one moment: several reads that see the same state (TransactGetItems). Short-lived, because it keeps old
/// versions of rows from being dropped. The hot-item cache knows items as they are now, so it is not asked.
pub struct Snapshot<'s> {
    engine: &'s Engine,
    /// Before the snapshot, so that they are dropped before what they refer to.
    tiers: TierOptions,
    _snapshot: rocksdb::Snapshot<'s>,
}

impl Snapshot<'_> {
    pub fn get(&self, row_key: &[u8], tier: Tier) -> Result<Lookup<'_>, Error> {
        self.engine.get_with(row_key, self.tiers.of(tier))
    }
}
