//! RocksDB's options and handles: everything that depends on how RocksDB works rather than on what is stored.

use std::path::Path;
use std::sync::OnceLock;
use std::thread::available_parallelism;
use std::time::Instant;

use rocksdb::statistics::StatsLevel;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, LogLevel, Options, ReadOptions, SliceTransform,
    WriteBatch, WriteOptions,
};

use super::error::{Error, OpenError};
use super::figures::time_of_log;
use super::layout::{self, FORMAT_VERSION, HASH_BYTES, MetadataKey, SPACE_BYTES};
use super::read::TierOptions;
use super::recovery;
use super::space::{Space, is_out_of_space};
use super::store::StoreOptions;
use super::sync_mark::SyncMark;
use crate::metrics::Histogram;

/// Smaller blocks hold fewer rows that nobody asked for; larger ones need a smaller index. 4 to 8 KB measure alike.
const BLOCK_BYTES: usize = 8 * 1024;

/// An absent key is answered without a look at a block in 99 of 100 cases.
const BLOOM_BITS_PER_KEY: f64 = 10.0;

/// Part of a memtable that is a bloom filter of its keys: 10 bits per row for rows of 60 bytes, more for larger ones.
const MEMTABLE_BLOOM_RATIO: f64 = 0.02;

/// Memtables in memory: the active one, and full ones that wait for their flush. One more than RocksDB's default, so
/// that a slow flush does not stop the committer at once.
const MEMTABLE_COUNT_MAX: i32 = 3;

/// A table file stays open. This bounds file handles and, because a quarter of them is opened at start, the time of a
/// start.
const OPEN_FILE_COUNT_MAX: i32 = 2048;

/// RocksDB's own log, `LOG` in the data directory: at most this many files of this size.
const LOG_FILE_COUNT_MAX: usize = 4;
const LOG_FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The manifest is rewritten at this size; it is read at every start.
const MANIFEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Log files that are kept to be written over: an overwrite needs no new blocks and no new file size on each sync,
/// which makes a sync 143 instead of 325 us (ext4, virtio disk, 20 KB) and synced puts 10 to 30 % quicker.
const RECYCLED_LOG_COUNT: usize = 2;

/// Table files are written back as they grow, so that the sync at their end has little left to do.
const FLUSH_BACK_BYTES: u64 = 1024 * 1024;

/// Key and value of a metadata record.
pub(super) type MetadataRecord = (Box<[u8]>, Box<[u8]>);

/// The open database.
pub(super) struct Engine {
    pub db: DB,
    pub tiers: TierOptions,
    block_cache: Cache,
    /// How long the log took to be on the disk, for each write or call that waited for it.
    pub sync_times: Histogram,
    /// The options that the database was opened with, if it keeps statistics: they are read through these.
    pub statistics: Option<Options>,
    /// None if nothing can be written.
    mark: Option<SyncMark>,
    pub space: Space,
    /// Set by the first failed write or sync, with its cause.
    poison: OnceLock<Error>,
    #[cfg(test)]
    pub fail_writes: std::sync::atomic::AtomicBool,
}

impl Engine {
    /// Opens or creates the database and checks its format version.
    pub fn open(options: &StoreOptions) -> Result<Engine, OpenError> {
        let path = options.path.as_path();
        let failed = |detail: String| OpenError::Io { path: path.into(), detail };
        std::fs::create_dir_all(path).map_err(|error| failed(error.to_string()))?;
        let is_new = !path.join("CURRENT").exists();
        if is_new {
            refuse_foreign_files(path)?;
        }
        let block_cache = Cache::new_hyper_clock_cache(options.block_cache_bytes, 0);
        let database = database_options(options, &block_cache);
        if !is_new {
            recovery::check_log(path, &database, options.recover_damaged_log)?;
        }
        let db = DB::open(&database, path).map_err(|error| open_error(path, &error))?;
        // The replay has left the log and is in table files.
        let mark = SyncMark::create(path, db.latest_sequence_number()).map_err(|error| failed(error.to_string()))?;
        let space = Space::new(path, options.disk_reserve_bytes);
        let statistics = options.statistics.then_some(database);
        let engine = Engine::new(db, block_cache, statistics, Some(mark), space);
        engine.check_version(path)?;
        Ok(engine)
    }

    /// Opens an existing database without changing a byte of its directory, its lock included: that is the caller's.
    pub fn open_read_only(options: &StoreOptions) -> Result<Engine, OpenError> {
        let path = options.path.as_path();
        Engine::require_database(path)?;
        let block_cache = Cache::new_hyper_clock_cache(options.block_cache_bytes, 0);
        let database = database_options(options, &block_cache);
        recovery::check_log(path, &database, false)?;
        let db = DB::open_for_read_only(&database, path, false).map_err(|error| open_error(path, &error))?;
        let engine = Engine::new(db, block_cache, None, None, Space::new(path, 0));
        if !engine.has_version(path)? {
            return Err(OpenError::Corrupt { path: path.into(), detail: "it has no format version".into() });
        }
        Ok(engine)
    }

    /// Opens an existing database: for commands that must not create one where a path is mistyped.
    pub fn open_existing(options: &StoreOptions) -> Result<Engine, OpenError> {
        Engine::require_database(&options.path)?;
        Engine::open(options)
    }

    pub fn require_database(path: &Path) -> Result<(), OpenError> {
        if path.join("CURRENT").exists() {
            return Ok(());
        }
        Err(OpenError::Io { path: path.into(), detail: "it is not a data directory: no file CURRENT in it".into() })
    }

    fn new(db: DB, block_cache: Cache, statistics: Option<Options>, mark: Option<SyncMark>, space: Space) -> Engine {
        Engine {
            db,
            tiers: TierOptions::new(),
            block_cache,
            sync_times: Histogram::of_times(),
            statistics,
            mark,
            space,
            poison: OnceLock::new(),
            #[cfg(test)]
            fail_writes: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Reads the format version; a database without any record is new and gets one.
    fn check_version(&self, path: &Path) -> Result<(), OpenError> {
        if self.has_version(path)? {
            return Ok(());
        }
        if !self.is_empty() {
            let detail = "a RocksDB database without this server's format version".into();
            return Err(OpenError::Corrupt { path: path.into(), detail });
        }
        let mut batch = WriteBatch::new();
        batch.put(MetadataKey::format_version(), FORMAT_VERSION.to_le_bytes());
        self.write(batch, true).map_err(|error| OpenError::Io { path: path.into(), detail: error.to_string() })
    }

    /// Whether there is a format version; it is an error if it is not this program's.
    fn has_version(&self, path: &Path) -> Result<bool, OpenError> {
        let corrupt = |detail: String| OpenError::Corrupt { path: path.into(), detail };
        let value = self.metadata(MetadataKey::format_version()).map_err(|error| corrupt(error.to_string()))?;
        let Some(value) = value else { return Ok(false) };
        match layout::read_u32(&value, "the format version").map_err(|error| corrupt(error.to_string()))? {
            FORMAT_VERSION => Ok(true),
            0 => Err(corrupt("its format version is 0".into())),
            found => Err(OpenError::NewerFormat { path: path.into(), found, supported: FORMAT_VERSION }),
        }
    }

    fn is_empty(&self) -> bool {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mut iterator = self.db.raw_iterator_opt(options);
        iterator.seek_to_first();
        !iterator.valid() && iterator.status().is_ok()
    }

    /// Writes a batch at once and in whole. After a failure the store is poisoned, unless only the disk is full.
    pub fn write(&self, mut batch: WriteBatch, sync: bool) -> Result<(), Error> {
        self.check_poison()?;
        if let Some(mark) = &self.mark {
            mark.stamp(&mut batch);
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        let write = || {
            let written = self.judge("writing to the log", || self.db.write_opt(batch, &options));
            written.inspect(|()| self.space.write_succeeded())
        };
        if !sync {
            write()?;
            self.mark.iter().for_each(|mark| mark.written(self.db.latest_sequence_number()));
            return Ok(());
        }
        let (result, log_time) = time_of_log(write);
        self.sync_times.observe_time(log_time);
        result?;
        self.mark.iter().for_each(|mark| mark.synced(self.db.latest_sequence_number()));
        Ok(())
    }

    /// Syncs what was written to the log so far. After a failure the store is poisoned, unless only the disk is full.
    pub fn sync(&self) -> Result<(), Error> {
        self.check_poison()?;
        let (begun, sequence) = (Instant::now(), self.db.latest_sequence_number());
        let result = self.judge("syncing the log", || self.db.flush_wal(true));
        self.sync_times.observe_time(begun.elapsed());
        result?;
        self.mark.iter().for_each(|mark| mark.synced(sequence));
        Ok(())
    }

    /// `Err` once a write or sync has failed.
    pub fn check_poison(&self) -> Result<(), Error> {
        self.poison.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// `Err` while no write would be acknowledged: after one has failed, or when the disk is nearly full.
    pub fn check_writable(&self) -> Result<(), Error> {
        self.check_poison()?;
        self.space.check()
    }

    /// Refuses all writes from now on.
    pub fn poison(&self, cause: &str) -> Error {
        let error = self.poison.get_or_init(|| {
            tracing::error!(cause, "a write failed; writes are refused until the server is restarted");
            Error::Poisoned(cause.into())
        });
        error.clone()
    }

    /// A full disk is waited for; any other failure leaves the log in an unknown state, and poisons.
    fn judge(&self, doing: &str, action: impl FnOnce() -> Result<(), rocksdb::Error>) -> Result<(), Error> {
        #[cfg(test)]
        if self.fail_writes.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(self.poison(&format!("{doing}: injected")));
        }
        action().map_err(|error| {
            if !is_out_of_space(error.as_ref()) {
                return self.poison(&format!("{doing}: {error}"));
            }
            self.space.look();
            self.space.write_failed(error.as_ref())
        })
    }

    pub fn metadata(&self, key: MetadataKey) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.db.get(key)?)
    }

    /// All metadata records of a kind, by key.
    pub fn metadata_of_kind(&self, kind: u8) -> Result<Vec<MetadataRecord>, Error> {
        let (lower, upper) = MetadataKey::range(kind);
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(lower);
        options.set_iterate_upper_bound(upper);
        options.set_total_order_seek(true);
        let records = self.db.iterator_opt(rocksdb::IteratorMode::Start, options);
        Ok(records.collect::<Result<_, _>>()?)
    }

    /// Memory that the block cache holds now.
    pub fn block_cache_bytes(&self) -> usize {
        self.block_cache.get_usage()
    }

    /// Bytes of the table files between two keys, roughly.
    pub fn file_bytes_between(&self, lower: &[u8], upper: &[u8]) -> u64 {
        self.db.get_approximate_sizes(&[rocksdb::Range::new(lower, upper)]).first().copied().unwrap_or(0)
    }

    /// Writes memtables to table files, so that the next start has no log to replay.
    pub fn flush(&self) -> Result<(), Error> {
        self.check_poison()?;
        Ok(self.db.flush()?)
    }

    /// Ends compactions and waits for their end. None begins any more.
    pub fn cancel_background_work(&self) {
        self.db.cancel_all_background_work(true);
    }
}

/// A new database is not laid over the remains of another: without CURRENT RocksDB would delete them.
fn refuse_foreign_files(path: &Path) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::Io { path: path.into(), detail: error.to_string() };
    for entry in std::fs::read_dir(path).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let name = name.to_string_lossy();
        let is_numbered = name.starts_with(|first: char| first.is_ascii_digit());
        if name.starts_with("MANIFEST-") || is_numbered && (name.ends_with(".sst") || name.ends_with(".log")) {
            let detail = format!("it holds {name} but no file CURRENT");
            return Err(OpenError::Corrupt { path: path.into(), detail });
        }
    }
    Ok(())
}

fn open_error(path: &Path, error: &rocksdb::Error) -> OpenError {
    let detail = error.to_string();
    // RocksDB reports a lock as an I/O error like any other; only its text tells.
    if detail.contains("lock hold by current process") || detail.contains("While lock file") {
        return OpenError::InUse { path: path.into() };
    }
    match error.kind() {
        rocksdb::ErrorKind::IOError if !detail.contains("No such file") => OpenError::Io { path: path.into(), detail },
        // A column family or an option that this version does not know, a damaged or missing file.
        _ => OpenError::Corrupt { path: path.into(), detail },
    }
}

fn database_options(options: &StoreOptions, block_cache: &Cache) -> Options {
    let mut database = Options::default();
    database.create_if_missing(true);
    database.set_block_based_table_factory(&table_options(block_cache));
    database.set_compression_type(DBCompressionType::Lz4);
    // RocksDB's defaults, named because promises rest on them. Every block is checked against its checksum when it is
    // read from the disk, a background error ends writes, and a replay ends at the first record that is not whole:
    // whether it may end there is for `recovery` to say. A mode that refuses damage by itself cannot tell it from the
    // remains of the log that is written over, and RocksDB then writes over none.
    database.set_paranoid_checks(true);
    database.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // A Query looks at no file and no memtable without rows of its partition (see `Engine::scan`).
    database.set_prefix_extractor(SliceTransform::create_fixed_prefix(SPACE_BYTES + HASH_BYTES));

    database.set_write_buffer_size(options.memtable_bytes);
    database.set_max_write_buffer_number(MEMTABLE_COUNT_MAX);
    database.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
    database.set_memtable_whole_key_filtering(true);
    // The log holds what is in memtables only, so it is bounded by them; this is for the case that a flush lags behind.
    database.set_max_total_wal_size((MEMTABLE_COUNT_MAX as u64 + 1) * options.memtable_bytes as u64);
    database.set_recycle_log_file_num(RECYCLED_LOG_COUNT);
    // Level 1 holds what four memtables hold when they are flushed.
    database.set_max_bytes_for_level_base(4 * options.memtable_bytes as u64);

    let cores = available_parallelism().map_or(2, usize::from);
    database.set_max_background_jobs(cores.clamp(2, 8) as i32);
    database.set_bytes_per_sync(FLUSH_BACK_BYTES);
    database.set_max_open_files(OPEN_FILE_COUNT_MAX);
    // Reading the properties of every file at start would make a start slow on a large database.
    database.set_skip_stats_update_on_db_open(true);
    database.set_max_manifest_file_size(MANIFEST_BYTES_MAX);

    database.set_keep_log_file_num(LOG_FILE_COUNT_MAX);
    database.set_max_log_file_size(LOG_FILE_BYTES_MAX);
    database.set_log_level(LogLevel::Info);
    if options.statistics {
        // Counts only: timers would cost two looks at the clock for each part of a read.
        database.enable_statistics();
        database.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
    }
    database.set_stats_dump_period_sec(0);
    database.set_stats_persist_period_sec(0);
    database
}

fn table_options(block_cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(block_cache);
    table.set_block_size(BLOCK_BYTES);
    table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    // Index and filters count against the cache, so memory stays bounded, and a start does not read them all.
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table
}
