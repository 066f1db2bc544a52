//! Keys and items on disk, the commit pipeline, reads and scans.
//!
//! This folder is the only one that names RocksDB, behind a narrow door: a get, an ordered scan both ways, a snapshot,
//! and a commit of mutations that decide on the old item. Another ordered transactional engine could stand behind it.
//!
//! ```text
//! reader thread   Store::get, Store::scan, Store::snapshot        (memory first; WouldBlock: ask again on the pool)
//! writer thread   Store::submit -> queue -> committer: read old, Mutation::decide, index rows, one WriteBatch, sync
//!                                            -> Mutation::complete for each, then one wake per waker
//! back-fill       slices of items  -> queue -> committer: entries of a new index, one WriteBatch
//! control plane   Store::alter  -> queue -> committer: a closure on the catalog, one synced WriteBatch, new snapshot
//! maintenance     BackupSource::create beside all this; Directory::verify, Directory::rebuild while no server runs
//! ```
//!
//! Invariants:
//!
//! 1. Only the committer thread writes rows, counters and the catalog ([`Directory::rebuild`] works where there is
//!    none). So every mutation and every alteration is serializable with all others, without a lock per table or key.
//! 2. An item, its index rows and its table's counters are in one WriteBatch: after a crash they agree.
//! 3. What a reader sees is in the WAL, and in `Durability::Sync` it is on disk. Whether an item comes from the
//!    hot-item cache or from the engine makes no difference to what it is.
//! 4. Table ids and index numbers are never used again, so no row of a dropped table can appear in another.
//! 5. After a failed write or sync nothing is acknowledged until the process starts anew ([`Error::Poisoned`]), unless
//!    it failed only for want of space: then it was not written, and later ones succeed when there is space
//!    ([`Error::DiskFull`]).
//! 6. A start refuses a log that lost what was on the disk; a torn tail of what was not is no fault (`recovery`).
//! 7. Bytes from the disk that do not follow the format give [`Error::Corrupt`], never a panic.

/// The on-disk format, written down.
mod layout;

/// Why the store refuses or fails.
mod error;

/// The order-preserving key codec.
mod key;

/// Ranges of keys: partitions, sort key conditions, segments.
mod bounds;

/// Tables as they are now: definitions, counters, the snapshot that requests read.
mod catalog;

/// What an item contributes to the indexes of its table.
mod index;

/// What a write request is to the store.
mod mutation;

/// Transactions that are not done twice.
mod idempotency;

/// RocksDB's options and handles.
mod engine;

/// Items that are asked for often.
mod hot_cache;

/// What the store counts and can tell about itself.
mod figures;

/// The log as bytes.
mod wal;

/// How far the log is known to be on the disk.
mod sync_mark;

/// Whether a data directory may be opened.
mod recovery;

/// A disk that is full.
mod space;

/// Point reads.
mod read;

/// Ordered scans.
mod scan;

/// The bounded queue in front of the committer.
mod queue;

/// When a batch waits for more.
mod haste;

/// The committer thread.
mod commit;

/// Changes of the catalog.
mod alter;

/// Filling indexes that are added to a table.
mod backfill;

/// Giving back the space of dropped tables and indexes.
mod reclaim;

/// Opening, the door, closing.
mod store;

/// Checking a directory, and mending its indexes, while no server uses it.
mod verify;

/// Locks of directories.
mod lock;

/// Copies of a database, and databases from copies.
mod backup;

/// What work of minutes tells while it lasts.
mod progress;

pub use alter::Draft;
pub use backfill::BackfillProgress;
pub use backup::{BackupError, BackupInfo, BackupReport, BackupSource, list_backups, restore};
pub use bounds::{Bounds, Direction, SortCondition};
pub use catalog::{Catalog, Table, TableIndex};
pub use error::{Error, OpenError};
pub use figures::{CommitCounts, EngineFigures, EngineTickers};
pub use hot_cache::HotCacheStatistics;
pub use idempotency::Idempotency;
pub use index::{IndexChange, IndexEntry, index_changes};
pub use key::{KeyValue, Space, decode_index_row_key, decode_row_key};
pub use mutation::{CommitTimes, Decision, Mutation, Outcome, Target, Wake};
pub use progress::{Finding, Observer};
pub use read::{Lookup, Snapshot, StoredBytes, Tier};
pub use scan::{Row, Rows, ScanOptions};
pub use store::{Durability, Store, StoreOptions, StoreStatistics};
pub use verify::{Directory, Repair, Selection, TableSummary, Verification};

#[cfg(test)]
mod tests;
