//! Checking a data directory, and mending its indexes, while no server uses it.
//!
//! ```text
//! Directory::open        format version, catalog           -> OpenError: not a directory of ours, in use, unreadable
//! Directory::verify      checksums   every block of every table file, by RocksDB
//!                        metadata    every record of the catalog, cursors, drops, request tokens
//!                        table       every item; every index in both directions; counters     -> TableSummary
//!                        leftovers   rows of ids that the catalog does not have
//! Directory::rebuild     table, index as above, and what differs is written anew
//! ```
//!
//! What is not as the format says goes to an [`Observer`] and ends nothing; only what makes further reading pointless
//! is an error. Memory is bounded: rows are read one by one and summed up ([`index::Digest`]).

/// RocksDB's checksums.
mod checksums;

/// Rows up to the end of a space, past damage.
mod walk;

/// Keys for people.
mod describe;

/// One item.
mod item;

/// An index against its table.
mod index;

/// One table with all that belongs to it.
mod table;

/// Records that are not rows.
mod metadata;

/// Rows of no table.
mod leftovers;

/// Writing what differs anew.
mod rebuild;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use rebuild::{Repair, Selection};

use super::catalog::Catalog;
use super::engine::Engine;
use super::lock::{self, Mode};
use super::progress::{Finding, Observer};
use super::{Durability, Error, OpenError, StoreOptions};

/// Memory of a command: lookups of items and entries go through the cache.
const BLOCK_CACHE_BYTES: usize = 64 << 20;
const MEMTABLE_BYTES: usize = 64 << 20;

/// An open data directory that no server uses.
pub struct Directory {
    engine: Engine,
    catalog: Catalog,
    path: PathBuf,
    /// Keeps a server from starting, if the engine itself does not.
    _lock: Option<File>,
}

/// What a table and its indexes hold: rows and bytes by DynamoDB's rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSummary {
    pub name: String,
    pub items: u64,
    pub bytes: u64,
    pub indexes: Vec<(String, u64, u64)>,
}

impl TableSummary {
    fn new(name: &str, items: u64, bytes: u64) -> TableSummary {
        TableSummary { name: name.to_owned(), items, bytes, indexes: Vec::new() }
    }
}

/// The end of [`Directory::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// By name.
    pub tables: Vec<TableSummary>,
    /// How often [`Observer::find`] was called.
    pub difference_count: u64,
}

/// Counts findings on their way to the observer.
struct Reporter<'o> {
    observer: &'o mut dyn Observer,
    difference_count: u64,
}

impl Reporter<'_> {
    fn find(&mut self, place: &str, what: String) {
        self.difference_count += 1;
        self.observer.find(Finding { place: place.to_owned(), what });
    }
}

impl Directory {
    /// Opens a directory for reading: nothing in it changes, and no server can start meanwhile.
    pub fn open(path: &Path) -> Result<Directory, OpenError> {
        // Before the lock, which would be created in any directory.
        Engine::require_database(path)?;
        let lock = lock::take(path, Mode::Shared).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse { path: path.into() },
            _ => OpenError::Io { path: path.into(), detail: format!("its lock: {error}") },
        })?;
        Directory::load(Engine::open_read_only(&options(path))?, path, lock)
    }

    /// Opens a directory for [`Directory::rebuild`].
    pub fn open_for_repair(path: &Path) -> Result<Directory, OpenError> {
        Directory::load(Engine::open_existing(&options(path))?, path, None)
    }

    fn load(engine: Engine, path: &Path, lock: Option<File>) -> Result<Directory, OpenError> {
        let catalog = Catalog::load(&engine)
            .map_err(|error| OpenError::Corrupt { path: path.into(), detail: error.to_string() })?;
        Ok(Directory { engine, catalog, path: path.into(), _lock: lock })
    }

    /// Checks everything. An error: the metadata cannot be read to their end.
    pub fn verify(&self, observer: &mut dyn Observer) -> Result<Verification, Error> {
        let mut reporter = Reporter { observer, difference_count: 0 };
        reporter.observer.begin("checksums of all files", 0);
        if let Err(error) = checksums::verify(&self.path) {
            reporter.find("files", error.to_string());
        }
        metadata::check(&self.engine, &self.catalog, &mut reporter)?;
        let mut tables = Vec::new();
        for table in self.catalog.tables() {
            tables.push(table::check(&self.engine, table, &mut reporter)?);
        }
        leftovers::check(&self.engine, &self.catalog, &mut reporter)?;
        Ok(Verification { tables, difference_count: reporter.difference_count })
    }
}

/// How commands open a directory. What they write is synced at their end.
pub(super) fn options(path: &Path) -> StoreOptions {
    StoreOptions {
        path: path.into(),
        durability: Durability::Os,
        hot_cache_bytes: 0,
        block_cache_bytes: BLOCK_CACHE_BYTES,
        memtable_bytes: MEMTABLE_BYTES,
        statistics: false,
        disk_reserve_bytes: 0,
        recover_damaged_log: false,
    }
}
